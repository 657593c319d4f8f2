#include "deep.h"

#include "scaler.h"

#include <libavutil/intreadwrite.h>
#include <libavutil/pixdesc.h>
#include <stdbool.h>

enum { DEEP_BITS = 16, COLOUR_PLACES = 3, SAMPLE_BYTES = 2, UNTOUCHED = 16 };

/* By how many bits a sample is shifted to be what it lacks; 16: it lacks nothing. */
struct lack {
    int of_colours, of_alpha;
};

static struct lack find_lack(const AVFrame *from, const AVPixFmtDescriptor *to) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(from->format);
    const int depth = descriptor->comp[0].depth;
    const bool is_grey = to->nb_components < COLOUR_PLACES;
    enum AVColorSpace space;
    enum AVColorRange range;
    picture_colors(from, &space, &range);
    return (struct lack){
        .of_colours = range != AVCOL_RANGE_JPEG ? 8
                      : is_grey                 ? UNTOUCHED
                                                : depth,
        .of_alpha = descriptor->flags & AV_PIX_FMT_FLAG_ALPHA ? depth : UNTOUCHED,
    };
}

static unsigned stretch(unsigned sample, int shift) {
    const unsigned stretched = sample + (sample >> shift);
    return stretched < UINT16_MAX ? stretched : UINT16_MAX;
}

static void stretch_component(AVFrame *to, const AVComponentDescriptor *component,
                              bool is_big_endian, int shift) {
    for (int y = 0; y < to->height; y++) {
        uint8_t *at = to->data[0] + (ptrdiff_t)y * to->linesize[0] + component->offset;
        for (int x = 0; x < to->width; x++, at += component->step) {
            if (is_big_endian)
                AV_WB16(at, stretch(AV_RB16(at), shift));
            else
                AV_WL16(at, stretch(AV_RL16(at), shift));
        }
    }
}

/* RGB and grey, of 16 bits in one plane. */
static bool is_deep(const AVPixFmtDescriptor *to) {
    const bool is_grey = to->nb_components == 1;
    return to->comp[0].depth == DEEP_BITS &&
           av_pix_fmt_count_planes(av_pix_fmt_desc_get_id(to)) == 1 &&
           !(to->flags & AV_PIX_FMT_FLAG_FLOAT) && (is_grey || to->flags & AV_PIX_FMT_FLAG_RGB);
}

void deep_stretch(const AVFrame *from, AVFrame *to) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(to->format);
    const uint64_t others = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BAYER |
                            AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BITSTREAM;
    if (!is_deep(descriptor) || av_pix_fmt_desc_get(from->format)->flags & others)
        return;
    const struct lack lack = find_lack(from, descriptor);
    for (int c = 0; c < descriptor->nb_components; c++) {
        const int shift = c < COLOUR_PLACES ? lack.of_colours : lack.of_alpha;
        if (shift < UNTOUCHED)
            stretch_component(to, &descriptor->comp[c], descriptor->flags & AV_PIX_FMT_FLAG_BE,
                              shift);
    }
}
