/* Run: what one measurement noted of one stream, frame by frame; what reports are made of.
 *
 * Memory is bounded. Counters, and histograms of the whole, are exact however long it lasts. Frames
 * and losses beyond a bound are thinned, and how is said. Blocks of a second, which comparisons
 * work with, become longer ones.
 *
 * Life: create, add in the order of the frames, end, read. Threads: one.
 */
#ifndef CONSUMERS_LATENCY_RUN_H
#define CONSUMERS_LATENCY_RUN_H

#include "hops.h"
#include "run_block.h"

#include <stdbool.h>

enum {
    RUN_FRAMES_MAX = 1 << 17,
    RUN_LOSSES_MAX = 4096,
    RUN_SKEWS_MAX = 1 << 14,
};

/* What became of the mark in a frame's picture. */
enum run_mark_flag {
    RUN_MARK_READ = 1 << 0,         /* the members below are told */
    RUN_MARK_FIRST = 1 << 1,        /* this picture was not seen before: its ages count */
    RUN_MARK_REPEATED = 1 << 2,     /* the same picture as in the frame before */
    RUN_MARK_OUT_OF_ORDER = 1 << 3, /* older than one that was seen before */
    RUN_MARK_TORN = 1 << 4,         /* parts of two pictures */
    RUN_MARK_OTHER_CLOCK = 1 << 5,  /* captured by another machine's clock: no ages */
    RUN_MARK_MISSING = 1 << 6,      /* a picture in which none was found */
};

struct run_mark {
    uint32_t flags; /* enum run_mark_flag; 0: nobody looked */
    uint32_t number;
    int64_t capture_ns;
    uint64_t lost; /* numbers passed over just before this one */
    int64_t
        shown_for_ns; /* the picture before this one, from its first sight to now; 0: not known */
};

struct run_frame {
    uint64_t sequence;
    int64_t capture_ns, publish_ns, wake_ns, acquire_ns, release_ns, present_ns; /* 0: did not */
    uint64_t lost;    /* frames lost just before this one */
    uint32_t cause;   /* enum shmframe_cause of most of them */
    uint32_t skipped; /* frames passed over by policy just before this one */
    struct run_mark mark;
};

/* A gap as the reader met it. */
struct run_loss {
    uint64_t first, count;
    int64_t time_ns;
    uint32_t cause; /* enum shmframe_cause */
};

/* How far picture and sound of one flash were apart. */
struct run_skew {
    int64_t time_ns;
    int64_t skew_ns;  /* latency of the picture - latency of the sound */
    int64_t bound_ns; /* by which it may be wrong; 0: not told */
};

/* Totals beyond the reader's own counters. */
struct run_marks {
    uint64_t read, missing, lost, repeated, out_of_order, torn, other_clock;
};

struct run {
    char stream[SHMFRAME_NAME_BYTES];
    char format[128]; /* shmframe_format_describe(), or as the supervisor lists it; "": not known */
    int64_t start_ns, end_ns;

    /* The longest time without a frame: from one that was acquired to the next, or to the end; and
     * when it began. */
    int64_t outage_ns, outage_at_ns;
    int64_t newest_ns; /* when the newest frame was acquired */

    struct run_frame *frame;
    size_t frames;
    uint64_t frames_seen;
    uint64_t
        frames_missed; /* that nobody looked at before they were forgotten; set by the caller */
    /* Of frames that nothing happened to, and of the others, one of so many is kept. */
    uint32_t stride, notable_stride;
    uint64_t plain_seen, notable_seen;

    struct run_loss *loss;
    size_t losses;
    uint64_t losses_seen; /* those beyond RUN_LOSSES_MAX are not kept */

    struct run_skew *skew;
    size_t skews;
    uint64_t skews_seen;

    struct run_blocks blocks;

    /* Of the whole, exact. The first ones are the reader's own, from run_end() on. */
    struct shmframe_histogram hop[RUN_HOPS];
    struct shmframe_reader_counters counters;
    struct run_marks marks;
    bool has_marks;
};

/* NULL: no memory. Large. */
struct run *run_create(const char *stream, int64_t start_ns);
void run_destroy(struct run *run);

void run_add_loss(struct run *run, const struct run_loss *loss);
/* In the order of acquire_ns. Errors of this and the next ones: -ENOMEM; what was added before
 * stays. */
int run_add_frame(struct run *run, const struct run_frame *frame);
int run_add_skew(struct run *run, const struct run_skew *skew);
/* The device dropped so many, as the reader's counter told at that time. */
int run_add_dropped(struct run *run, int64_t time_ns, uint64_t count);

/* Takes the reader's histograms and counters of the whole. Errors: -ENOMEM. */
int run_end(struct run *run, const struct hops *hops, int64_t end_ns);

/* How long the hop took in that frame; -1: it did not happen. */
int64_t run_frame_hop_ns(const struct run_frame *frame, enum run_hop hop);

#endif
