/* Listens to the signal of sound_server.h: which samples come, and when they are said to be from.
 */
#ifndef TESTS_MICROPHONE_LISTENER_H
#define TESTS_MICROPHONE_LISTENER_H

#include "sound_server.h"

#include <shmframe/reader.h>

/* What is known of the signal so far. */
struct listener {
    int64_t next; /* number of the sample that is to come; -1: none was there */
    int64_t samples, silent;
    int64_t pauses; /* silence after the begin: the player was late */
    int64_t jumps;  /* samples that lack or come again, without silence between */
    bool is_silent;
    int64_t shift; /* of the last frame: its timestamp - number of its first sample */
    /* Of frames since the begin: how far the capture time was from the truth. */
    int64_t least_error_ns, most_error_ns;
};

struct listener listener_make(void);

/* Takes a frame of s16 or s32, the signal in its first channels; `feed` NULL: what plays is not on
 * the clock. */
void listener_hear_frame(struct listener *listener, const struct shmframe_lease *lease,
                         const struct sound_feed *feed);

#endif
