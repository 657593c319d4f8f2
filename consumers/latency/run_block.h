/* Blocks: what happened in each second of a run, hop by hop, with the values as they were, rounded
 * to 1/256. Neighbouring frames are alike; neighbouring blocks much less, which is why runs are
 * compared by blocks.
 *
 * There are at most RUN_BLOCKS_MAX: when there are more, each becomes twice as long.
 */
#ifndef CONSUMERS_LATENCY_RUN_BLOCK_H
#define CONSUMERS_LATENCY_RUN_BLOCK_H

#include <shmframe/shmframe.h>
#include <stddef.h>

/* As enum shmframe_hop, then what marks and sound tell. */
enum run_hop {
    RUN_HOP_PRODUCE = SHMFRAME_HOP_PRODUCE,
    RUN_HOP_WAKE = SHMFRAME_HOP_WAKE,
    RUN_HOP_TRANSIT = SHMFRAME_HOP_TRANSIT,
    RUN_HOP_HOLD = SHMFRAME_HOP_HOLD,
    RUN_HOP_AGE = SHMFRAME_HOP_AGE,
    RUN_HOP_DISPLAY = SHMFRAME_HOP_DISPLAY,
    RUN_HOP_MARK_AGE,  /* acquire - the mark's capture */
    RUN_HOP_SEEN,      /* the carrying frame's capture - the mark's */
    RUN_HOP_SHOWN_FOR, /* first sight of a picture to first sight of the next */
    RUN_HOP_SKEW,      /* picture to sound, without its sign */
    RUN_HOPS,
};
/* "produce" ... "mark_age", "seen", "shown_for", "skew". */
const char *run_hop_name(enum run_hop hop);
/* What it lasts from and to, in words. */
const char *run_hop_meaning(enum run_hop hop);

/* What is counted in each block beside times. */
enum run_event {
    RUN_EVENT_LOST = 0,
    RUN_EVENT_SKIPPED,
    RUN_EVENT_DROPPED, /* by the device */
    RUN_EVENT_MARK_LOST,
    RUN_EVENT_MARK_MISSING, /* a picture in which none was found */
    RUN_EVENT_TORN,
    RUN_EVENT_REPEATED,
    RUN_EVENTS,
};
/* "lost" ... "mark_lost", "mark_missing", "torn", "repeated". */
const char *run_event_name(enum run_event event);

enum { RUN_BLOCKS_MAX = 512 };
#define RUN_BLOCK_NS INT64_C(1000000000)

/* A value, rounded, and how often it came. */
struct run_value {
    int64_t value_ns;
    uint64_t count;
};

struct run_values {
    struct run_value *value; /* ascending */
    size_t count;
};

struct run_block {
    uint64_t number; /* it begins number * block_ns after the run */
    uint64_t frames;
    uint64_t event[RUN_EVENTS];
    struct run_values hop[RUN_HOPS];
};

struct run_blocks {
    int64_t block_ns;
    struct run_block
        *block; /* ascending by number; those in which nothing happened are not there */
    size_t count;
    struct run_block_counts *open; /* of the newest, until it is over */
};

/* Errors: -ENOMEM. */
int run_blocks_init(struct run_blocks *blocks);
void run_blocks_finish(struct run_blocks *blocks);

/* `since_ns`: since the run began. Earlier than the newest block counts in that one. */
int run_blocks_open(struct run_blocks *blocks, int64_t since_ns);
/* Into the block that was opened last. */
void run_blocks_add_frame(struct run_blocks *blocks);
void run_blocks_add_event(struct run_blocks *blocks, enum run_event event, uint64_t count);
void run_blocks_add_value(struct run_blocks *blocks, enum run_hop hop, int64_t value_ns);
/* The newest one is over as well. */
int run_blocks_close(struct run_blocks *blocks);

/* The value that a value is rounded to: it has eight significant bits. */
int64_t run_value_round(int64_t value_ns);

/* The value that `quantile` of the values do not exceed; 0 if there are none. */
int64_t run_values_quantile_ns(const struct run_values *values, double quantile);
uint64_t run_values_total(const struct run_values *values);

#endif
