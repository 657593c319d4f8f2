#include "plot_shape.h"

#include "markup.h"

#include <math.h>

enum { MARKERS_MAX = 40 };

double plot_text_width(const char *text) {
    double width = 0;
    for (; text && *text; text++)
        if (((unsigned char)*text & 0xc0) != 0x80)
            width += 6.6;
    return width;
}

static void begin(FILE *file, const struct plot_series *series, const char *class) {
    fprintf(file, "<g class=\"%s k%d%s\">", class, series->color % PLOT_COLORS,
            series->color / PLOT_COLORS % 2 ? " again" : "");
    if (series->name) {
        fputs("<title>", file);
        markup_write(file, series->name);
        fputs("</title>", file);
    }
}

/* ---- a path through many points, thinned ---- */

/* What a column of pixels has of them. Order is the order in which they came. */
struct column {
    struct plot_point first, least, most, last;
    int least_order, most_order, count;
};

struct path {
    FILE *file;
    const struct plot_field *field;
    enum plot_kind kind;
    bool is_open; /* a point was written that the next one is joined to */
    struct column column;
};

static void write_point(struct path *path, struct plot_point point) {
    switch (path->kind) {
    case PLOT_KIND_DOTS:
        fprintf(path->file, "M%.1f %.1fh0", point.x, point.y);
        break;
    case PLOT_KIND_STEPS:
        if (!path->is_open)
            fprintf(path->file, "M%.1f %.1fV%.1f", point.x, path->field->bottom, point.y);
        else
            fprintf(path->file, "H%.1fV%.1f", point.x, point.y);
        break;
    case PLOT_KIND_LINE:
    case PLOT_KIND_BARS:
    case PLOT_KIND_SPANS:
    case PLOT_KIND_LEVEL:
    case PLOT_KIND_INSTANT:
        fprintf(path->file, "%c%.1f %.1f", path->is_open ? 'L' : 'M', point.x, point.y);
        break;
    }
    path->is_open = true;
}

static void write_column(struct path *path) {
    struct column *column = &path->column;
    if (column->count == 0)
        return;
    const bool is_least_first = column->least_order < column->most_order;
    const int last = column->count - 1;
    const struct plot_point middle[2] = {is_least_first ? column->least : column->most,
                                         is_least_first ? column->most : column->least};
    const int order[2] = {is_least_first ? column->least_order : column->most_order,
                          is_least_first ? column->most_order : column->least_order};
    write_point(path, column->first);
    for (int i = 0; i < 2; i++)
        if (order[i] > 0 && order[i] < last && (i == 0 || order[1] != order[0]))
            write_point(path, middle[i]);
    if (last > 0)
        write_point(path, column->last);
    column->count = 0;
}

static void add_point(struct path *path, struct plot_point point) {
    struct column *column = &path->column;
    if (column->count && floor(point.x) != floor(column->first.x))
        write_column(path);
    if (column->count == 0) {
        column->first = column->least = column->most = point;
        column->least_order = column->most_order = 0;
    }
    if (point.y < column->least.y) {
        column->least = point;
        column->least_order = column->count;
    }
    if (point.y > column->most.y) {
        column->most = point;
        column->most_order = column->count;
    }
    column->last = point;
    column->count++;
}

static void end_path(struct path *path) {
    write_column(path);
    if (path->kind == PLOT_KIND_STEPS && path->is_open)
        fprintf(path->file, "V%.1fZ", path->field->bottom);
    path->is_open = false;
}

static struct plot_point place(const struct plot_field *field, struct plot_point point) {
    return (struct plot_point){plot_range_place(&field->x, point.x),
                               plot_range_place(&field->y, point.y)};
}

static void write_path(FILE *file, const struct plot_field *field,
                       const struct plot_series *series) {
    struct path path = {.file = file, .field = field, .kind = series->kind};
    fputs("<path d=\"", file);
    for (size_t i = 0; i < series->count; i++) {
        if (isfinite(series->point[i].x) && isfinite(series->point[i].y))
            add_point(&path, place(field, series->point[i]));
        else
            end_path(&path);
    }
    end_path(&path);
    fputs("\"/>", file);
}

/* ---- markers ---- */

static void write_marker(FILE *file, int color, double x, double y) {
    static const char *const paths[] = {
        "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0Z",
        "M-3-3h6v6h-6Z",
        "M0-4l4 4l-4 4l-4-4Z",
        "M0-4l4 7h-8Z",
        "M0 4l4-7h-8Z",
    };
    fprintf(file, "<path class=\"marker\" transform=\"translate(%.1f %.1f)\" d=\"%s\"", x, y,
            paths[color % 5]);
}

static void write_markers(FILE *file, const struct plot_field *field,
                          const struct plot_series *series) {
    for (size_t i = 0; i < series->count; i++) {
        if (!isfinite(series->point[i].x) || !isfinite(series->point[i].y))
            continue;
        char x[PLOT_LABEL_BYTES], y[PLOT_LABEL_BYTES];
        const struct plot_point at = place(field, series->point[i]);
        plot_format(field->x.unit, series->point[i].x, x);
        plot_format(field->y.unit, series->point[i].y, y);
        write_marker(file, series->color, at.x, at.y);
        fputs("><title>", file);
        markup_write(file, series->name);
        fprintf(file, " %s: %s</title></path>", x, y);
    }
}

/* Where there are few points, and they are what was measured, not the steps of a distribution. */
static bool has_markers(const struct plot_field *field, const struct plot_series *series) {
    return series->count <= MARKERS_MAX && field->x.scale != PLOT_PERCENTILE;
}

