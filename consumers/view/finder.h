/* Finds the streams that a name on the command line means. */
#ifndef CONSUMERS_FINDER_H
#define CONSUMERS_FINDER_H

#include <shmframe/shmframe.h>

enum {
    FINDER_STREAMS = 256, /* as many are looked through */
};

/* The streams that there were at the last look. */
struct finder {
    struct shmframe_session *session; /* borrowed */
    uint32_t count;
    struct shmframe_stream_info streams[FINDER_STREAMS];
};

/* Names of streams, valid until the next look; NULL: there is none. */
struct finder_result {
    const char *video;
    const char *audio;
    bool is_pair_likely; /* one of a group is there: the other may be about to come */
};

/* Has the supervisor list its streams, waiting that long for it. False: it does not answer, and the
 * list is empty. */
bool finder_look(struct finder *finder, int64_t wait_ns);
/* What a stream or group of that name was at the last look. */
struct finder_result finder_find(const struct finder *finder, const char *name);

/* Waits as long as --wait allows until one of several has something, and a moment longer for the
 * other of a pair; if none has, one line says what there is instead, and the program ends. False:
 * asked to stop. */
bool finder_wait(struct finder *finder, char *const names[], uint32_t count);

#endif
