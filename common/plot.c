#include "plot.h"

#include "markup.h"
#include "plot_shape.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES_MAX = 64, GROUPS_MAX = 64, LANE = 14, ROW = 18 };

struct plot {
    struct plot_params params; /* its texts are the plot's */
    char *texts[4];
    char *group[GROUPS_MAX + 1];
    int groups;
    struct plot_series series[SERIES_MAX];
    int count;
    bool has_failed;
};

static const char style[] =
    "<style>"
    ".plot{font:12px sans-serif}.plot text{fill:#3a3f47}.plot .small{font-size:11px}"
    ".plot .head{fill:#15181c;font-size:14px;font-weight:bold}"
    ".plot .paper{fill:#fff}.plot .frame{fill:#fafbfc;stroke:#c8ccd2}"
    ".plot .grid{stroke:#dfe3e8}.plot .thin{stroke:#eff1f4}"
    ".plot .halo{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}"
    ".plot .dashed path{stroke:#6a717b;stroke-dasharray:5 4}"
    ".plot .line path{fill:none;stroke:currentColor;stroke-width:1.6;stroke-linejoin:round}"
    ".plot .line.again path{stroke-dasharray:6 3}"
    ".plot .line .marker{fill:currentColor;stroke-dasharray:none}"
    ".plot .line.again .marker{fill:#fff;stroke-dasharray:none}"
    ".plot .dots path{fill:none;stroke:currentColor;stroke-width:2.4;stroke-linecap:round;"
    "opacity:.65}"
    ".plot .steps path{fill:currentColor;fill-opacity:.3;stroke:currentColor}"
    ".plot .bars rect,.plot .bars path,.plot .spans path{fill:currentColor}"
    ".plot .bars.again rect,.plot .bars.again path{fill-opacity:.45;stroke:currentColor}"
    ".plot .bars .whisker{fill:none;stroke:#15181c}"
    ".plot .k0{color:#0067a5}.plot .k1{color:#d55e00}.plot .k2{color:#008a63}"
    ".plot .k3{color:#b0458f}.plot .k4{color:#8a6d00}.plot .k5{color:#3aa0dc}"
    ".plot .k6{color:#5b5bb8}.plot .k7{color:#6a717b}"
    "@media(prefers-color-scheme:dark){"
    ".plot text{fill:#c3c8d0}.plot .head{fill:#eef0f3}.plot .paper{fill:#15181c}"
    ".plot .frame{fill:#0e1013;stroke:#4a515b}.plot .grid{stroke:#2c323a}"
    ".plot .thin{stroke:#1e2228}.plot .halo{stroke:#0e1013}.plot .dashed path{stroke:#9aa1ab}"
    ".plot .bars .whisker{stroke:#eef0f3}.plot .line.again .marker{fill:#0e1013}"
    ".plot .k0{color:#4cb3f5}.plot .k1{color:#ff9147}.plot .k2{color:#3fd0a0}"
    ".plot .k3{color:#ec8fd0}.plot .k4{color:#e5c23c}.plot .k5{color:#9ad4f7}"
    ".plot .k6{color:#a9a9ff}.plot .k7{color:#b4bac3}}"
    "</style>\n";

/* ---- what is added ---- */

static char *copy_text(struct plot *plot, const char *text) {
    char *copy = text ? strdup(text) : NULL;
    plot->has_failed |= text && !copy;
    return copy;
}

struct plot *plot_create(const struct plot_params *params) {
    struct plot *plot = calloc(1, sizeof(*plot));
    if (!plot)
        return NULL;
    plot->params = *params;
    plot->params.title = plot->texts[0] = copy_text(plot, params->title);
    plot->params.description = plot->texts[1] = copy_text(plot, params->description);
    plot->params.x.title = plot->texts[2] = copy_text(plot, params->x.title);
    plot->params.y.title = plot->texts[3] = copy_text(plot, params->y.title);
    plot->params.groups = NULL;
    for (; params->groups && params->groups[plot->groups] && plot->groups < GROUPS_MAX;
         plot->groups++)
        plot->group[plot->groups] = copy_text(plot, params->groups[plot->groups]);
    if (!plot->params.width)
        plot->params.width = 760;
    if (!plot->params.height)
        plot->params.height = 320;
    return plot;
}

