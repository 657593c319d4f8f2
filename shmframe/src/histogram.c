#include "histogram.h"

#include <stddef.h>

const char *shmframe_hop_name(unsigned hop) {
    static const char *const names[SHMFRAME_HOPS] = {
        [SHMFRAME_HOP_PRODUCE] = "produce", [SHMFRAME_HOP_WAKE] = "wake",
        [SHMFRAME_HOP_TRANSIT] = "transit", [SHMFRAME_HOP_HOLD] = "hold",
        [SHMFRAME_HOP_AGE] = "age",         [SHMFRAME_HOP_DISPLAY] = "display",
    };
    return hop < SHMFRAME_HOPS ? names[hop] : NULL;
}

void shmframe_histogram_add(struct shmframe_histogram *histogram, int64_t value_ns) {
    histogram->count++;
    histogram->bucket[histogram_bucket(value_ns)]++;
    if (value_ns > histogram->max_ns)
        histogram->max_ns = value_ns;
}

int64_t shmframe_histogram_edge_ns(uint32_t bucket) {
    return bucket < SHMFRAME_HISTOGRAM_BUCKETS - 1 ? histogram_edge_ns(bucket) : INT64_MAX;
}

int64_t shmframe_histogram_quantile_ns(const struct shmframe_histogram *histogram,
                                       double quantile) {
    /* A snapshot of a running record may have counts that do not add up: the buckets decide. */
    uint64_t total = 0;
    for (uint32_t i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++)
        total += histogram->bucket[i];
    if (total == 0)
        return 0;
    const double wanted = quantile <= 0  ? 0
                          : quantile < 1 ? quantile * (double)total
                                         : (double)total;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS - 1; i++) {
        seen += histogram->bucket[i];
        if (seen > 0 && (double)seen >= wanted) {
            const int64_t edge_ns = histogram_edge_ns(i);
            return edge_ns < histogram->max_ns ? edge_ns : histogram->max_ns;
        }
    }
    return histogram->max_ns;
}

static int64_t find_highest_edge_ns(const struct shmframe_histogram *histogram) {
    for (uint32_t i = SHMFRAME_HISTOGRAM_BUCKETS; i-- > 0;)
        if (histogram->bucket[i])
            return i == SHMFRAME_HISTOGRAM_BUCKETS - 1 ? histogram->max_ns : histogram_edge_ns(i);
    return 0;
}

void shmframe_histogram_subtract(struct shmframe_histogram *histogram,
                                 const struct shmframe_histogram *earlier) {
    histogram->count -= earlier->count;
    for (uint32_t i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++)
        histogram->bucket[i] -= earlier->bucket[i];
    const int64_t highest_ns = find_highest_edge_ns(histogram);
    if (highest_ns < histogram->max_ns)
        histogram->max_ns = highest_ns;
}
