/* A budget: the most time that a hop may take, at a quantile. "age=5ms@p99".
 *
 * Beside the library's hops, what marks tell can have one.
 */
#ifndef CONSUMERS_LATENCY_BUDGET_H
#define CONSUMERS_LATENCY_BUDGET_H

#include "marked.h"

#include <jansson.h>
#include <stdbool.h>

struct budget {
    const char *text; /* as given; borrowed */
    unsigned hop;     /* enum shmframe_hop or enum marked_hop */
    int64_t limit_ns;
    double quantile; /* 0 to 1; 1 is the maximum */
};

/* What was measured against it. */
struct budget_verdict {
    bool is_met;
    bool is_measured; /* false: the hop has no frames, and the budget is not met */
    int64_t measured_ns;
};

/* Reads HOP=LIMIT@QUANTILE, the quantile as p50, p99, p99.9 ... or max. Returns NULL, or what the
 * text should have been, with `out_budget` untouched. */
const char *budget_parse(const char *text, struct budget *out_budget);

/* `histogram` is of the budget's hop; of a hop that may be negative, of its sizes. */
struct budget_verdict budget_judge(const struct budget *budget,
                                   const struct shmframe_histogram *histogram);

/* One line that says how `budget` was exceeded. */
enum { BUDGET_LINE_BYTES = 160 };
void budget_describe(const struct budget *budget, const struct budget_verdict *verdict,
                     char line[BUDGET_LINE_BYTES]);

json_t *budget_make_json(const struct budget *budget, const struct budget_verdict *verdict);

#endif
