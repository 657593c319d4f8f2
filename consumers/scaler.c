#include "scaler.h"

#include <errno.h>
#include <libavutil/bswap.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SD_LINES = 576, LINE_BYTES = 64 /* as far apart as libswscale wants lines to be */ };

/* All that a context depends on, of one of its sides. */
struct shape {
    int width, height;
    enum AVPixelFormat format;
    enum AVColorSpace space;
    enum AVColorRange range;
};

struct scaler {
    struct scaler_params params;
    struct SwsContext *context; /* from pictures of shape `from` to those of shape `to` */
    struct shape from, to;
    uint16_t *chroma; /* of what has none */
};

static bool is_rgb(enum AVPixelFormat format) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    return descriptor && (descriptor->flags & AV_PIX_FMT_FLAG_RGB);
}

static bool is_grey(enum AVPixelFormat format) {
    const char *name = av_get_pix_fmt_name(format);
    return name && strncmp(name, "gray", 4) == 0;
}

/* Formats that are of full range by their name, or by custom. */
static bool is_full_by_name(enum AVPixelFormat format) {
    const char *name = av_get_pix_fmt_name(format);
    return is_grey(format) || (name && strncmp(name, "yuvj", 4) == 0);
}

void picture_colors(const AVFrame *picture, enum AVColorSpace *out_space,
                    enum AVColorRange *out_range) {
    const enum AVColorSpace by_size =
        picture->height <= SD_LINES ? AVCOL_SPC_SMPTE170M : AVCOL_SPC_BT709;
    const bool is_known = picture->colorspace != AVCOL_SPC_RGB &&
                          picture->colorspace != AVCOL_SPC_UNSPECIFIED &&
                          picture->colorspace != AVCOL_SPC_RESERVED;
    const enum AVPixelFormat format = picture->format;
    if (is_rgb(format)) {
        *out_space = AVCOL_SPC_RGB;
        *out_range = AVCOL_RANGE_JPEG;
        return;
    }
    *out_space = is_known ? picture->colorspace : by_size;
    *out_range = picture->color_range != AVCOL_RANGE_UNSPECIFIED ? picture->color_range
                 : is_full_by_name(format)                       ? AVCOL_RANGE_JPEG
                                                                 : AVCOL_RANGE_MPEG;
}

int scaler_create(const struct scaler_params *params, struct scaler **out_scaler) {
    if (!sws_isSupportedOutput(params->pixel_format))
        return -ENOTSUP;
    struct scaler *scaler = calloc(1, sizeof(*scaler));
    if (!scaler)
        return -ENOMEM;
    scaler->params = *params;
    *out_scaler = scaler;
    return 0;
}

void scaler_destroy(struct scaler *scaler) {
    if (!scaler)
        return;
    sws_freeContext(scaler->context);
    free(scaler->chroma);
    free(scaler);
}

/* What comes out: colours that were not asked for are those that came in, if they can be. */
static void describe(const struct scaler *scaler, const AVFrame *from, AVFrame *to) {
    const struct scaler_params *params = &scaler->params;
    enum AVColorSpace space;
    enum AVColorRange range;
    picture_colors(from, &space, &range);
    to->format = params->pixel_format;
    to->width = params->width ? params->width : from->width;
    to->height = params->height ? params->height : from->height;
    to->colorspace = params->color_space != AVCOL_SPC_RGB            ? params->color_space
                     : space == AVCOL_SPC_RGB && !is_rgb(to->format) ? AVCOL_SPC_UNSPECIFIED
                                                                     : space;
    to->color_range = is_grey(to->format) ? AVCOL_RANGE_JPEG /* libswscale writes no other */
                      : params->color_range != AVCOL_RANGE_UNSPECIFIED ? params->color_range
                      : is_rgb(from->format)                           ? AVCOL_RANGE_UNSPECIFIED
                                                                       : range;
    picture_colors(to, &space, &range);
    to->colorspace = space;
    to->color_range = range;
}

/* libswscale's number of a matrix; it has them all but RGB, where none is used. */
static const int *matrix(enum AVColorSpace space) {
    return sws_getCoefficients(space == AVCOL_SPC_RGB ? SWS_CS_DEFAULT : (int)space);
}

/* Ranges are given before the context is made: what is told later comes too late for its choice of
 * a path, and pictures of the same size or of more than 8 bits would keep the range they have. */
