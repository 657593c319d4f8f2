/* One of the streams of a measurement: where its figures come from, and what they were. */
#ifndef CONSUMERS_LATENCY_MEASURED_H
#define CONSUMERS_LATENCY_MEASURED_H

#include "hops.h"
#include "marked.h"

/* Snapshots are large: not on the stack. */
struct measured {
    const char *stream; /* borrowed */

    /* What is looked at: one of the two. */
    const struct shmframe_reader *reader;
    const struct shmframe_record *record;

    /* What marks tell of it; NULL: they are not looked for, or it is not of this kind. */
    struct marked_picture *picture;
    struct marked_sound *sound;

    struct hops start; /* what a watched reader had measured before */
    struct hops previous;
    struct hops shown; /* what is to be told: an interval, or the whole */
};

/* From now on it is measured. */
void measured_begin(struct measured *measured);

/* Puts the time since the last interval, or since it began, into `shown`. */
void measured_take_interval(struct measured *measured);
void measured_take_total(struct measured *measured);

/* Frames since it began. */
uint64_t measured_frames(const struct measured *measured);

/* What is to be told of a hop, enum shmframe_hop or enum marked_hop: of one that may be negative,
 * the sizes. NULL: this stream does not have it. */
const struct shmframe_histogram *measured_hop(const struct measured *measured, unsigned hop);

#endif
