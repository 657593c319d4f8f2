/* Format: making, completing and telling of one. */
#include "format.h"

#include "format_planes.h"

#include <assert.h>
#include <inttypes.h>
#include <libavutil/channel_layout.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>

/* Formats lie in shared memory as they are declared: no hidden padding, the same for everyone. */
static_assert(sizeof(struct shmframe_plane) == 24, "layout of struct shmframe_plane");
static_assert(sizeof(struct shmframe_video_format) == 264,
              "layout of struct shmframe_video_format");
static_assert(sizeof(struct shmframe_audio_format) == 144,
              "layout of struct shmframe_audio_format");
static_assert(sizeof(struct shmframe_data_format) == 64, "layout of struct shmframe_data_format");
static_assert(sizeof(struct shmframe_format) == 2032, "layout of struct shmframe_format");
static_assert(offsetof(struct shmframe_format, plane) == 496, "layout of struct shmframe_format");

/* What may be left 0 gets its default; names get their canonical spelling. */
static void fill_defaults(struct shmframe_format *format) {
    format_pad_texts(format);
    if (!format->time_base.num && !format->time_base.den)
        format->time_base = (struct shmframe_rational){1, 1000000000};
    if (format->kind != SHMFRAME_VIDEO)
        return;
    struct shmframe_video_format *const video = &format->video;
    if (!video->frame_rate.num && !video->frame_rate.den)
        video->frame_rate.den = 1;
    if (!video->sample_aspect.num && !video->sample_aspect.den)
        video->sample_aspect.den = 1;
    if (strnlen(video->pixel_format, sizeof video->pixel_format) < sizeof video->pixel_format) {
        const char *const name = av_get_pix_fmt_name(av_get_pix_fmt(video->pixel_format));
        if (name && strlen(name) < sizeof video->pixel_format) {
            memset(video->pixel_format, 0, sizeof video->pixel_format);
            memcpy(video->pixel_format, name, strlen(name));
        }
    }
}

int shmframe_format_complete(struct shmframe_format *format) {
    struct shmframe_format full = *format;
    struct format_extent extents[SHMFRAME_PLANES_MAX];
    fill_defaults(&full);
    int result = format_check_description(&full);
    if (!result)
        result = format_check_names(&full);
    if (!result)
        result = format_planes_measure(&full, extents);
    if (result < 0)
        return result;
    const uint32_t planes = (uint32_t)result;
    if (full.plane_count == 0) {
        result = format_planes_lay_out(&full, extents, planes);
    } else {
        result = 0;
        for (uint32_t i = 0; i < planes; i++) {
            if (!full.plane[i].row_bytes && !full.plane[i].rows) {
                full.plane[i].row_bytes = extents[i].row_bytes;
                full.plane[i].rows = extents[i].rows;
            }
        }
    }
    if (!result)
        result = format_planes_check(&full, extents, planes);
    if (!result)
        *format = full;
    return result;
}

/* Copies a text into a format's field; one that does not fit leaves it without a NUL, which
 * shmframe_format_complete() then reports. */
static void set_text(char *field, size_t bytes, const char *text) {
    memcpy(field, text, strnlen(text, bytes));
}

int shmframe_format_video(struct shmframe_format *out_format, const char *pixel_format,
                          uint32_t width, uint32_t height) {
    struct shmframe_format format = {
        .kind = SHMFRAME_VIDEO,
        .video = {.width = width, .height = height},
    };
    enum AVPixelFormat found;
    int result = format_find_pixel_format(pixel_format, &found);
    if (!result) {
        set_text(format.video.pixel_format, sizeof format.video.pixel_format,
                 av_get_pix_fmt_name(found));
        result = shmframe_format_complete(&format);
    }
    if (!result)
        *out_format = format;
    return result;
}

