/* Plots as SVG: lines, steps, bars in groups, spans on lanes; on linear, logarithmic and percentile
 * axes.
 *
 * A plot is made, things are added to it in the order in which they are painted, and it is written
 * as often as wanted. What is written is one <svg> element: a file of its own, or a part of an HTML
 * page. It refers to nothing outside, needs no script, follows a light or dark preference, and its
 * text is text. However many points are added, a line has at most four for each pixel column: the
 * first, the least, the largest and the last, so that no extreme is lost.
 *
 * Numbers that are not finite interrupt a line, and leave out what else has them; what is not above
 * 0 stands at the lower edge of a logarithmic axis, and what lies outside given limits at the
 * nearest one.
 *
 * Memory that is missing is told by plot_write(); all calls bear it. Threads: one.
 */
#ifndef COMMON_PLOT_H
#define COMMON_PLOT_H

#include <stddef.h>
#include <stdio.h>

enum plot_unit {
    PLOT_NUMBER = 0,
    PLOT_NS,      /* nanoseconds, labelled 10 us, 1.5 ms */
    PLOT_SECONDS, /* of a run, labelled 5 s, 1:30 */
    PLOT_BYTES,   /* labelled 64 B, 4 KiB */
    PLOT_PERCENT, /* 0 to 100 */
    PLOT_RATE,    /* labelled 500 /s, 2 k/s */
};

enum plot_scale {
    PLOT_LINEAR = 0,
    PLOT_LOG,
    /* Values are quantiles, 0 to below 1, labelled 50 %, 99 %, 99.9 %: each nine is as wide. */
    PLOT_PERCENTILE,
};

struct plot_axis {
    const char *title;
    enum plot_unit unit;
    enum plot_scale scale;
    double min, max; /* both 0: what is added decides; a linear vertical axis then begins at 0 */
};

struct plot_params {
    const char *title;
    const char *description; /* for those who do not see it; may be NULL */
    struct plot_axis x, y;
    /* Names of groups of bars, a NULL ends them; x is then not looked at but for its title. */
    const char *const *groups;
    int width, height; /* pixels; 0: 760 and 320 */
};

struct plot;
/* Texts are copied, here and below. NULL: no memory, which the others bear. */
struct plot *plot_create(const struct plot_params *params);
void plot_destroy(struct plot *plot);

struct plot_point {
    double x, y;
};

enum plot_shape {
    PLOT_LINE = 0, /* with a marker at each point, where there are few */
    PLOT_STEPS,    /* a value holds from its x to the next; filled to the bottom */
    PLOT_DOTS,
};
/* `points` in the order of x. `name` may be NULL: it has no place in the legend. */
void plot_add(struct plot *plot, enum plot_shape shape, const char *name,
              const struct plot_point *points, size_t count);

struct plot_bar {
    double value;
    double low, high; /* whiskers, where high > low */
};
/* One for each group. */
void plot_add_bars(struct plot *plot, const char *name, const struct plot_bar *bars);

/* Parts of the x axis, on a lane of their own above the field, named at its left: losses, say. Ones
 * of no length are as wide as a pixel. In the order in which they begin. */
struct plot_span {
    double from, to;
};
void plot_add_spans(struct plot *plot, const char *name, const struct plot_span *spans,
                    size_t count);

/* Dashed lines through the field, with what they mean. */
void plot_add_level(struct plot *plot, const char *name, double y);
void plot_add_instant(struct plot *plot, const char *name, double x);

/* Errors: -ENOMEM; what `file` has to say of itself, it says (ferror). */
int plot_write(const struct plot *plot, FILE *file);

#endif
