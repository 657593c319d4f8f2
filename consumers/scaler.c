#include "scaler.h"

#include "chroma.h"
#include "deep.h"
#include <errno.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdlib.h>
#include <string.h>

enum { SD_LINES = 576 };
static const int quick_flags = SWS_BILINEAR;
static const int exact_flags =
    SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;

/* All that a context depends on, of one of its sides. */
struct shape {
    int width, height;
    enum AVPixelFormat format;
    enum AVColorSpace space;
    enum AVColorRange range;
    int chroma_across, chroma_down; /* where its samples lie, in 256ths of a sample of luma */
};

struct scaler {
    struct scaler_params params;
    struct SwsContext *context; /* from pictures of shape `from` to those of shape `to` */
    struct shape from, to;
    struct chroma chroma;
};

static bool is_rgb(enum AVPixelFormat format) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    return descriptor && (descriptor->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
}

static bool is_grey(enum AVPixelFormat format) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    return descriptor && descriptor->nb_components <= 2 && !is_rgb(format);
}

/* Formats that are of full range by their name, or by custom. */
static bool is_full_unless_told(enum AVPixelFormat format) {
    const char *name = av_get_pix_fmt_name(format);
    return is_grey(format) || (name && strncmp(name, "yuvj", 4) == 0);
}

void colors_complete(enum AVPixelFormat format, int height, enum AVColorSpace *space,
                     enum AVColorRange *range) {
    if (is_rgb(format)) {
        *space = AVCOL_SPC_RGB;
        *range = AVCOL_RANGE_JPEG;
        return;
    }
    if (*space == AVCOL_SPC_RGB || *space == AVCOL_SPC_UNSPECIFIED || *space == AVCOL_SPC_RESERVED)
        *space = height <= SD_LINES ? AVCOL_SPC_SMPTE170M : AVCOL_SPC_BT709;
    if (*range == AVCOL_RANGE_UNSPECIFIED)
        *range = is_full_unless_told(format) ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
}

void picture_colors(const AVFrame *picture, enum AVColorSpace *out_space,
                    enum AVColorRange *out_range) {
    *out_space = picture->colorspace;
    *out_range = picture->color_range;
    colors_complete(picture->format, picture->height, out_space, out_range);
}

bool scaler_reads(enum AVPixelFormat format) {
    return format != AV_PIX_FMT_NONE && (sws_isSupportedInput(format) || chroma_reads(format));
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
    chroma_finish(&scaler->chroma);
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
static struct SwsContext *make_context(const struct shape *from, const struct shape *to,
                                       bool is_quick) {
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
        {"sws_flags", is_quick ? quick_flags : exact_flags},
        {"src_h_chr_pos", from->chroma_across},
        {"src_v_chr_pos", from->chroma_down},
        {"dst_h_chr_pos", to->chroma_across},
        {"dst_v_chr_pos", to->chroma_down},
    };
    enum { OPTIONS_QUICK = 9 }; /* without the places of chroma */
    const size_t count = is_quick ? OPTIONS_QUICK : sizeof(options) / sizeof(options[0]);
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
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

/* Unless it is told: left and between the lines, as MPEG-2 has it; in the middle, as JPEG has it,
 * where the range is full. */
static void place_chroma(struct shape *shape, enum AVChromaLocation location) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(shape->format);
    const int across = (128 << descriptor->log2_chroma_w) - 128;
    const int down = (128 << descriptor->log2_chroma_h) - 128;
    if (location == AVCHROMA_LOC_UNSPECIFIED)
        location = shape->range == AVCOL_RANGE_JPEG ? AVCHROMA_LOC_CENTER : AVCHROMA_LOC_LEFT;
    const bool is_left = location == AVCHROMA_LOC_LEFT || location == AVCHROMA_LOC_TOPLEFT ||
                         location == AVCHROMA_LOC_BOTTOMLEFT;
    const bool is_top = location == AVCHROMA_LOC_TOPLEFT || location == AVCHROMA_LOC_TOP;
    const bool is_bottom = location == AVCHROMA_LOC_BOTTOMLEFT || location == AVCHROMA_LOC_BOTTOM;
    shape->chroma_across = is_left ? 0 : across;
    shape->chroma_down = is_top ? 0 : is_bottom ? 2 * down : down;
}

static struct shape find_shape(const AVFrame *picture) {
    struct shape shape = {
        .width = picture->width, .height = picture->height, .format = picture->format};
    picture_colors(picture, &shape.space, &shape.range);
    place_chroma(&shape, picture->chroma_location);
    return shape;
}

static bool is_same(const struct shape *a, const struct shape *b) {
    return a->width == b->width && a->height == b->height && a->format == b->format &&
           a->space == b->space && a->range == b->range && a->chroma_across == b->chroma_across &&
           a->chroma_down == b->chroma_down;
}

static int prepare(struct scaler *scaler, const AVFrame *from, const AVFrame *to) {
    const struct shape from_shape = find_shape(from), to_shape = find_shape(to);
    if (scaler->context && is_same(&scaler->from, &from_shape) && is_same(&scaler->to, &to_shape))
        return 0;
    sws_freeContext(scaler->context);
    scaler->context = make_context(&from_shape, &to_shape, scaler->params.is_quick);
    scaler->from = from_shape;
    scaler->to = to_shape;
    return scaler->context ? 0 : -ENOTSUP;
}

int scaler_run_into(struct scaler *scaler, const AVFrame *from, AVFrame *to) {
    const AVFrame *const picture = from;
    AVFrame yuv = {0};
    int result = 0;
    if (chroma_is_needed(from)) {
        result = chroma_add(&scaler->chroma, from, &yuv);
        from = &yuv;
    }
    if (result == 0)
        result = prepare(scaler, from, to);
    if (result == 0 && sws_scale(scaler->context, (const uint8_t *const *)from->data,
                                 from->linesize, 0, from->height, to->data, to->linesize) <= 0)
        result = -ENOTSUP;
    if (result == 0 && !scaler->params.is_quick)
        deep_stretch(picture, to);
    return result;
}

int scaler_run(struct scaler *scaler, const AVFrame *from, AVFrame **out_frame) {
    AVFrame *to = av_frame_alloc();
    if (!to || av_frame_copy_props(to, from) < 0) {
        av_frame_free(&to);
        return -ENOMEM;
    }
    describe(scaler, from, to);
    int result = av_frame_get_buffer(to, 0) < 0 ? -ENOMEM : scaler_run_into(scaler, from, to);
    if (result < 0)
        av_frame_free(&to);
    else
        *out_frame = to;
    return result;
}
