/* X pixel: how an X server lays out a pixel, in libavutil's words. Pure. */
#ifndef PRODUCERS_X_PIXEL_H
#define PRODUCERS_X_PIXEL_H

#include <stdbool.h>
#include <stdint.h>

struct x_pixel {
    const char *name; /* av_get_pix_fmt_name() */
    uint8_t bits;     /* from one pixel to the next: 8, 16, 24 or 32 */
    bool is_msb_first;
    uint32_t mask[3]; /* red, green, blue */
};

/* Completes `pixel`, whose bits, byte order and masks are given. False: libavutil has no name for
 * such pixels. */
bool x_pixel_name(struct x_pixel *pixel);

/* Lays a colour over the pixel at `data`: `argb` is premultiplied with its alpha, as cursors are.
 */
void x_pixel_blend(const struct x_pixel *pixel, uint8_t *data, uint32_t argb);

#endif
