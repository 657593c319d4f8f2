/* What marks tell of a stream that is measured: of a picture's frames, of a sound beside a picture.
 */
#ifndef CONSUMERS_LATENCY_MARKED_H
#define CONSUMERS_LATENCY_MARKED_H

#include "mark_tally.h"
#include "skew_tally.h"

/* Goes on from enum shmframe_hop. */
enum marked_hop {
    MARKED_AGE = SHMFRAME_HOPS, /* of a picture: acquire - the mark's capture */
    MARKED_SEEN,                /* the picture's capture - the mark's */
    MARKED_SHOWN_FOR,           /* from a frame's first picture to the next one's */
    MARKED_HEARD,               /* of a sound: the start of a burst - its beat's instant */
    MARKED_SKEW,                /* latency of the picture - that of the sound */
    MARKED_END,
};

/* Of either enum: "produce" ... "mark_age" ...; NULL out of range. */
const char *marked_hop_name(unsigned hop);

/* Figures are large: not on the stack. */
struct marked_picture {
    struct mark_tally tally;
    struct mark_figures previous;
    struct mark_figures shown;        /* what is to be told: an interval, or the whole */
    char source[SHMFRAME_NAME_BYTES]; /* name of the stream that the marks are of; "": not known */
};

struct marked_sound {
    struct skew_tally tally;
    struct skew_figures previous;
    struct skew_figures shown;
    const char *picture; /* the stream beside it; borrowed; NULL: there is none */
};

/* Puts the time since the last interval, or all of it, into `shown`. */
void marked_picture_take_interval(struct marked_picture *picture);
void marked_picture_take_total(struct marked_picture *picture);
void marked_sound_take_interval(struct marked_sound *sound);
void marked_sound_take_total(struct marked_sound *sound);

#endif
