/* AVFrame: a lease as one, and its content in a loan. */
#include "avframe.h"

#include "error.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixdesc.h>
#include <shmframe/reader.h>
#include <stdlib.h>
#include <string.h>

static_assert(SHMFRAME_NO_PTS == AV_NOPTS_VALUE, "one value means that there is no pts");

/* --- A lease as an AVFrame -------------------------------------------------------------------- */

static int find_or(int found, int unknown) {
    return found < 0 ? unknown : found;
}

static void to_colours(AVFrame *frame, const struct shmframe_video_format *video) {
    frame->color_range = (enum AVColorRange)find_or(av_color_range_from_name(video->color_range),
                                                    AVCOL_RANGE_UNSPECIFIED);
    frame->color_primaries = (enum AVColorPrimaries)find_or(
        av_color_primaries_from_name(video->color_primaries), AVCOL_PRI_UNSPECIFIED);
    frame->color_trc = (enum AVColorTransferCharacteristic)find_or(
        av_color_transfer_from_name(video->color_transfer), AVCOL_TRC_UNSPECIFIED);
    frame->colorspace = (enum AVColorSpace)find_or(av_color_space_from_name(video->color_space),
                                                   AVCOL_SPC_UNSPECIFIED);
    frame->chroma_location = (enum AVChromaLocation)find_or(
        av_chroma_location_from_name(video->chroma_location), AVCHROMA_LOC_UNSPECIFIED);
}

static int to_hdr(AVFrame *frame, const struct shmframe_hdr *hdr) {
    const bool has_primaries = hdr->primary_x[0].num > 0;
    const bool has_luminance = hdr->luminance_max.num > 0;
    if (has_primaries || has_luminance) {
        AVMasteringDisplayMetadata *const display =
            av_mastering_display_metadata_create_side_data(frame);
        if (!display)
            return -ENOMEM;
        for (int i = 0; i < 3 && has_primaries; i++) {
            display->display_primaries[i][0] = avframe_to_rational(hdr->primary_x[i]);
            display->display_primaries[i][1] = avframe_to_rational(hdr->primary_y[i]);
        }
        if (has_primaries) {
            display->white_point[0] = avframe_to_rational(hdr->white_x);
            display->white_point[1] = avframe_to_rational(hdr->white_y);
        }
        if (has_luminance) {
            display->min_luminance = avframe_to_rational(hdr->luminance_min);
            display->max_luminance = avframe_to_rational(hdr->luminance_max);
        }
        display->has_primaries = has_primaries;
        display->has_luminance = has_luminance;
    }
    if (hdr->content_light_max || hdr->frame_average_max) {
        AVContentLightMetadata *const light = av_content_light_metadata_create_side_data(frame);
        if (!light)
            return -ENOMEM;
        light->MaxCLL = hdr->content_light_max;
        light->MaxFALL = hdr->frame_average_max;
    }
    return 0;
}

static int to_matrix(AVFrame *frame, int32_t rotation_degrees) {
    if (!rotation_degrees)
        return 0;
    AVFrameSideData *const side =
        av_frame_new_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX, 9 * sizeof(int32_t));
    if (!side)
        return -ENOMEM;
    av_display_rotation_set((int32_t *)(void *)side->data, rotation_degrees);
    return 0;
}

static void release_lease(void *opaque, uint8_t *data) {
    (void)data;
    struct shmframe_lease *const lease = opaque;
    shmframe_reader_release(lease->reader, lease);
    free(lease);
}

