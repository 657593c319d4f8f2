/* Format: what a description may say. */
#include "format.h"

#include "error.h"
#include "format_planes.h"

#include <errno.h>
#include <inttypes.h>
#include <libavutil/channel_layout.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <string.h>

#define SAMPLE_RATE_MAX 1000000000 /* a sample lasts at least a nanosecond */

/* --- Texts ------------------------------------------------------------------------------------ */

#define TEXT(field)                                                                                \
    { offsetof(struct shmframe_format, field), sizeof((struct shmframe_format *)0)->field, #field }

static const struct text_field {
    size_t offset, bytes;
    const char *name;
} texts[] = {
    TEXT(video.pixel_format),   TEXT(video.color_range),    TEXT(video.color_primaries),
    TEXT(video.color_transfer), TEXT(video.color_space),    TEXT(video.chroma_location),
    TEXT(audio.sample_format),  TEXT(audio.channel_layout), TEXT(data.type),
};
#define TEXTS (sizeof texts / sizeof texts[0])

static int check_texts(const struct shmframe_format *format) {
    for (size_t i = 0; i < TEXTS; i++) {
        const char *const text = (const char *)format + texts[i].offset;
        const size_t length = strnlen(text, texts[i].bytes);
        if (length == texts[i].bytes) {
            return error_set(-EINVAL, "%s: too long, it must end with a NUL within %zu bytes",
                             texts[i].name, texts[i].bytes);
        }
        for (size_t c = 0; c < length; c++)
            if (text[c] < ' ' || text[c] > '~')
                return error_set(-EINVAL, "%s: byte %zu is not printable ASCII", texts[i].name, c);
        for (size_t c = length; c < texts[i].bytes; c++)
            if (text[c])
                return error_set(-EINVAL, "%s: bytes after the NUL must be 0", texts[i].name);
    }
    return 0;
}

void format_pad_texts(struct shmframe_format *format) {
    for (size_t i = 0; i < TEXTS; i++) {
        char *const text = (char *)format + texts[i].offset;
        const size_t length = strnlen(text, texts[i].bytes);
        memset(text + length, 0, texts[i].bytes - length);
    }
}

/* --- Description ------------------------------------------------------------------------------ */

static int check_rational(struct shmframe_rational value, bool may_be_zero, const char *field) {
    if (value.den <= 0 || value.num < 0 || (value.num == 0 && !may_be_zero)) {
        return error_set(-EINVAL, "%s is %d/%d: it must be %s", field, value.num, value.den,
                         may_be_zero ? "positive, or 0/1 for unknown" : "positive");
    }
    return 0;
}

static int check_side(uint32_t value, uint32_t max, const char *field) {
    if (value < 1 || value > max)
        return error_set(-EINVAL, "%s is %u: it must be 1 to %u", field, value, max);
    return 0;
}

static int check_hdr(const struct shmframe_hdr *hdr) {
    const struct shmframe_rational values[] = {
        hdr->primary_x[0],  hdr->primary_x[1],  hdr->primary_x[2], hdr->primary_y[0],
        hdr->primary_y[1],  hdr->primary_y[2],  hdr->white_x,      hdr->white_y,
        hdr->luminance_min, hdr->luminance_max,
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const bool is_unknown = !values[i].num && !values[i].den;
        if (!is_unknown && (values[i].num < 0 || values[i].den <= 0)) {
            return error_set(
                -EINVAL,
                "video.hdr holds %d/%d: values must not be negative, and 0/0 where unknown",
                values[i].num, values[i].den);
        }
    }
    return 0;
}

int format_find_pixel_format(const char *name, enum AVPixelFormat *out_pixel_format) {
    const enum AVPixelFormat found = name ? av_get_pix_fmt(name) : AV_PIX_FMT_NONE;
    const AVPixFmtDescriptor *const descriptor = av_pix_fmt_desc_get(found);
    if (!descriptor) {
        return error_set(-ENOTSUP,
                         "pixel format \"%s\" is unknown to this FFmpeg: "
                         "`ffmpeg -pix_fmts` lists them",
                         name ? name : "");
    }
    if (descriptor->flags & AV_PIX_FMT_FLAG_HWACCEL) {
        return error_set(-ENOTSUP,
                         "pixel format \"%s\" lies in a hardware device: "
                         "download it to a software format first",
                         name);
    }
    *out_pixel_format = found;
    return 0;
}

int format_find_sample_format(const char *name, enum AVSampleFormat *out_sample_format) {
    const enum AVSampleFormat found = name ? av_get_sample_fmt(name) : AV_SAMPLE_FMT_NONE;
    if (found == AV_SAMPLE_FMT_NONE) {
        return error_set(-ENOTSUP,
                         "sample format \"%s\" is unknown to this FFmpeg: "
                         "`ffmpeg -sample_fmts` lists them",
                         name ? name : "");
    }
    *out_sample_format = found;
    return 0;
}

static int check_video(const struct shmframe_video_format *video) {
    int result = check_side(video->width, SHMFRAME_SIDE_MAX, "video.width");
    if (!result)
        result = check_side(video->height, SHMFRAME_SIDE_MAX, "video.height");
    if (!result)
        result =
            check_side(format_coded_width(video), SHMFRAME_CODED_SIDE_MAX, "video.coded_width");
    if (!result)
        result =
            check_side(format_coded_height(video), SHMFRAME_CODED_SIDE_MAX, "video.coded_height");
    if (result)
        return result;
    if ((uint64_t)video->crop_left + video->width > format_coded_width(video) ||
        (uint64_t)video->crop_top + video->height > format_coded_height(video)) {
        return error_set(-EINVAL, "%ux%u pixels at %u,%u do not lie within the coded %ux%u",
                         video->width, video->height, video->crop_left, video->crop_top,
                         format_coded_width(video), format_coded_height(video));
    }
    if (video->field_order > SHMFRAME_BOTTOM_FIRST) {
        return error_set(-EINVAL,
                         "video.field_order is %u: it must be one of enum shmframe_field_order",
                         video->field_order);
    }
    const int32_t rotation = video->rotation_degrees;
    if (rotation != 0 && rotation != 90 && rotation != 180 && rotation != 270) {
        return error_set(-EINVAL, "video.rotation_degrees is %d: it must be 0, 90, 180 or 270",
                         rotation);
    }
    if ((result = check_rational(video->frame_rate, true, "video.frame_rate")) ||
        (result = check_rational(video->sample_aspect, true, "video.sample_aspect")))
        return result;
    return check_hdr(&video->hdr);
}

static int check_audio(const struct shmframe_audio_format *audio) {
    if (audio->channels < 1 || audio->channels > SHMFRAME_CHANNELS_MAX) {
        return error_set(-EINVAL, "audio.channels is %u: it must be 1 to %d", audio->channels,
                         SHMFRAME_CHANNELS_MAX);
    }
    if (audio->sample_rate < 1 || audio->sample_rate > SAMPLE_RATE_MAX) {
        return error_set(-EINVAL, "audio.sample_rate is %u: it must be 1 to %d", audio->sample_rate,
                         SAMPLE_RATE_MAX);
    }
    if (audio->samples_max < 1)
        return error_set(-EINVAL, "audio.samples_max is 0: a block holds at least one sample");
    if (audio->reserved)
        return error_set(-EINVAL, "audio.reserved must be 0");
    return 0;
}

static int check_data(const struct shmframe_data_format *data) {
    if (data->bytes_max < 1 || data->bytes_max > SHMFRAME_DATA_MAX) {
        return error_set(-EINVAL, "data.bytes_max is %" PRIu64 ": it must be 1 to %" PRIu64,
                         data->bytes_max, SHMFRAME_DATA_MAX);
    }
    return 0;
}

int format_check_description(const struct shmframe_format *format) {
    int result = check_texts(format);
    if (!result)
        result = check_rational(format->time_base, false, "time_base");
    if (result)
        return result;
    switch ((enum shmframe_kind)format->kind) {
    case SHMFRAME_VIDEO:
        result = check_video(&format->video);
        break;
    case SHMFRAME_AUDIO:
        result = check_audio(&format->audio);
        break;
    case SHMFRAME_DATA:
        result = check_data(&format->data);
        break;
    case SHMFRAME_NONE:
        return error_set(-EINVAL, "kind is 0: set SHMFRAME_VIDEO, SHMFRAME_AUDIO or SHMFRAME_DATA");
    }
    if (format->kind > SHMFRAME_DATA)
        return error_set(-EINVAL, "kind %u is none of enum shmframe_kind", format->kind);
    if (result)
        return result;
    if ((format->kind != SHMFRAME_VIDEO && !format_is_zero(&format->video, sizeof format->video)) ||
        (format->kind != SHMFRAME_AUDIO && !format_is_zero(&format->audio, sizeof format->audio)) ||
        (format->kind != SHMFRAME_DATA && !format_is_zero(&format->data, sizeof format->data))) {
        return error_set(-EINVAL,
                         "fields of another kind than the format's are set: they must be 0");
    }
    return 0;
}

int format_check_names(const struct shmframe_format *format) {
    const struct shmframe_video_format *const video = &format->video;
    const struct {
        const char *text, *field;
        int (*find)(const char *);
    } names[] = {
        {video->color_range, "video.color_range", av_color_range_from_name},
        {video->color_primaries, "video.color_primaries", av_color_primaries_from_name},
        {video->color_transfer, "video.color_transfer", av_color_transfer_from_name},
        {video->color_space, "video.color_space", av_color_space_from_name},
        {video->chroma_location, "video.chroma_location", av_chroma_location_from_name},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].text[0] && names[i].find(names[i].text) < 0) {
            return error_set(-EINVAL, "%s \"%s\" is unknown to this FFmpeg: leave it empty",
                             names[i].field, names[i].text);
        }
    }
    const struct shmframe_audio_format *const audio = &format->audio;
    if (audio->channel_layout[0]) {
        AVChannelLayout layout = {0};
        const bool fits = av_channel_layout_from_string(&layout, audio->channel_layout) >= 0 &&
                          layout.nb_channels == (int)audio->channels;
        av_channel_layout_uninit(&layout);
        if (!fits) {
            return error_set(-EINVAL,
                             "audio.channel_layout \"%s\" is not a layout of %u channels: `ffmpeg "
                             "-layouts` lists them; or leave it empty",
                             audio->channel_layout, audio->channels);
        }
    }
    return 0;
}

int format_check(const struct shmframe_format *format) {
    struct format_extent extents[SHMFRAME_PLANES_MAX];
    int result = format_check_description(format);
    if (!result)
        result = format_planes_measure(format, extents);
    return result < 0 ? result : format_planes_check(format, extents, (uint32_t)result);
}
