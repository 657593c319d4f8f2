#include "bars.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double colours[BARS][3] = {
    {.75, .75, .75}, {.75, .75, 0}, {0, .75, .75}, {0, .75, 0},
    {.75, 0, .75},   {.75, 0, 0},   {0, 0, .75},   {0, 0, 0},
};

enum component { LUMA, CB, CR, RED, GREEN, BLUE, ALPHA };

static bool is_rgb(enum AVPixelFormat format) {
    return av_pix_fmt_desc_get(format)->flags & AV_PIX_FMT_FLAG_RGB;
}

static bool is_gray(enum AVPixelFormat format) {
    return av_pix_fmt_desc_get(format)->nb_components <= 2;
}

/* What component `i` of a format is, in libavutil's order. */
static enum component find_component(const AVPixFmtDescriptor *descriptor, int i) {
    const bool has_alpha = descriptor->flags & AV_PIX_FMT_FLAG_ALPHA;
    if (has_alpha && i == descriptor->nb_components - 1)
        return ALPHA;
    return (descriptor->flags & AV_PIX_FMT_FLAG_RGB ? RED : LUMA) + i;
}

static double luma(enum AVColorSpace space, const double rgb[3], double *out_kr, double *out_kb) {
    *out_kr = space == AVCOL_SPC_BT709 ? 0.2126 : space == AVCOL_SPC_BT2020_NCL ? 0.2627 : 0.299;
    *out_kb = space == AVCOL_SPC_BT709 ? 0.0722 : space == AVCOL_SPC_BT2020_NCL ? 0.0593 : 0.114;
    return *out_kr * rgb[0] + (1 - *out_kr - *out_kb) * rgb[1] + *out_kb * rgb[2];
}

/* From 0 to 1, chroma from -0.5 to 0.5. */
static double find_value(enum component component, enum AVColorSpace space, int bar) {
    const double *rgb = colours[bar];
    double kr, kb;
    const double y = luma(space, rgb, &kr, &kb);
    switch (component) {
    case LUMA:
        return y;
    case CB:
        return (rgb[2] - y) / (2 * (1 - kb));
    case CR:
        return (rgb[0] - y) / (2 * (1 - kr));
    case RED:
    case GREEN:
    case BLUE:
        return rgb[component - RED];
    case ALPHA:
        return bar < BARS - 1;
    }
    return 0;
}

static uint16_t quantize(enum component component, double value, int depth, bool is_full) {
    const int levels = 1 << depth;
    const bool is_chroma = component == CB || component == CR;
    if (component == ALPHA || is_full)
        return (uint16_t)lround((is_chroma ? levels / 2 : 0) + value * (levels - 1));
    const double step = levels / 256.0;
    return (uint16_t)lround(is_chroma ? (128 + 224 * value) * step : (16 + 219 * value) * step);
}

static void paint_row(AVFrame *picture, int i, int y, const uint16_t levels[BARS]) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(picture->format);
    const enum component component = find_component(descriptor, i);
    const int shift = component == CB || component == CR ? descriptor->log2_chroma_w : 0;
    const int width = AV_CEIL_RSHIFT(picture->width, shift);
    uint16_t *line = calloc((size_t)width, sizeof(*line));
    for (int x = 0; x < width; x++)
        line[x] = levels[(x << shift) * BARS / picture->width];
    av_write_image_line(line, picture->data, picture->linesize, descriptor, 0, y, i, width);
    free(line);
}

void bars_paint(AVFrame *picture, enum AVColorSpace space, bool is_full) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(picture->format);
    /* Lines are added to what is there. */
    ptrdiff_t line_bytes[4];
    for (int i = 0; i < 4; i++)
        line_bytes[i] = picture->linesize[i];
    for (int plane = 0; plane < av_pix_fmt_count_planes(picture->format); plane++) {
        const bool is_small = plane == 1 || plane == 2;
        const int rows = is_small && !is_rgb(picture->format)
                             ? AV_CEIL_RSHIFT(picture->height, descriptor->log2_chroma_h)
                             : picture->height;
        const int bytes = av_image_get_linesize(picture->format, picture->width, plane);
        for (int y = 0; y < rows; y++)
            memset(picture->data[plane] + y * line_bytes[plane], 0, (size_t)bytes);
    }
    for (int i = 0; i < descriptor->nb_components; i++) {
        const enum component component = find_component(descriptor, i);
        uint16_t levels[BARS];
        for (int bar = 0; bar < BARS; bar++)
            levels[bar] = quantize(component, find_value(component, space, bar),
                                   descriptor->comp[i].depth, is_full);
        const bool is_chroma = component == CB || component == CR;
        const int rows = AV_CEIL_RSHIFT(picture->height, is_chroma ? descriptor->log2_chroma_h : 0);
        for (int y = 0; y < rows; y++)
            paint_row(picture, i, y, levels);
    }
}

void bars_rgb(enum AVPixelFormat format, enum AVColorSpace space, int bar, int out_rgb[3]) {
    double kr, kb;
    for (int i = 0; i < 3; i++)
        out_rgb[i] = (int)lround(
            255 * (is_gray(format) ? luma(space, colours[bar], &kr, &kb) : colours[bar][i]));
}