static struct SwsContext *make_context(const struct shape *from, const struct shape *to) {
    struct SwsContext *context = sws_alloc_context();
    if (!context)
        return NULL;
    const struct {
        const char *name;
        int value;
    } options[] = {
        {"srcw", from->width},
        {"srch", from->height},
        {"src_format", from->format},
        {"src_range", from->range == AVCOL_RANGE_JPEG},
        {"dstw", to->width},
        {"dsth", to->height},
        {"dst_format", to->format},
        {"dst_range", to->range == AVCOL_RANGE_JPEG},
        {"sws_flags", SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP},
    };
    int result = 0;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && result == 0; i++)
        result = av_opt_set_int(context, options[i].name, options[i].value, 0);
    if (result < 0 || sws_init_context(context, NULL, NULL) < 0) {
        sws_freeContext(context);
        return NULL;
    }
    /* Refused where neither side has a matrix: nothing is to be done then. */
    sws_setColorspaceDetails(context, matrix(from->space), from->range == AVCOL_RANGE_JPEG,
                             matrix(to->space), to->range == AVCOL_RANGE_JPEG, 0, 1 << 16, 1 << 16);
    return context;
}

static struct shape find_shape(const AVFrame *picture) {
    struct shape shape = {
        .width = picture->width, .height = picture->height, .format = picture->format};
    picture_colors(picture, &shape.space, &shape.range);
    return shape;
}

static bool is_same(const struct shape *a, const struct shape *b) {
    return a->width == b->width && a->height == b->height && a->format == b->format &&
           a->space == b->space && a->range == b->range;
}

static int prepare(struct scaler *scaler, const AVFrame *from, const AVFrame *to) {
    const struct shape from_shape = find_shape(from), to_shape = find_shape(to);
    if (scaler->context && is_same(&scaler->from, &from_shape) && is_same(&scaler->to, &to_shape))
        return 0;
    sws_freeContext(scaler->context);
    scaler->context = make_context(&from_shape, &to_shape);
    scaler->from = from_shape;
    scaler->to = to_shape;
    return scaler->context ? 0 : -ENOTSUP;
}

/* libswscale takes all grey pictures to be of full range. One that is not is shown to it as YUV
 * without colour. All samples of its chroma planes are alike, so that their lines may overlap. */
static int show_as_yuv(struct scaler *scaler, const AVFrame *grey, AVFrame *out_yuv) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(grey->format);
    const int depth = descriptor->comp[0].depth, width = grey->width;
    char name[32];
    snprintf(name, sizeof(name), "yuv444p%s", descriptor->name + strlen("gray"));
    out_yuv->format = av_get_pix_fmt(name);
    if (out_yuv->format == AV_PIX_FMT_NONE)
        return -ENOTSUP;
    const size_t samples =
        (size_t)width + (size_t)grey->height * LINE_BYTES / sizeof(uint16_t) + LINE_BYTES;
    uint16_t *chroma = realloc(scaler->chroma, samples * sizeof(*chroma));
    if (!chroma)
        return -ENOMEM;
    scaler->chroma = chroma;
    const uint16_t middle = (uint16_t)(1U << (depth - 1));
    const bool is_big_endian = descriptor->flags & AV_PIX_FMT_FLAG_BE;
    for (size_t i = 0; i < samples; i++)
        chroma[i] = depth == 8      ? (uint16_t)(middle << 8 | middle)
                    : is_big_endian ? av_be2ne16(middle)
                                    : av_le2ne16(middle);
    out_yuv->width = width;
    out_yuv->height = grey->height;
    out_yuv->colorspace = AVCOL_SPC_SMPTE170M; /* without colour, any */
    out_yuv->color_range = grey->color_range;
    out_yuv->data[0] = grey->data[0];
    out_yuv->linesize[0] = grey->linesize[0];
    out_yuv->data[1] = out_yuv->data[2] = (uint8_t *)chroma;
    out_yuv->linesize[1] = out_yuv->linesize[2] = LINE_BYTES;
    return 0;
}

static int convert(struct scaler *scaler, const AVFrame *from, AVFrame *to) {
    AVFrame yuv = {0};
    int result = 0;
    const bool is_float = av_pix_fmt_desc_get(from->format)->flags & AV_PIX_FMT_FLAG_FLOAT;
    if (is_grey(from->format) && !is_float && from->color_range == AVCOL_RANGE_MPEG) {
        result = show_as_yuv(scaler, from, &yuv);
        from = &yuv;
    }
    if (result == 0)
        result = prepare(scaler, from, to);
    if (result == 0 && sws_scale(scaler->context, (const uint8_t *const *)from->data,
                                 from->linesize, 0, from->height, to->data, to->linesize) <= 0)
        result = -ENOTSUP;
    return result;
}

int scaler_run(struct scaler *scaler, const AVFrame *from, AVFrame **out_frame) {
    AVFrame *to = av_frame_alloc();
    if (!to || av_frame_copy_props(to, from) < 0) {
        av_frame_free(&to);
        return -ENOMEM;
    }
    describe(scaler, from, to);
    int result = av_frame_get_buffer(to, 0) < 0 ? -ENOMEM : convert(scaler, from, to);
    if (result < 0)
        av_frame_free(&to);
    else
        *out_frame = to;
    return result;
}
