#include "picture_chart.h"

#include "chart_image.h"
#include "scope_chart.h"

#include <math.h>
#include <stdio.h>

enum {
    LEFT = 64,  /* for the vertical axis */
    SIDE = 320, /* the column on the right */
    GAP = 48,   /* between two graphs, title and times included */
    SCOPE_HEIGHT = 300,
    LUMA_HEIGHT = 200,
    STRIP = 8, /* what happened, below luma */
    STRIPS = 3,
    STRIPS_GAP = 12, /* so that their names do not touch the axis' lowest number */
    LIKENESS_HEIGHT = 130,
};

static const double EQUAL_DB = 100; /* where equal pictures are drawn */

double picture_chart_height(const struct picture_history *history) {
    return SCOPE_HEIGHT + GAP + LUMA_HEIGHT + STRIPS_GAP + STRIPS * (STRIP + 4) + GAP +
           (history->has_pairs ? 2 * (LIKENESS_HEIGHT + GAP) : 0);
}

static double seconds_of(const struct picture_history *history) {
    return (double)history->count * (double)history->column_ns / 1e9;
}

/* Luma over time: a column of the image a stretch of time. */

/* The column whose pictures were on show then. */
static const struct picture_column *shown_at(const struct picture_history *history, uint32_t i) {
    while (i > 0 && history->column[i].pictures == 0)
        i--;
    return &history->column[i];
}

static cairo_surface_t *make_luma(const struct picture_history *history) {
    cairo_surface_t *image =
        chart_image_begin(history->count ? (int)history->count : 1, LEVELS_BINS);
    for (uint32_t x = 0; x < history->count; x++) {
        const struct picture_column *column = shown_at(history, x);
        for (int value = 0; value < LEVELS_BINS && column->pictures; value++) {
            const double share = (double)column->luma[value] / column->pictures;
            chart_image_set(image, (int)x, LEVELS_BINS - 1 - value, chart_line[0],
                            fmin(log1p(share * 2000) / log1p(2000), 1));
        }
    }
    return image;
}

static void paint_mean(cairo_t *page, struct chart_area area,
                       const struct picture_history *history) {
    cairo_new_path(page);
    for (uint32_t x = 0; x < history->count; x++) {
        const struct picture_column *column = shown_at(history, x);
        if (column->pictures)
            cairo_line_to(page, area.x + (x + 0.5) / history->count * area.width,
                          area.y + (255.5 - (double)column->luma_mean / column->pictures) / 256 *
                                       area.height);
    }
    chart_set_color(page, chart_line[1], 1);
    cairo_set_line_width(page, 1.4);
    cairo_stroke(page);
}

static void paint_luma(cairo_t *page, struct chart_area area, const struct picture_history *history,
                       double seconds) {
    const struct chart_scale scale = {0, seconds, -0.5, 255.5};
    const struct chart_axes axes = {
        .title = "Luma: histogram over time, mean", .unit = "8 bit", .step = 64};
    chart_draw_axes(page, area, scale, &axes);
    chart_image_end(make_luma(history), page, area);
    if (!history->scope.is_full) {
        chart_draw_mark(page, area, scale, 16, "");
        chart_draw_mark(page, area, scale, 235, "legal: 16 to 235");
    }
    paint_mean(page, area, history);
}

/* Strips: when pictures were black, stood still, or began a scene. */

static double share_black(const struct picture_column *column) {
    return column->pictures ? (double)column->black / column->pictures : 0;
}
static double share_still(const struct picture_column *column) {
    return column->pictures ? (double)column->still / column->pictures : 0;
}
static double has_cut(const struct picture_column *column) {
    return column->scene_cuts > 0;
}

static void paint_strip(cairo_t *page, struct chart_area area,
                        const struct picture_history *history, struct chart_color color,
                        double (*share)(const struct picture_column *column)) {
    const double width = area.width / history->count;
    const bool is_instant = share == has_cut;
    chart_draw_field(page, area);
    cairo_save(page);
    cairo_set_antialias(page, CAIRO_ANTIALIAS_NONE); /* no seams between columns */
    for (uint32_t x = 0; x < history->count; x++) {
        const struct picture_column *column =
            is_instant ? &history->column[x] : shown_at(history, x);
        chart_set_color(page, color, share(column));
        cairo_rectangle(page, area.x + x * width, area.y, is_instant ? fmax(width, 2) : width,
                        area.height);
        cairo_fill(page);
    }
    cairo_restore(page);
}

static void paint_strips(cairo_t *page, struct chart_area area,
                         const struct picture_history *history, double seconds) {
    static const struct {
        const char *name;
        double (*share)(const struct picture_column *column);
        int color;
    } strips[STRIPS] = {{"black", share_black, 3}, {"still", share_still, 0}, {"cuts", has_cut, 1}};
    for (int i = 0; i < STRIPS; i++) {
        const struct chart_area part = {area.x, area.y + 4 + i * (STRIP + 4), area.width, STRIP};
        paint_strip(page, part, history, chart_line[strips[i].color], strips[i].share);
        chart_write(page, area.x - 7, part.y + STRIP, CHART_RIGHT, 10, chart_dim, strips[i].name);
    }
    const struct chart_area all = {area.x, area.y, area.width, STRIPS * (STRIP + 4)};
    chart_draw_times(page, all, (struct chart_scale){.left = 0, .right = seconds});
}