static int describe_picture(AVFrame *frame, const struct shmframe_lease *lease) {
    const struct shmframe_video_format *const video = &lease->format->video;
    const AVPixFmtDescriptor *descriptor;
    frame->format = av_get_pix_fmt(video->pixel_format);
    if (!(descriptor = av_pix_fmt_desc_get(frame->format))) {
        return error_set(-ENOTSUP, "pixel format \"%s\" is unknown to this FFmpeg: use a newer one",
                         video->pixel_format);
    }
    frame->width = (int)video->width;
    frame->height = (int)video->height;
    frame->sample_aspect_ratio = avframe_to_rational(video->sample_aspect);
    for (uint32_t i = 0; i < lease->format->plane_count; i++) {
        const bool is_palette = i == 1 && (descriptor->flags & AV_PIX_FMT_FLAG_PAL);
        frame->data[i] = (uint8_t *)lease->data + lease->format->plane[i].offset;
        frame->linesize[i] = is_palette ? 0 : (int)lease->format->plane[i].line_bytes;
    }
    avframe_set_flags(frame, lease->frame.flags & SHMFRAME_INTERLACED,
                      lease->frame.flags & SHMFRAME_TOP_FIELD_FIRST);
    to_colours(frame, video);
    const int result = to_hdr(frame, &video->hdr);
    return result ? result : to_matrix(frame, video->rotation_degrees);
}

static int describe_sound(AVFrame *frame, const struct shmframe_lease *lease) {
    const struct shmframe_audio_format *const audio = &lease->format->audio;
    const uint32_t planes = lease->format->plane_count;
    frame->format = av_get_sample_fmt(audio->sample_format);
    if (frame->format == AV_SAMPLE_FMT_NONE) {
        return error_set(-ENOTSUP,
                         "sample format \"%s\" is unknown to this FFmpeg: use a newer one",
                         audio->sample_format);
    }
    if (!audio->channel_layout[0] ||
        av_channel_layout_from_string(&frame->ch_layout, audio->channel_layout) < 0 ||
        frame->ch_layout.nb_channels != (int)audio->channels) {
        av_channel_layout_uninit(&frame->ch_layout);
        frame->ch_layout = (AVChannelLayout){
            .order = AV_CHANNEL_ORDER_UNSPEC,
            .nb_channels = (int)audio->channels,
        };
    }
    frame->sample_rate = (int)audio->sample_rate;
    frame->nb_samples = (int)lease->frame.samples;
    frame->linesize[0] = (int)lease->format->plane[0].line_bytes;
    if (planes > AV_NUM_DATA_POINTERS) {
        frame->extended_data = av_calloc(planes, sizeof *frame->extended_data);
        if (!frame->extended_data) {
            frame->extended_data = frame->data;
            return -ENOMEM;
        }
    }
    for (uint32_t i = 0; i < planes; i++) {
        frame->extended_data[i] = (uint8_t *)lease->data + lease->format->plane[i].offset;
        if (i < AV_NUM_DATA_POINTERS)
            frame->data[i] = frame->extended_data[i];
    }
    return 0;
}

int shmframe_avframe_from_lease(struct shmframe_lease *lease, struct AVFrame **out_frame) {
    if (lease->format->kind != SHMFRAME_VIDEO && lease->format->kind != SHMFRAME_AUDIO) {
        return error_set(-EINVAL,
                         "stream %s has data, which an AVFrame cannot hold: read the lease",
                         lease->stream);
    }
    AVFrame *frame = av_frame_alloc();
    struct shmframe_lease *const kept = malloc(sizeof *kept);
    int result = -ENOMEM;
    if (!frame || !kept)
        goto fail;
    *kept = *lease;
    result = lease->format->kind == SHMFRAME_VIDEO ? describe_picture(frame, lease)
                                                   : describe_sound(frame, lease);
    if (result)
        goto fail;
    frame->pts = lease->frame.pts;
    frame->time_base = avframe_to_rational(lease->format->time_base);
    avframe_set_duration(frame, lease->frame.duration);
    /* FFmpeg writes only what it holds alone and may write: this is neither. */
    frame->buf[0] = av_buffer_create((uint8_t *)lease->data, lease->format->slot_bytes,
                                     release_lease, kept, AV_BUFFER_FLAG_READONLY);
    if (!frame->buf[0]) {
        result = -ENOMEM;
        goto fail;
    }
    memset(lease, 0, sizeof *lease);
    *out_frame = frame;
    return 0;
fail:
    free(kept);
    av_frame_free(&frame);
    return result == -ENOMEM ? error_set(-ENOMEM, "no memory for an AVFrame") : result;
}

