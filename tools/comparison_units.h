/* What is dealt out: stretches of a run, each with how often which value came in it. Pure but for
 * memory: none ends the program. */
#ifndef TOOLS_COMPARISON_UNITS_H
#define TOOLS_COMPARISON_UNITS_H

#include "comparison.h"

struct comparison_cell {
    uint32_t column;
    double count;
};

struct comparison_unit {
    struct comparison_cell *cell;
    size_t cells;
};

struct comparison_units {
    struct comparison_question question;
    /* Which value a column stands for; of an event: 0 a frame that came, 1 an event; of the rate:
     * 0 seconds, 1 frames. */
    int64_t *value_ns;
    size_t columns;
    /* Those before, then those after. */
    struct comparison_unit *unit;
    size_t before, after;
    double unit_s;
    /* By how much the variance of their sum is larger than if they knew nothing of each other. */
    double inflation;
    /* A block, the shortest unit there is, and how many the shorter side has. */
    double block_s;
    size_t blocks_least;
    /* How far the quarters of a side lie apart in what the question asks, both sides added up;
     * INFINITY: there are too few blocks, or nothing is in one of them. */
    double drift;
};

/* Where a quantile of a row lies: above it are the columns after, and 1 - `part` of this one. */
struct comparison_split {
    size_t column;
    double part;
};

/* What decides about the question: how much of a unit is above the split, or events, or frames;
 * and of how much. */
struct comparison_weight {
    double above, all;
};

enum {
    COMPARISON_UNITS_MAX = 64, /* of a side */
    COMPARISON_QUARTERS = 4,
};

/* One run on each side. */
void comparison_units_init(struct comparison_units *units, const struct comparison_run *before,
                           const struct comparison_run *after,
                           const struct comparison_question *question);
void comparison_units_finish(struct comparison_units *units);

/* Adds a unit to a row of `columns` counts. */
void comparison_units_add(const struct comparison_units *units, size_t unit, double *row);
/* What the question asks of a row: the logarithm of the quantile, the share, or frames a second;
 * NAN: it is empty. */
double comparison_units_measure(const struct comparison_units *units, const double *row);
struct comparison_split comparison_units_split(const struct comparison_units *units,
                                               const double *row);
struct comparison_weight comparison_units_weigh(const struct comparison_units *units, size_t unit,
                                                struct comparison_split split);
/* How many frames are in it. */
double comparison_units_total(const struct comparison_units *units, const double *row);

#endif
