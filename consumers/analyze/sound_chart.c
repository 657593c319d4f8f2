#include "sound_chart.h"

#include "loudness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    LEFT = 64,  /* for the vertical axis */
    SIDE = 320, /* the column on the right */
    GAP = 36,   /* between two graphs, title and times included */
    WAVE_HEIGHT = 210,
    WAVES_HEIGHT_MIN = 60, /* of one channel */
    ROW_GAP = 14,          /* between two channels */
    LOUD_HEIGHT = 260,
    GONIOMETER = 300,
};

static const double loud_bottom = -60, loud_top = 0; /* LUFS */
static const double target_lufs = -23;               /* EBU R 128 */

static double waves_height(const struct sound_history *history) {
    const double wanted = (double)history->channels * WAVES_HEIGHT_MIN;
    return wanted > WAVE_HEIGHT ? wanted : WAVE_HEIGHT;
}

double sound_chart_height(const struct sound_history *history) {
    return waves_height(history) + GAP + LOUD_HEIGHT + GAP;
}

static void paint_waves(cairo_t *page, struct chart_area area, const struct sound_history *history,
                        double seconds) {
    const double height = (area.height + ROW_GAP) / fmax(history->channels, 1);
    for (uint32_t c = 0; c < history->channels; c++) {
        const struct chart_area part = {area.x, area.y + c * height, area.width, height - ROW_GAP};
        const struct chart_scale scale = {0, seconds, -1.05, 1.05};
        const struct chart_axes axes = {
            .title = c == 0 ? "Waveform" : "", .unit = "", .step = 1, .digits = 0};
        chart_draw_axes(page, part, scale, &axes);
        chart_set_color(page, chart_line[0], 0.9);
        chart_draw_band(page, part, scale, &history->waveform[c], 1.0 / history->sample_rate);
        chart_write(page, part.x + part.width + 6, part.y + part.height / 2 + 4, CHART_LEFT, 11,
                    chart_dim, history->channel_name[c]);
    }
}

static void paint_loudness(cairo_t *page, struct chart_area area,
                           const struct sound_history *history, double seconds) {
    const struct chart_scale scale = {0, seconds, loud_bottom, loud_top};
    const struct chart_axes axes = {.title = "Loudness; dashed: -23 LUFS, EBU R 128",
                                    .unit = "LUFS",
                                    .step = 10,
                                    .digits = 0,
                                    .has_times = true};
    const double step_s = 1.0 / LOUDNESS_STEPS_PER_S;
    chart_draw_axes(page, area, scale, &axes);
    chart_draw_mark(page, area, scale, target_lufs, "");
    const struct curve *curves[] = {&history->momentary, &history->short_term,
                                    &history->integrated};
    const double widths[] = {1, 1.6, 2.2};
    for (int i = 0; i < 3; i++) {
        chart_set_color(page, chart_line[i], i == 0 ? 0.75 : 1);
        cairo_set_line_width(page, widths[i]);
        chart_draw_line(page, area, scale, curves[i], step_s);
    }
    static const char *const names[] = {"momentary", "short-term", "integrated", NULL};
    chart_draw_legend(page, area, names);
}

/* The goniometer: what is the same on both sides stands upright, what is opposite lies flat. */

/* The most of a cell and those around it: a line of single cells would hardly be seen. */
static uint64_t find_count(const struct sound_history *history, int right, int left) {
    uint64_t most = 0;
    for (int r = right - 1; r <= right + 1; r++)
        for (int l = left - 1; l <= left + 1; l++)
            if (r >= 0 && l >= 0 && r < HISTORY_CELLS && l < HISTORY_CELLS &&
                history->cell[r][l] > most)
                most = history->cell[r][l];
    return most;
}

static cairo_surface_t *make_density(const struct sound_history *history) {
    cairo_surface_t *image =
        cairo_image_surface_create(CAIRO_FORMAT_ARGB32, HISTORY_CELLS, HISTORY_CELLS);
    unsigned char *data = cairo_image_surface_get_data(image);
    const int line_bytes = cairo_image_surface_get_stride(image);
    uint64_t most = 1;
    for (int r = 0; r < HISTORY_CELLS; r++)
        for (int l = 0; l < HISTORY_CELLS; l++)
            most = history->cell[r][l] > most ? history->cell[r][l] : most;
    for (int r = 0; data && r < HISTORY_CELLS; r++) {
        for (int l = 0; l < HISTORY_CELLS; l++) {
            const uint64_t count = find_count(history, r, l);
            /* Rare is still seen: brightness goes with the logarithm. */
            const double share =
                count ? 0.35 + 0.65 * log1p((double)count) / log1p((double)most) : 0;
            const uint32_t alpha = (uint32_t)(share * 255);
            const uint32_t pixel = alpha << 24 | (uint32_t)(share * chart_line[2].red * 255) << 16 |
                                   (uint32_t)(share * chart_line[2].green * 255) << 8 |
                                   (uint32_t)(share * chart_line[2].blue * 255);
            memcpy(data + r * line_bytes + l * 4, &pixel, sizeof(pixel));
        }
    }
    cairo_surface_mark_dirty(image);
    return image;
}

static void paint_cross(cairo_t *page, double side) {
    cairo_rectangle(page, -side / 2, -side / 2, side, side);
    cairo_move_to(page, -side / 2, 0);
    cairo_line_to(page, side / 2, 0);
    cairo_move_to(page, 0, -side / 2);
    cairo_line_to(page, 0, side / 2);
    chart_set_color(page, chart_dim, 0.5);
    cairo_set_line_width(page, 1);
    cairo_stroke(page);
}

