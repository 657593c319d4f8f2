/* Grid: the results of all roads in all cells of the table, filled repetition by repetition: within
 * one, all cells are run, and in each all roads in turn, each time from another one on, so that
 * noise hits all of them alike. */
#ifndef BENCH_COMPARE_GRID_H
#define BENCH_COMPARE_GRID_H

#include "compare_result.h"
#include "compare_workload.h"

enum { GRID_ROADS_MAX = 32 };

struct grid {
    const struct workloads *workloads;
    const struct road *road[GRID_ROADS_MAX]; /* then the floors */
    uint32_t roads, columns;                 /* columns: roads and floors */
    uint32_t order[GRID_ROADS_MAX]; /* of the columns in a cell: floors right after the ring */
    uint32_t repeats;
    int64_t duration_ns;
    bool is_traced;
    uint32_t runs, more_runs; /* so far; those repeated since others disturbed them */
    struct result *result;    /* a row for each workload, a column for each road */
    double *copy_ns;          /* of each workload and repetition: one memcpy() of the payload */
};

/* `road`: the roads to compare; floors are added. */
void grid_run(struct grid *grid);
void grid_finish(struct grid *grid);

struct result *grid_result(const struct grid *grid, uint32_t workload, uint32_t column);
/* By the road's name; NULL: it is not among them, or was not run there. */
struct result *grid_find(const struct grid *grid, uint32_t workload, const char *road);
json_t *grid_describe(const struct grid *grid);

/* Runs every road once in every cell with contents that are checked, and says what was carried.
 * Returns whether all was. */
bool grid_check(struct grid *grid);

#endif
