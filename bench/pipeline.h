/* Pipeline: the real programs on one real ring, and what they take while they run. */
#ifndef BENCH_PIPELINE_H
#define BENCH_PIPELINE_H

#include <jansson.h>
#include <shmframe/format.h>

struct pipeline_plan {
    uint32_t width, height;
    struct shmframe_rational rate;
    int64_t duration_ns;
};

/* At the running supervisor: shmframe-pattern, and shmframe-view, -encode, -analyze and -latency
 * reading it. Returns an array of them, which is the caller's: program, share of a processor (null:
 * it is not there), ns_a_frame, and of readers delivered, lost, skipped. */
json_t *pipeline_run(const struct pipeline_plan *plan);

#endif