static void paint_goniometer(cairo_t *page, struct chart_area area,
                             const struct sound_history *history) {
    const double side = area.width / sqrt(2), middle_x = area.x + area.width / 2,
                 middle_y = area.y + area.width / 2;
    cairo_surface_t *image = make_density(history);
    cairo_save(page);
    cairo_translate(page, middle_x, middle_y);
    /* Left to the upper left, right to the upper right: columns of the image are left, rows right.
     */
    const double turn = sqrt(0.5);
    const cairo_matrix_t axes = {.xx = -turn, .yx = -turn, .xy = turn, .yy = -turn};
    cairo_transform(page, &axes);
    cairo_rectangle(page, -side / 2, -side / 2, side, side);
    cairo_set_source_rgb(page, 0.045, 0.05, 0.06);
    cairo_fill(page);
    cairo_save(page);
    cairo_scale(page, side / HISTORY_CELLS, side / HISTORY_CELLS);
    cairo_set_source_surface(page, image, -HISTORY_CELLS / 2.0, -HISTORY_CELLS / 2.0);
    cairo_rectangle(page, -HISTORY_CELLS / 2.0, -HISTORY_CELLS / 2.0, HISTORY_CELLS, HISTORY_CELLS);
    cairo_fill(page);
    cairo_restore(page);
    paint_cross(page, side);
    cairo_restore(page);
    cairo_surface_destroy(image);
    const double corner = side / 2 * turn + 6;
    chart_write(page, area.x, area.y - 8, CHART_LEFT, 12, chart_text, "Goniometer");
    chart_write(page, middle_x - corner, middle_y - corner, CHART_RIGHT, 11, chart_text,
                history->channel_name[history->pair_left]);
    chart_write(page, middle_x + corner, middle_y - corner, CHART_LEFT, 11, chart_text,
                history->channel_name[history->pair_right]);
}

/* -1, the sides cancel each other; 0, they have nothing in common; 1, they are the same. */
static void paint_correlation(cairo_t *page, struct chart_area area, const json_t *total) {
    const json_t *value = json_object_get(total, "correlation");
    char text[48] = "Correlation -";
    chart_set_color(page, chart_dim, 0.35);
    cairo_rectangle(page, area.x, area.y, area.width, area.height);
    cairo_fill(page);
    const double middle = area.x + area.width / 2;
    if (json_is_number(value)) {
        const double correlation = json_number_value(value);
        snprintf(text, sizeof(text), "Correlation %+.2f", correlation);
        chart_set_color(page, chart_line[correlation < 0 ? 3 : 2], 1);
        cairo_rectangle(page, middle, area.y, correlation * area.width / 2, area.height);
        cairo_fill(page);
    }
    chart_set_color(page, chart_text, 1);
    cairo_rectangle(page, middle - 0.5, area.y - 2, 1, area.height + 4);
    cairo_fill(page);
    chart_write(page, area.x, area.y - 8, CHART_LEFT, 12, chart_text, text);
    chart_write(page, area.x, area.y + area.height + 14, CHART_LEFT, 11, chart_dim, "-1");
    chart_write(page, area.x + area.width, area.y + area.height + 14, CHART_RIGHT, 11, chart_dim,
                "+1");
}

static void paint_numbers(cairo_t *page, double x, double y, double width, const json_t *total) {
    static const struct {
        const char *name, *label, *unit;
    } rows[] = {
        {"integrated_lufs", "Integrated", "LUFS"},
        {"loudness_range_lu", "Range", "LU"},
        {"short_term_max_lufs", "Short-term, most", "LUFS"},
        {"momentary_max_lufs", "Momentary, most", "LUFS"},
        {"true_peak_dbtp", "True peak", "dBTP"},
        {"rms_dbfs", "RMS", "dBFS"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const json_t *value = json_object_get(total, rows[i].name);
        char text[32] = "-";
        if (json_is_number(value))
            snprintf(text, sizeof(text), "%.1f", json_number_value(value));
        const double row_y = y + (double)i * 22;
        chart_write(page, x, row_y, CHART_LEFT, 13, chart_dim, rows[i].label);
        chart_write(page, x + width - 44, row_y, CHART_RIGHT, 14, chart_text, text);
        chart_write(page, x + width - 38, row_y, CHART_LEFT, 11, chart_dim, rows[i].unit);
    }
}

void sound_chart_paint(cairo_t *page, struct chart_area area, const struct sound_history *history,
                       const json_t *total) {
    const double seconds =
        fmax((double)curve_length(&history->waveform[0]) / history->sample_rate, 0.1);
    const double width = area.width - LEFT - SIDE - GAP, high = waves_height(history);
    paint_waves(page, (struct chart_area){area.x + LEFT, area.y, width, high}, history, seconds);
    paint_loudness(page,
                   (struct chart_area){area.x + LEFT, area.y + high + GAP, width, LOUD_HEIGHT},
                   history, seconds);
    const double x = area.x + area.width - SIDE;
    double y = area.y;
    if (history->pair_left != history->pair_right) {
        paint_goniometer(page, (struct chart_area){x, y, GONIOMETER, GONIOMETER}, history);
        y += GONIOMETER + GAP;
        paint_correlation(page, (struct chart_area){x, y, SIDE, 10}, total);
        y += GAP + 12;
    }
    paint_numbers(page, x, y + 12, SIDE, total);
}
