#include "x_pixel.h"

#include <stddef.h>
#include <string.h>

/* libavutil names byte-wise formats by their bytes' order in memory, and those of 16 bits or of 10
 * bits a component by the word's, most significant first. */
static const struct layout {
    uint8_t bits;
    uint32_t mask[3];
    const char *lsb_first, *msb_first;
} layouts[] = {
    {32, {0xff0000, 0xff00, 0xff}, "bgr0", "0rgb"},
    {32, {0xff, 0xff00, 0xff0000}, "rgb0", "0bgr"},
    {32, {0xff000000, 0xff0000, 0xff00}, "0bgr", "rgb0"},
    {32, {0xff00, 0xff0000, 0xff000000}, "0rgb", "bgr0"},
    {32, {0x3ff00000, 0xffc00, 0x3ff}, "x2rgb10le", "x2rgb10be"},
    {32, {0x3ff, 0xffc00, 0x3ff00000}, "x2bgr10le", "x2bgr10be"},
    {24, {0xff0000, 0xff00, 0xff}, "bgr24", "rgb24"},
    {24, {0xff, 0xff00, 0xff0000}, "rgb24", "bgr24"},
    {16, {0xf800, 0x7e0, 0x1f}, "rgb565le", "rgb565be"},
    {16, {0x1f, 0x7e0, 0xf800}, "bgr565le", "bgr565be"},
    {16, {0x7c00, 0x3e0, 0x1f}, "rgb555le", "rgb555be"},
    {16, {0x1f, 0x3e0, 0x7c00}, "bgr555le", "bgr555be"},
    {8, {0x7, 0x38, 0xc0}, "bgr8", "bgr8"},
};

bool x_pixel_name(struct x_pixel *pixel) {
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        const struct layout *layout = &layouts[i];
        if (layout->bits != pixel->bits ||
            memcmp(layout->mask, pixel->mask, sizeof(layout->mask)) != 0)
            continue;
        pixel->name = pixel->is_msb_first ? layout->msb_first : layout->lsb_first;
        return true;
    }
    return false;
}

/* Place of the byte of weight 256^i. */
static unsigned find_byte(const struct x_pixel *pixel, unsigned i) {
    return pixel->is_msb_first ? pixel->bits / 8u - 1 - i : i;
}

static uint32_t read_pixel(const struct x_pixel *pixel, const uint8_t *data) {
    uint32_t value = 0;
    for (unsigned i = 0; i < pixel->bits / 8u; i++)
        value |= (uint32_t)data[find_byte(pixel, i)] << (8 * i);
    return value;
}

static void write_pixel(const struct x_pixel *pixel, uint8_t *data, uint32_t value) {
    for (unsigned i = 0; i < pixel->bits / 8u; i++)
        data[find_byte(pixel, i)] = (uint8_t)(value >> (8 * i));
}

void x_pixel_blend(const struct x_pixel *pixel, uint8_t *data, uint32_t argb) {
    const uint32_t alpha = argb >> 24;
    if (alpha == 0)
        return;
    uint32_t value = read_pixel(pixel, data);
    for (unsigned i = 0; i < 3; i++) {
        const uint32_t mask = pixel->mask[i];
        const unsigned shift = (unsigned)__builtin_ctz(mask);
        const uint32_t max = mask >> shift;
        const uint32_t below = (value & mask) >> shift;
        const uint32_t above = argb >> (16 - 8 * i) & 0xff;
        /* A colour above its alpha is no premultiplied one: held to what the pixel can show. */
        const uint32_t sum = (above * max + below * (255 - alpha) + 127) / 255;
        value = (value & ~mask) | (sum < max ? sum : max) << shift;
    }
    write_pixel(pixel, data, value);
}