void plot_destroy(struct plot *plot) {
    if (!plot)
        return;
    for (int i = 0; i < 4; i++)
        free(plot->texts[i]);
    for (int i = 0; i < plot->groups; i++)
        free(plot->group[i]);
    for (int i = 0; i < plot->count; i++) {
        free(plot->series[i].name);
        free(plot->series[i].data);
    }
    free(plot);
}

static bool has_color(enum plot_kind kind) {
    return kind != PLOT_KIND_LEVEL && kind != PLOT_KIND_INSTANT;
}

static void add(struct plot *plot, struct plot_series series, const void *data, size_t bytes) {
    if (!plot || plot->count == SERIES_MAX)
        return;
    series.name = copy_text(plot, series.name);
    series.data = malloc(bytes ? bytes : 1);
    plot->has_failed |= !series.data;
    if (series.data && bytes)
        memcpy(series.data, data, bytes);
    for (int i = 0; i < plot->count; i++)
        series.color += has_color(plot->series[i].kind);
    plot->series[plot->count++] = series;
}

void plot_add(struct plot *plot, enum plot_shape shape, const char *name,
              const struct plot_point *points, size_t count) {
    static const enum plot_kind kinds[] = {PLOT_KIND_LINE, PLOT_KIND_STEPS, PLOT_KIND_DOTS};
    add(plot, (struct plot_series){.kind = kinds[shape], .name = (char *)name, .count = count},
        points, count * sizeof(*points));
}

void plot_add_bars(struct plot *plot, const char *name, const struct plot_bar *bars) {
    const size_t count = plot ? (size_t)plot->groups : 0;
    add(plot, (struct plot_series){.kind = PLOT_KIND_BARS, .name = (char *)name, .count = count},
        bars, count * sizeof(*bars));
}

void plot_add_spans(struct plot *plot, const char *name, const struct plot_span *spans,
                    size_t count) {
    add(plot, (struct plot_series){.kind = PLOT_KIND_SPANS, .name = (char *)name, .count = count},
        spans, count * sizeof(*spans));
}

void plot_add_level(struct plot *plot, const char *name, double y) {
    const struct plot_point point = {.x = NAN, .y = y};
    add(plot, (struct plot_series){.kind = PLOT_KIND_LEVEL, .name = (char *)name, .count = 1},
        &point, sizeof(point));
}

void plot_add_instant(struct plot *plot, const char *name, double x) {
    const struct plot_point point = {.x = x, .y = NAN};
    add(plot, (struct plot_series){.kind = PLOT_KIND_INSTANT, .name = (char *)name, .count = 1},
        &point, sizeof(point));
}

/* ---- the field: its ranges and its edges ---- */

static void measure_series(struct plot_field *field, const struct plot_series *series) {
    for (size_t i = 0; i < series->count; i++)
        switch (series->kind) {
        case PLOT_KIND_LINE:
        case PLOT_KIND_STEPS:
        case PLOT_KIND_DOTS:
        case PLOT_KIND_LEVEL:
        case PLOT_KIND_INSTANT:
            plot_range_add(&field->x, series->point[i].x);
            plot_range_add(&field->y, series->point[i].y);
            break;
        case PLOT_KIND_BARS:
            plot_range_add(&field->y, series->bar[i].value);
            if (series->bar[i].high > series->bar[i].low) {
                plot_range_add(&field->y, series->bar[i].low);
                plot_range_add(&field->y, series->bar[i].high);
            }
            break;
        case PLOT_KIND_SPANS:
            plot_range_add(&field->x, series->span[i].from);
            plot_range_add(&field->x, series->span[i].to);
            break;
        }
}

static bool has_legend(const struct plot_series *series) {
    return series->name && has_color(series->kind) && series->kind != PLOT_KIND_SPANS;
}

