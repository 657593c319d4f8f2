/* Sizing: what the time for which a reader holds frames means for the ring that it reads. Pure.
 *
 * A reader with K leases and a depth of D takes frame n `late` after its publication and holds it;
 * it can take up to frame n + K - 1 meanwhile. Frame n + K is there until n + K + D is published,
 * which is K + D periods after n: for that long it may take, coming late and holding together, and
 * lose nothing. The ring keeps as many as the deepest of its readers asks for, for all of them.
 */
#ifndef TOOLS_SIZING_H
#define TOOLS_SIZING_H

#include <shmframe/reader.h>

struct sizing_reader {
    char name[SHMFRAME_NAME_BYTES]; /* "": not a reader that runs */
    uint32_t number;                /* of it at the supervisor */
    uint32_t count;                 /* so many of its kind */
    enum shmframe_policy policy;
    uint32_t depth, leases;
    uint32_t kept; /* frames that the ring keeps, by others' depth or the writer's history; 0: not
                      known */
    int64_t usual_ns;   /* for which it holds most frames */
    int64_t longest_ns; /* for which it holds one at most */
    int64_t late_ns;    /* from publish to acquire, at most, when it is not behind */
};

/* No time and no period is longer, so that all can be added up. */
#define SIZING_NS_MAX (INT64_C(86400) * 1000000000)

struct sizing_verdict {
    bool keeps_up;         /* it takes frames as fast as they come, but for the longest holds */
    bool is_deep_enough;   /* it loses nothing by the longest one (lossless: does not hold up the
                              writer) */
    uint32_t depth_needed; /* the smallest that is; 1 for who reads the latest only */
    uint64_t missed;       /* by the longest one: lost; by who reads the latest only: skipped */
    int64_t covered_ns;    /* the longest hold that the depth allows for */
    int64_t age_ns;        /* of the oldest frame that it takes, since its publication */
};

struct sizing_verdict sizing_judge(const struct sizing_reader *reader, int64_t period_ns);

/* The deepest history, 0 without any, and all leases of `count` readers. `is_as_needed`: with the
 * depths that they need where that is more than what they have. */
struct sizing_demand {
    uint32_t depth, leases;
};
struct sizing_demand sizing_add_up(const struct sizing_reader *readers, unsigned count,
                                   int64_t period_ns, bool is_as_needed);

#endif
