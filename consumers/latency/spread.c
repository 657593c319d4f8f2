#include "spread.h"

#include "source.h"

#include <math.h>

void spread_add(struct spread *spread, int64_t value_ns) {
    if (value_ns < 0)
        shmframe_histogram_add(&spread->below, -value_ns);
    else
        shmframe_histogram_add(&spread->above, value_ns);
}

void spread_subtract(struct spread *spread, const struct spread *earlier) {
    shmframe_histogram_subtract(&spread->below, &earlier->below);
    shmframe_histogram_subtract(&spread->above, &earlier->above);
}

uint64_t spread_count(const struct spread *spread) {
    return spread->below.count + spread->above.count;
}

/* The size of the `rank`-th smallest, from 1. Half a rank less: no rounding makes it the next. */
static int64_t find_rank_ns(const struct shmframe_histogram *histogram, double rank) {
    return shmframe_histogram_quantile_ns(histogram, (rank - 0.5) / (double)histogram->count);
}

int64_t spread_quantile_ns(const struct spread *spread, double quantile) {
    const double count = (double)spread_count(spread), below = (double)spread->below.count;
    if (count == 0)
        return 0;
    /* A quantile such as 0.9 of 10 is to be 9 ranks, not the next because of its last bit. */
    const double rank = fmax(1, ceil(fmin(quantile, 1) * count - 1e-6));
    return rank <= below ? -find_rank_ns(&spread->below, below - rank + 1)
                         : find_rank_ns(&spread->above, rank - below);
}

int64_t spread_max_ns(const struct spread *spread) {
    return spread->above.count ? spread->above.max_ns : spread_quantile_ns(spread, 1);
}

int64_t spread_min_ns(const struct spread *spread) {
    return spread->below.count ? -spread->below.max_ns : spread_quantile_ns(spread, 0);
}

void spread_sizes(const struct spread *spread, struct shmframe_histogram *out_sizes) {
    *out_sizes = spread->above;
    source_add_histogram(out_sizes, &spread->below);
}
