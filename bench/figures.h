/* Figures: from samples to quantiles, to a table or JSON, and to what was aimed at. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include "board.h"
#include "calls.h"
#include "rate.h"

/* From now on lines go to stdout as they come, unless all is to be one JSON object at the end. */
void figures_start(bool is_json, bool is_quick);
/* A scene that has run. */
void figures_add_scene(const struct board *board);
/* A scene that cannot be run here, and why. */
void figures_skip_scene(uint32_t readers, bool is_spinning, const char *reason);
void figures_add_calls(uint32_t links, bool is_apart, uint32_t repeats,
                       const struct calls_result *result);
void figures_add_rate(const struct rate_plan *plan, uint32_t repeats,
                      const struct rate_result *result);
/* Which aims were met. */
void figures_finish(void);

#endif
