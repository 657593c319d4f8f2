#include <shmframe/avframe.h>

#include "error.h"
#include "format.h"
#include "writer.h"

#include <assert.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* FFmpeg 6.1 gathered single ints into AVFrame.flags, 6.0 renamed the duration. */
#define HAS_FRAME_FLAGS    (LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100))
#define HAS_FRAME_DURATION (LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100))

static_assert(SHMFRAME_NO_PTS == AV_NOPTS_VALUE, "one value means that there is no pts");

/* --- What differs between versions of FFmpeg -------------------------------------------------- */

static bool is_interlaced(const AVFrame *frame) {
#if HAS_FRAME_FLAGS
    return frame->flags & AV_FRAME_FLAG_INTERLACED;
#else
    return frame->interlaced_frame;
#endif
}

static bool is_top_field_first(const AVFrame *frame) {
#if HAS_FRAME_FLAGS
    return frame->flags & AV_FRAME_FLAG_TOP_FIELD_FIRST;
#else
    return frame->top_field_first;
#endif
}

static void set_flags(AVFrame *frame, bool interlaced, bool top_field_first) {
#if HAS_FRAME_FLAGS
    frame->flags |= AV_FRAME_FLAG_KEY;
    frame->flags |= interlaced ? AV_FRAME_FLAG_INTERLACED : 0;
    frame->flags |= top_field_first ? AV_FRAME_FLAG_TOP_FIELD_FIRST : 0;
#else
    frame->key_frame = 1;
    frame->interlaced_frame = interlaced;
    frame->top_field_first = top_field_first;
#endif
}

static int64_t get_duration(const AVFrame *frame) {
#if HAS_FRAME_DURATION
    return frame->duration;
#else
    return frame->pkt_duration;
#endif
}

static void set_duration(AVFrame *frame, int64_t duration) {
#if HAS_FRAME_DURATION
    frame->duration = duration;
#else
    frame->pkt_duration = duration;
#endif
}

/* --- Small conversions ------------------------------------------------------------------------ */

/* A value that is not known, or makes no sense, becomes `unknown`. */
static struct shmframe_rational from_rational(AVRational value, struct shmframe_rational unknown) {
    return value.num > 0 && value.den > 0 ? (struct shmframe_rational){value.num, value.den}
                                          : unknown;
}

static AVRational to_rational(struct shmframe_rational value) {
    return (AVRational){value.num, value.den};
}

/* Names that do not fit, and those for "not specified", leave the field empty. */
static void set_name(char *field, size_t bytes, const char *name, bool is_known) {
    const size_t length = is_known && name ? strlen(name) : 0;
    memset(field, 0, bytes);
    if (length < bytes)
        memcpy(field, name ? name : "", length);
}
#define SET_NAME(field, name, is_known) set_name(field, sizeof(field), name, is_known)

static void from_colours(struct shmframe_video_format *video, enum AVColorRange range,
                         enum AVColorPrimaries primaries,
                         enum AVColorTransferCharacteristic transfer, enum AVColorSpace space,
                         enum AVChromaLocation location) {
    SET_NAME(video->color_range, av_color_range_name(range), range != AVCOL_RANGE_UNSPECIFIED);
    SET_NAME(video->color_primaries, av_color_primaries_name(primaries),
             primaries != AVCOL_PRI_UNSPECIFIED);
    SET_NAME(video->color_transfer, av_color_transfer_name(transfer),
             transfer != AVCOL_TRC_UNSPECIFIED);
    SET_NAME(video->color_space, av_color_space_name(space), space != AVCOL_SPC_UNSPECIFIED);
    SET_NAME(video->chroma_location, av_chroma_location_name(location),
             location != AVCHROMA_LOC_UNSPECIFIED);
}

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

