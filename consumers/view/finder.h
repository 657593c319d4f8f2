/* Finds the streams that a name on the command line means. */
#ifndef CONSUMERS_FINDER_H
#define CONSUMERS_FINDER_H

#include <shmframe/shmframe.h>

enum {
    FINDER_STREAMS = 256, /* as many are looked through */
};

struct finder {
    struct shmframe_session *session;
    const char *name; /* of a stream or group */
    uint32_t count;
    struct shmframe_stream_info streams[FINDER_STREAMS];
};

/* Names of streams, valid until the next look; NULL: there is none. */
struct finder_result {
    const char *video;
    const char *audio;
    bool is_pair_likely; /* one of a group is there: the other may be about to come */
};

/* What there is at this moment; nothing while no supervisor answers. */
struct finder_result finder_look(struct finder *finder);

/* Waits as long as --wait allows until one of several has something, and a moment longer for the
 * other of a pair; if none has, one line says what there is instead, and the program ends. False:
 * asked to stop. */
bool finder_wait(struct finder *const finders[], uint32_t count);

#endif
