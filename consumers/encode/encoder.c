#include "encoder.h"

#include "fault.h"

#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>

struct encoder {
    AVCodecContext *context;
    AVCodecParameters *parameters;
    AVPacket *packet;
    bool is_raw;
    uint64_t raw_in_place;
};

static void describe_picture(AVCodecContext *context, const struct encoder_params *params) {
    const AVFrame *frame = params->frame;
    context->pix_fmt = frame->format;
    context->width = frame->width;
    context->height = frame->height;
    context->sample_aspect_ratio = frame->sample_aspect_ratio;
    context->color_range = frame->color_range;
    context->color_primaries = frame->color_primaries;
    context->color_trc = frame->color_trc;
    context->colorspace = frame->colorspace;
    context->chroma_sample_location = frame->chroma_location;
    context->field_order = params->field_order;
    context->framerate = params->frame_rate;
    if (context->framerate.num <= 0) /* what rate control and levels go by */
        context->framerate = (AVRational){30, 1};
    if (params->field_order != AV_FIELD_PROGRESSIVE)
        context->flags |= AV_CODEC_FLAG_INTERLACED_DCT;
    const AVCodecDescriptor *descriptor = avcodec_descriptor_get(params->codec->id);
    if (params->key_frames > 0 && descriptor && !(descriptor->props & AV_CODEC_PROP_INTRA_ONLY))
        context->gop_size = params->key_frames;
    if (params->codec->capabilities &
        (AV_CODEC_CAP_FRAME_THREADS | AV_CODEC_CAP_SLICE_THREADS | AV_CODEC_CAP_OTHER_THREADS))
        context->thread_count = 0;
}

static int describe_sound(AVCodecContext *context, const AVFrame *frame) {
    context->sample_fmt = frame->format;
    context->sample_rate = frame->sample_rate;
    return av_channel_layout_copy(&context->ch_layout, &frame->ch_layout);
}

static int open_context(AVCodecContext *context, const struct encoder_params *params) {
    AVDictionary *options = NULL;
    context->time_base = params->time_base;
    if (params->format->flags & AVFMT_GLOBALHEADER)
        context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    int result = 0;
    if (params->codec->type == AVMEDIA_TYPE_VIDEO)
        describe_picture(context, params);
    else
        result = describe_sound(context, params->frame);
    if (result == 0)
        result = av_dict_copy(&options, params->choice->options, 0);
    if (result >= 0)
        result = avcodec_open2(context, params->codec, &options);
    av_dict_free(&options);
    if (result == AVERROR_EXPERIMENTAL)
        return fault_set(-EINVAL,
                         "%s is experimental in this FFmpeg: add strict=experimental, or "
                         "choose another encoder",
                         params->codec->name);
    if (result < 0)
        return fault_set(-EINVAL, "%s cannot be opened with these options and this format: %s",
                         params->codec->name, fault_describe(result));
    /* It holds no stamp below the first, which is that of sound: pictures cannot be decoded before
     * it. */
    if (context->has_b_frames > 0 && strcmp(params->format->name, "flv") == 0)
        return fault_set(-EINVAL,
                         "flv takes pictures only in the order in which they are shown: add bf=0 "
                         "to %s, or choose another --container",
                         params->codec->name);
    return 0;
}

int encoder_create(const struct encoder_params *params, struct encoder **out_encoder) {
    struct encoder *encoder = calloc(1, sizeof(*encoder));
    if (encoder) {
        encoder->context = avcodec_alloc_context3(params->codec);
        encoder->parameters = avcodec_parameters_alloc();
        encoder->packet = av_packet_alloc();
    }
    int result = fault_set(-ENOMEM, "no memory for an encoder");
    if (!encoder || !encoder->context || !encoder->parameters || !encoder->packet)
        goto fail;
    result = open_context(encoder->context, params);
    if (result < 0)
        goto fail;
    if (avcodec_parameters_from_context(encoder->parameters, encoder->context) < 0) {
        result = fault_set(-ENOMEM, "no memory for an encoder");
        goto fail;
    }
    encoder->is_raw =
        params->codec->id == AV_CODEC_ID_RAWVIDEO &&
        encoder->context->codec_tag == avcodec_pix_fmt_to_codec_tag(encoder->context->pix_fmt);
    *out_encoder = encoder;
    return 0;
fail:
    encoder_destroy(encoder);
    return result;
}

