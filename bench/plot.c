/* bench-plot: draws what a script has measured. Reads one plot as JSON, writes it as SVG.
 *
 *   {"title": "...", "description": "...", "width": 760, "height": 320,
 *    "x": {"title": "...", "unit": "bytes", "scale": "log", "min": 0, "max": 0}, "y": {...},
 *    "groups": ["...", ...],
 *    "series": [{"kind": "line", "name": "...", "points": [[x, y], ...]},
 *               {"kind": "bars", "name": "...", "bars": [[value, low, high], null, ...]},
 *               {"kind": "level", "name": "...", "value": 10}]}
 *
 * Of a series one of the three; with "groups" (bars) there is no scale of x. null for a number:
 * there is none.
 */
#include "plot.h"
#include "program.h"
#include "report.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS_MAX = 64 };

static const struct program program = {
    .name = "bench-plot",
    .purpose = "Draws a plot: JSON on stdin becomes SVG on stdout.",
    .notes = "bench/plot.c says what the JSON is; bench/performance writes it.",
    .options = (const struct option_spec[]){{0}},
};

/* ---- words ---- */

static const char *const unit_names[] = {
    [PLOT_NUMBER] = "number", [PLOT_NS] = "ns",           [PLOT_SECONDS] = "seconds",
    [PLOT_BYTES] = "bytes",   [PLOT_PERCENT] = "percent", [PLOT_RATE] = "rate",
};
static const char *const scale_names[] = {
    [PLOT_LINEAR] = "linear",
    [PLOT_LOG] = "log",
    [PLOT_PERCENTILE] = "percentile",
};
static const char *const kind_names[] = {"line", "bars", "level"};
enum kind { KIND_LINE = 0, KIND_BARS, KIND_LEVEL };

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))

/* The place of `name` in `names`. */
static int find_name(const char *what, const char *name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return (int)i;
    program_fail("%s: \"%s\" is none of %s, %s, ...", what, name, names[0], names[1]);
}

/* ---- what is read ---- */

static double read_number(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Item `place` of an array of numbers. */
static double read_item(const json_t *array, size_t place) {
    return read_number(json_array_get(array, place));
}

static struct plot_axis read_axis(json_t *object, const char *what) {
    struct plot_axis axis = {0};
    const char *unit = unit_names[PLOT_NUMBER], *scale = scale_names[PLOT_LINEAR];
    json_error_t error;
    if (object && json_unpack_ex(object, &error, JSON_STRICT, "{s?s, s?s, s?s, s?F, s?F}", "title",
                                 &axis.title, "unit", &unit, "scale", &scale, "min", &axis.min,
                                 "max", &axis.max) < 0)
        program_fail("%s: %s", what, error.text);
    axis.unit = (enum plot_unit)find_name(what, unit, unit_names, COUNT(unit_names));
    axis.scale = (enum plot_scale)find_name(what, scale, scale_names, COUNT(scale_names));
    return axis;
}

static void read_groups(const json_t *array, const char *groups[GROUPS_MAX + 1]) {
    const size_t count = json_array_size(array);
    if (count > GROUPS_MAX)
        program_fail("groups: %zu of them; at most %d are drawn", count, GROUPS_MAX);
    for (size_t i = 0; i < count; i++) {
        groups[i] = json_string_value(json_array_get(array, i));
        if (!groups[i])
            program_fail("groups: number %zu is no text", i);
    }
}

/* ---- what is drawn ---- */

static void add_line(struct plot *plot, const char *name, const json_t *points) {
    const size_t count = json_array_size(points);
    struct plot_point *point = calloc(count ? count : 1, sizeof(*point));
    if (!point)
        program_fail("no memory for %zu points", count);
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(points, i);
        point[i] = (struct plot_point){.x = read_item(pair, 0), .y = read_item(pair, 1)};
    }
    plot_add(plot, PLOT_LINE, name, point, count);
    free(point);
}

static void add_bars(struct plot *plot, const char *name, const json_t *bars, size_t groups) {
    struct plot_bar bar[GROUPS_MAX];
    if (json_array_size(bars) != groups)
        program_fail("series \"%s\": %zu bars for %zu groups", name ? name : "",
                     json_array_size(bars), groups);
    for (size_t i = 0; i < groups; i++) {
        const json_t *item = json_array_get(bars, i);
        bar[i] = (struct plot_bar){
            .value = read_item(item, 0), .low = read_item(item, 1), .high = read_item(item, 2)};
    }
    plot_add_bars(plot, name, bar);
}

static void add_series(struct plot *plot, json_t *series, size_t groups) {
    const char *kind, *name = NULL;
    json_t *points = NULL, *bars = NULL, *value = NULL;
    json_error_t error;
    if (json_unpack_ex(series, &error, JSON_STRICT, "{s:s, s?s, s?o, s?o, s?o}", "kind", &kind,
                       "name", &name, "points", &points, "bars", &bars, "value", &value) < 0)
        program_fail("series: %s", error.text);
    switch ((enum kind)find_name("kind", kind, kind_names, COUNT(kind_names))) {
    case KIND_LINE:
        add_line(plot, name, points);
        break;
    case KIND_BARS:
        add_bars(plot, name, bars, groups);
        break;
    case KIND_LEVEL:
        plot_add_level(plot, name, read_number(value));
        break;
    }
}

static struct plot *read_plot(json_t *object) {
    const char *groups[GROUPS_MAX + 1] = {0};
    struct plot_params params = {0};
    json_t *x = NULL, *y = NULL, *names = NULL, *all = NULL, *series;
    json_error_t error;
    size_t index;
    if (json_unpack_ex(object, &error, JSON_STRICT, "{s:s, s?s, s?o, s?o, s?o, s:o, s?i, s?i}",
                       "title", &params.title, "description", &params.description, "x", &x, "y", &y,
                       "groups", &names, "series", &all, "width", &params.width, "height",
                       &params.height) < 0)
        program_fail("the plot: %s", error.text);
    params.x = read_axis(x, "x");
    params.y = read_axis(y, "y");
    read_groups(names, groups);
    params.groups = names ? groups : NULL;
    struct plot *plot = plot_create(&params);
    json_array_foreach(all, index, series) {
        add_series(plot, series, json_array_size(names));
    }
    return plot;
}

int main(int argc, char **argv) {
    json_error_t error;
    if (program_start(&program, argc, argv) != argc)
        program_fail_usage("no operands are taken: the plot comes on stdin");
    json_t *object = json_loadf(stdin, 0, &error);
    if (!object)
        program_fail("stdin is no JSON: line %d: %s", error.line, error.text);
    struct plot *plot = read_plot(object);
    if (plot_write(plot, stdout) < 0)
        program_fail("no memory for the plot");
    report_flush();
    plot_destroy(plot);
    json_decref(object);
    return EXIT_DONE;
}
