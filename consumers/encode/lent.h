/* Leases on loan to an encoder, as AVFrames: how many it keeps, and copies where it would keep more
 * than the reader can spare.
 *
 * A reader can hold so many frames at once, and needs one of these for the next frame. An encoder,
 * or a packet that refers to the slot, keeps others for as long as it likes.
 *
 * Threads: one; frames may be freed by any.
 */
#ifndef CONSUMERS_LENT_H
#define CONSUMERS_LENT_H

#include <libavutil/frame.h>
#include <shmframe/shmframe.h>
#include <stdatomic.h>

struct lent {
    uint32_t limit; /* leases that the reader was granted */
    /* Leases inside frames that have not been freed.
     * writer   whoever makes or frees a frame   reader  the same
     * order    relaxed: guards nothing, the lease itself is released by the library */
    _Atomic uint32_t held;
    uint32_t held_max;
    uint64_t in_place, copied;
};

/* Makes a frame of the lease and takes it, in any case. The frame is a copy if there are leases for
 * no more. Lives until the last frame is freed. Errors: as shmframe_avframe_from_lease(). */
int lent_take(struct lent *lent, struct shmframe_lease *lease, AVFrame **out_frame);

#endif
