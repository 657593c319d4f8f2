#include "comparison_chance.h"

#include "program.h"

#include <math.h>
#include <stdlib.h>

enum {
    DEALS_MIN = 4000,
    DEALS_MAX = 1000000,
    ENOUGH = 100, /* deals that differ as much: it is chance, and further ones tell nothing new */
    BELOW = 20    /* deals that a chance at the level would find: it is known to a quarter */
};

/* xorshift64* (Marsaglia 2003; Vigna 2016). */
size_t comparison_draw(uint64_t *state, size_t count) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    const uint64_t drawn = *state * UINT64_C(2685821657736338717);
    return (size_t)((double)(drawn >> 11) * 0x1p-53 * (double)count);
}

/* Sums of a side, from which its share and the share's standard error follow. */
struct sums {
    double units, above, all, above_above, above_all, all_all;
};

static void add_weight(struct sums *sums, const struct comparison_weight *weight) {
    sums->units++;
    sums->above += weight->above;
    sums->all += weight->all;
    sums->above_above += weight->above * weight->above;
    sums->above_all += weight->above * weight->all;
    sums->all_all += weight->all * weight->all;
}

static struct sums subtract_sums(const struct sums *all, const struct sums *part) {
    return (struct sums){all->units - part->units,
                         all->above - part->above,
                         all->all - part->all,
                         all->above_above - part->above_above,
                         all->above_all - part->above_all,
                         all->all_all - part->all_all};
}

/* Of a ratio of sums: Cochran, Sampling Techniques, section 6.4. */
static double find_variance(const struct sums *sums, double share) {
    const double squares =
        sums->above_above - 2 * share * sums->above_all + share * share * sums->all_all;
    /* What is left of figures that are all alike are their rounding errors. */
    if (squares <= 1e-9 * sums->above_above)
        return 0;
    return squares / (sums->all * sums->all) * sums->units / (sums->units - 1);
}

/* How many standard errors the sides are apart. */
static double find_distance(const struct sums *before, const struct sums *after) {
    const double share_before = before->above / before->all;
    const double share_after = after->above / after->all;
    const double difference = fabs(share_after - share_before);
    const double variance = find_variance(before, share_before) + find_variance(after, share_after);
    if (difference <= 1e-12 * fmax(share_before, share_after))
        return 0;
    return variance > 0 ? difference / sqrt(variance) : INFINITY;
}

/* Deals `dealt` of the units to the first side. */
static double deal_out(struct comparison_weight *weights, size_t dealt, const struct sums *all,
                       uint64_t *state) {
    struct sums side = {0};
    for (size_t i = 0; i < dealt; i++) {
        const size_t other = i + comparison_draw(state, (size_t)all->units - i);
        const struct comparison_weight weight = weights[other];
        weights[other] = weights[i];
        weights[i] = weight;
        add_weight(&side, &weight);
    }
    const struct sums rest = subtract_sums(all, &side);
    return find_distance(&side, &rest);
}

/* Two of all ways to deal them out differ as much as the one that is the most uneven. */
static double find_rarest(size_t before, size_t after) {
    const double n = (double)(before + after), k = (double)before;
    return fmin(2 * exp(lgamma(k + 1) + lgamma(n - k + 1) - lgamma(n + 1)), 1);
}

double comparison_chance_find(const struct comparison_units *units, struct comparison_split split,
                              double level, double *out_least) {
    const size_t count = units->before + units->after;
    const size_t dealt = units->before < units->after ? units->before : units->after;
    const int deals = (int)fmin(fmax(ceil(BELOW / level), DEALS_MIN), DEALS_MAX);
    struct comparison_weight *weights = calloc(count, sizeof(*weights));
    struct sums before = {0}, all = {0};
    uint64_t state = 88172645463325252;
    int as_much = 0, deal = 0;
    if (!weights)
        program_fail("there is no memory for the comparison");
    for (size_t i = 0; i < count; i++) {
        weights[i] = comparison_units_weigh(units, i, split);
        add_weight(&all, &weights[i]);
        if (i < units->before)
            add_weight(&before, &weights[i]);
    }
    const struct sums after = subtract_sums(&all, &before);
    const double distance = find_distance(&before, &after) * (1 - 1e-9);
    for (; deal < deals && as_much < ENOUGH; deal++)
        as_much += deal_out(weights, dealt, &all, &state) >= distance;
    free(weights);
    *out_least = fmax(1.0 / (1.0 + deals), find_rarest(units->before, units->after));
    return as_much == ENOUGH ? (double)ENOUGH / deal : (1.0 + as_much) / (1.0 + deals);
}
