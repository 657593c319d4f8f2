/* A queue of sound between two threads: one appends, the other, which must never wait, takes.
 *
 * Positions count sample frames (one sample of each channel) since creation and never go back, so
 * a position names a moment of the sound for as long as the queue lives.
 */
#ifndef CONSUMERS_SAMPLES_H
#define CONSUMERS_SAMPLES_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

struct samples {
    float *data;
    uint32_t channels;
    uint32_t capacity; /* frames; a power of two */
    /* Frames appended so far.
     * writer   the appending thread, samples_append()     reader  the taking thread
     * order    S1 release store -> T1 acquire load guards the samples below `head` */
    alignas(64) _Atomic uint64_t head;
    /* Frames taken so far.
     * writer   the taking thread, samples_take()          reader  the appending thread
     * order    T2 release store -> S2 acquire load: what was below `tail` may be overwritten */
    alignas(64) _Atomic uint64_t tail;
};

/* Room for at least `frames` frames. Errors: -ENOMEM. */
int samples_init(struct samples *samples, uint32_t channels, uint32_t frames);
void samples_finish(struct samples *samples);

/* Appends up to `frames` frames, as many as there is room for; returns how many. Appending thread.
 * `from` NULL appends silence. */
uint32_t samples_append(struct samples *samples, const float *from, uint32_t frames);

/* Takes up to `frames` frames, as many as there are; returns how many. Taking thread. `to` NULL
 * throws them away. */
uint32_t samples_take(struct samples *samples, float *to, uint32_t frames);

/* Frames that wait. Either thread: the other one can only have made it better meanwhile. */
uint32_t samples_fill(const struct samples *samples);

/* Position of the next frame to be appended. Appending thread. */
uint64_t samples_head(const struct samples *samples);

/* Position of the next frame to be taken. Taking thread. */
uint64_t samples_tail(const struct samples *samples);

#endif