static double sample_width(const struct plot_series *series) {
    return 24 + plot_text_width(series->name) + 16;
}

/* Lays the legend out, or paints it; returns how many rows it has. One series alone needs none. */
static int lay_legend(const struct plot *plot, FILE *file, const struct plot_field *field,
                      double top) {
    int named = 0, rows = 1;
    for (int i = 0; i < plot->count; i++)
        named += has_legend(&plot->series[i]);
    if (named < 2)
        return 0;
    double x = field->left;
    for (int i = 0; i < plot->count; i++) {
        const struct plot_series *series = &plot->series[i];
        if (!has_legend(series))
            continue;
        if (x > field->left && x + sample_width(series) > plot->params.width) {
            x = field->left;
            rows++;
        }
        if (file) {
            plot_shape_sample(file, field, series, x, top + (rows - 1) * ROW);
            fprintf(file, "<text x=\"%.1f\" y=\"%.1f\">", x + 24, top + (rows - 1) * ROW + 4);
            markup_write(file, series->name);
            fputs("</text>\n", file);
        }
        x += sample_width(series);
    }
    return rows;
}

static int count_kind(const struct plot *plot, enum plot_kind kind) {
    int count = 0;
    for (int i = 0; i < plot->count; i++)
        count += plot->series[i].kind == kind;
    return count;
}

/* Whether names of groups are too long to stand beside each other. */
static bool is_slanted(const struct plot *plot, const struct plot_field *field) {
    for (int i = 0; i < plot->groups; i++)
        if (plot_text_width(plot->group[i]) > (field->right - field->left) / plot->groups - 6)
            return true;
    return false;
}

static double find_longest_name(const struct plot *plot, bool is_lane) {
    double longest = 0;
    for (int i = 0; is_lane && i < plot->count; i++)
        if (plot->series[i].kind == PLOT_KIND_SPANS)
            longest = fmax(longest, plot_text_width(plot->series[i].name));
    for (int i = 0; !is_lane && i < plot->groups; i++)
        longest = fmax(longest, plot_text_width(plot->group[i]));
    return longest;
}

static struct plot_field make_field(const struct plot *plot) {
    struct plot_field field = {.groups = plot->groups,
                               .bar_series = count_kind(plot, PLOT_KIND_BARS)};
    plot_range_init(&field.x, &plot->params.x);
    plot_range_init(&field.y, &plot->params.y);
    for (int i = 0; i < plot->count; i++)
        measure_series(&field, &plot->series[i]);
    plot_range_fit(&field.x, &plot->params.x, plot->params.x.scale == PLOT_LOG);
    plot_range_fit(&field.y, &plot->params.y, true);

    field.left = fmax(74, fmin(find_longest_name(plot, true) + 12, plot->params.width / 3.0));
    field.right = plot->params.width - 24;
    field.top = 30 + lay_legend(plot, NULL, &field, 0) * ROW + ROW +
                count_kind(plot, PLOT_KIND_SPANS) * LANE + 6;
    const double slant = is_slanted(plot, &field) ? find_longest_name(plot, false) * 0.55 : 0;
    field.bottom = plot->params.height - 44 - fmin(slant, plot->params.height / 4.0);
    field.x.first = field.left;
    field.x.last = field.right;
    field.y.first = field.bottom;
    field.y.last = field.top;
    return field;
}

/* ---- axes ---- */

