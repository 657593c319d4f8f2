/* A budget: the most time that a hop may take, at a quantile. "age=5ms@p99". */
#ifndef CONSUMERS_BUDGET_H
#define CONSUMERS_BUDGET_H

#include "hops.h"

#include <stdbool.h>

struct budget {
    const char *text; /* as given; borrowed */
    enum shmframe_hop hop;
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

struct budget_verdict budget_judge(const struct budget *budget, const struct hops *hops);

/* One line that says how `budget` was exceeded. */
enum { BUDGET_LINE_BYTES = 160 };
void budget_describe(const struct budget *budget, const struct budget_verdict *verdict,
                     char line[BUDGET_LINE_BYTES]);

json_t *budget_make_json(const struct budget *budget, const struct budget_verdict *verdict);

#endif
