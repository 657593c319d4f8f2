#include "colour.h"

#include <check.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>

enum {
    BARS = 8,
    /* Pixels beside an edge, where chroma may belong to either bar. */
    EDGE = 8,
};

/* White, yellow, cyan, green, magenta, red, blue, black: each colour on or off. */
static const bool bar_rgb[BARS][3] = {{1, 1, 1}, {1, 1, 0}, {0, 1, 1}, {0, 1, 0},
                                      {1, 0, 1}, {1, 0, 0}, {0, 0, 1}, {0, 0, 0}};

/* What BT.601 makes of them in 8 bits: luma 16 to 235, chroma around 128. */
static void find_yuv(int bar, double yuv[3]) {
    static const double kr = 0.299, kb = 0.114;
    const double r = bar_rgb[bar][0], g = bar_rgb[bar][1], b = bar_rgb[bar][2];
    const double y = kr * r + (1 - kr - kb) * g + kb * b;
    yuv[0] = 16 + 219 * y;
    yuv[1] = 128 + 112 * (b - y) / (1 - kb);
    yuv[2] = 128 + 112 * (r - y) / (1 - kr);
}

/* Grey is BT.709's luma of 0 to 255, of which vivid leaves out the last. */
static double find_grey(int bar) {
    const bool *rgb = bar_rgb[bar];
    return (0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]) * 255 / 256;
}

/* Component `c` of a bar, of 0 to 1 where 1 is all bits set. */
static double find_component(const AVPixFmtDescriptor *pixels, int bar, int c) {
    double yuv[3];
    if (pixels->flags & AV_PIX_FMT_FLAG_RGB)
        return bar_rgb[bar][c];
    if (pixels->nb_components < 3)
        return find_grey(bar);
    find_yuv(bar, yuv);
    return yuv[c] / 255;
}

static void expect_value(const struct shmframe_lease *lease, int x, int y, int c, double value,
                         double wanted, double tolerance) {
    ck_assert_msg(value >= wanted - tolerance && value <= wanted + tolerance,
                  "%s: component %d at %d,%d is %.3f, not %.3f", lease->format->video.pixel_format,
                  c, x, y, value, wanted);
}

static bool is_on_edge(int x, int width) {
    const int bar_width = width / BARS;
    return x % bar_width < EDGE || x % bar_width >= bar_width - EDGE;
}

static int find_bar(int x, int width) {
    return x * BARS / width;
}

/* A sensor's pixel has one colour: which, its name says for the first four. */
static void expect_bayer(const struct shmframe_lease *lease) {
    const struct shmframe_plane *plane = &lease->format->plane[0];
    const char *order = strchr(lease->format->video.pixel_format, '_') + 1;
    const bool is_wide = strstr(order, "16");
    const int width = (int)lease->format->video.width;
    for (int y = 0; y < (int)plane->rows; y++)
        for (int x = 0; x < width; x++) {
            const uint8_t *row = lease->data + plane->offset + (size_t)y * plane->line_bytes;
            const double value =
                is_wide ? (row[2 * x] | row[2 * x + 1] << 8) / 65535.0 : row[x] / 255.0;
            const char colour = order[y % 2 * 2 + x % 2];
            const int c = colour == 'r' ? 0 : colour == 'g' ? 1 : 2;
            if (!is_on_edge(x, width))
                expect_value(lease, x, y, c, value, bar_rgb[find_bar(x, width)][c], 0.02);
        }
}

static void expect_component(const struct shmframe_lease *lease, const AVPixFmtDescriptor *pixels,
                             int c, uint16_t *values) {
    const struct shmframe_format *format = lease->format;
    const bool is_chroma = (c == 1 || c == 2) && !(pixels->flags & AV_PIX_FMT_FLAG_RGB);
    const int shift_x = is_chroma ? pixels->log2_chroma_w : 0;
    const int shift_y = is_chroma ? pixels->log2_chroma_h : 0;
    const int width = (int)format->video.width, height = (int)format->video.height;
    const double all = (1 << pixels->comp[c].depth) - 1;
    /* vivid computes in 8 bits and shifts: one step of what is stored, and two of 8 bits. */
    const double tolerance = 1.01 / all + 2.0 / 255;
    const uint8_t *data[4] = {0};
    int lines[4] = {0};
    for (uint32_t i = 0; i < format->plane_count; i++) {
        data[i] = lease->data + format->plane[i].offset;
        lines[i] = (int)format->plane[i].line_bytes;
    }
    for (int y = 0; y < height >> shift_y; y++) {
        av_read_image_line(values, data, lines, pixels, 0, y, c, width >> shift_x, 0);
        for (int x = 0; x < width >> shift_x; x++)
            if (!is_on_edge(x << shift_x, width))
                expect_value(lease, x << shift_x, y << shift_y, c, values[x] / all,
                             find_component(pixels, find_bar(x << shift_x, width), c), tolerance);
    }
}

void colour_expect_bars(const struct shmframe_lease *lease) {
    const AVPixFmtDescriptor *pixels =
        av_pix_fmt_desc_get(av_get_pix_fmt(lease->format->video.pixel_format));
    ck_assert_ptr_nonnull(pixels);
    if (pixels->flags & AV_PIX_FMT_FLAG_BAYER) {
        expect_bayer(lease);
        return;
    }
    uint16_t *values = calloc(lease->format->video.width, sizeof(*values));
    const int colours = pixels->nb_components < 3 ? 1 : 3; /* what is behind them is alpha */
    for (int c = 0; c < colours; c++)
        expect_component(lease, pixels, c, values);
    free(values);
}
