/* Which streams a name on the command line means. Pure. */
#ifndef CONSUMERS_CHOICE_H
#define CONSUMERS_CHOICE_H

#include <shmframe/stats.h>

/* Indices into the list of streams; -1: there is none. */
struct stream_choice {
    int video;
    int audio;
};

/* `name` is a stream or a group. A video stream brings the sound of its group along; an audio
 * stream stays alone; a group is its first picture and its first sound. Streams that are running
 * come before those whose writer has gone, and of a pair nobody has to wait for the one whose
 * writer has gone. Streams without a format yet, and ended ones, do not count. */
struct stream_choice choose_streams(const struct shmframe_stream_info *streams, int count,
                                    const char *name);

#endif
