#include "scope_chart.h"

#include "chart_image.h"

#include <libavutil/csp.h>
#include <math.h>

/* Half of what the vectorscope's square is wide: a little more than chroma can be. */
static const double chroma_max = 0.56;

static uint64_t find_most(const uint64_t *counts, int count) {
    uint64_t most = 1;
    for (int i = 0; i < count; i++)
        most = counts[i] > most ? counts[i] : most;
    return most;
}

/* Waveform monitor. */

static double percent_of(double code, bool is_full) {
    return 100 * (is_full ? code / 255 : (code - 16) / (235 - 16));
}

static cairo_surface_t *make_waveform(const struct scope *scope) {
    cairo_surface_t *image = chart_image_begin(SCOPE_COLUMNS, SCOPE_VALUES);
    const uint64_t most = find_most(scope->luma[0], SCOPE_COLUMNS * SCOPE_VALUES);
    for (int x = 0; x < SCOPE_COLUMNS; x++)
        for (int value = 0; value < SCOPE_VALUES; value++)
            chart_image_set(image, x, SCOPE_VALUES - 1 - value, chart_line[2],
                            chart_brightness(scope->luma[x][value], most));
    return image;
}

void scope_chart_paint_waveform(cairo_t *page, struct chart_area area, const struct scope *scope) {
    const struct chart_scale scale = {0, 0, percent_of(-0.5, scope->is_full),
                                      percent_of(255.5, scope->is_full)};
    const struct chart_axes axes = {
        .title = "Waveform monitor: luma from left to right", .unit = "%", .step = 25};
    chart_draw_axes(page, area, scale, &axes);
    chart_image_end(make_waveform(scope), page, area);
    if (!scope->is_full) {
        chart_draw_mark(page, area, scale, 0, "black");
        chart_draw_mark(page, area, scale, 100, "white");
    }
}

/* Vectorscope. */

struct chroma {
    double cb, cr;
};

/* BT.709's, where the matrix is none of the usual kind. */
static struct chroma chroma_of(struct chart_color color, enum AVColorSpace space) {
    const AVLumaCoefficients *luma = av_csp_luma_coeffs_from_avcsp(space);
    if (!luma || space == AVCOL_SPC_RGB)
        luma = av_csp_luma_coeffs_from_avcsp(AVCOL_SPC_BT709);
    const double red = av_q2d(luma->cr), green = av_q2d(luma->cg), blue = av_q2d(luma->cb);
    const double y = red * color.red + green * color.green + blue * color.blue;
    return (struct chroma){(color.blue - y) / (2 * (1 - blue)), (color.red - y) / (2 * (1 - red))};
}

/* About the colour of a chroma, bright enough to be seen: BT.709. */
static struct chart_color color_of(struct chroma chroma) {
    const double y = 0.62;
    const double red = y + 1.5748 * chroma.cr, blue = y + 1.8556 * chroma.cb;
    const double green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152;
    return (struct chart_color){fmin(fmax(red, 0), 1), fmin(fmax(green, 0), 1),
                                fmin(fmax(blue, 0), 1)};
}

static double chroma_step(const struct scope *scope) {
    return scope->is_full ? 1.0 / 255 : 1.0 / (240 - 16);
}

/* The most of a chroma and those around it: single ones would hardly be seen. */
static uint64_t find_vectors(const struct scope *scope, int cr, int cb) {
    uint64_t most = 0;
    for (int r = cr - 1; r <= cr + 1; r++)
        for (int b = cb - 1; b <= cb + 1; b++)
            if (r >= 0 && b >= 0 && r < SCOPE_VALUES && b < SCOPE_VALUES &&
                scope->chroma[r][b] > most)
                most = scope->chroma[r][b];
    return most;
}

static cairo_surface_t *make_vectors(const struct scope *scope) {
    cairo_surface_t *image = chart_image_begin(SCOPE_VALUES, SCOPE_VALUES);
    const uint64_t most = find_most(scope->chroma[0], SCOPE_VALUES * SCOPE_VALUES);
    const double step = chroma_step(scope);
    for (int cr = 0; cr < SCOPE_VALUES; cr++) {
        for (int cb = 0; cb < SCOPE_VALUES; cb++) {
            const struct chroma chroma = {(cb - 128) * step, (cr - 128) * step};
            const uint64_t count = find_vectors(scope, cr, cb);
            chart_image_set(image, cb, SCOPE_VALUES - 1 - cr, color_of(chroma),
                            count ? 0.4 + 0.6 * chart_brightness(count, most) : 0);
        }
    }
    return image;
}

