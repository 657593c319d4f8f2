/* Formats inside the library: what a peer wrote is checked here before it is used. */
#ifndef SHMFRAME_SRC_FORMAT_H
#define SHMFRAME_SRC_FORMAT_H

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

/* Where plane `plane` of the coded picture begins in the slot: at or before plane[].offset, which
 * is where the visible picture begins. `format` is complete and good. */
uint64_t format_coded_offset(const struct shmframe_format *format, uint32_t plane);

/* The most bytes of a slot that one frame can say are valid: of a datum what its format promises to
 * whoever copies it, not the padding of its slot. */
static inline uint32_t format_bytes_max(const struct shmframe_format *format) {
    return (uint32_t)(format->kind == SHMFRAME_DATA ? format->data.bytes_max : format->slot_bytes);
}

#endif
