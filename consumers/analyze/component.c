#include "component.h"

#include "scaler.h"

#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <string.h>

/* BT.709, in 1/65536; their sum is 65536, so that 16-bit samples just fit. For 8-bit samples 1/256
 * is enough, and fits 16 bits. */
enum { RED_WEIGHT = 13933, GREEN_WEIGHT = 46871, BLUE_WEIGHT = 4732 };
enum { RED_WEIGHT_8 = 54, GREEN_WEIGHT_8 = 183, BLUE_WEIGHT_8 = 19 };

bool components_can_read(enum AVPixelFormat format) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    const uint64_t odd = AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM |
                         AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_FLOAT;
    if (!descriptor || descriptor->nb_components == 0 || descriptor->flags & odd ||
        strncmp(descriptor->name, "xyz", 3) == 0)
        return false;
    for (int i = 0; i < descriptor->nb_components && i < COMPONENTS_MAX; i++)
        if (descriptor->comp[i].depth > 16 ||
            descriptor->comp[i].depth != descriptor->comp[0].depth)
            return false;
    return true;
}

enum AVPixelFormat components_nearest_format(enum AVPixelFormat format) {
    if (components_can_read(format))
        return format;
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    if (!descriptor || !sws_isSupportedInput(format))
        return AV_PIX_FMT_NONE;
    const enum AVPixelFormat swapped = av_pix_fmt_swap_endianness(format);
    if (components_can_read(swapped) && sws_isSupportedOutput(swapped))
        return swapped;
    const bool is_deep = descriptor->comp[0].depth > 8;
    if (descriptor->nb_components < 3 && !(descriptor->flags & AV_PIX_FMT_FLAG_PAL))
        return is_deep ? AV_PIX_FMT_GRAY16LE : AV_PIX_FMT_GRAY8;
    return is_deep ? AV_PIX_FMT_GBRP16LE : AV_PIX_FMT_GBRP;
}

static struct component read_component(const AVFrame *picture, const AVPixFmtDescriptor *descriptor,
                                       int index) {
    const AVComponentDescriptor *of = &descriptor->comp[index];
    const bool is_chroma = index > 0 && !(descriptor->flags & AV_PIX_FMT_FLAG_RGB);
    const int bits = of->shift + of->depth;
    return (struct component){
        .data = picture->data[of->plane] + of->offset,
        .line_bytes = picture->linesize[of->plane],
        .width = AV_CEIL_RSHIFT(picture->width, is_chroma ? descriptor->log2_chroma_w : 0),
        .height = AV_CEIL_RSHIFT(picture->height, is_chroma ? descriptor->log2_chroma_h : 0),
        .step_bytes = of->step,
        .word_bytes = bits <= 8    ? 1
                      : bits <= 16 ? 2
                                   : 4,
        .shift = of->shift,
        .depth = of->depth,
    };
}

void components_read(const AVFrame *picture, struct components *out_components) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(picture->format);
    enum AVColorSpace space;
    enum AVColorRange range;
    picture_colors(picture, &space, &range);
    *out_components = (struct components){
        .count = descriptor->nb_components < 3 ? 1 : 3, /* one or two: grey, grey and alpha */
        .is_rgb = descriptor->flags & AV_PIX_FMT_FLAG_RGB,
        .is_full = range == AVCOL_RANGE_JPEG,
    };
    for (int i = 0; i < out_components->count; i++)
        out_components->component[i] = read_component(picture, descriptor, i);
}

/* Unpacking: with steps and shifts that are known when this is compiled the loops become vector
 * code; those of 2 and 4 bytes a step by reading whole words, the last of which could end behind
 * the row. */

static void unpack_every_2nd(const uint8_t *from, uint8_t *restrict to, int width) {
    for (int x = 0; x < width - 1; x++) {
        uint16_t word;
        memcpy(&word, from + (ptrdiff_t)x * 2, sizeof(word));
        to[x] = (uint8_t)word;
    }
    to[width - 1] = from[(ptrdiff_t)(width - 1) * 2];
}

static void unpack_every_4th(const uint8_t *from, uint8_t *restrict to, int width) {
    for (int x = 0; x < width - 1; x++) {
        uint32_t word;
        memcpy(&word, from + (ptrdiff_t)x * 4, sizeof(word));
        to[x] = (uint8_t)word;
    }
    to[width - 1] = from[(ptrdiff_t)(width - 1) * 4];
}

