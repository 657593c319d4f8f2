/* Format: what each plane holds, and where it lies. */
#include "format_planes.h"

#include "error.h"
#include "format.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libavutil/samplefmt.h>
#include <string.h>

#define SLOT_BYTES_END (UINT64_C(1) << 32) /* slots stay below */
/* A line and its alignment fit the int that libavutil has for them. */
#define ROW_BYTES_MAX (INT32_MAX - SHMFRAME_LINE_ALIGN)

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

static int measure_video(const struct shmframe_video_format *video,
                         struct format_extent extents[]) {
    enum AVPixelFormat pixel_format;
    int result = format_find_pixel_format(video->pixel_format, &pixel_format);
    if (result)
        return result;
    const AVPixFmtDescriptor *const descriptor = av_pix_fmt_desc_get(pixel_format);
    result = check_crop_step(video, descriptor);
    if (result)
        return result;
    uint32_t row_bytes[4], rows[4], coded_row_bytes[4], coded_rows[4];
    const int planes = measure_picture(pixel_format, video->width, video->height, row_bytes, rows);
    if (planes < 0 ||
        measure_picture(pixel_format, format_coded_width(video), format_coded_height(video),
                        coded_row_bytes, coded_rows) != planes) {
        return error_set(-ENOTSUP, "libavutil cannot compute the size of %ux%u pixels of %s",
                         format_coded_width(video), format_coded_height(video),
                         video->pixel_format);
    }
    int step[4], step_component[4];
    av_image_fill_max_pixsteps(step, step_component, descriptor);
    for (int i = 0; i < planes; i++) {
        const bool is_palette = i == 1 && (descriptor->flags & AV_PIX_FMT_FLAG_PAL);
        const bool is_chroma = step_component[i] == 1 || step_component[i] == 2;
        const uint32_t left = video->crop_left >> (is_chroma ? descriptor->log2_chroma_w : 0);
        const uint32_t unit = descriptor->flags & AV_PIX_FMT_FLAG_BITSTREAM ? 8 : 1;
        extents[i] = (struct format_extent){
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

static int measure_row(uint64_t bytes, uint32_t planes, struct format_extent extents[]) {
    if (bytes > ROW_BYTES_MAX) {
        return error_set(-ENOTSUP,
                         "a block would need a row of %" PRIu64 " bytes: ask for fewer than 2 GiB",
                         bytes);
    }
    for (uint32_t i = 0; i < planes; i++) {
        extents[i] = (struct format_extent){
            .row_bytes = (uint32_t)bytes,
            .rows = 1,
            .coded_row_bytes = (uint32_t)bytes,
            .coded_rows = 1,
        };
    }
    return (int)planes;
}

static int measure_audio(const struct shmframe_audio_format *audio,
                         struct format_extent extents[]) {
    enum AVSampleFormat sample_format = AV_SAMPLE_FMT_NONE;
    const int result = format_find_sample_format(audio->sample_format, &sample_format);
    if (result)
        return result;
    const uint64_t sample_bytes = (uint64_t)av_get_bytes_per_sample(sample_format);
    const bool is_planar = av_sample_fmt_is_planar(sample_format);
    const uint64_t samples = (uint64_t)audio->samples_max * (is_planar ? 1 : audio->channels);
    return measure_row(samples * sample_bytes, is_planar ? audio->channels : 1, extents);
}

int format_planes_measure(const struct shmframe_format *format, struct format_extent extents[]) {
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

int format_planes_lay_out(struct shmframe_format *format, const struct format_extent extents[],
                          uint32_t planes) {
    uint64_t end = 0;
    memset(format->plane, 0, sizeof format->plane);
    for (uint32_t i = 0; i < planes; i++) {
        const struct format_extent *const extent = &extents[i];
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
static uint64_t find_margin(const struct shmframe_plane *plane,
                            const struct format_extent *extent) {
    return (uint64_t)plane->line_bytes * extent->top_rows + extent->left_bytes;
}

/* A plane's place with all that is coded around what is visible. */
struct span {
    uint64_t begin, end; /* of the slot's bytes */
    uint64_t line_bytes, row_bytes;
};

static int check_plane(const struct shmframe_format *format, uint32_t i,
                       const struct format_extent *extent, struct span *out_span) {
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

int format_planes_check(const struct shmframe_format *format, const struct format_extent extents[],
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
    if (!format_is_zero(&format->plane[planes],
                        (SHMFRAME_PLANES_MAX - planes) * sizeof format->plane[0]))
        return error_set(-EINVAL, "planes from plane[%u] on must be 0", planes);
    return 0;
}

uint64_t format_coded_offset(const struct shmframe_format *format, uint32_t plane) {
    struct format_extent extents[SHMFRAME_PLANES_MAX];
    const bool is_known = plane < format->plane_count && format_planes_measure(format, extents) > 0;
    assert(is_known);
    return is_known
               ? format->plane[plane].offset - find_margin(&format->plane[plane], &extents[plane])
               : 0;
}
