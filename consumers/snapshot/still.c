#include "still.h"

#include "scaler.h"
#include "turn.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/common.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>

enum { SIDE_MAX = 65500, QUALITY_DEFAULT = 90, QSCALE_MAX = 31 };

struct stills {
    struct still_params params;
    struct scaler *scaler; /* for scaler_params */
    struct scaler_params scaler_params;
};

int stills_create(const struct still_params *params, struct stills **out_stills) {
    struct stills *stills = calloc(1, sizeof(*stills));
    if (!stills)
        return -ENOMEM;
    stills->params = *params;
    *out_stills = stills;
    return 0;
}

void stills_destroy(struct stills *stills) {
    if (!stills)
        return;
    scaler_destroy(stills->scaler);
    free(stills);
}

/* A size, and the shape of its pixels; 0/1: not known. */
struct extent {
    int64_t width, height;
    AVRational aspect;
};

static struct extent turn_extent(struct extent extent, int degrees) {
    if (degrees % 180 == 0)
        return extent;
    const bool is_known = extent.aspect.num > 0;
    return (struct extent){extent.height, extent.width,
                           is_known ? av_inv_q(extent.aspect) : extent.aspect};
}

/* What the file's picture is to be, the right way up, from what it is. */
static struct extent plan_extent(const struct still_params *params, struct extent from) {
    const bool is_known = from.aspect.num > 0 && from.aspect.den > 0;
    struct extent to = from;
    if (params->is_square && is_known) {
        if (av_cmp_q(from.aspect, (AVRational){1, 1}) > 0)
            to.width = av_rescale(from.width, from.aspect.num, from.aspect.den);
        else
            to.height = av_rescale(from.height, from.aspect.den, from.aspect.num);
        to.aspect = (AVRational){1, 1};
    } else if (params->width) {
        to.width = params->width;
        to.height = params->height;
        if (is_known)
            av_reduce(&to.aspect.num, &to.aspect.den, from.aspect.num * from.width * to.height,
                      from.aspect.den * to.width * from.height, INT32_MAX);
    }
    return to;
}

static bool is_jpeg_matrix(enum AVColorSpace space) {
    return space == AVCOL_SPC_BT470BG || space == AVCOL_SPC_SMPTE170M;
}

/* The same samples, if it is of full range. */
static enum AVPixelFormat without_range(enum AVPixelFormat format) {
    switch ((int)format) {
    case AV_PIX_FMT_YUVJ420P:
        return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
        return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
        return AV_PIX_FMT_YUV444P;
    }
    return format;
}

/* Whether its samples can stay as they are: JFIF's colours are BT.601's in full range, grey is full
 * in all files, and RGB is RGB. */
static bool is_fit(const struct stills *stills, const AVFrame *from, enum AVPixelFormat wanted) {
    enum AVColorSpace space;
    enum AVColorRange range;
    picture_colors(from, &space, &range);
    if (stills->params.type == STILL_JPEG)
        return without_range(from->format) == wanted && range == AVCOL_RANGE_JPEG &&
               is_jpeg_matrix(space);
    return from->format == wanted && range == AVCOL_RANGE_JPEG;
}

static int convert(struct stills *stills, const AVFrame *from, enum AVPixelFormat pixel_format,
                   const struct extent *to, AVFrame **out_frame) {
    const struct scaler_params params = {
        .pixel_format = pixel_format,
        .width = (int)to->width,
        .height = (int)to->height,
        .color_space =
            stills->params.type == STILL_JPEG ? AVCOL_SPC_BT470BG : AVCOL_SPC_UNSPECIFIED,
        .color_range = AVCOL_RANGE_JPEG,
    };
    const struct scaler_params *made = &stills->scaler_params;
    if (!stills->scaler || made->pixel_format != pixel_format || made->width != params.width ||
        made->height != params.height) {
        scaler_destroy(stills->scaler);
        stills->scaler = NULL;
        const int result = scaler_create(&params, &stills->scaler);
        if (result < 0)
            return result;
        stills->scaler_params = params;
    }
    return scaler_run(stills->scaler, from, out_frame);
}

static int turn(AVFrame **frame, int degrees) {
    AVFrame *turned;
    const int result = turn_run(*frame, degrees, &turned);
    if (result < 0)
        return result;
    av_frame_free(frame);
    *frame = turned;
    return 0;
}