int shmframe_format_audio(struct shmframe_format *out_format, const char *sample_format,
                          uint32_t channels, uint32_t sample_rate, uint32_t samples_max) {
    struct shmframe_format format = {
        .kind = SHMFRAME_AUDIO,
        .audio = {.sample_rate = sample_rate, .channels = channels, .samples_max = samples_max},
    };
    enum AVSampleFormat found;
    int result = format_find_sample_format(sample_format, &found);
    if (result)
        return result;
    set_text(format.audio.sample_format, sizeof format.audio.sample_format, sample_format);
    AVChannelLayout layout = {0};
    if (channels >= 1 && channels <= SHMFRAME_CHANNELS_MAX)
        av_channel_layout_default(&layout, (int)channels);
    if (layout.order == AV_CHANNEL_ORDER_NATIVE) {
        av_channel_layout_describe(&layout, format.audio.channel_layout,
                                   sizeof format.audio.channel_layout);
    }
    av_channel_layout_uninit(&layout);
    result = shmframe_format_complete(&format);
    if (!result)
        *out_format = format;
    return result;
}

int shmframe_format_data(struct shmframe_format *out_format, const char *type, uint64_t bytes_max) {
    struct shmframe_format format = {.kind = SHMFRAME_DATA, .data = {.bytes_max = bytes_max}};
    set_text(format.data.type, sizeof format.data.type, type ? type : "");
    const int result = shmframe_format_complete(&format);
    if (!result)
        *out_format = format;
    return result;
}

bool shmframe_format_is_equal(const struct shmframe_format *a, const struct shmframe_format *b) {
    struct shmframe_format one = *a, other = *b;
    fill_defaults(&one);
    fill_defaults(&other);
    return !memcmp(&one, &other, sizeof one);
}

static size_t describe_video(const struct shmframe_video_format *video, char *text, size_t bytes) {
    char rate[48] = "", fields[32] = "", turn[24] = "";
    if (video->frame_rate.num > 0 && video->frame_rate.den > 0) {
        snprintf(rate, sizeof rate, " %.5g fps",
                 (double)video->frame_rate.num / video->frame_rate.den);
    }
    if (video->field_order == SHMFRAME_TOP_FIRST || video->field_order == SHMFRAME_BOTTOM_FIRST) {
        snprintf(fields, sizeof fields, " %s field first",
                 video->field_order == SHMFRAME_TOP_FIRST ? "top" : "bottom");
    }
    if (video->rotation_degrees)
        snprintf(turn, sizeof turn, " turned %d", video->rotation_degrees);
    return (size_t)snprintf(text, bytes, "%ux%u %.*s%s%s%s", video->width, video->height,
                            (int)sizeof video->pixel_format, video->pixel_format, rate, fields,
                            turn);
}

static size_t describe_audio(const struct shmframe_audio_format *audio, char *text, size_t bytes) {
    char channels[sizeof audio->channel_layout + 16];
    if (audio->channel_layout[0]) {
        snprintf(channels, sizeof channels, "%.*s", (int)sizeof audio->channel_layout,
                 audio->channel_layout);
    } else {
        snprintf(channels, sizeof channels, "%u channel%s", audio->channels,
                 audio->channels == 1 ? "" : "s");
    }
    return (size_t)snprintf(text, bytes, "%u Hz %s %.*s, up to %u samples", audio->sample_rate,
                            channels, (int)sizeof audio->sample_format, audio->sample_format,
                            audio->samples_max);
}

size_t shmframe_format_describe(const struct shmframe_format *format, char *text,
                                size_t text_bytes) {
    switch ((enum shmframe_kind)format->kind) {
    case SHMFRAME_VIDEO:
        return describe_video(&format->video, text, text_bytes);
    case SHMFRAME_AUDIO:
        return describe_audio(&format->audio, text, text_bytes);
    case SHMFRAME_DATA:
        return (size_t)snprintf(text, text_bytes, "data %.*s, up to %" PRIu64 " bytes",
                                (int)sizeof format->data.type, format->data.type,
                                format->data.bytes_max);
    case SHMFRAME_NONE:
        break;
    }
    return (size_t)snprintf(text, text_bytes, "no format");
}

bool shmframe_name_is_valid(const char *name) {
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t length = strnlen(name, SHMFRAME_NAME_BYTES);
    return length >= 1 && length < SHMFRAME_NAME_BYTES && strspn(name, first) >= 1 &&
           strspn(name, others) == length;
}
