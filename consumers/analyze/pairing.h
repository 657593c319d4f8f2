/* Pictures of two streams that belong together: matched as they come, in any order of the streams.
 *
 * Both streams are in order, so a match gives up all that waited from before it. A picture that
 * waits is held as a reference, `held_max` on each side at most, otherwise as a copy.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_PAIRING_H
#define CONSUMERS_PAIRING_H

#include <libavutil/frame.h>
#include <shmframe/format.h>
#include <shmframe/frame.h>
#include <stdbool.h>

enum pairing_side {
    PAIRING_MAIN = 0,
    PAIRING_REFERENCE = 1,
};

/* What two pictures must have in common. */
enum pairing_key {
    PAIRING_BY_ORIGIN = 0, /* stream and number of the first source: that of `origin`, or its own */
    PAIRING_BY_CAPTURE,    /* the first source's capture_ns */
    PAIRING_BY_PTS,
};

struct pairing_settings {
    const char *stream[2]; /* names, by enum pairing_side; kept; the second NULL: no reference */
    enum pairing_key key;
    int64_t tolerance_ns; /* by capture and pts: times that differ by so much are the same; pts also
                             by less than half the shorter frame duration that a side has */
    uint32_t held_max;    /* references to pictures that wait, on each side, at least 1 */
    uint32_t waiting_max; /* pictures that wait, copies included, on each side */
};

struct pairing_counters {
    uint64_t pairs;
    uint64_t unmatched[2]; /* given up, by enum pairing_side */
    uint64_t copied;       /* pictures that waited as copies */
};

/* What becomes of the next picture of a side if it has no partner. */
enum pairing_room {
    PAIRING_HAS_ROOM = 0, /* it is held, or none need wait */
    PAIRING_COPIES,       /* it is copied */
    PAIRING_GIVES_UP,     /* the oldest that waits is given up for it */
};

struct pairing;

/* Errors: -ENOMEM; -EINVAL. */
int pairing_create(const struct pairing_settings *settings, struct pairing **out_pairing);
void pairing_destroy(struct pairing *pairing);

/* The unit of a side's pts, and its frames a second, 0/1: not known. */
void pairing_set_times(struct pairing *pairing, enum pairing_side side,
                       struct shmframe_rational time_base, struct shmframe_rational frame_rate);

/* Adds a picture. Returns 1 if its partner was there: `out_partner` is the caller's then; 0: it
 * waits. Errors: -ENOMEM. */
int pairing_add(struct pairing *pairing, enum pairing_side side, const AVFrame *picture,
                const struct shmframe_frame *stamps, AVFrame **out_partner);

/* As picture_measures_find_room(). */
enum pairing_room pairing_find_room(const struct pairing *pairing, enum pairing_side side);

/* Whether a picture of that side waits whose partner may still come. */
bool pairing_is_waiting(const struct pairing *pairing, enum pairing_side side);

/* No reference to pictures of that side's stream is kept any more: those that wait are copied. Add
 * copies from now on. Errors: -ENOMEM. */
int pairing_let_go(struct pairing *pairing, enum pairing_side side);

/* A side is over: what waits for it is given up, also what comes later. */
void pairing_end(struct pairing *pairing, enum pairing_side side);

void pairing_read_counters(const struct pairing *pairing, struct pairing_counters *out_counters);

#endif
