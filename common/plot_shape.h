/* What is added to a plot, and how it is painted within its field. */
#ifndef COMMON_PLOT_SHAPE_H
#define COMMON_PLOT_SHAPE_H

#include "plot_axis.h"

enum plot_kind {
    PLOT_KIND_LINE = 0,
    PLOT_KIND_STEPS,
    PLOT_KIND_DOTS,
    PLOT_KIND_BARS,
    PLOT_KIND_SPANS,
    PLOT_KIND_LEVEL,
    PLOT_KIND_INSTANT,
};

struct plot_series {
    enum plot_kind kind;
    char *name; /* NULL: none */
    union {
        struct plot_point *point;
        struct plot_bar *bar;
        struct plot_span *span;
        void *data;
    };
    size_t count;
    int color; /* how many had one before it */
};

/* Colours, of which there are some; the next ones after them look different in another way. */
enum { PLOT_COLORS = 8 };

/* Where it is painted. */
struct plot_field {
    struct plot_range x, y;
    double left, right, top, bottom; /* pixels */
    int groups, bar_series;
};

/* Its <g>, of lines, steps or dots. */
void plot_shape_points(FILE *file, const struct plot_field *field,
                       const struct plot_series *series);
/* The `number`th of the field's bar_series; `groups` names them. */
void plot_shape_bars(FILE *file, const struct plot_field *field, const struct plot_series *series,
                     int number, char *const *groups);
/* On a lane of that height. */
void plot_shape_spans(FILE *file, const struct plot_field *field, const struct plot_series *series,
                      double top, double height);
void plot_shape_level(FILE *file, const struct plot_field *field, const struct plot_series *series);
/* `number`: of those before it, so that labels keep out of each other's way. */
void plot_shape_instant(FILE *file, const struct plot_field *field,
                        const struct plot_series *series, int number);

/* What stands for a series in the legend, 18 pixels wide, around that height. */
void plot_shape_sample(FILE *file, const struct plot_field *field, const struct plot_series *series,
                       double x, double y);

/* About how wide a text is, in the plot's type: nobody measured its letters. */
double plot_text_width(const char *text);

#endif