void encoder_destroy(struct encoder *encoder) {
    if (!encoder)
        return;
    avcodec_free_context(&encoder->context);
    avcodec_parameters_free(&encoder->parameters);
    av_packet_free(&encoder->packet);
    free(encoder);
}

/* --- Raw pictures ----------------------------------------------------------------------------- */

/* Bytes of the picture if its rows and planes lie one behind the other; 0: they do not. */
static int count_packed_bytes(const AVFrame *frame) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(frame->format);
    int line_bytes[4];
    if ((descriptor->flags & AV_PIX_FMT_FLAG_PAL) ||
        av_image_fill_linesizes(line_bytes, frame->format, frame->width) < 0)
        return 0;
    const uint8_t *next = frame->data[0];
    for (int i = 0; i < 4 && frame->data[i]; i++) {
        const bool is_chroma = i == 1 || i == 2;
        const int rows =
            is_chroma ? AV_CEIL_RSHIFT(frame->height, descriptor->log2_chroma_h) : frame->height;
        if (frame->data[i] != next || frame->linesize[i] != line_bytes[i])
            return 0;
        next += (ptrdiff_t)line_bytes[i] * rows;
    }
    const int bytes = av_image_get_buffer_size(frame->format, frame->width, frame->height, 1);
    return next - frame->data[0] == bytes ? bytes : 0;
}

/* A packet that is the slot's own memory, which nobody may write. 1: it was; 0: it cannot be. */
static int wrap_raw(struct encoder *encoder, const AVFrame *frame) {
    AVPacket *packet = encoder->packet;
    const bool is_slot = frame->buf[0] && !av_buffer_is_writable(frame->buf[0]);
    const int bytes =
        encoder->is_raw && frame->buf[0] && !frame->buf[1] ? count_packed_bytes(frame) : 0;
    if (bytes <= 0)
        return 0;
    packet->buf = av_buffer_ref(frame->buf[0]);
    if (!packet->buf)
        return AVERROR(ENOMEM);
    packet->data = frame->data[0];
    packet->size = bytes;
    packet->pts = packet->dts = frame->pts;
    packet->flags = AV_PKT_FLAG_KEY;
    encoder->raw_in_place += is_slot;
    return 1;
}

/* --- Encoding --------------------------------------------------------------------------------- */

static int take_packets(struct encoder *encoder, encoder_take *take, void *user) {
    for (;;) {
        const int result = avcodec_receive_packet(encoder->context, encoder->packet);
        if (result == AVERROR(EAGAIN) || result == AVERROR_EOF)
            return 0;
        if (result < 0)
            return fault_set(-EIO, "%s failed: %s", encoder->context->codec->name,
                             fault_describe(result));
        const int taken = take(user, encoder->packet);
        av_packet_unref(encoder->packet);
        if (taken < 0)
            return taken;
    }
}

int encoder_send(struct encoder *encoder, const AVFrame *frame, encoder_take *take, void *user) {
    const int wrapped = frame ? wrap_raw(encoder, frame) : 0;
    if (wrapped > 0) {
        const int taken = take(user, encoder->packet);
        av_packet_unref(encoder->packet);
        return taken;
    }
    /* All packets are taken each time, so it is never full. */
    const int result = wrapped < 0 ? wrapped : avcodec_send_frame(encoder->context, frame);
    if (result < 0 && result != AVERROR_EOF)
        return fault_set(-EIO, "%s failed: %s", encoder->context->codec->name,
                         fault_describe(result));
    return take_packets(encoder, take, user);
}

const AVCodecContext *encoder_context(const struct encoder *encoder) {
    return encoder->context;
}

const AVCodecParameters *encoder_parameters(const struct encoder *encoder) {
    return encoder->parameters;
}

uint64_t encoder_raw_in_place(const struct encoder *encoder) {
    return encoder->raw_in_place;
}
