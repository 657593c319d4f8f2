#include "scaler.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SD_LINES = 576 };

struct scaler {
    struct scaler_params params;
    struct SwsContext *context;
};

static bool is_rgb(enum AVPixelFormat format) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    return descriptor && (descriptor->flags & AV_PIX_FMT_FLAG_RGB);
}

/* Formats that are of full range by their name. */
static bool is_full_by_name(enum AVPixelFormat format) {
    const char *name = av_get_pix_fmt_name(format);
    return name && strncmp(name, "yuvj", 4) == 0;
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
    to->color_range = params->color_range != AVCOL_RANGE_UNSPECIFIED ? params->color_range
                      : is_rgb(from->format)                         ? AVCOL_RANGE_UNSPECIFIED
                                                                     : range;
    picture_colors(to, &space, &range);
    to->colorspace = space;
    to->color_range = range;
}

/* libswscale's number of a matrix; it has them all but RGB, where none is used. */
static const int *matrix(enum AVColorSpace space) {
    return sws_getCoefficients(space == AVCOL_SPC_RGB ? SWS_CS_DEFAULT : (int)space);
}

static int prepare(struct scaler *scaler, const AVFrame *from, const AVFrame *to) {
    enum AVColorSpace space;
    enum AVColorRange range;
    picture_colors(from, &space, &range);
    scaler->context = sws_getCachedContext(
        scaler->context, from->width, from->height, from->format, to->width, to->height, to->format,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    if (!scaler->context)
        return -ENOTSUP;
    /* Refused where neither side has a matrix: nothing is to be done then. */
    sws_setColorspaceDetails(scaler->context, matrix(space), range == AVCOL_RANGE_JPEG,
                             matrix(to->colorspace), to->color_range == AVCOL_RANGE_JPEG, 0,
                             1 << 16, 1 << 16);
    return 0;
}

int scaler_run(struct scaler *scaler, const AVFrame *from, AVFrame **out_frame) {
    AVFrame *to = av_frame_alloc();
    if (!to || av_frame_copy_props(to, from) < 0) {
        av_frame_free(&to);
        return -ENOMEM;
    }
    describe(scaler, from, to);
    int result = prepare(scaler, from, to);
    if (result == 0 && av_frame_get_buffer(to, 0) < 0)
        result = -ENOMEM;
    if (result == 0 && sws_scale(scaler->context, (const uint8_t *const *)from->data,
                                 from->linesize, 0, from->height, to->data, to->linesize) <= 0)
        result = -ENOTSUP;
    if (result < 0)
        av_frame_free(&to);
    else
        *out_frame = to;
    return result;
}
