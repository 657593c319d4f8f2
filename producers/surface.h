/* Surface: fills rectangles of a picture with colours, in any pixel format of libavutil.
 *
 * Each colour is turned into the bytes of its smallest repeating piece once, for each plane;
 * filling is nothing but copies of that piece after that. A piece is one sample in most formats,
 * and several pixels where a format packs them: 2 in yuyv422, 8 in monob. A piece has one colour:
 * that of its first pixel, as a chroma sample has that of the first pixel it covers. So edges at
 * multiples of surface_grain() are exact, and all others are at least the same in every way of
 * painting them.
 *
 * YCbCr follows ITU-R BT.601, BT.709 or BT.2020 as format->video.color_space says, in the range
 * that color_range says; BT.601 and limited range where they say nothing. RGB and grey use the full
 * range; alpha is opaque.
 */
#ifndef PRODUCERS_SURFACE_H
#define PRODUCERS_SURFACE_H

#include <shmframe/format.h>

/* Gamma-corrected, 0 to 1 each. */
struct colour {
    float red, green, blue;
};

/* Pixels from left to right - 1 and top to bottom - 1. */
struct rect {
    int32_t left, top, right, bottom;
};

struct surface;

/* Names range, matrix and chroma place of the format's pictures as this module paints them, where
 * the format does not say already. */
void surface_describe_colours(struct shmframe_format *format);

/* Makes a surface for pictures of `format`, complete, and for `count` colours, 1 to 256. Keeps
 * copies. Errors: -ENOTSUP a pixel format that cannot be painted; -ENOMEM. */
int surface_create(const struct shmframe_format *format, const struct colour *colours,
                   uint32_t count, struct surface **out_surface);
void surface_destroy(struct surface *surface);

/* Fills `rect`, inside the picture, of the picture in `slot` with colour number `colour`. */
void surface_fill(const struct surface *surface, uint8_t *slot, struct rect rect, uint32_t colour);

/* Writes what a picture has beside its pixels: the palette. */
void surface_fill_palette(const struct surface *surface, uint8_t *slot);

/* Edges at multiples of these are exact: for any colours (chroma), or for greys. */
struct surface_grain {
    int32_t width, height;               /* for greys */
    int32_t chroma_width, chroma_height; /* for colours */
};
struct surface_grain surface_grain(const struct surface *surface);

#endif
