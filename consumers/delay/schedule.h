/* Schedule: what becomes of each frame of a stream, and when it is due. Pure: the same seed and the
 * same instants give the same schedule.
 */
#ifndef CONSUMERS_DELAY_SCHEDULE_H
#define CONSUMERS_DELAY_SCHEDULE_H

#include "chance.h"

/* How jitter is spread, by what it is told as. */
enum schedule_distribution {
    SCHEDULE_UNIFORM = 0,     /* as far as that, either way */
    SCHEDULE_NORMAL = 1,      /* its standard deviation */
    SCHEDULE_EXPONENTIAL = 2, /* its mean; only ever later */
};
/* "uniform", "normal", "exponential"; NULL out of range. */
const char *schedule_distribution_name(unsigned distribution);

struct schedule_params {
    int64_t delay_ns, jitter_ns;
    enum schedule_distribution distribution;
    struct chance drop, repeat, swap;
    bool is_reordering; /* jitter may let a frame overtake another one */
    uint64_t seed;
};

enum schedule_action {
    SCHEDULE_PASS = 0,
    SCHEDULE_DROP = 1,   /* it is not published */
    SCHEDULE_REPEAT = 2, /* it is published twice, the second time at once after the first */
    SCHEDULE_SWAP = 3,   /* it is published after its successor, when that one is due */
};
/* "pass", "drop", "repeat", "swap". */
const char *schedule_action_name(enum schedule_action action);

struct schedule {
    struct schedule_params params; /* delay_ns and jitter_ns may be changed at any time */
    struct dice jitter, drop, repeat, swap;
    uint64_t frames;
    int64_t last_due_ns;
    bool is_swapping; /* the frame before is to go after the next one */
};
void schedule_init(struct schedule *schedule, const struct schedule_params *params);

struct schedule_turn {
    enum schedule_action action;
    int64_t due_ns; /* without meaning for one that is dropped */
};
/* Decides about the next frame, which was acquired at `acquire_ns`. Of several things that could
 * happen to it, the first does: drop, swap, repeat. The successor that a swapped frame waits for
 * may be dropped, and then it waits for the next one; nothing else happens to it. */
struct schedule_turn schedule_next(struct schedule *schedule, int64_t acquire_ns);

/* All that is due later than now is, from now on, by so much: who holds frames moves them too. */
void schedule_shift(struct schedule *schedule, int64_t shift_ns);

/* How many frames that come each `period_ns` are under way at once, with room to spare for jitter:
 * what it leaves out happens less than once in a thousand frames. */
double schedule_count_held(const struct schedule_params *params, int64_t period_ns);

#endif
