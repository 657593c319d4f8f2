/* An axis of a plot: which range it spans, where a value stands on it, its ticks. Pure. */
#ifndef COMMON_PLOT_AXIS_H
#define COMMON_PLOT_AXIS_H

#include "plot.h"

#include <stdbool.h>

struct plot_range {
    double min, max;    /* of values */
    double first, last; /* pixels: where min and max stand */
    enum plot_scale scale;
    enum plot_unit unit;
};

/* An empty range, of the axis' scale and unit; what is added makes it grow. */
void plot_range_init(struct plot_range *range, const struct plot_axis *axis);
void plot_range_add(struct plot_range *range, double value);

/* Takes the limits of the axis; where it has none, those of what was added, made round if wanted.
 * Never an empty range. */
void plot_range_fit(struct plot_range *range, const struct plot_axis *axis, bool is_round);

/* The pixel of a value; what lies outside stands at the edge. */
double plot_range_place(const struct plot_range *range, double value);

enum { PLOT_TICKS = 64, PLOT_LABEL_BYTES = 32 };
struct plot_tick {
    double value;
    char label[PLOT_LABEL_BYTES]; /* empty: a thin line only */
};
/* About `wanted` labelled ones. Returns how many there are, of both kinds. */
int plot_range_ticks(const struct plot_range *range, int wanted,
                     struct plot_tick ticks[PLOT_TICKS]);

/* A value with its unit, as ticks bear it. */
void plot_format(enum plot_unit unit, double value, char label[PLOT_LABEL_BYTES]);

#endif