/* --- An AVFrame's content --------------------------------------------------------------------- */

static int check_picture_fits(const struct shmframe_format *format, const AVFrame *frame) {
    const struct shmframe_video_format *const video = &format->video;
    if (format->kind != SHMFRAME_VIDEO || frame->format != av_get_pix_fmt(video->pixel_format) ||
        frame->width != (int)video->width || frame->height != (int)video->height) {
        const char *const name = av_get_pix_fmt_name(frame->format);
        char text[128];
        shmframe_format_describe(format, text, sizeof text);
        return error_set(-EINVAL,
                         "a picture of %dx%d %s does not fit the stream's %s: change its format "
                         "first",
                         frame->width, frame->height, name ? name : "unknown pixels", text);
    }
    return 0;
}

static int copy_picture(struct shmframe_loan *loan, const AVFrame *frame) {
    const int result = check_picture_fits(loan->format, frame);
    if (result)
        return result;
    uint8_t *data[4] = {0};
    const uint8_t *from[4] = {0};
    int line_bytes[4] = {0};
    for (uint32_t i = 0; i < loan->format->plane_count && i < 4; i++) {
        data[i] = loan->data + loan->format->plane[i].offset;
        from[i] = frame->data[i];
        line_bytes[i] = (int)loan->format->plane[i].line_bytes;
    }
    av_image_copy(data, line_bytes, from, frame->linesize, frame->format, frame->width,
                  frame->height);
    return 0;
}

static int copy_sound(struct shmframe_loan *loan, const AVFrame *frame) {
    const struct shmframe_audio_format *const audio = &loan->format->audio;
    if (loan->format->kind != SHMFRAME_AUDIO ||
        frame->format != av_get_sample_fmt(audio->sample_format) ||
        frame->ch_layout.nb_channels != (int)audio->channels ||
        frame->sample_rate != (int)audio->sample_rate ||
        (uint32_t)frame->nb_samples > audio->samples_max) {
        const char *const name = av_get_sample_fmt_name(frame->format);
        char text[128];
        shmframe_format_describe(loan->format, text, sizeof text);
        return error_set(-EINVAL,
                         "%d samples of %d Hz, %d channels, %s do not fit the stream's %s: change "
                         "its format first",
                         frame->nb_samples, frame->sample_rate, frame->ch_layout.nb_channels,
                         name ? name : "unknown samples", text);
    }
    uint8_t *data[SHMFRAME_PLANES_MAX] = {0};
    for (uint32_t i = 0; i < loan->format->plane_count; i++)
        data[i] = loan->data + loan->format->plane[i].offset;
    av_samples_copy(data, frame->extended_data, 0, 0, frame->nb_samples,
                    frame->ch_layout.nb_channels, frame->format);
    loan->frame.samples = (uint32_t)frame->nb_samples;
    return 0;
}

/* A reference to `frame` whose data begin at the visible picture. */
static AVFrame *crop_frame(const AVFrame *frame) {
    AVFrame *cropped = av_frame_clone(frame);
    if (cropped && av_frame_apply_cropping(cropped, AV_FRAME_CROP_UNALIGNED) < 0)
        av_frame_free(&cropped);
    return cropped;
}

int shmframe_loan_copy_avframe(struct shmframe_loan *loan, const struct AVFrame *frame) {
    int result;
    if (frame->nb_samples > 0) {
        result = copy_sound(loan, frame);
    } else if (frame->crop_left || frame->crop_top || frame->crop_right || frame->crop_bottom) {
        AVFrame *cropped = crop_frame(frame);
        result = cropped ? copy_picture(loan, cropped)
                         : error_set(-EINVAL, "the AVFrame's crop is larger than its picture");
        av_frame_free(&cropped);
    } else {
        result = copy_picture(loan, frame);
    }
    if (!result)
        avframe_take_stamps(loan, frame);
    return result;
}