static void write_y_axis(FILE *file, const struct plot_field *field) {
    struct plot_tick ticks[PLOT_TICKS];
    const int count = plot_range_ticks(&field->y, (int)((field->bottom - field->top) / 34), ticks);
    for (int i = 0; i < count; i++) {
        const double y = plot_range_place(&field->y, ticks[i].value);
        fprintf(file, "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"/>",
                *ticks[i].label ? "grid" : "thin", field->left, y, field->right);
        if (*ticks[i].label)
            fprintf(file,
                    "<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                    field->left - 6, y + 4, ticks[i].label);
    }
}

static void write_x_axis(FILE *file, const struct plot_field *field) {
    struct plot_tick ticks[PLOT_TICKS];
    const int count = plot_range_ticks(&field->x, (int)((field->right - field->left) / 80), ticks);
    for (int i = 0; i < count; i++) {
        const double x = plot_range_place(&field->x, ticks[i].value);
        fprintf(file, "<path class=\"%s\" d=\"M%.1f %.1fV%.1f\"/>",
                *ticks[i].label ? "grid" : "thin", x, field->top, field->bottom);
        if (*ticks[i].label)
            fprintf(
                file,
                "<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x,
                field->bottom + 16, ticks[i].label);
    }
}

static void write_groups(const struct plot *plot, FILE *file, const struct plot_field *field) {
    const bool is_slant = is_slanted(plot, field);
    for (int i = 0; i < plot->groups; i++) {
        const double x = field->left + (i + 0.5) * (field->right - field->left) / plot->groups;
        const double y = field->bottom + (is_slant ? 12 : 16);
        fprintf(file, "<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"", x, y,
                is_slant ? "end" : "middle");
        if (is_slant)
            fprintf(file, " transform=\"rotate(-32 %.1f %.1f)\"", x, y);
        fputc('>', file);
        markup_write(file, plot->group[i]);
        fputs("</text>\n", file);
    }
}

/* ---- the whole ---- */

static void write_head(const struct plot *plot, FILE *file) {
    const int width = plot->params.width, height = plot->params.height;
    fprintf(file,
            "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
            "width=\"%d\" height=\"%d\" role=\"graphics-document\"><title>",
            width, height, width, height);
    markup_write(file, plot->params.title);
    fputs("</title>", file);
    if (plot->params.description) {
        fputs("<desc>", file);
        markup_write(file, plot->params.description);
        fputs("</desc>", file);
    }
    fputs(style, file);
    fputs("<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
          "<text class=\"head\" x=\"12\" y=\"21\">",
          file);
    markup_write(file, plot->params.title);
    fputs("</text>\n", file);
}

static void write_frame(const struct plot *plot, FILE *file, const struct plot_field *field) {
    fprintf(file, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
            field->left, field->top, field->right - field->left, field->bottom - field->top);
    write_y_axis(file, field);
    if (plot->groups)
        write_groups(plot, file, field);
    else
        write_x_axis(file, field);
    const double lanes = count_kind(plot, PLOT_KIND_SPANS) * LANE;
    fprintf(file, "<text class=\"small\" x=\"%.1f\" y=\"%.1f\">", field->left,
            field->top - lanes - 8);
    markup_write(file, plot->params.y.title);
    fprintf(file, "</text>\n<text class=\"small\" x=\"%.1f\" y=\"%d\" text-anchor=\"end\">",
            field->right, plot->params.height - 8);
    markup_write(file, plot->params.x.title);
    fputs("</text>\n", file);
}

int plot_write(const struct plot *plot, FILE *file) {
    if (!plot || plot->has_failed)
        return -ENOMEM;
    const struct plot_field field = make_field(plot);
    write_head(plot, file);
    lay_legend(plot, file, &field, 42);
    write_frame(plot, file, &field);
    int bars = 0, instants = 0;
    double lane = field.top - count_kind(plot, PLOT_KIND_SPANS) * LANE - 2;
    for (int i = 0; i < plot->count; i++) {
        const struct plot_series *series = &plot->series[i];
        switch (series->kind) {
        case PLOT_KIND_LINE:
        case PLOT_KIND_STEPS:
        case PLOT_KIND_DOTS:
            plot_shape_points(file, &field, series);
            break;
        case PLOT_KIND_BARS:
            plot_shape_bars(file, &field, series, bars++, plot->group);
            break;
        case PLOT_KIND_SPANS:
            plot_shape_spans(file, &field, series, lane, LANE - 3);
            lane += LANE;
            break;
        case PLOT_KIND_LEVEL:
            plot_shape_level(file, &field, series);
            break;
        case PLOT_KIND_INSTANT:
            plot_shape_instant(file, &field, series, instants++);
            break;
        }
    }
    fputs("</svg>\n", file);
    return 0;
}
