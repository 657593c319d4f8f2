/* Luma: how bright the pixels of a picture are, in 8 bits, whatever its pixel format.
 *
 * Of YCbCr and grey the luma as it stands, of limited or full range; of RGB the green, which is
 * most of it; of mosaics each sample. Greys come out right in all of them.
 *
 * Threads: any; reading changes nothing.
 */
#ifndef CONSUMERS_LUMA_H
#define CONSUMERS_LUMA_H

#include <libavutil/pixdesc.h>
#include <shmframe/format.h>

struct luma;
typedef void luma_reader(const struct luma *luma, const uint8_t *row, uint32_t left, uint32_t count,
                         uint8_t *out);

/* How the rows of one format are read. Plain data. */
struct luma {
    uint32_t width, height;
    const AVPixFmtDescriptor *descriptor;
    luma_reader *read;
    uint64_t offset; /* of the first row in the slot */
    uint32_t line_bytes;
    int component, step, shift; /* which samples; bytes from one to the next; bits in their word */
    bool is_big_endian, is_inverse, has_palette;
    uint64_t palette_offset;
};

/* `format` is complete. Errors: -ENOTSUP it is no picture, or its luma cannot be read. */
int luma_init(struct luma *luma, const struct shmframe_format *format);

/* Reads `count` pixels of row `y` from `left` on, all inside the picture, of the slot at `data`. */
void luma_row(const struct luma *luma, const uint8_t *data, uint32_t y, uint32_t left,
              uint32_t count, uint8_t *out);

#endif
