#include "shape.h"

#include <libavutil/pixdesc.h>
#include <string.h>

static AVRational to_rational(struct shmframe_rational value) {
    return (AVRational){value.num, value.den};
}

static bool describe_picture(AVFrame *frame, const struct shmframe_video_format *video) {
    const int range = av_color_range_from_name(video->color_range);
    const int primaries = av_color_primaries_from_name(video->color_primaries);
    const int transfer = av_color_transfer_from_name(video->color_transfer);
    const int space = av_color_space_from_name(video->color_space);
    const int location = av_chroma_location_from_name(video->chroma_location);
    frame->format = av_get_pix_fmt(video->pixel_format);
    frame->width = (int)video->width;
    frame->height = (int)video->height;
    frame->sample_aspect_ratio = to_rational(video->sample_aspect);
    frame->color_range = range < 0 ? AVCOL_RANGE_UNSPECIFIED : (enum AVColorRange)range;
    frame->color_primaries =
        primaries < 0 ? AVCOL_PRI_UNSPECIFIED : (enum AVColorPrimaries)primaries;
    frame->color_trc =
        transfer < 0 ? AVCOL_TRC_UNSPECIFIED : (enum AVColorTransferCharacteristic)transfer;
    frame->colorspace = space < 0 ? AVCOL_SPC_UNSPECIFIED : (enum AVColorSpace)space;
    frame->chroma_location =
        location < 0 ? AVCHROMA_LOC_UNSPECIFIED : (enum AVChromaLocation)location;
    return frame->format != AV_PIX_FMT_NONE;
}

/* An order that is not specified is taken as the usual one. */
static bool describe_sound(AVFrame *frame, const struct shmframe_audio_format *audio) {
    const int channels = (int)audio->channels;
    frame->format = av_get_sample_fmt(audio->sample_format);
    frame->sample_rate = (int)audio->sample_rate;
    frame->nb_samples = (int)audio->samples_max;
    if (!audio->channel_layout[0] ||
        av_channel_layout_from_string(&frame->ch_layout, audio->channel_layout) < 0 ||
        frame->ch_layout.nb_channels != channels) {
        av_channel_layout_uninit(&frame->ch_layout);
        av_channel_layout_default(&frame->ch_layout, channels);
    }
    return frame->format != AV_SAMPLE_FMT_NONE;
}

AVFrame *shape_create(const struct shmframe_format *format) {
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    const bool is_known = format->kind == SHMFRAME_VIDEO ? describe_picture(frame, &format->video)
                                                         : describe_sound(frame, &format->audio);
    if (!is_known)
        av_frame_free(&frame);
    return frame;
}

static bool is_equal_ratio(struct shmframe_rational a, struct shmframe_rational b) {
    return (int64_t)a.num * b.den == (int64_t)b.num * a.den;
}

static bool is_equal_picture(const struct shmframe_video_format *a,
                             const struct shmframe_video_format *b) {
    return a->width == b->width && a->height == b->height && a->field_order == b->field_order &&
           a->rotation_degrees == b->rotation_degrees &&
           is_equal_ratio(a->sample_aspect, b->sample_aspect) &&
           strcmp(a->pixel_format, b->pixel_format) == 0 &&
           strcmp(a->color_range, b->color_range) == 0 &&
           strcmp(a->color_primaries, b->color_primaries) == 0 &&
           strcmp(a->color_transfer, b->color_transfer) == 0 &&
           strcmp(a->color_space, b->color_space) == 0 &&
           strcmp(a->chroma_location, b->chroma_location) == 0 &&
           memcmp(&a->hdr, &b->hdr, sizeof(a->hdr)) == 0;
}

bool shape_is_equal(const struct shmframe_format *a, const struct shmframe_format *b) {
    if (a->kind != b->kind)
        return false;
    if (a->kind == SHMFRAME_VIDEO)
        return is_equal_picture(&a->video, &b->video);
    return a->audio.sample_rate == b->audio.sample_rate && a->audio.channels == b->audio.channels &&
           strcmp(a->audio.sample_format, b->audio.sample_format) == 0 &&
           strcmp(a->audio.channel_layout, b->audio.channel_layout) == 0;
}

enum AVFieldOrder shape_field_order(const struct shmframe_format *format) {
    switch ((enum shmframe_field_order)format->video.field_order) {
    case SHMFRAME_PROGRESSIVE:
        return AV_FIELD_PROGRESSIVE;
    case SHMFRAME_TOP_FIRST:
        return AV_FIELD_TT;
    case SHMFRAME_BOTTOM_FIRST:
        return AV_FIELD_BB;
    }
    return AV_FIELD_UNKNOWN;
}