static void unpack_every_3rd(const uint8_t *from, uint8_t *restrict to, int width) {
    for (int x = 0; x < width; x++)
        to[x] = from[(ptrdiff_t)x * 3];
}

/* Words of two bytes. */
static inline __attribute__((always_inline)) void
unpack_words(const uint8_t *from, int step, int shift, int width, uint16_t mask, uint16_t *to) {
    for (int x = 0; x < width; x++) {
        uint16_t word;
        memcpy(&word, from + (ptrdiff_t)x * step, sizeof(word));
        to[x] = (uint16_t)(word >> shift) & mask;
    }
}

static void unpack_deep(const uint8_t *from, const struct component *component, uint16_t *to) {
    const int step = component->step_bytes, shift = component->shift, width = component->width;
    const uint16_t mask = (uint16_t)((1u << component->depth) - 1);
    if (step == 2 && shift == 6) /* luma of P010 */
        unpack_words(from, 2, 6, width, mask, to);
    else if (step == 4 && shift == 6) /* its chroma */
        unpack_words(from, 4, 6, width, mask, to);
    else if (step == 2)
        unpack_words(from, 2, shift, width, mask, to);
    else if (step == 4)
        unpack_words(from, 4, shift, width, mask, to);
    else
        unpack_words(from, step, shift, width, mask, to);
}

static void unpack_any(const uint8_t *from, const struct component *component, void *to) {
    const uint32_t mask = (1u << component->depth) - 1;
    const int width = component->width;
    for (int x = 0; x < width; x++, from += component->step_bytes) {
        uint32_t word = 0;
        memcpy(&word, from, (size_t)component->word_bytes);
        const uint32_t value = word >> component->shift & mask;
        if (component->depth > 8)
            ((uint16_t *)to)[x] = (uint16_t)value;
        else
            ((uint8_t *)to)[x] = (uint8_t)value;
    }
}

/* Bytes and words of two bytes that need no unpacking, or nothing else. */
static bool is_plain(const struct component *component) {
    return component->shift == 0 && component->depth >= 8 &&
           component->word_bytes == (component->depth > 8 ? 2 : 1);
}

const void *component_row(const struct component *component, int y, void *buffer) {
    const uint8_t *from = component->data + (ptrdiff_t)y * component->line_bytes;
    const int step = component->step_bytes;
    if (is_plain(component) && step == component->word_bytes)
        return from;
    if (is_plain(component) && component->word_bytes == 1 && step == 2)
        unpack_every_2nd(from, buffer, component->width);
    else if (is_plain(component) && component->word_bytes == 1 && step == 3)
        unpack_every_3rd(from, buffer, component->width);
    else if (is_plain(component) && component->word_bytes == 1 && step == 4)
        unpack_every_4th(from, buffer, component->width);
    else if (component->depth > 8 && component->word_bytes == 2)
        unpack_deep(from, component, buffer);
    else
        unpack_any(from, component, buffer);
    return buffer;
}

void component_rgb_luma(const void *const rows[3], void *to, int width, int depth) {
    if (depth > 8) {
        const uint16_t *red = rows[0], *green = rows[1], *blue = rows[2];
        uint16_t *restrict luma = to;
        const uint32_t mask = (1u << depth) - 1; /* a slot may have bits above */
        for (int x = 0; x < width; x++)
            luma[x] = (uint16_t)(((red[x] & mask) * RED_WEIGHT + (green[x] & mask) * GREEN_WEIGHT +
                                  (blue[x] & mask) * BLUE_WEIGHT + 32767) >>
                                 16);
    } else {
        const uint8_t *red = rows[0], *green = rows[1], *blue = rows[2];
        uint8_t *restrict luma = to;
        for (int x = 0; x < width; x++) {
            const uint16_t sum = (uint16_t)(red[x] * RED_WEIGHT_8 + green[x] * GREEN_WEIGHT_8 +
                                            blue[x] * BLUE_WEIGHT_8 + 128);
            luma[x] = (uint8_t)(sum >> 8);
        }
    }
}
