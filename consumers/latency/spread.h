/* A distribution of times that may be negative: two histograms, of the sizes on either side of 0.
 *
 * Each value is known to 1/32 of itself, as in a struct shmframe_histogram.
 */
#ifndef CONSUMERS_LATENCY_SPREAD_H
#define CONSUMERS_LATENCY_SPREAD_H

#include <shmframe/shmframe.h>

struct spread {
    struct shmframe_histogram below; /* of -value, of values below 0 */
    struct shmframe_histogram above; /* of 0 and more */
};

void spread_add(struct spread *spread, int64_t value_ns);
/* `spread` -= `earlier`, an earlier snapshot of the same. */
void spread_subtract(struct spread *spread, const struct spread *earlier);

uint64_t spread_count(const struct spread *spread);
/* The step that at least `quantile` (0 to 1) of the values do not exceed, by the edge that is
 * farther from 0; 0 if there are none. */
int64_t spread_quantile_ns(const struct spread *spread, double quantile);
int64_t spread_max_ns(const struct spread *spread);
int64_t spread_min_ns(const struct spread *spread);

/* The same without the signs. */
void spread_sizes(const struct spread *spread, struct shmframe_histogram *out_sizes);

#endif