int stills_fit(struct stills *stills, const AVFrame *from, int degrees, AVFrame **out_frame,
               unsigned *out_changes) {
    const struct extent was = {from->width, from->height, from->sample_aspect_ratio};
    const struct extent upright = plan_extent(&stills->params, turn_extent(was, degrees));
    if (upright.width < 1 || upright.height < 1 || upright.width > SIDE_MAX ||
        upright.height > SIDE_MAX)
        return -EINVAL;
    const struct extent wanted = turn_extent(upright, degrees);
    const enum AVPixelFormat format = still_type_choose(stills->params.type, from->format, degrees);
    const bool is_scaled = wanted.width != was.width || wanted.height != was.height;
    const bool is_converted = !is_fit(stills, from, format);
    AVFrame *frame = NULL;
    int result = 0;
    if (is_scaled || is_converted)
        result = convert(stills, from, format, &wanted, &frame);
    else if (!(frame = av_frame_clone(from)))
        result = -ENOMEM;
    if (result == 0 && degrees)
        result = turn(&frame, degrees);
    if (result < 0) {
        av_frame_free(&frame);
        return result;
    }
    frame->sample_aspect_ratio = upright.aspect;
    *out_frame = frame;
    *out_changes = (is_converted ? STILL_CONVERTED : 0U) | (is_scaled ? STILL_SCALED : 0U) |
                   (degrees ? STILL_TURNED : 0U);
    return 0;
}

static enum AVCodecID find_codec(enum still_type type, enum AVPixelFormat format) {
    const bool is_grey = format == AV_PIX_FMT_GRAY8 || format == AV_PIX_FMT_GRAY16BE;
    switch (type) {
    case STILL_JPEG:
        return AV_CODEC_ID_MJPEG;
    case STILL_PNM:
        return is_grey ? AV_CODEC_ID_PGM : AV_CODEC_ID_PPM;
    case STILL_PPM:
        return AV_CODEC_ID_PPM;
    case STILL_PGM:
        return AV_CODEC_ID_PGM;
    case STILL_PAM:
        return AV_CODEC_ID_PAM;
    case STILL_NONE:
    case STILL_PNG:
        break;
    }
    return AV_CODEC_ID_PNG;
}

/* libjpeg scales its tables by 5000/quality percent, or 200 - 2*quality from 50 on; FFmpeg scales
 * very similar ones by eighths. */
static int find_qscale(int quality) {
    const int wanted = quality ? quality : QUALITY_DEFAULT;
    const int percent = wanted < 50 ? 5000 / wanted : 200 - 2 * wanted;
    return av_clip((percent * 8 + 50) / 100, 1, QSCALE_MAX);
}

static void describe(AVCodecContext *context, const struct still_params *params,
                     const AVFrame *frame) {
    context->width = frame->width;
    context->height = frame->height;
    context->pix_fmt = frame->format;
    context->time_base = (AVRational){1, 1};
    context->sample_aspect_ratio = frame->sample_aspect_ratio;
    context->color_range = frame->color_range;
    context->colorspace = frame->colorspace;
    context->color_primaries = frame->color_primaries;
    context->color_trc = frame->color_trc;
    context->thread_count = 1;
    context->flags |= AV_CODEC_FLAG_BITEXACT; /* the encoder's version is no part of a picture */
    if (params->type == STILL_JPEG) {
        context->flags |= AV_CODEC_FLAG_QSCALE;
        context->qmin = 1;
        context->global_quality = FF_QP2LAMBDA * find_qscale(params->quality);
    }
}

/* FFmpeg's errors that are not an errno. */
static int to_errno(int error) {
    return error == AVERROR(ENOMEM) ? -ENOMEM : -ENOTSUP;
}

static int encode(AVCodecContext *context, const AVFrame *frame, AVPacket *packet) {
    AVFrame *input = av_frame_clone(frame);
    if (!input)
        return -ENOMEM;
    input->quality = context->global_quality;
    input->pts = 0;
    input->pict_type = AV_PICTURE_TYPE_NONE;
    int error = avcodec_send_frame(context, input);
    if (error == 0)
        error = avcodec_send_frame(context, NULL);
    if (error == 0)
        error = avcodec_receive_packet(context, packet);
    av_frame_free(&input);
    return error ? to_errno(error) : 0;
}

int stills_encode(const struct stills *stills, const AVFrame *frame, AVPacket **out_packet) {
    const AVCodec *codec = avcodec_find_encoder(find_codec(stills->params.type, frame->format));
    if (!codec)
        return -ENOTSUP;
    AVCodecContext *context = avcodec_alloc_context3(codec);
    AVPacket *packet = av_packet_alloc();
    int result = context && packet ? 0 : -ENOMEM;
    if (result == 0) {
        describe(context, &stills->params, frame);
        const int error = avcodec_open2(context, codec, NULL);
        result = error ? to_errno(error) : encode(context, frame, packet);
    }
    avcodec_free_context(&context);
    if (result < 0)
        av_packet_free(&packet);
    else
        *out_packet = packet;
    return result;
}
