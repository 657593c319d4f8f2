#include "format.h"

#include "error.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libavutil/channel_layout.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <stdio.h>
#include <string.h>

#define SLOT_BYTES_END (UINT64_C(1) << 32) /* slots stay below */
/* A line and its alignment fit the int that libavutil has for them. */
#define ROW_BYTES_MAX   (INT32_MAX - SHMFRAME_LINE_ALIGN)
#define SAMPLE_RATE_MAX 1000000000 /* a sample lasts at least a nanosecond */

/* Formats lie in shared memory as they are declared: no hidden padding, the same for everyone. */
static_assert(sizeof(struct shmframe_plane) == 24, "layout of struct shmframe_plane");
static_assert(sizeof(struct shmframe_video_format) == 264,
              "layout of struct shmframe_video_format");
static_assert(sizeof(struct shmframe_audio_format) == 144,
              "layout of struct shmframe_audio_format");
static_assert(sizeof(struct shmframe_data_format) == 64, "layout of struct shmframe_data_format");
static_assert(sizeof(struct shmframe_format) == 2032, "layout of struct shmframe_format");
static_assert(offsetof(struct shmframe_format, plane) == 496, "layout of struct shmframe_format");

/* What the description demands of one plane, whatever its place. Coded and visible extent differ
 * for cropped pictures only. */
struct extent {
    uint32_t row_bytes, rows;
    uint32_t coded_row_bytes, coded_rows;
    uint32_t left_bytes, top_rows; /* of the visible in the coded extent */
};

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

