/* Figures of the roads: from slices to a table or JSON. */
#ifndef BENCH_FIGURES_ROADS_H
#define BENCH_FIGURES_ROADS_H

#include "report.h"
#include "slices.h"

/* Prints a table, if words are wanted, and returns all as an object, which is the caller's. */
json_t *figures_roads(const struct slices *slices, enum report_format format);

/* What pipeline_run() found, in words. */
void figures_print_programs(const json_t *programs);

#endif
