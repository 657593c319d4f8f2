#include "component.h"

#include "scaler.h"

#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <string.h>

/* BT.709, in 1/65536; their sum is 65536, so that 16-bit samples just fit. */
enum { RED_WEIGHT = 13933, GREEN_WEIGHT = 46871, BLUE_WEIGHT = 4732 };

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

/* Steps that are known when this is compiled let the loops become vector code. */
static inline __attribute__((always_inline)) void
unpack_bytes(const uint8_t *from, int step, const struct component *component, uint8_t *to) {
    const int shift = component->shift;
    const uint8_t mask = (uint8_t)((1u << component->depth) - 1);
    for (int x = 0; x < component->width; x++)
        to[x] = (uint8_t)(from[(ptrdiff_t)x * step] >> shift) & mask;
}

static inline __attribute__((always_inline)) void
unpack_words(const uint8_t *from, int step, const struct component *component, uint16_t *to) {
    const int shift = component->shift;
    const uint16_t mask = (uint16_t)((1u << component->depth) - 1);
    for (int x = 0; x < component->width; x++) {
        uint16_t word;
        memcpy(&word, from + (ptrdiff_t)x * step, sizeof(word));
        to[x] = (uint16_t)(word >> shift) & mask;
    }
}

/* The rest: samples of up to 8 bits in words of two bytes, and all in words of four. */
static void unpack_any(const uint8_t *from, const struct component *component, void *to) {
    const uint32_t mask = (1u << component->depth) - 1;
    for (int x = 0; x < component->width; x++, from += component->step_bytes) {
        uint32_t word = 0;
        memcpy(&word, from, (size_t)component->word_bytes);
        const uint32_t value = word >> component->shift & mask;
        if (component->depth > 8)
            ((uint16_t *)to)[x] = (uint16_t)value;
        else
            ((uint8_t *)to)[x] = (uint8_t)value;
    }
}

const void *component_row(const struct component *component, int y, void *buffer) {
    const uint8_t *from = component->data + (ptrdiff_t)y * component->line_bytes;
    const int step = component->step_bytes;
    const bool is_wide = component->depth > 8;
    if (step == component->word_bytes && component->shift == 0 && component->word_bytes < 4 &&
        component->word_bytes == (is_wide ? 2 : 1) && component->depth >= 8)
        return from;
    if (component->word_bytes == 1 && step == 2)
        unpack_bytes(from, 2, component, buffer);
    else if (component->word_bytes == 1 && step == 3)
        unpack_bytes(from, 3, component, buffer);
    else if (component->word_bytes == 1 && step == 4)
        unpack_bytes(from, 4, component, buffer);
    else if (component->word_bytes == 1)
        unpack_bytes(from, step, component, buffer);
    else if (component->word_bytes == 2 && is_wide && step == 2)
        unpack_words(from, 2, component, buffer);
    else if (component->word_bytes == 2 && is_wide && step == 4)
        unpack_words(from, 4, component, buffer);
    else if (component->word_bytes == 2 && is_wide)
        unpack_words(from, step, component, buffer);
    else
        unpack_any(from, component, buffer);
    return buffer;
}

static inline uint32_t weigh(uint32_t red, uint32_t green, uint32_t blue) {
    return (red * RED_WEIGHT + green * GREEN_WEIGHT + blue * BLUE_WEIGHT + 32767) >> 16;
}

void component_rgb_luma(const void *const rows[3], void *to, int width, int depth) {
    if (depth > 8) {
        const uint16_t *red = rows[0], *green = rows[1], *blue = rows[2];
        uint16_t *restrict luma = to;
        for (int x = 0; x < width; x++)
            luma[x] = (uint16_t)weigh(red[x], green[x], blue[x]);
    } else {
        const uint8_t *red = rows[0], *green = rows[1], *blue = rows[2];
        uint8_t *restrict luma = to;
        for (int x = 0; x < width; x++)
            luma[x] = (uint8_t)weigh(red[x], green[x], blue[x]);
    }
}