/* Puts zeros behind each text, so that equal formats are equal bytes. */
static void pad_texts(struct shmframe_format *format) {
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

static int find_pixel_format(const char *name, enum AVPixelFormat *out_pixel_format) {
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

static int find_sample_format(const char *name, enum AVSampleFormat *out_sample_format) {
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

static uint32_t coded_width(const struct shmframe_video_format *video) {
    return video->coded_width ? video->coded_width : video->width;
}

static uint32_t coded_height(const struct shmframe_video_format *video) {
    return video->coded_height ? video->coded_height : video->height;
}

static int check_video(const struct shmframe_video_format *video) {
    int result = check_side(video->width, SHMFRAME_SIDE_MAX, "video.width");
    if (!result)
        result = check_side(video->height, SHMFRAME_SIDE_MAX, "video.height");
    if (!result)
        result = check_side(coded_width(video), SHMFRAME_CODED_SIDE_MAX, "video.coded_width");
    if (!result)
        result = check_side(coded_height(video), SHMFRAME_CODED_SIDE_MAX, "video.coded_height");
    if (result)
        return result;
    if ((uint64_t)video->crop_left + video->width > coded_width(video) ||
        (uint64_t)video->crop_top + video->height > coded_height(video)) {
        return error_set(-EINVAL, "%ux%u pixels at %u,%u do not lie within the coded %ux%u",
                         video->width, video->height, video->crop_left, video->crop_top,
                         coded_width(video), coded_height(video));
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

static bool is_zero(const void *memory, size_t bytes) {
    const uint8_t *const byte = memory;
    for (size_t i = 0; i < bytes; i++)
        if (byte[i])
            return false;
    return true;
}

static int check_description(const struct shmframe_format *format) {
    int result = check_rational(format->time_base, false, "time_base");
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
    if ((format->kind != SHMFRAME_VIDEO && !is_zero(&format->video, sizeof format->video)) ||
        (format->kind != SHMFRAME_AUDIO && !is_zero(&format->audio, sizeof format->audio)) ||
        (format->kind != SHMFRAME_DATA && !is_zero(&format->data, sizeof format->data))) {
        return error_set(-EINVAL,
                         "fields of another kind than the format's are set: they must be 0");
    }
    return 0;
}

/* Names that only this process's FFmpeg can judge; a peer's may be newer than ours. */
static int check_names(const struct shmframe_format *format) {
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

/* --- Extents: what each plane must hold ------------------------------------------------------- */

static int check_crop_step(const struct shmframe_video_format *video,
                           const AVPixFmtDescriptor *descriptor) {
    const bool is_bayer = descriptor->flags & AV_PIX_FMT_FLAG_BAYER;
    uint32_t step_x = is_bayer ? 2 : 1u << descriptor->log2_chroma_w;
    const uint32_t step_y = is_bayer ? 2 : 1u << descriptor->log2_chroma_h;
    if (descriptor->flags & AV_PIX_FMT_FLAG_BITSTREAM)
        step_x = 8; /* pixels of 1, 2, 4 or 8 bits: whole bytes in any case */
    if (video->crop_left % step_x || video->crop_top % step_y) {
        return error_set(-EINVAL,
                         "video.crop_left %u and crop_top %u must be multiples of %u and %u in %s",
                         video->crop_left, video->crop_top, step_x, step_y, video->pixel_format);
    }
    return 0;
}

/* Bytes a row and rows of each plane of a picture; returns the number of planes. */
static int measure_picture(enum AVPixelFormat pixel_format, uint32_t width, uint32_t height,
                           uint32_t out_row_bytes[4], uint32_t out_rows[4]) {
    int lines[4];
    ptrdiff_t line_bytes[4];
    size_t plane_bytes[4];
    if (av_image_fill_linesizes(lines, pixel_format, (int)width) < 0)
        return -ENOTSUP;
    for (int i = 0; i < 4; i++)
        line_bytes[i] = lines[i];
    if (av_image_fill_plane_sizes(plane_bytes, pixel_format, (int)height, line_bytes) < 0)
        return -ENOTSUP;
    int planes = 0;
    for (; planes < 4 && plane_bytes[planes]; planes++) {
        /* A palette has no lines. */
        const size_t row_bytes = lines[planes] > 0 ? (size_t)lines[planes] : plane_bytes[planes];
        out_row_bytes[planes] = (uint32_t)row_bytes;
        out_rows[planes] = (uint32_t)(plane_bytes[planes] / row_bytes);
    }
    return planes ? planes : -ENOTSUP;
}

static int measure_video(const struct shmframe_video_format *video, struct extent extents[]) {
    enum AVPixelFormat pixel_format;
    int result = find_pixel_format(video->pixel_format, &pixel_format);
    if (result)
        return result;
    const AVPixFmtDescriptor *const descriptor = av_pix_fmt_desc_get(pixel_format);
    result = check_crop_step(video, descriptor);
    if (result)
        return result;
    uint32_t row_bytes[4], rows[4], coded_row_bytes[4], coded_rows[4];
    const int planes = measure_picture(pixel_format, video->width, video->height, row_bytes, rows);
    if (planes < 0 || measure_picture(pixel_format, coded_width(video), coded_height(video),
                                      coded_row_bytes, coded_rows) != planes) {
        return error_set(-ENOTSUP, "libavutil cannot compute the size of %ux%u pixels of %s",
                         coded_width(video), coded_height(video), video->pixel_format);
    }
    int step[4], step_component[4];
    av_image_fill_max_pixsteps(step, step_component, descriptor);
    for (int i = 0; i < planes; i++) {
        const bool is_palette = i == 1 && (descriptor->flags & AV_PIX_FMT_FLAG_PAL);
        const bool is_chroma = step_component[i] == 1 || step_component[i] == 2;
        const uint32_t left = video->crop_left >> (is_chroma ? descriptor->log2_chroma_w : 0);
        const uint32_t unit = descriptor->flags & AV_PIX_FMT_FLAG_BITSTREAM ? 8 : 1;
        extents[i] = (struct extent){
            .row_bytes = row_bytes[i],
            .rows = rows[i],
            .coded_row_bytes = coded_row_bytes[i],
            .coded_rows = coded_rows[i],
            .left_bytes = is_palette ? 0 : left * (uint32_t)step[i] / unit,
            /* As libavutil has it: planes 1 and 2 are the ones that may have fewer lines. */
            .top_rows = is_palette
                            ? 0
                            : video->crop_top >> (i == 1 || i == 2 ? descriptor->log2_chroma_h : 0),
        };
    }
    return planes;
}

static int measure_row(uint64_t bytes, uint32_t planes, struct extent extents[]) {
    if (bytes > ROW_BYTES_MAX) {
        return error_set(-ENOTSUP,
                         "a block would need a row of %" PRIu64 " bytes: ask for fewer than 2 GiB",
                         bytes);
    }
    for (uint32_t i = 0; i < planes; i++) {
        extents[i] = (struct extent){
            .row_bytes = (uint32_t)bytes,
            .rows = 1,
            .coded_row_bytes = (uint32_t)bytes,
            .coded_rows = 1,
        };
    }
    return (int)planes;
}

static int measure_audio(const struct shmframe_audio_format *audio, struct extent extents[]) {
    enum AVSampleFormat sample_format = AV_SAMPLE_FMT_NONE;
    const int result = find_sample_format(audio->sample_format, &sample_format);
    if (result)
        return result;
    const uint64_t sample_bytes = (uint64_t)av_get_bytes_per_sample(sample_format);
    const bool is_planar = av_sample_fmt_is_planar(sample_format);
    const uint64_t samples = (uint64_t)audio->samples_max * (is_planar ? 1 : audio->channels);
    return measure_row(samples * sample_bytes, is_planar ? audio->channels : 1, extents);
}

/* Returns the number of planes; the description has been checked. */
static int measure(const struct shmframe_format *format, struct extent extents[]) {
    switch ((enum shmframe_kind)format->kind) {
    case SHMFRAME_VIDEO:
        return measure_video(&format->video, extents);
    case SHMFRAME_AUDIO:
        return measure_audio(&format->audio, extents);
    case SHMFRAME_DATA:
        return measure_row(format->data.bytes_max, 1, extents);
    case SHMFRAME_NONE:
        break;
    }
    return -EINVAL;
}

/* --- Geometry: where each plane lies ---------------------------------------------------------- */

static uint64_t align_up(uint64_t bytes) {
    return (bytes + SHMFRAME_LINE_ALIGN - 1) / SHMFRAME_LINE_ALIGN * SHMFRAME_LINE_ALIGN;
}

static int lay_out(struct shmframe_format *format, const struct extent extents[], uint32_t planes) {
    uint64_t end = 0;
    memset(format->plane, 0, sizeof format->plane);
    for (uint32_t i = 0; i < planes; i++) {
        const struct extent *const extent = &extents[i];
        const uint64_t line_bytes = align_up(extent->coded_row_bytes);
        const uint64_t begin = end;
        end = align_up(begin + line_bytes * extent->coded_rows + SHMFRAME_TAIL_BYTES);
        if (end >= SLOT_BYTES_END) {
            return error_set(
                -ENOTSUP, "a slot would need %" PRIu64 " bytes and more: ask for fewer than 4 GiB",
                end);
        }
        format->plane[i] = (struct shmframe_plane){
            .offset = begin + line_bytes * extent->top_rows + extent->left_bytes,
            .line_bytes = (uint32_t)line_bytes,
            .row_bytes = extent->row_bytes,
            .rows = extent->rows,
        };
    }
    format->plane_count = planes;
    format->slot_bytes = end;
    return 0;
}

/* Bytes from the coded plane's beginning to the visible one's. */
static uint64_t find_margin(const struct shmframe_plane *plane, const struct extent *extent) {
    return (uint64_t)plane->line_bytes * extent->top_rows + extent->left_bytes;
}

/* A plane's place with all that is coded around what is visible. */
struct span {
    uint64_t begin, end; /* of the slot's bytes */
    uint64_t line_bytes, row_bytes;
};

static int check_plane(const struct shmframe_format *format, uint32_t i,
                       const struct extent *extent, struct span *out_span) {
    const struct shmframe_plane *const plane = &format->plane[i];
    if (plane->row_bytes != extent->row_bytes || plane->rows != extent->rows || plane->reserved) {
        return error_set(
            -EINVAL,
            "plane[%u] has %u rows of %u bytes: the format has %u of %u (and reserved is 0)", i,
            plane->rows, plane->row_bytes, extent->rows, extent->row_bytes);
    }
    if (plane->line_bytes < extent->coded_row_bytes || plane->line_bytes > INT32_MAX) {
        return error_set(-EINVAL, "plane[%u].line_bytes is %u: it must be %u to %d", i,
                         plane->line_bytes, extent->coded_row_bytes, INT32_MAX);
    }
    const uint64_t before = find_margin(plane, extent);
    if (plane->offset >= format->slot_bytes || plane->offset < before) {
        return error_set(-EINVAL,
                         "plane[%u].offset is %" PRIu64 ": it must be %" PRIu64
                         " (what is cropped away) to slot_bytes",
                         i, plane->offset, before);
    }
    const uint64_t begin = plane->offset - before;
    const uint64_t end =
        begin + (uint64_t)plane->line_bytes * (extent->coded_rows - 1) + extent->coded_row_bytes;
    if (end + SHMFRAME_TAIL_BYTES > format->slot_bytes) {
        return error_set(-EINVAL,
                         "plane[%u] ends at byte %" PRIu64
                         ": with a tail of %d bytes it exceeds slot_bytes, %" PRIu64,
                         i, end, SHMFRAME_TAIL_BYTES, format->slot_bytes);
    }
    *out_span = (struct span){begin, end, plane->line_bytes, extent->coded_row_bytes};
    return 0;
}

static bool is_apart(const struct span *a, const struct span *b) {
    if (a->end <= b->begin || b->end <= a->begin)
        return true;
    if (a->line_bytes != b->line_bytes)
        return false;
    /* Side by side in lines that they share, as some devices place both chroma planes. */
    const uint64_t line = a->line_bytes;
    const uint64_t distance = (b->begin % line + line - a->begin % line) % line;
    return distance >= a->row_bytes && distance + b->row_bytes <= line;
}

static int check_planes(const struct shmframe_format *format, const struct extent extents[],
                        uint32_t planes) {
    if (format->plane_count != planes) {
        return error_set(-EINVAL, "plane_count is %u: the format has %u planes",
                         format->plane_count, planes);
    }
    if (format->slot_bytes >= SLOT_BYTES_END) {
        return error_set(-EINVAL, "slot_bytes is %" PRIu64 ": it must be below 4 GiB",
                         format->slot_bytes);
    }
    struct span spans[SHMFRAME_PLANES_MAX];
    for (uint32_t i = 0; i < planes; i++) {
        const int result = check_plane(format, i, &extents[i], &spans[i]);
        if (result)
            return result;
        for (uint32_t other = 0; other < i; other++)
            if (!is_apart(&spans[other], &spans[i]))
                return error_set(-EINVAL, "plane[%u] and plane[%u] overlap", other, i);
    }
    if (!is_zero(&format->plane[planes], (SHMFRAME_PLANES_MAX - planes) * sizeof format->plane[0]))
        return error_set(-EINVAL, "planes from plane[%u] on must be 0", planes);
    return 0;
}

int format_check(const struct shmframe_format *format) {
    struct extent extents[SHMFRAME_PLANES_MAX];
    int result = check_texts(format);
    if (!result)
        result = check_description(format);
    if (!result)
        result = measure(format, extents);
    return result < 0 ? result : check_planes(format, extents, (uint32_t)result);
}

uint64_t format_coded_offset(const struct shmframe_format *format, uint32_t plane) {
    struct extent extents[SHMFRAME_PLANES_MAX];
    const bool is_known = plane < format->plane_count && measure(format, extents) > 0;
    assert(is_known);
    return is_known
               ? format->plane[plane].offset - find_margin(&format->plane[plane], &extents[plane])
               : 0;
}

/* --- The public face -------------------------------------------------------------------------- */

/* What may be left 0 gets its default; names get their canonical spelling. */
static void fill_defaults(struct shmframe_format *format) {
    pad_texts(format);
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
    struct extent extents[SHMFRAME_PLANES_MAX];
    fill_defaults(&full);
    int result = check_texts(&full);
    if (!result)
        result = check_description(&full);
    if (!result)
        result = check_names(&full);
    if (!result)
        result = measure(&full, extents);
    if (result < 0)
        return result;
    const uint32_t planes = (uint32_t)result;
    if (full.plane_count == 0) {
        result = lay_out(&full, extents, planes);
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
        result = check_planes(&full, extents, planes);
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
    int result = find_pixel_format(pixel_format, &found);
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
    int result = find_sample_format(sample_format, &found);
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