void plot_shape_points(FILE *file, const struct plot_field *field,
                       const struct plot_series *series) {
    const char *class = series->kind == PLOT_KIND_LINE    ? "line"
                        : series->kind == PLOT_KIND_STEPS ? "steps"
                                                          : "dots";
    begin(file, series, class);
    write_path(file, field, series);
    if (series->kind == PLOT_KIND_LINE && has_markers(field, series))
        write_markers(file, field, series);
    fputs("</g>\n", file);
}

/* ---- bars ---- */

static void write_whisker(FILE *file, const struct plot_field *field, const struct plot_bar *bar,
                          double middle) {
    if (!(bar->high > bar->low))
        return;
    const double low = plot_range_place(&field->y, bar->low);
    const double high = plot_range_place(&field->y, bar->high);
    fprintf(file, "<path class=\"whisker\" d=\"M%.1f %.1fh6m-3 0V%.1fm-3 0h6\"/>", middle - 3, low,
            high);
}

void plot_shape_bars(FILE *file, const struct plot_field *field, const struct plot_series *series,
                     int number, char *const *groups) {
    const double slot = (field->right - field->left) / field->groups;
    const double width = fmin(slot * 0.8 / field->bar_series, 60);
    const double base = field->y.min < 0 ? plot_range_place(&field->y, 0) : (double)field->bottom;
    begin(file, series, "bars");
    for (size_t i = 0; i < series->count; i++) {
        const struct plot_bar *bar = &series->bar[i];
        if (!isfinite(bar->value))
            continue;
        char label[PLOT_LABEL_BYTES];
        const double middle = field->left + ((double)i + 0.5) * slot +
                              (number - (field->bar_series - 1) / 2.0) * width;
        const double y = plot_range_place(&field->y, bar->value);
        plot_format(field->y.unit, bar->value, label);
        fprintf(file, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
                middle - width * 0.46, fmin(y, base), width * 0.92, fmax(fabs(base - y), 0.5));
        markup_write(file, series->name);
        fputs(", ", file);
        markup_write(file, groups[i]);
        fprintf(file, ": %s</title></rect>", label);
        write_whisker(file, field, bar, middle);
        if (plot_text_width(label) * 0.78 < width)
            fprintf(file,
                    "<text class=\"small halo\" x=\"%.1f\" y=\"%.1f\" "
                    "text-anchor=\"middle\">%s</text>",
                    middle, fmin(y, plot_range_place(&field->y, fmax(bar->high, bar->value))) - 4,
                    label);
    }
    fputs("</g>\n", file);
}

/* ---- spans, levels, instants ---- */

void plot_shape_spans(FILE *file, const struct plot_field *field, const struct plot_series *series,
                      double top, double height) {
    begin(file, series, "spans");
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" class=\"small\">",
            field->left - 6, top + height - 2);
    markup_write(file, series->name);
    fputs("</text><path d=\"", file);
    double end = -1; /* of what is painted already */
    for (size_t i = 0; i < series->count; i++) {
        if (!isfinite(series->span[i].from) || !isfinite(series->span[i].to))
            continue;
        const double left = floor(plot_range_place(&field->x, series->span[i].from));
        const double right = fmax(ceil(plot_range_place(&field->x, series->span[i].to)), left + 1);
        if (right <= end)
            continue;
        fprintf(file, "M%.0f %.1fH%.0fv%.1fH%.0fZ", left, top, right, height, left);
        end = right;
    }
    fputs("\"/></g>\n", file);
}

void plot_shape_level(FILE *file, const struct plot_field *field,
                      const struct plot_series *series) {
    if (!isfinite(series->point->y))
        return;
    const double y = plot_range_place(&field->y, series->point->y);
    fprintf(file,
            "<g class=\"dashed\"><path d=\"M%.1f %.1fH%.1f\"/><text class=\"small halo\" "
            "x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
            field->left, y, field->right, field->right - 4, y - 4);
    markup_write(file, series->name);
    fputs("</text></g>\n", file);
}

void plot_shape_instant(FILE *file, const struct plot_field *field,
                        const struct plot_series *series, int number) {
    enum { ROWS = 5, ROW = 13 };
    if (!isfinite(series->point->x))
        return;
    const double x = plot_range_place(&field->x, series->point->x);
    const bool is_left = x + plot_text_width(series->name) + 4 > field->right;
    fprintf(file,
            "<g class=\"dashed\"><path d=\"M%.1f %.1fV%.1f\"/><text class=\"small halo\" "
            "x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
            x, field->top, field->bottom, is_left ? x - 4 : x + 4,
            field->top + 12 + number % ROWS * ROW, is_left ? "end" : "start");
    markup_write(file, series->name);
    fputs("</text></g>\n", file);
}

/* ---- the legend ---- */

void plot_shape_sample(FILE *file, const struct plot_field *field, const struct plot_series *series,
                       double x, double y) {
    const struct plot_series unnamed = {.color = series->color};
    switch (series->kind) {
    case PLOT_KIND_LINE:
        begin(file, &unnamed, "line");
        fprintf(file, "<path d=\"M%.1f %.1fh18\"/>", x, y);
        if (has_markers(field, series)) {
            write_marker(file, series->color, x + 9, y);
            fputs("/>", file);
        }
        break;
    case PLOT_KIND_DOTS:
        begin(file, &unnamed, "dots");
        fprintf(file, "<path d=\"M%.1f %.1fh0m6 0h0m6 0h0\"/>", x + 3, y);
        break;
    case PLOT_KIND_STEPS:
    case PLOT_KIND_BARS:
    case PLOT_KIND_SPANS:
    case PLOT_KIND_LEVEL:
    case PLOT_KIND_INSTANT:
        begin(file, &unnamed, series->kind == PLOT_KIND_STEPS ? "steps" : "bars");
        fprintf(file, "<path d=\"M%.1f %.1fh18v10h-18Z\"/>", x, y - 5);
        break;
    }
    fputs("</g>", file);
}
