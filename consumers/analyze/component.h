/* The components of a picture (luma, chroma, red ...), row by row, whatever their layout.
 *
 * A row that lies in memory as plain samples is read there; one that is interleaved, or shifted
 * within its words, is unpacked into a buffer of one row. Alpha is left out.
 *
 * Threads: any, each with its own buffers.
 */
#ifndef CONSUMERS_COMPONENT_H
#define CONSUMERS_COMPONENT_H

#include <libavutil/frame.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    COMPONENTS_MAX = 3,
    COMPONENT_ROW_BYTES = 2 * (16384 + 64), /* of a buffer for one row */
};

struct component {
    const uint8_t *data; /* of the first sample's word */
    ptrdiff_t line_bytes;
    int width, height; /* in samples */
    int step_bytes;    /* from a sample to the next */
    int word_bytes;    /* 1, 2 or 4, that hold the sample */
    int shift;         /* of the sample in its word */
    int depth;         /* bits of a sample; above 8 rows are of uint16_t, otherwise of uint8_t */
};

struct components {
    struct component component[COMPONENTS_MAX]; /* Y, Cb, Cr; or R, G, B; or one */
    int count;
    bool is_rgb;
    bool is_full; /* full range */
};

/* Whether pictures of the format can be read like that: not palettes, bits, floats, big
 * endian, components of different depths. */
bool components_can_read(enum AVPixelFormat format);
/* The nearest format that can; AV_PIX_FMT_NONE: there is none. */
enum AVPixelFormat components_nearest_format(enum AVPixelFormat format);

/* `picture` is of a format that can be read, and must outlive what comes out. */
void components_read(const AVFrame *picture, struct components *out_components);

/* Row `y`: where it lies, or in `buffer` (COMPONENT_ROW_BYTES). */
const void *component_row(const struct component *component, int y, void *buffer);

/* Luma of RGB rows, by BT.709 and of full range, in the depth of its samples; `rows` and `to` as
 * component_row() gives them. */
void component_rgb_luma(const void *const rows[3], void *to, int width, int depth);

#endif
