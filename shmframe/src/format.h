/* Formats inside the library: what a peer wrote is checked here before it is used. */
#ifndef SHMFRAME_SRC_FORMAT_H
#define SHMFRAME_SRC_FORMAT_H

#include <libavutil/pixfmt.h>
#include <libavutil/samplefmt.h>
#include <shmframe/format.h>

/* Checks a complete format (plane_count is not 0) without changing it. Safe on any bytes whatever;
 * when it returns 0, every plane lies inside the slot, with SHMFRAME_TAIL_BYTES readable after it.
 * `format` must be a private copy if somebody else can write the original.
 *
 * Stricter than shmframe_format_complete() in form - texts padded with zeros, nothing left to fill
 * in, unused parts zero - and more lenient in one point: names of colours and channel layouts need
 * not be known to this FFmpeg.
 * Errors: -EINVAL; -ENOTSUP unknown or hardware format. error_set() names the field. */
int format_check(const struct shmframe_format *format);

/* The first half of format_check(): texts and numbers, not yet the planes. Errors: as there. */
int format_check_description(const struct shmframe_format *format);

/* Names that only this process's FFmpeg can judge; a peer's may be newer than ours.
 * Errors: -EINVAL. */
int format_check_names(const struct shmframe_format *format);

/* Puts zeros behind each text, so that equal formats are equal bytes. */
void format_pad_texts(struct shmframe_format *format);

/* Errors: -ENOTSUP unknown, or in hardware. `name` may be NULL. */
int format_find_pixel_format(const char *name, enum AVPixelFormat *out_pixel_format);
int format_find_sample_format(const char *name, enum AVSampleFormat *out_sample_format);

/* Where plane `plane` of the coded picture begins in the slot: at or before plane[].offset, which
 * is where the visible picture begins. `format` is complete and good. */
uint64_t format_coded_offset(const struct shmframe_format *format, uint32_t plane);

/* The most bytes of a slot that one frame can say are valid: of a datum what its format promises to
 * whoever copies it, not the padding of its slot. */
static inline uint32_t format_bytes_max(const struct shmframe_format *format) {
    return (uint32_t)(format->kind == SHMFRAME_DATA ? format->data.bytes_max : format->slot_bytes);
}

static inline uint32_t format_coded_width(const struct shmframe_video_format *video) {
    return video->coded_width ? video->coded_width : video->width;
}

static inline uint32_t format_coded_height(const struct shmframe_video_format *video) {
    return video->coded_height ? video->coded_height : video->height;
}

static inline bool format_is_zero(const void *memory, size_t bytes) {
    const uint8_t *const byte = memory;
    for (size_t i = 0; i < bytes; i++)
        if (byte[i])
            return false;
    return true;
}

#endif
