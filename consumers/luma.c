#include "luma.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/intfloat.h>
#include <libavutil/intreadwrite.h>
#include <string.h>

/* Rows. */

static void read_bytes(const struct luma *luma, const uint8_t *row, uint32_t left, uint32_t count,
                       uint8_t *out) {
    (void)luma;
    memcpy(out, row + left, count);
}

/* With a step that is known when this is compiled the loop becomes vector code. */
static inline __attribute__((always_inline)) void step_bytes(const uint8_t *from, size_t step,
                                                             uint32_t count, uint8_t *out) {
    for (uint32_t i = 0; i < count; i++)
        out[i] = from[i * step];
}

static void read_stepped(const struct luma *luma, const uint8_t *row, uint32_t left, uint32_t count,
                         uint8_t *out) {
    const size_t step = (size_t)luma->step;
    const uint8_t *from = row + left * step;
    if (step == 2)
        step_bytes(from, 2, count, out);
    else if (step == 3)
        step_bytes(from, 3, count, out);
    else if (step == 4)
        step_bytes(from, 4, count, out);
    else
        step_bytes(from, step, count, out);
}

/* The upper 8 bits of samples of 9 to 16 bits in words of two bytes. */
static void read_words(const struct luma *luma, const uint8_t *row, uint32_t left, uint32_t count,
                       uint8_t *out) {
    const uint8_t *from = row + (size_t)left * (size_t)luma->step;
    for (uint32_t i = 0; i < count; i++, from += luma->step)
        out[i] = (uint8_t)((luma->is_big_endian ? AV_RB16(from) : AV_RL16(from)) >> luma->shift);
}

static void read_floats(const struct luma *luma, const uint8_t *row, uint32_t left, uint32_t count,
                        uint8_t *out) {
    const uint8_t *from = row + (size_t)left * (size_t)luma->step;
    for (uint32_t i = 0; i < count; i++, from += luma->step) {
        const float value = av_int2float(luma->is_big_endian ? AV_RB32(from) : AV_RL32(from));
        /* Written so that what is no number becomes 0. */
        out[i] = value >= 1 ? 255 : value > 0 ? (uint8_t)(value * 255) : 0;
    }
}

/* IEEE 754 half precision: a sign, 5 bits of exponent, 10 of fraction. */
static void read_halfs(const struct luma *luma, const uint8_t *row, uint32_t left, uint32_t count,
                       uint8_t *out) {
    enum { ONE = 0x3c00, NEGATIVE = 0x8000, FRACTION = 10, BIAS = 127 - 15 };
    const uint8_t *from = row + (size_t)left * (size_t)luma->step;
    for (uint32_t i = 0; i < count; i++, from += luma->step) {
        const unsigned bits = luma->is_big_endian ? AV_RB16(from) : AV_RL16(from);
        const unsigned exponent = (bits >> FRACTION) + BIAS,
                       fraction = bits & ((1u << FRACTION) - 1);
        const float value = av_int2float(exponent << 23 | fraction << (23 - FRACTION));
        out[i] = bits >= NEGATIVE ? 0 : bits >= ONE ? 255 : (uint8_t)(value * 255);
    }
}

/* U Y Y V Y Y: four pixels in six bytes. */
static void read_uyyvyy(const struct luma *luma, const uint8_t *row, uint32_t left, uint32_t count,
                        uint8_t *out) {
    static const uint8_t place[] = {1, 2, 4, 5};
    (void)luma;
    for (uint32_t x = left; x < left + count; x++)
        *out++ = row[(size_t)(x / 4) * 6 + place[x % 4]];
}

/* Whatever libavutil can read: samples of odd bits, in words of four bytes or parts of one. */
static void read_described(const struct luma *luma, const uint8_t *row, uint32_t left,
                           uint32_t count, uint8_t *out) {
    enum { AT_ONCE = 64 };
    const AVComponentDescriptor *component = &luma->descriptor->comp[luma->component];
    const uint8_t *planes[4] = {NULL};
    const int lines[4] = {0}; /* row 0 is the row */
    planes[component->plane] = row;
    const uint32_t max = (1u << component->depth) - 1;
    while (count) {
        uint16_t samples[AT_ONCE];
        const uint32_t some = count < AT_ONCE ? count : AT_ONCE;
        av_read_image_line2(samples, planes, lines, luma->descriptor, (int)left, 0, luma->component,
                            (int)some, 0, sizeof(samples[0]));
        for (uint32_t i = 0; i < some; i++) {
            const uint8_t value = (uint8_t)(samples[i] * 255u / max);
            *out++ = luma->is_inverse ? 255 - value : value;
        }
        left += some;
        count -= some;
    }
}

