/* Planes of a format: what the description demands of each, and where it lies in the slot. */
#ifndef SHMFRAME_SRC_FORMAT_PLANES_H
#define SHMFRAME_SRC_FORMAT_PLANES_H

#include <shmframe/format.h>

/* What the description demands of one plane, whatever its place. Coded and visible extent differ
 * for cropped pictures only. */
struct format_extent {
    uint32_t row_bytes, rows;
    uint32_t coded_row_bytes, coded_rows;
    uint32_t left_bytes, top_rows; /* of the visible in the coded extent */
};

/* Fills `out_extents`, of SHMFRAME_PLANES_MAX, from a description that format_check_description()
 * found good. Returns the number of planes. Errors: -EINVAL; -ENOTSUP. */
int format_planes_measure(const struct shmframe_format *format, struct format_extent out_extents[]);

/* Places the planes one behind the other, each line aligned. Errors: -ENOTSUP the slot would be too
 * large. */
int format_planes_lay_out(struct shmframe_format *format, const struct format_extent extents[],
                          uint32_t planes);

/* Checks planes that somebody has placed: each inside the slot, none over another.
 * Errors: -EINVAL. */
int format_planes_check(const struct shmframe_format *format, const struct format_extent extents[],
                        uint32_t planes);

#endif
