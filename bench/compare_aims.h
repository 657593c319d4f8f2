/* Aims: what the library is to reach beside floors and other roads, and whether it did. */
#ifndef BENCH_COMPARE_AIMS_H
#define BENCH_COMPARE_AIMS_H

#include "compare_grid.h"

/* Of those whose cells and roads were run: {what, value, least, most, limit, is_at_least, is_met,
 * is_disturbed}; is_met is null where others disturbed what it rests on. */
json_t *aims_judge(const struct grid *grid);

#endif