static void from_hdr(struct shmframe_hdr *hdr, const AVFrame *frame) {
    const struct shmframe_rational unknown = {0, 0};
    const AVFrameSideData *side =
        av_frame_get_side_data(frame, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
    if (side) {
        const AVMasteringDisplayMetadata *const display = (const void *)side->data;
        for (int i = 0; i < 3 && display->has_primaries; i++) {
            hdr->primary_x[i] = from_rational(display->display_primaries[i][0], unknown);
            hdr->primary_y[i] = from_rational(display->display_primaries[i][1], unknown);
        }
        if (display->has_primaries) {
            hdr->white_x = from_rational(display->white_point[0], unknown);
            hdr->white_y = from_rational(display->white_point[1], unknown);
        }
        if (display->has_luminance) {
            hdr->luminance_min = from_rational(display->min_luminance, unknown);
            hdr->luminance_max = from_rational(display->max_luminance, unknown);
        }
    }
    side = av_frame_get_side_data(frame, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
    if (side) {
        const AVContentLightMetadata *const light = (const void *)side->data;
        hdr->content_light_max = light->MaxCLL;
        hdr->frame_average_max = light->MaxFALL;
    }
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
            display->display_primaries[i][0] = to_rational(hdr->primary_x[i]);
            display->display_primaries[i][1] = to_rational(hdr->primary_y[i]);
        }
        if (has_primaries) {
            display->white_point[0] = to_rational(hdr->white_x);
            display->white_point[1] = to_rational(hdr->white_y);
        }
        if (has_luminance) {
            display->min_luminance = to_rational(hdr->luminance_min);
            display->max_luminance = to_rational(hdr->luminance_max);
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

/* A display matrix is told as the nearest quarter turn; it has the turn counter-clockwise. */
static int32_t from_matrix(const AVFrame *frame) {
    const AVFrameSideData *const side = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    const double degrees =
        side ? -av_display_rotation_get((const int32_t *)(const void *)side->data) : 0;
    return isfinite(degrees) ? (int32_t)((lrint(degrees / 90) % 4 + 4) % 4 * 90) : 0;
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

/* --- A lease as an AVFrame -------------------------------------------------------------------- */

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
    frame->sample_aspect_ratio = to_rational(video->sample_aspect);
    for (uint32_t i = 0; i < lease->format->plane_count; i++) {
        const bool is_palette = i == 1 && (descriptor->flags & AV_PIX_FMT_FLAG_PAL);
        frame->data[i] = (uint8_t *)lease->data + lease->format->plane[i].offset;
        frame->linesize[i] = is_palette ? 0 : (int)lease->format->plane[i].line_bytes;
    }
    set_flags(frame, lease->frame.flags & SHMFRAME_INTERLACED,
              video->field_order == SHMFRAME_TOP_FIRST);
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
    frame->time_base = to_rational(lease->format->time_base);
    set_duration(frame, lease->frame.duration);
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

/* --- An AVFrame's format ---------------------------------------------------------------------- */

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
    from_colours(video, frame->color_range, frame->color_primaries, frame->color_trc,
                 frame->colorspace, frame->chroma_location);
    from_hdr(&video->hdr, frame);
    video->sample_aspect =
        from_rational(frame->sample_aspect_ratio, (struct shmframe_rational){0, 1});
    video->rotation_degrees = from_matrix(frame);
    if (is_interlaced(frame))
        video->field_order = is_top_field_first(frame) ? SHMFRAME_TOP_FIRST : SHMFRAME_BOTTOM_FIRST;
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

static int from_sound(enum AVSampleFormat sample_format, const AVChannelLayout *layout,
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
        return from_sound(frame->format, &frame->ch_layout, frame->sample_rate, frame->nb_samples,
                          out_format);
    }
    if (frame->width <= 0)
        return error_set(-EINVAL, "the AVFrame holds neither a picture nor sound");
    return from_picture(frame, out_format);
}

/* --- An AVFrame's content --------------------------------------------------------------------- */

/* In the stream's unit, if the frame says what its own is. */
static int64_t to_stream_time(const AVFrame *frame, const struct shmframe_format *format,
                              int64_t value) {
    const AVRational unit = to_rational(format->time_base);
    if (value == AV_NOPTS_VALUE || frame->time_base.num <= 0 || frame->time_base.den <= 0)
        return value;
    return av_rescale_q(value, frame->time_base, unit);
}

static void take_stamps(struct shmframe_loan *loan, const AVFrame *frame) {
    const int64_t pts = frame->pts != AV_NOPTS_VALUE ? frame->pts : frame->best_effort_timestamp;
    loan->frame.pts = to_stream_time(frame, loan->format, pts);
    loan->frame.duration = to_stream_time(frame, loan->format, get_duration(frame));
    if (is_interlaced(frame))
        loan->frame.flags |= SHMFRAME_INTERLACED;
}

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
        take_stamps(loan, frame);
    return result;
}

/* --- A decoder's format ----------------------------------------------------------------------- */

/* As wide as it takes for every line to be aligned by itself, which keeps the lines of all planes
 * in the proportion that decoders are used to. */
static int widen(enum AVPixelFormat pixel_format, int width) {
    for (int wide = width; wide <= SHMFRAME_CODED_SIDE_MAX; wide += wide & -wide) {
        int lines[4];
        bool is_aligned = av_image_fill_linesizes(lines, pixel_format, wide) >= 0;
        for (int i = 0; i < 4; i++)
            is_aligned = is_aligned && lines[i] % SHMFRAME_LINE_ALIGN == 0;
        if (is_aligned)
            return wide;
    }
    return width;
}

/* Width and height in memory that the decoder wants for a picture of a coded size. */
static void find_coded_size(AVCodecContext *codec, enum AVPixelFormat pixel_format, int *width,
                            int *height) {
    int line_align[AV_NUM_DATA_POINTERS];
    avcodec_align_dimensions2(codec, width, height, line_align);
    *width = widen(pixel_format, *width);
}

static int larger(int a, int b) {
    return a > b ? a : b;
}

static int from_video_decoder(AVCodecContext *codec, struct shmframe_format *out_format) {
    if (codec->pix_fmt == AV_PIX_FMT_NONE || codec->width <= 0 || codec->height <= 0) {
        return error_set(-EINVAL, "the decoder does not know its picture yet: let it decode one "
                                  "frame before, or give it the demuxer's parameters");
    }
    struct shmframe_format format;
    int result = shmframe_format_video(&format, av_get_pix_fmt_name(codec->pix_fmt),
                                       (uint32_t)codec->width, (uint32_t)codec->height);
    if (result)
        return result;
    int width = larger(codec->width, AV_CEIL_RSHIFT(codec->coded_width, codec->lowres));
    int height = larger(codec->height, AV_CEIL_RSHIFT(codec->coded_height, codec->lowres));
    find_coded_size(codec, codec->pix_fmt, &width, &height);
    struct shmframe_video_format *const video = &format.video;
    video->coded_width = (uint32_t)width;
    video->coded_height = (uint32_t)height;
    const struct shmframe_rational unknown = {0, 1};
    video->frame_rate = from_rational(codec->framerate, unknown);
    video->sample_aspect = from_rational(codec->sample_aspect_ratio, unknown);
    from_colours(video, codec->color_range, codec->color_primaries, codec->color_trc,
                 codec->colorspace, codec->chroma_sample_location);
    if (codec->field_order == AV_FIELD_TT || codec->field_order == AV_FIELD_TB)
        video->field_order = SHMFRAME_TOP_FIRST;
    else if (codec->field_order == AV_FIELD_BB || codec->field_order == AV_FIELD_BT)
        video->field_order = SHMFRAME_BOTTOM_FIRST;
    format.time_base = from_rational(codec->pkt_timebase, format.time_base);
    format.plane_count = 0;
    result = shmframe_format_complete(&format);
    if (!result)
        *out_format = format;
    return result;
}

int shmframe_format_from_decoder(struct AVCodecContext *codec, struct shmframe_format *out_format) {
    if (codec->codec_type == AVMEDIA_TYPE_VIDEO)
        return from_video_decoder(codec, out_format);
    if (codec->codec_type != AVMEDIA_TYPE_AUDIO)
        return error_set(-EINVAL, "the decoder is for neither pictures nor sound");
    if (codec->sample_fmt == AV_SAMPLE_FMT_NONE || codec->sample_rate <= 0) {
        return error_set(-EINVAL, "the decoder does not know its sound yet: let it decode one "
                                  "frame before, or give it the demuxer's parameters");
    }
    /* Decoders of blocks of any size tell 0: a thirty-second of a second is about what others do.
     */
    const int samples = codec->frame_size > 0 ? codec->frame_size : codec->sample_rate / 32 + 1;
    struct shmframe_format format;
    const int result =
        from_sound(codec->sample_fmt, &codec->ch_layout, codec->sample_rate, samples, &format);
    if (!result) {
        format.time_base = from_rational(codec->pkt_timebase, format.time_base);
        *out_format = format;
    }
    return result;
}

/* The buffer that a level promises, in macroblocks (H.264, table A-1) or in luma samples of which
 * six pictures fit (H.265, table A.8). */
struct level {
    int number;
    int64_t room;
};

static const struct level h264_levels[] = {
    {9, 396},    {10, 396},   {11, 900},   {13, 2376},  {20, 2376},   {21, 4752},   {30, 8100},
    {31, 18000}, {32, 20480}, {41, 32768}, {42, 34816}, {50, 110400}, {52, 184320}, {62, 696320},
};
static const struct level hevc_levels[] = {
    {30, 36864},  {60, 122880},   {63, 245760},   {90, 552960},
    {93, 983040}, {123, 2228224}, {156, 8912896}, {186, 35651584},
};

static int64_t find_room(const struct level *levels, size_t count, int number) {
    for (size_t i = 0; i < count && number > 0; i++)
        if (number <= levels[i].number)
            return levels[i].room;
    return 0;
}
#define FIND_ROOM(levels, number) find_room(levels, sizeof(levels) / sizeof(levels[0]), number)

/* Pictures in the decoded picture buffer, at most: by level and size, 16 where these are not told.
 */
static int find_buffer_h264(const AVCodecContext *codec) {
    const int64_t room = FIND_ROOM(h264_levels, codec->level);
    const int64_t blocks = (int64_t)((codec->width + 15) / 16) * ((codec->height + 15) / 16);
    const int64_t pictures = room && blocks ? room / blocks : 16;
    return pictures < 1 || pictures > 16 ? 16 : (int)pictures;
}

static int find_buffer_hevc(const AVCodecContext *codec) {
    const int64_t room = FIND_ROOM(hevc_levels, codec->level);
    const int64_t samples = (int64_t)codec->width * codec->height;
    if (!room || samples * 4 <= room)
        return 16;
    return samples * 2 <= room ? 12 : samples * 4 <= room * 3 ? 8 : 6;
}

/* Pictures that the standard lets a decoder refer to; `refs` tells where the stream says so. */
static int find_references(const AVCodecContext *codec) {
    const AVCodecDescriptor *const descriptor = avcodec_descriptor_get(codec->codec_id);
    if (descriptor && (descriptor->props & AV_CODEC_PROP_INTRA_ONLY))
        return 0;
    switch (codec->codec_id) {
    case AV_CODEC_ID_H264:
        return codec->refs > 1 ? codec->refs : find_buffer_h264(codec);
    case AV_CODEC_ID_HEVC:
        return codec->refs > 1 ? codec->refs : find_buffer_hevc(codec);
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_AV1:
        return 8;
    case AV_CODEC_ID_VP8:
    case AV_CODEC_ID_VP7:
        return 4;
    default:
        return larger(codec->refs, 3);
    }
}

uint32_t shmframe_decoder_loans(const struct AVCodecContext *codec) {
    enum { LOANS_MAX = 64, THREADS_MAX = 16 };
    if (codec->codec && !(codec->codec->capabilities & AV_CODEC_CAP_DR1))
        return 1; /* it has memory of its own: a slot at a time is copied to */
    int threads = codec->thread_count > 0 ? codec->thread_count : THREADS_MAX;
    if (!(codec->thread_type & FF_THREAD_FRAME) ||
        (codec->codec && !(codec->codec->capabilities & AV_CODEC_CAP_FRAME_THREADS)))
        threads = 1;
    /* One is being decoded by each thread, one is on its way out, and one is never lent. */
    const int loans = find_references(codec) + codec->has_b_frames + threads + 2;
    return loans < LOANS_MAX ? (uint32_t)loans : LOANS_MAX;
}

/* --- Slots for a decoder ---------------------------------------------------------------------- */

enum lent_state {
    LENT_NOT = 0,
    LENT_OUT = 1,    /* the decoder has it; nothing came out yet */
    LENT_PINNED = 2, /* handed to the caller, who publishes it; the decoder may still read it */
};

enum { ENTRIES = 64, PICTURE_PLANES = 4 };

/* A slot that a decoder was given. */
struct entry {
    enum lent_state state;
    struct shmframe_loan loan;
    /* Ours: as long as it is there, FFmpeg never takes the slot for its own to write. When it is
     * the only one left, the decoder has let go. */
    AVBufferRef *reference;
};

/* What the ring of the last loan looks like to FFmpeg; computed once a ring. */
struct ring_shape {
    bool is_known;
    uint32_t ring;
    enum AVPixelFormat pixel_format;
    struct shmframe_format format; /* a copy: the ring may go */
    uint64_t coded_offset[PICTURE_PLANES];
};

/* The lines of all pictures that the decoder makes of one size. It computes with the present one's
 * in its references too, so that they last until it changes the size. */
struct mould {
    enum AVPixelFormat pixel_format;
    int width, height; /* as the decoder asks for them; 0: none yet */
    struct ring_shape shape;
};

struct shmframe_decoder_slots {
    struct shmframe_writer *writer;
    pthread_mutex_t mutex; /* guards all below */
    struct entry entry[ENTRIES];
    struct ring_shape shape;
    struct mould mould;
    struct shmframe_decoder_counters counters;
    /* Their addresses mark buffers from the heap with the reason why they are. */
    char no_slot, other_geometry;
};

/* Takes back what the decoder has let go of: decoded frames no longer need their pin, frames that
 * it dropped are given back unpublished. */
static void sweep(struct shmframe_decoder_slots *slots) {
    for (struct entry *entry = slots->entry; entry < slots->entry + ENTRIES; entry++) {
        if (entry->state == LENT_NOT || av_buffer_get_ref_count(entry->reference) > 1)
            continue;
        if (entry->state == LENT_PINNED)
            shmframe_writer_unpin(slots->writer, entry->loan.ring, entry->loan.slot);
        else
            shmframe_writer_abandon(slots->writer, &entry->loan);
        av_buffer_unref(&entry->reference);
        entry->state = LENT_NOT;
    }
}

/* An entry for one more slot. One of the writer's loans is never the decoder's: without it, a
 * picture that got no slot could not even be copied. */
static struct entry *find_free_entry(struct shmframe_decoder_slots *slots) {
    struct entry *found = NULL;
    uint32_t used = 1;
    for (struct entry *entry = slots->entry; entry < slots->entry + ENTRIES; entry++)
        if (entry->state != LENT_NOT)
            used++;
        else if (!found)
            found = entry;
    return used < slots->writer->loans ? found : NULL;
}

static const struct ring_shape *find_shape(struct shmframe_decoder_slots *slots,
                                           const struct shmframe_loan *loan) {
    struct ring_shape *const shape = &slots->shape;
    if (!shape->is_known || shape->ring != loan->ring) {
        *shape = (struct ring_shape){
            .is_known = true,
            .ring = loan->ring,
            .format = *loan->format,
            .pixel_format = loan->format->kind == SHMFRAME_VIDEO
                                ? av_get_pix_fmt(loan->format->video.pixel_format)
                                : AV_PIX_FMT_NONE,
        };
        for (uint32_t i = 0; i < loan->format->plane_count && i < PICTURE_PLANES; i++)
            shape->coded_offset[i] = format_coded_offset(loan->format, i);
    }
    return shape;
}

/* Whether the picture that the decoder is about to make finds its place and alignment in memory of
 * that shape which begins at `base`. */
static bool can_hold(const struct ring_shape *shape, uintptr_t base, AVCodecContext *codec,
                     const AVFrame *frame) {
    const struct shmframe_video_format *const video = &shape->format.video;
    int width = frame->width, height = frame->height, lines[4] = {0};
    int line_align[AV_NUM_DATA_POINTERS];
    avcodec_align_dimensions2(codec, &width, &height, line_align);
    if (frame->format != shape->pixel_format ||
        width > (int)(video->coded_width ? video->coded_width : video->width) ||
        height > (int)(video->coded_height ? video->coded_height : video->height) ||
        av_image_fill_linesizes(lines, frame->format, width) < 0)
        return false;
    for (uint32_t i = 0; i < shape->format.plane_count; i++) {
        const uint32_t align = line_align[i] > 0 ? (uint32_t)line_align[i] : 1;
        const uint32_t line_bytes = shape->format.plane[i].line_bytes;
        if (lines[i] > (int)line_bytes || line_bytes % align ||
            (base + shape->coded_offset[i]) % align)
            return false;
    }
    return true;
}

/* The slot's memory belongs to the ring, whoever drops the last reference. */
static void leave_slot(void *opaque, uint8_t *data) {
    (void)opaque;
    (void)data;
}

static void free_heap(void *opaque, uint8_t *data) {
    (void)opaque;
    av_free(data);
}

static void point_planes(AVFrame *frame, uint8_t *base, const struct shmframe_format *format,
                         const uint64_t offset[PICTURE_PLANES]) {
    const AVPixFmtDescriptor *const descriptor = av_pix_fmt_desc_get(frame->format);
    for (uint32_t i = 0; i < format->plane_count && i < PICTURE_PLANES; i++) {
        const bool is_palette = i == 1 && (descriptor->flags & AV_PIX_FMT_FLAG_PAL);
        frame->data[i] = base + offset[i];
        frame->linesize[i] = is_palette ? 0 : (int)format->plane[i].line_bytes;
    }
    frame->extended_data = frame->data;
}

/* Gives `frame` the loan; takes it. */
static int lend(struct entry *entry, const struct ring_shape *shape,
                const struct shmframe_loan *loan, AVFrame *frame) {
    AVBufferRef *reference =
        av_buffer_create(loan->data, loan->format->slot_bytes, leave_slot, entry, 0);
    frame->buf[0] = reference ? av_buffer_ref(reference) : NULL;
    if (!frame->buf[0]) {
        av_buffer_unref(&reference);
        return -ENOMEM;
    }
    point_planes(frame, loan->data, loan->format, shape->coded_offset);
    *entry = (struct entry){.state = LENT_OUT, .loan = *loan, .reference = reference};
    return 0;
}

/* A loan for a decoder. Waits only where the writer has to: for lossless readers, which take what
 * is published meanwhile. The mutex is held on return, and not while waiting. */
static int loan_locked(struct shmframe_decoder_slots *slots, struct shmframe_loan *out_loan) {
    pthread_mutex_lock(&slots->mutex);
    sweep(slots);
    if (!find_free_entry(slots))
        return -EBUSY;
    int result = shmframe_writer_loan(slots->writer, SHMFRAME_NOW, out_loan);
    if (result == -EAGAIN) {
        pthread_mutex_unlock(&slots->mutex);
        result = shmframe_writer_loan(slots->writer, SHMFRAME_FOREVER, out_loan);
        pthread_mutex_lock(&slots->mutex);
    }
    return result;
}

/* The shape that fits what the decoder asks for. */
static int plan_shape(AVCodecContext *codec, const AVFrame *frame, struct ring_shape *out_shape) {
    struct ring_shape shape = {.is_known = true, .pixel_format = frame->format};
    int width = frame->width, height = frame->height;
    find_coded_size(codec, frame->format, &width, &height);
    const int result = shmframe_format_video(&shape.format, av_get_pix_fmt_name(frame->format),
                                             (uint32_t)width, (uint32_t)height);
    if (result)
        return result;
    for (uint32_t i = 0; i < shape.format.plane_count && i < PICTURE_PLANES; i++)
        shape.coded_offset[i] = shape.format.plane[i].offset;
    *out_shape = shape;
    return 0;
}

/* Settles the lines for pictures of a size that is new: the ring's where it is for them, otherwise
 * those that a ring for them would have. The mutex is held. */
static int cast_mould(struct shmframe_decoder_slots *slots, AVCodecContext *codec,
                      const AVFrame *frame) {
    struct mould *const mould = &slots->mould;
    const struct ring_shape *const shape = &slots->shape;
    const struct shmframe_video_format *const video = &shape->format.video;
    if (frame->format == mould->pixel_format && frame->width == mould->width &&
        frame->height == mould->height)
        return 0;
    if (shape->is_known && codec->width == (int)video->width &&
        codec->height == (int)video->height && can_hold(shape, 0, codec, frame)) {
        mould->shape = *shape;
    } else {
        const int result = plan_shape(codec, frame, &mould->shape);
        if (result)
            return result;
    }
    mould->pixel_format = frame->format;
    mould->width = frame->width;
    mould->height = frame->height;
    return 0;
}

static bool has_lines_of(const struct ring_shape *shape, const struct mould *mould) {
    for (uint32_t i = 0; i < shape->format.plane_count; i++)
        if (shape->format.plane[i].line_bytes != mould->shape.format.plane[i].line_bytes)
            return false;
    return true;
}

/* Gives `frame` the loan, or the loan back. The mutex is held. */
static int lend_loan(struct shmframe_decoder_slots *slots, AVCodecContext *codec,
                     struct shmframe_loan *loan, AVFrame *frame) {
    const struct ring_shape *const shape = find_shape(slots, loan);
    /* Looked for again: another thread may have been here while this one waited. */
    struct entry *const entry = find_free_entry(slots);
    int result = cast_mould(slots, codec, frame);
    if (!result && !entry)
        result = -EBUSY;
    if (!result && (!can_hold(shape, (uintptr_t)loan->data, codec, frame) ||
                    !has_lines_of(shape, &slots->mould)))
        result = -EINVAL;
    if (!result)
        result = lend(entry, shape, loan, frame);
    if (result)
        shmframe_writer_abandon(slots->writer, loan);
    return result;
}

/* A slot for `frame`; -EINVAL the ring's pictures are of another geometry, anything else: no slot.
 */
static int lend_slot(struct shmframe_decoder_slots *slots, AVCodecContext *codec, AVFrame *frame) {
    struct shmframe_loan loan;
    int result = loan_locked(slots, &loan);
    if (!result)
        result = lend_loan(slots, codec, &loan, frame);
    else if (result == -EINVAL)
        result = -ENOSPC;
    pthread_mutex_unlock(&slots->mutex);
    return result;
}

static int lend_heap(struct shmframe_decoder_slots *slots, AVCodecContext *codec, AVFrame *frame,
                     char *mark) {
    pthread_mutex_lock(&slots->mutex);
    const int result = cast_mould(slots, codec, frame);
    const struct ring_shape shape = slots->mould.shape;
    pthread_mutex_unlock(&slots->mutex);
    if (result)
        return AVERROR(EINVAL);
    const size_t bytes = shape.format.slot_bytes;
    uint8_t *const memory = av_mallocz(bytes);
    frame->buf[0] = memory ? av_buffer_create(memory, bytes, free_heap, mark, 0) : NULL;
    if (!frame->buf[0]) {
        av_free(memory);
        return AVERROR(ENOMEM);
    }
    point_planes(frame, memory, &shape.format, shape.coded_offset);
    return 0;
}

static int get_buffer(AVCodecContext *codec, AVFrame *frame, int flags) {
    struct shmframe_decoder_slots *const slots = codec->opaque;
    const AVPixFmtDescriptor *const descriptor = av_pix_fmt_desc_get(frame->format);
    if (!(codec->codec->capabilities & AV_CODEC_CAP_DR1) || codec->hw_frames_ctx || !descriptor ||
        (descriptor->flags & AV_PIX_FMT_FLAG_HWACCEL))
        return avcodec_default_get_buffer2(codec, frame, flags);
    const int result = lend_slot(slots, codec, frame);
    if (!result)
        return 0;
    return lend_heap(slots, codec, frame,
                     result == -EINVAL ? &slots->other_geometry : &slots->no_slot);
}

int shmframe_decoder_slots_open(struct shmframe_writer *writer, struct AVCodecContext *codec,
                                struct shmframe_decoder_slots **out_slots) {
    if (codec->codec_type != AVMEDIA_TYPE_VIDEO) {
        return error_set(-EINVAL, "only pictures are decoded into slots: copy sound with "
                                  "shmframe_loan_copy_avframe()");
    }
    struct shmframe_decoder_slots *const slots = calloc(1, sizeof *slots);
    if (!slots || pthread_mutex_init(&slots->mutex, NULL)) {
        free(slots);
        return error_set(-ENOMEM, "no memory to lend slots to a decoder");
    }
    slots->writer = writer;
    codec->opaque = slots;
    codec->get_buffer2 = get_buffer;
#if FF_API_THREAD_SAFE_CALLBACKS
    /* Where this exists, decoders with frame threads wait for the caller's thread without it. */
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wdeprecated-declarations\"");
    codec->thread_safe_callbacks = 1;
    _Pragma("GCC diagnostic pop");
#endif
    *out_slots = slots;
    return 0;
}

void shmframe_decoder_slots_close(struct shmframe_decoder_slots *slots) {
    if (!slots)
        return;
    sweep(slots);
    for (struct entry *entry = slots->entry; entry < slots->entry + ENTRIES; entry++) {
        /* Frames that the caller still has: their bytes stay as long as the ring does. */
        if (entry->state == LENT_PINNED)
            shmframe_writer_unpin(slots->writer, entry->loan.ring, entry->loan.slot);
        else if (entry->state == LENT_OUT)
            shmframe_writer_abandon(slots->writer, &entry->loan);
        av_buffer_unref(&entry->reference);
    }
    pthread_mutex_destroy(&slots->mutex);
    free(slots);
}

/* --- From the decoder to the readers ---------------------------------------------------------- */

static struct entry *find_entry(struct shmframe_decoder_slots *slots, const AVFrame *frame) {
    const void *const opaque = frame->buf[0] ? av_buffer_get_opaque(frame->buf[0]) : NULL;
    for (struct entry *entry = slots->entry; entry < slots->entry + ENTRIES; entry++)
        if (entry == opaque && entry->state != LENT_NOT &&
            entry->reference->data == frame->buf[0]->data)
            return entry;
    return NULL;
}

/* Whether the slot as it is shows the picture where readers look for it. */
static bool is_in_place(const struct shmframe_decoder_slots *slots, const struct entry *entry,
                        const AVFrame *frame) {
    const struct shmframe_loan *const loan = &entry->loan;
    const struct shmframe_video_format *const video = &loan->format->video;
    if (loan->ring != slots->shape.ring || frame->format != slots->shape.pixel_format ||
        frame->width != (int)video->width || frame->height != (int)video->height ||
        frame->crop_left || frame->crop_top || frame->crop_right || frame->crop_bottom)
        return false;
    for (uint32_t i = 0; i < loan->format->plane_count; i++) {
        const bool is_line = loan->format->plane[i].rows > 1;
        if (frame->data[i] != loan->data + loan->format->plane[i].offset ||
            (is_line && frame->linesize[i] != (int)loan->format->plane[i].line_bytes))
            return false;
    }
    return true;
}

static uint64_t *find_cause(struct shmframe_decoder_slots *slots, const struct entry *entry,
                            const AVFrame *frame) {
    const void *const mark = frame->buf[0] ? av_buffer_get_opaque(frame->buf[0]) : NULL;
    if (entry) {
        return entry->state == LENT_PINNED ? &slots->counters.copied_repeated
                                           : &slots->counters.copied_geometry;
    }
    if (mark == &slots->no_slot)
        return &slots->counters.copied_no_slot;
    return mark == &slots->other_geometry ? &slots->counters.copied_geometry
                                          : &slots->counters.copied_codec;
}

/* Makes the frame's slot the loan and returns NULL; where that cannot be, returns the counter of
 * the reason. */
static uint64_t *loan_in_place(struct shmframe_decoder_slots *slots, const AVFrame *frame,
                               struct shmframe_loan *out_loan) {
    uint64_t *cause = NULL;
    pthread_mutex_lock(&slots->mutex);
    sweep(slots);
    struct entry *const entry = find_entry(slots, frame);
    if (entry && entry->state == LENT_OUT && is_in_place(slots, entry, frame) &&
        !shmframe_writer_pin(slots->writer, &entry->loan)) {
        entry->state = LENT_PINNED;
        *out_loan = entry->loan;
        slots->counters.in_place++;
    } else {
        cause = find_cause(slots, entry, frame);
    }
    pthread_mutex_unlock(&slots->mutex);
    return cause;
}

int shmframe_decoder_slots_loan(struct shmframe_decoder_slots *slots, const struct AVFrame *frame,
                                int64_t deadline_ns, struct shmframe_loan *out_loan) {
    uint64_t *const cause = loan_in_place(slots, frame, out_loan);
    if (!cause) {
        take_stamps(out_loan, frame);
        return 0;
    }
    struct shmframe_loan loan;
    int result = shmframe_writer_loan(slots->writer, deadline_ns, &loan);
    if (result)
        return result;
    result = shmframe_loan_copy_avframe(&loan, frame);
    if (result) {
        shmframe_writer_abandon(slots->writer, &loan);
        return result;
    }
    pthread_mutex_lock(&slots->mutex);
    slots->counters.copied++;
    ++*cause;
    pthread_mutex_unlock(&slots->mutex);
    *out_loan = loan;
    return 0;
}

void shmframe_decoder_slots_counters(const struct shmframe_decoder_slots *slots,
                                     struct shmframe_decoder_counters *out_counters) {
    pthread_mutex_t *const mutex = (pthread_mutex_t *)&slots->mutex;
    pthread_mutex_lock(mutex);
    *out_counters = slots->counters;
    pthread_mutex_unlock(mutex);
}