/* Likeness over time. */

static double psnr_of(const struct picture_column *column) {
    const double mean = column->difference.all / (double)column->difference.count;
    return mean > 0 ? fmin(-10 * log10(mean), EQUAL_DB) : EQUAL_DB;
}
static double ssim_of(const struct picture_column *column) {
    return column->similarity.all / (double)column->similarity.count;
}

static void paint_likeness(cairo_t *page, struct chart_area area,
                           const struct picture_history *history, double seconds, bool is_psnr) {
    double (*value_of)(const struct picture_column *) = is_psnr ? psnr_of : ssim_of;
    double min = INFINITY, max = -INFINITY;
    for (uint32_t x = 0; x < history->count; x++) {
        const struct picture_column *column = &history->column[x];
        if (!(is_psnr ? column->difference.count : column->similarity.count))
            continue;
        min = fmin(min, value_of(column));
        max = fmax(max, value_of(column));
    }
    const double unit = is_psnr ? 10 : 0.1;
    const double bottom = isfinite(min) ? fmax(floor(min / unit) * unit, 0) : 0;
    const double top = is_psnr ? fmax(ceil(max / unit) * unit, bottom + unit) : 1;
    const struct chart_scale scale = {0, seconds, bottom, isfinite(top) ? top : 100};
    const struct chart_axes axes = {
        .title = is_psnr ? "PSNR against the reference" : "SSIM against the reference",
        .unit = is_psnr ? "dB" : "",
        .step = top - bottom > 4 * unit ? 2 * unit : unit,
        .digits = is_psnr ? 0 : 1,
        .has_times = true,
    };
    chart_draw_axes(page, area, scale, &axes);
    cairo_new_path(page);
    for (uint32_t x = 0; x < history->count; x++) {
        const struct picture_column *column = &history->column[x];
        if (is_psnr ? column->difference.count : column->similarity.count)
            cairo_line_to(page, area.x + (x + 0.5) / history->count * area.width,
                          area.y + (scale.top - value_of(column)) / (scale.top - scale.bottom) *
                                       area.height);
    }
    chart_set_color(page, chart_line[is_psnr ? 2 : 1], 1);
    cairo_set_line_width(page, 1.4);
    cairo_stroke(page);
}

/* Numbers. */

static void write_number(cairo_t *page, double x, double *y, const json_t *total,
                         const char *const row[3]) {
    const json_t *value = json_object_get(total, row[0]);
    char text[48];
    if (!value)
        return;
    snprintf(text, sizeof(text), json_is_integer(value) ? "%.0f %s" : "%.6g %s",
             json_number_value(value), row[2]);
    chart_write(page, x, *y, CHART_LEFT, 12, chart_dim, row[1]);
    chart_write(page, x + 150, *y, CHART_LEFT, 12, chart_text, text);
    *y += 19;
}

static void write_numbers(cairo_t *page, double x, double y, const json_t *total) {
    static const char *const rows[][3] = {
        {"luma_min", "luma, least", ""},
        {"luma_mean", "luma, mean", ""},
        {"luma_max", "luma, most", ""},
        {"black_s", "black", "s"},
        {"frozen_s", "frozen", "s"},
        {"scene_cuts", "scene cuts", ""},
        {"psnr_avg_db", "PSNR", "dB"},
        {"psnr_min_db", "PSNR, worst", "dB"},
        {"ssim_all", "SSIM", ""},
        {"ssim_min", "SSIM, worst", ""},
        {"pairs_equal", "equal pictures", ""},
        {"unmatched", "without a partner", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        write_number(page, x, &y, total, rows[i]);
}

void picture_chart_paint(cairo_t *page, struct chart_area area,
                         const struct picture_history *history, const json_t *total) {
    const double seconds = seconds_of(history);
    const double x = area.x + LEFT, width = area.width - LEFT - SIDE - GAP;
    const double side_x = x + width + GAP;
    double y = area.y;
    scope_chart_paint_waveform(page, (struct chart_area){x, y, width, SCOPE_HEIGHT},
                               &history->scope);
    if (history->scope.has_chroma)
        scope_chart_paint_vectors(page, (struct chart_area){side_x, y, SIDE, SCOPE_HEIGHT},
                                  &history->scope);
    y += SCOPE_HEIGHT + GAP;
    write_numbers(page, side_x, y + 12, total);
    paint_luma(page, (struct chart_area){x, y, width, LUMA_HEIGHT}, history, seconds);
    y += LUMA_HEIGHT + STRIPS_GAP;
    paint_strips(page, (struct chart_area){x, y, width, 0}, history, seconds);
    y += STRIPS * (STRIP + 4) + GAP;
    if (!history->has_pairs)
        return;
    for (int i = 0; i < 2; i++, y += LIKENESS_HEIGHT + GAP)
        paint_likeness(page, (struct chart_area){x, y, width, LIKENESS_HEIGHT}, history, seconds,
                       i == 0);
}