/* Formats. */

/* What a sample's place in its word is, and who reads it. NULL: nobody. */
static luma_reader *choose_reader(struct luma *luma, const char *name) {
    const int flags = (int)luma->descriptor->flags;
    const AVComponentDescriptor *component = &luma->descriptor->comp[luma->component];
    const int bits = component->shift + component->depth;
    luma->step = component->step;
    luma->shift = bits - 8;
    if (strcmp(name, "uyyvyy411") == 0)
        return read_uyyvyy;
    if (flags & AV_PIX_FMT_FLAG_PAL)
        return read_bytes;
    if (flags & AV_PIX_FMT_FLAG_BAYER) {
        luma->step = strstr(name, "16") ? 2 : 1;
        luma->shift = 8;
        return luma->step == 2 ? read_words : read_bytes;
    }
    if (flags & AV_PIX_FMT_FLAG_FLOAT)
        return component->depth == 32 ? read_floats : component->depth == 16 ? read_halfs : NULL;
    if (flags & AV_PIX_FMT_FLAG_BITSTREAM || bits > 16 || component->depth < 8)
        return component->depth <= 16 ? read_described : NULL;
    if (bits > 8)
        return read_words;
    return component->step == 1 ? read_bytes : read_stepped;
}

int luma_init(struct luma *luma, const struct shmframe_format *format) {
    const struct shmframe_video_format *video = &format->video;
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(av_get_pix_fmt(video->pixel_format));
    if (format->kind != SHMFRAME_VIDEO || !descriptor || descriptor->nb_components == 0 ||
        descriptor->flags & AV_PIX_FMT_FLAG_HWACCEL)
        return -ENOTSUP;
    *luma = (struct luma){
        .width = video->width,
        .height = video->height,
        .descriptor = descriptor,
        .is_big_endian = descriptor->flags & AV_PIX_FMT_FLAG_BE,
        .is_inverse = strcmp(video->pixel_format, "monow") == 0,
        .has_palette = descriptor->flags & AV_PIX_FMT_FLAG_PAL,
        .palette_offset = format->plane[1].offset,
    };
    const bool is_xyz = strncmp(video->pixel_format, "xyz", 3) == 0;
    const bool is_rgb = descriptor->flags & AV_PIX_FMT_FLAG_RGB && !luma->has_palette;
    luma->component = descriptor->nb_components >= 3 && (is_rgb || is_xyz) ? 1 : 0;
    luma->read = choose_reader(luma, video->pixel_format);
    if (!luma->read)
        return -ENOTSUP;
    const bool is_mosaic = descriptor->flags & AV_PIX_FMT_FLAG_BAYER;
    const AVComponentDescriptor *component = &descriptor->comp[luma->component];
    const struct shmframe_plane *plane = &format->plane[is_mosaic ? 0 : component->plane];
    luma->line_bytes = plane->line_bytes;
    luma->offset = plane->offset;
    /* libavutil adds its own offset, and a mosaic's is that of one colour. */
    if (luma->read != read_described && luma->read != read_uyyvyy && !is_mosaic)
        luma->offset += (uint64_t)component->offset;
    return 0;
}

/* Entries are ARGB in native order: libavutil/pixfmt.h, AV_PIX_FMT_PAL8. */
static void look_up(const uint8_t *palette, uint32_t count, uint8_t *values) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t entry;
        memcpy(&entry, palette + (size_t)values[i] * 4, sizeof(entry));
        values[i] = (uint8_t)(entry >> 8);
    }
}

void luma_row(const struct luma *luma, const uint8_t *data, uint32_t y, uint32_t left,
              uint32_t count, uint8_t *out) {
    assert(y < luma->height && left <= luma->width && count <= luma->width - left);
    luma->read(luma, data + luma->offset + (uint64_t)y * luma->line_bytes, left, count, out);
    if (luma->has_palette)
        look_up(data + luma->palette_offset, count, out);
}
