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

enum { CHOICE_SOUNDS_MAX = 16 };

/* Indices likewise, of all sounds. */
struct stream_choices {
    int video;
    int audio[CHOICE_SOUNDS_MAX];
    uint32_t audios;
};

/* As choose_streams(), with every sound of the group, in the list's order. */
struct stream_choices choose_all_streams(const struct shmframe_stream_info *streams, int count,
                                         const char *name);

#endif
