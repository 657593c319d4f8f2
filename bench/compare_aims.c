#include "compare_aims.h"

#include <stdio.h>
#include <string.h>

#define SLEEPING_P50_MAX 1.15 /* to that of the raw futex */
#define SLEEPING_P99_MAX 1.3
#define SPINNING_P50_MAX 2.0  /* to that of the cache line */
#define SIZES_MAX        1.10 /* 100 MB to 128 B, payload untouched */
#define SINGLE_MIN       5e6  /* messages a second of 128 B, lossless */
#define BATCHED_MIN      15e6
enum { SMALL_BYTES = 128, HUGE_BYTES = 100000000 };

/* `other`: what it is compared with; NULL: with a number. */
static void judge(json_t *aims, const char *what, struct spread value, double limit,
                  const struct result *own, const struct result *other) {
    const bool is_at_least = !other;
    const bool is_met = is_at_least ? value.median >= limit : value.median <= limit;
    const bool is_disturbed = result_is_disturbed(own) || (other && result_is_disturbed(other));
    json_array_append_new(aims,
                          json_pack("{s:s, s:f, s:f, s:f, s:f, s:b, s:o, s:b}", "what", what,
                                    "value", value.median, "least", value.least, "most", value.most,
                                    "limit", limit, "is_at_least", is_at_least, "is_met",
                                    is_disturbed ? json_null() : json_boolean(is_met),
                                    "is_disturbed", is_disturbed));
}

/* ---- against the floor ---- */

static void judge_floor(json_t *aims, const struct grid *grid, uint32_t workload) {
    char cell[96], what[192];
    workload_describe(&grid->workloads->workload[workload], cell, sizeof(cell));
    struct result *ring = grid_find(grid, workload, "ring");
    const struct result *spinning = grid_find(grid, workload, "ring-spinning");
    const struct result *line = grid_find(grid, workload, "floor-line");
    struct result *futex = grid_find(grid, workload, "floor-futex");
    if (ring && futex && ring->has_p99_floor) {
        snprintf(what, sizeof(what), "sleeping, p50 to a raw futex wake: %s", cell);
        judge(aims, what, result_spread(ring, RESULT_TO_FLOOR), SLEEPING_P50_MAX, ring, futex);
    }
    if (ring && futex && ring->has_p99_floor && result_has_quantile(ring, 0.99) &&
        result_has_quantile(futex, 0.99)) {
        /* Of all samples; the repetitions, which have few, tell how it varies. */
        struct spread ratio = result_spread(ring, RESULT_P99_TO_FLOOR);
        ratio.median =
            (double)result_quantile_ns(ring, 0.99) / (double)result_quantile_ns(futex, 0.99);
        snprintf(what, sizeof(what), "sleeping, p99 to that of a raw futex wake: %s", cell);
        judge(aims, what, ratio, SLEEPING_P99_MAX, ring, futex);
    }
    if (spinning && line && spinning->has_p99_floor) {
        snprintf(what, sizeof(what), "spinning, p50 to a cache line carried over: %s", cell);
        judge(aims, what, result_spread(spinning, RESULT_TO_FLOOR), SPINNING_P50_MAX, spinning,
              line);
    }
}

/* ---- against other roads ---- */

/* How messages are sent, and waited for. */
struct manner {
    bool is_batched, is_spinning;
};

static bool is_ring(const struct result *result) {
    return strncmp(result->road->name, "ring", 4) == 0;
}

/* The better of them by `figure`, gathered or not. At a pace only those whose readers spin, or
 * those whose readers sleep. */
static const struct result *find_best(const struct grid *grid, uint32_t workload,
                                      enum result_figure figure, bool is_own,
                                      struct manner manner) {
    const struct result *best = NULL;
    for (uint32_t column = 0; column < grid->roads; column++) {
        const struct result *result = grid_result(grid, workload, column);
        const bool is_other_wait = grid->workloads->workload[workload].period_ns > 0 &&
                                   (result->road->spin_ns == INT64_MAX) != manner.is_spinning;
        if (result->repeats == 0 || is_other_wait || is_ring(result) != is_own ||
            (result->road->batch > 1) != manner.is_batched)
            continue;
        if (!best || result_spread(result, figure).median < result_spread(best, figure).median)
            best = result;
    }
    return best;
}

