/* A page to draw on, axes, and curves: what every chart of an analysis is made of.
 *
 * Sizes are pixels. Threads: one.
 */
#ifndef CONSUMERS_CHART_H
#define CONSUMERS_CHART_H

#include "curve.h"

#include <cairo.h>
#include <stdbool.h>

struct chart_area {
    double x, y, width, height;
};

/* What the edges of an area stand for. */
struct chart_scale {
    double left, right; /* seconds */
    double bottom, top;
};

struct chart_color {
    double red, green, blue;
};

extern const struct chart_color chart_text, chart_dim, chart_line[4];

/* A page of that size, in the background's colour. NULL: no memory. */
cairo_t *chart_begin(int width, int height);
/* Writes the page to `path` as whole_file_write() does, replacing what is there; frees it. Errors:
 * a negative errno. */
int chart_end(cairo_t *page, const char *path);
/* Whether the name says that the file is of another type than PNG. */
bool chart_is_named_otherwise(const char *path);
/* Whether that will do, before much was measured. Errors: a negative errno. */
int chart_try(const char *path);

enum chart_align { CHART_LEFT, CHART_CENTER, CHART_RIGHT };
void chart_write(cairo_t *page, double x, double y, enum chart_align align, double size,
                 struct chart_color color, const char *text);
void chart_set_color(cairo_t *page, struct chart_color color, double alpha);

/* An empty field, and times on its horizontal axis. */
void chart_draw_field(cairo_t *page, struct chart_area area);
void chart_draw_times(cairo_t *page, struct chart_area area, struct chart_scale scale);

/* Frame and grid. Lines of the vertical axis stand every `step`, written with `digits` behind the
 * point; `unit` and `title` stand above. Times below the axis only if wanted. */
struct chart_axes {
    const char *title, *unit;
    double step;
    int digits;
    bool has_times;
};
void chart_draw_axes(cairo_t *page, struct chart_area area, struct chart_scale scale,
                     const struct chart_axes *axes);

/* `seconds`: of one value. What lies outside the scale is cut. */
void chart_draw_band(cairo_t *page, struct chart_area area, struct chart_scale scale,
                     const struct curve *curve, double seconds);
void chart_draw_line(cairo_t *page, struct chart_area area, struct chart_scale scale,
                     const struct curve *curve, double seconds);
/* A dashed line at `value`, and what it means. */
void chart_draw_mark(cairo_t *page, struct chart_area area, struct chart_scale scale, double value,
                     const char *label);
/* Names and colours of curves, chart_line[] in that order, on the title's line; NULL ends them. */
void chart_draw_legend(cairo_t *page, struct chart_area area, const char *const *names);

#endif
