/* Log-linear histograms: which bucket a value falls into. */
#ifndef SHMFRAME_SRC_HISTOGRAM_H
#define SHMFRAME_SRC_HISTOGRAM_H

#include <shmframe/stats.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_STEP_BITS = 5 };

/* 32 linear steps in each power of two from 32 on; exact below. */
static inline uint32_t histogram_bucket(int64_t value_ns) {
    if (value_ns < HISTOGRAM_STEPS)
        return value_ns > 0 ? (uint32_t)value_ns : 0;
    const uint32_t exponent = 63 - (uint32_t)__builtin_clzll((uint64_t)value_ns);
    const uint32_t shift = exponent - HISTOGRAM_STEP_BITS;
    const uint32_t bucket = (shift + 1) * HISTOGRAM_STEPS +
                            ((uint32_t)(value_ns >> shift) & (HISTOGRAM_STEPS - 1));
    return bucket < SHMFRAME_HISTOGRAM_BUCKETS ? bucket : SHMFRAME_HISTOGRAM_BUCKETS - 1;
}

/* The largest value that falls into it; the last one has no upper edge of its own. */
static inline int64_t histogram_edge_ns(uint32_t bucket) {
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    const uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
    return ((int64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS + 1) << shift) - 1;
}

#endif
