/* Self-test: whether what is measured here is what there is. Frames are held for known times, and
 * left out, repeated and swapped in known numbers; that is read back by stamps and by marks.
 */
#ifndef TOOLS_SELF_TEST_H
#define TOOLS_SELF_TEST_H

#include "report.h"

#include <stdbool.h>
#include <stdint.h>

/* How far off a reading may be. */
#define SELF_TEST_STAMPS_NS INT64_C(50000) /* p50, by stamps; by marks: a period of the source */

enum { SELF_TEST_WORDS = 160, SELF_TEST_FRAMES_MAX = 4096 };

/* One known delay, read back. */
struct self_test_delay {
    int64_t delay_ns;  /* that the filter was asked for */
    int64_t period_ns; /* between frames of the source */
    uint32_t wanted;   /* frames that were to be read */
    uint32_t frames;   /* that were: seen before and behind the filter, and logged */
    int64_t held_ns;   /* p50 of how long it held them, by its own looks at the clock */
    int64_t read_ns;   /* p50 of the age when it published - the age when it acquired */
    int64_t off_ns;    /* p50 of read - held, frame by frame */
    int64_t off_p99_ns, off_max_ns; /* of its amount */
    uint32_t changed;               /* frames with another capture time than before the filter */
    uint32_t untold;                /* frames missing behind it, of which nobody told */
    int64_t age_ns;                 /* p50 when the filter acquired */
    /* Behind it, publish to acquire: that is the machine's, and never less than nothing. */
    int64_t transit_min_ns, transit_p50_ns, transit_p99_ns;
    int64_t wake_ns; /* what that takes here at most, but for one in a hundred */
    bool has_marks;
    /* p50 behind the filter, as shmframe-latency --marks tells. */
    int64_t mark_age_ns, told_produce_ns, told_transit_ns;
};

/* By marks, as self_test_delay.read_ns: without the transit, which comes after it. */
int64_t self_test_marks_ns(const struct self_test_delay *delay);

/* Whether the readings are right; `why`: "", or what is off. */
bool self_test_judge_delay(const struct self_test_delay *delay, char why[SELF_TEST_WORDS]);

/* What became of frames. */
struct self_test_counts {
    uint64_t lost, repeated, swapped;
};
struct self_test_faults {
    struct self_test_counts made;      /* as the filter tells */
    struct self_test_counts by_stamps; /* by the numbers of origins */
    struct self_test_counts by_marks;
    bool has_marks;
};
bool self_test_judge_faults(const struct self_test_faults *faults, char why[SELF_TEST_WORDS]);

/* Counts by the numbers of frames in the order in which they come; all is 0 at first. */
struct self_test_tally {
    uint64_t newest, last;
    struct self_test_counts counts;
};
void self_test_tally_add(struct self_test_tally *tally, uint64_t number);

/* The value that the share `quantile` of `count` values, which it sorts, does not exceed. */
int64_t self_test_quantile_ns(int64_t *values, uint32_t count, double quantile);

/* All of it: reads each delay for `duration_ns`, then faults; prints; returns the exit code.
 * `only_ns`: of the delays that one alone; 0: all. */
int self_test_run(enum report_format format, int64_t duration_ns, int64_t only_ns);

#endif