/* Where a chroma is, from the middle of the square. */
static void move_to(cairo_t *page, double side, struct chroma chroma) {
    cairo_move_to(page, chroma.cb / chroma_max * side / 2, -chroma.cr / chroma_max * side / 2);
}

static void paint_target(cairo_t *page, double side, const char *name, struct chart_color color,
                         enum AVColorSpace space) {
    enum { BOX = 14 };
    const struct chart_color bar = {0.75 * color.red, 0.75 * color.green, 0.75 * color.blue};
    const struct chroma chroma = chroma_of(bar, space);
    const struct chroma beside = {chroma.cb * 1.2, chroma.cr * 1.2};
    double x, y;
    cairo_new_path(page);
    move_to(page, side, chroma);
    cairo_get_current_point(page, &x, &y);
    cairo_rectangle(page, floor(x - BOX / 2.0) + 0.5, floor(y - BOX / 2.0) + 0.5, BOX, BOX);
    chart_set_color(page, color_of(chroma), 0.9);
    cairo_stroke(page);
    move_to(page, side, beside);
    cairo_get_current_point(page, &x, &y);
    chart_write(page, x, y + 4, CHART_CENTER, 11, chart_text, name);
}

static void paint_graticule(cairo_t *page, double side, enum AVColorSpace space) {
    static const struct {
        const char *name;
        struct chart_color color;
    } bars[] = {{"R", {1, 0, 0}},  {"Mg", {1, 0, 1}}, {"B", {0, 0, 1}},
                {"Cy", {0, 1, 1}}, {"G", {0, 1, 0}},  {"Yl", {1, 1, 0}}};
    chart_set_color(page, chart_dim, 0.5);
    cairo_set_line_width(page, 1);
    cairo_arc(page, 0, 0, 0.5 / chroma_max * side / 2, 0, 2 * M_PI);
    move_to(page, side, (struct chroma){-0.5, 0});
    cairo_rel_line_to(page, side / 2 / chroma_max, 0);
    move_to(page, side, (struct chroma){0, 0.5});
    cairo_rel_line_to(page, 0, side / 2 / chroma_max);
    cairo_stroke(page);
    for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++)
        paint_target(page, side, bars[i].name, bars[i].color, space);
    move_to(page, side, (struct chroma){0.5, 0});
    cairo_rel_move_to(page, -4, -5);
    double x, y;
    cairo_get_current_point(page, &x, &y);
    chart_write(page, x, y, CHART_RIGHT, 10, chart_dim, "Cb");
    chart_write(page, 5, -0.5 / chroma_max * side / 2 + 12, CHART_LEFT, 10, chart_dim, "Cr");
}

/* Matrices by the names that people use. */
static const char *matrix_name(enum AVColorSpace space) {
    if (space == AVCOL_SPC_BT2020_NCL || space == AVCOL_SPC_BT2020_CL)
        return "Vectorscope (BT.2020)";
    if (space == AVCOL_SPC_SMPTE170M || space == AVCOL_SPC_BT470BG)
        return "Vectorscope (BT.601)";
    if (space == AVCOL_SPC_SMPTE240M || space == AVCOL_SPC_FCC || space == AVCOL_SPC_YCGCO)
        return "Vectorscope";
    return "Vectorscope (BT.709)";
}

void scope_chart_paint_vectors(cairo_t *page, struct chart_area area, const struct scope *scope) {
    const double side = fmin(area.width, area.height);
    const double middle_x = area.x + area.width / 2, middle_y = area.y + area.height / 2;
    const double code = chroma_step(scope) / chroma_max * side / 2;
    chart_draw_field(page,
                     (struct chart_area){middle_x - side / 2, middle_y - side / 2, side, side});
    cairo_save(page);
    cairo_rectangle(page, middle_x - side / 2, middle_y - side / 2, side, side);
    cairo_clip(page);
    cairo_translate(page, middle_x, middle_y);
    chart_image_end(make_vectors(scope), page,
                    (struct chart_area){-128.5 * code, -127.5 * code, 256 * code, 256 * code});
    paint_graticule(page, side, scope->color_space);
    cairo_restore(page);
    chart_write(page, middle_x - side / 2, middle_y - side / 2 - 8, CHART_LEFT, 12, chart_text,
                matrix_name(scope->color_space));
}
