/* AVFrame: the format that one has. */
#include "avframe.h"

#include "error.h"

#include <errno.h>
#include <libavutil/display.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <string.h>

/* Names that do not fit, and those for "not specified", leave the field empty. */
static void set_name(char *field, size_t bytes, const char *name, bool is_known) {
    const size_t length = is_known && name ? strlen(name) : 0;
    memset(field, 0, bytes);
    if (length < bytes)
        memcpy(field, name ? name : "", length);
}
#define SET_NAME(field, name, is_known) set_name(field, sizeof(field), name, is_known)

void avframe_format_set_colours(struct shmframe_video_format *video, enum AVColorRange range,
                                enum AVColorPrimaries primaries,
                                enum AVColorTransferCharacteristic transfer,
                                enum AVColorSpace space, enum AVChromaLocation location) {
    SET_NAME(video->color_range, av_color_range_name(range), range != AVCOL_RANGE_UNSPECIFIED);
    SET_NAME(video->color_primaries, av_color_primaries_name(primaries),
             primaries != AVCOL_PRI_UNSPECIFIED);
    SET_NAME(video->color_transfer, av_color_transfer_name(transfer),
             transfer != AVCOL_TRC_UNSPECIFIED);
    SET_NAME(video->color_space, av_color_space_name(space), space != AVCOL_SPC_UNSPECIFIED);
    SET_NAME(video->chroma_location, av_chroma_location_name(location),
             location != AVCHROMA_LOC_UNSPECIFIED);
}

static void from_hdr(struct shmframe_hdr *hdr, const AVFrame *frame) {
    const struct shmframe_rational unknown = {0, 0};
    const AVFrameSideData *side =
        av_frame_get_side_data(frame, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
    if (side) {
        const AVMasteringDisplayMetadata *const display = (const void *)side->data;
        for (int i = 0; i < 3 && display->has_primaries; i++) {
            hdr->primary_x[i] = avframe_from_rational(display->display_primaries[i][0], unknown);
            hdr->primary_y[i] = avframe_from_rational(display->display_primaries[i][1], unknown);
        }
        if (display->has_primaries) {
            hdr->white_x = avframe_from_rational(display->white_point[0], unknown);
            hdr->white_y = avframe_from_rational(display->white_point[1], unknown);
        }
        if (display->has_luminance) {
            hdr->luminance_min = avframe_from_rational(display->min_luminance, unknown);
            hdr->luminance_max = avframe_from_rational(display->max_luminance, unknown);
        }
    }
    side = av_frame_get_side_data(frame, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
    if (side) {
        const AVContentLightMetadata *const light = (const void *)side->data;
        hdr->content_light_max = light->MaxCLL;
        hdr->frame_average_max = light->MaxFALL;
    }
}

/* A display matrix is told as the nearest quarter turn; it has the turn counter-clockwise. */
static int32_t from_matrix(const AVFrame *frame) {
    const AVFrameSideData *const side = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    const double degrees =
        side ? -av_display_rotation_get((const int32_t *)(const void *)side->data) : 0;
    return isfinite(degrees) ? (int32_t)((lrint(degrees / 90) % 4 + 4) % 4 * 90) : 0;
}

bool shmframe_carries_side_data(int type) {
    return type == AV_FRAME_DATA_MASTERING_DISPLAY_METADATA ||
           type == AV_FRAME_DATA_CONTENT_LIGHT_LEVEL || type == AV_FRAME_DATA_DISPLAYMATRIX;
}

static uint32_t visible(int side, size_t before, size_t after) {
    const int64_t rest =
        (int64_t)side - (int64_t)(before & INT32_MAX) - (int64_t)(after & INT32_MAX);
    return rest > 0 ? (uint32_t)rest : 0;
}

static int from_picture(const AVFrame *frame, struct shmframe_format *out_format) {
    struct shmframe_format format;
    int result = shmframe_format_video(&format, av_get_pix_fmt_name(frame->format),
                                       visible(frame->width, frame->crop_left, frame->crop_right),
                                       visible(frame->height, frame->crop_top, frame->crop_bottom));
    if (result)
        return result;
    struct shmframe_video_format *const video = &format.video;
    avframe_format_set_colours(video, frame->color_range, frame->color_primaries, frame->color_trc,
                               frame->colorspace, frame->chroma_location);
    from_hdr(&video->hdr, frame);
    video->sample_aspect =
        avframe_from_rational(frame->sample_aspect_ratio, (struct shmframe_rational){0, 1});
    video->rotation_degrees = from_matrix(frame);
    if (avframe_is_interlaced(frame))
        video->field_order =
            avframe_is_top_field_first(frame) ? SHMFRAME_TOP_FIRST : SHMFRAME_BOTTOM_FIRST;
    result = shmframe_format_complete(&format);
    if (!result)
        *out_format = format;
    return result;
}

/* The layout's name where it has one that fits, nothing where the order is not specified. */
static void set_layout(struct shmframe_audio_format *audio, const AVChannelLayout *layout) {
    char text[sizeof audio->channel_layout];
    memset(audio->channel_layout, 0, sizeof audio->channel_layout);
    if (layout->order != AV_CHANNEL_ORDER_UNSPEC) {
        const int bytes = av_channel_layout_describe(layout, text, sizeof text);
        SET_NAME(audio->channel_layout, text, bytes > 0 && (size_t)bytes <= sizeof text);
    }
}

int avframe_format_of_sound(enum AVSampleFormat sample_format, const AVChannelLayout *layout,
                            int sample_rate, int samples_max, struct shmframe_format *out_format) {
    struct shmframe_format format;
    int result = shmframe_format_audio(&format, av_get_sample_fmt_name(sample_format),
                                       (uint32_t)layout->nb_channels, (uint32_t)sample_rate,
                                       (uint32_t)samples_max);
    if (!result) {
        set_layout(&format.audio, layout);
        result = shmframe_format_complete(&format);
    }
    if (!result)
        *out_format = format;
    return result;
}

int shmframe_format_from_avframe(const struct AVFrame *frame, struct shmframe_format *out_format) {
    if (frame->nb_samples > 0) {
        return avframe_format_of_sound(frame->format, &frame->ch_layout, frame->sample_rate,
                                       frame->nb_samples, out_format);
    }
    if (frame->width <= 0)
        return error_set(-EINVAL, "the AVFrame holds neither a picture nor sound");
    return from_picture(frame, out_format);
}