static void judge_rivals(json_t *aims, const struct grid *grid, uint32_t workload,
                         struct manner manner) {
    const bool is_paced = grid->workloads->workload[workload].period_ns > 0;
    const enum result_figure figure = is_paced ? RESULT_P50 : RESULT_MESSAGE_NS;
    const struct result *own =
        is_paced ? grid_find(grid, workload, manner.is_spinning ? "ring-spinning" : "ring")
                 : find_best(grid, workload, figure, true, manner);
    const struct result *rival = find_best(grid, workload, figure, false, manner);
    if (!own || !rival || (manner.is_spinning && !is_paced))
        return;
    double ratio[RESULT_REPEATS_MAX];
    for (uint32_t i = 0; i < own->repeats; i++)
        ratio[i] = own->figure[figure][i] / rival->figure[figure][i];
    char cell[96], what[256];
    workload_describe(&grid->workloads->workload[workload], cell, sizeof(cell));
    snprintf(what, sizeof(what), "%s%s to the best other road's (%s): %s",
             is_paced ? "p50" : "time of a message",
             manner.is_batched    ? ", batched,"
             : manner.is_spinning ? ", spinning,"
                                  : "",
             rival->road->title, cell);
    judge(aims, what, spread_find(ratio, own->repeats), 1, own, rival);
}

/* ---- size, and how many ---- */

/* The cell that differs from `load` in its size alone; -1: there is none. */
static int find_size(const struct grid *grid, const struct workload *load, size_t bytes) {
    for (uint32_t i = 0; i < grid->workloads->count; i++) {
        const struct workload *other = &grid->workloads->workload[i];
        if (other->bytes == bytes && other->readers == load->readers &&
            other->period_ns == load->period_ns && other->is_touched == load->is_touched)
            return (int)i;
    }
    return -1;
}

static void judge_size(json_t *aims, const struct grid *grid, uint32_t workload) {
    const struct workload *load = &grid->workloads->workload[workload];
    const int small = find_size(grid, load, SMALL_BYTES);
    if (load->bytes != HUGE_BYTES || load->is_touched || !load->period_ns || small < 0)
        return;
    const struct result *huge_one = grid_find(grid, workload, "ring");
    const struct result *small_one = grid_find(grid, (uint32_t)small, "ring");
    double ratio[RESULT_REPEATS_MAX];
    if (!huge_one || !small_one)
        return;
    for (uint32_t i = 0; i < huge_one->repeats; i++)
        ratio[i] = huge_one->figure[RESULT_P50][i] / small_one->figure[RESULT_P50][i];
    char cell[96], what[192];
    workload_describe(load, cell, sizeof(cell));
    snprintf(what, sizeof(what), "p50 to that of 128 B: %s", cell);
    judge(aims, what, spread_find(ratio, huge_one->repeats), SIZES_MAX, huge_one, small_one);
}

static void judge_rate(json_t *aims, const struct grid *grid, uint32_t workload, bool is_batched) {
    const struct workload *load = &grid->workloads->workload[workload];
    const struct result *own = find_best(grid, workload, RESULT_MESSAGE_NS, true,
                                         (struct manner){.is_batched = is_batched});
    if (!own || load->period_ns || load->bytes != SMALL_BYTES || load->readers != 1 ||
        load->is_touched)
        return;
    double rate[RESULT_REPEATS_MAX];
    for (uint32_t i = 0; i < own->repeats; i++)
        rate[i] = 1e9 / own->figure[RESULT_MESSAGE_NS][i];
    char cell[96], what[192];
    workload_describe(load, cell, sizeof(cell));
    snprintf(what, sizeof(what), "messages a second, %s (%s): %s",
             is_batched ? "batched" : "one at a time", own->road->title, cell);
    judge(aims, what, spread_find(rate, own->repeats), is_batched ? BATCHED_MIN : SINGLE_MIN, own,
          NULL);
}

json_t *aims_judge(const struct grid *grid) {
    json_t *aims = json_array();
    for (uint32_t workload = 0; workload < grid->workloads->count; workload++) {
        judge_floor(aims, grid, workload);
        judge_rivals(aims, grid, workload, (struct manner){0});
        judge_rivals(aims, grid, workload, (struct manner){.is_batched = true});
        judge_rivals(aims, grid, workload, (struct manner){.is_spinning = true});
        judge_size(aims, grid, workload);
        judge_rate(aims, grid, workload, false);
        judge_rate(aims, grid, workload, true);
    }
    return aims;
}
