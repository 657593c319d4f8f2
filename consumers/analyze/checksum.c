#include "checksum.h"

#include <libavutil/adler32.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

enum { MODULUS = 65521 }; /* RFC 1950 */

void checksums_read(const AVFrame *picture, struct checksums *out_checksums) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(picture->format);
    *out_checksums = (struct checksums){.planes = av_pix_fmt_count_planes(picture->format)};
    for (int plane = 0; plane < out_checksums->planes; plane++) {
        const int bytes = av_image_get_linesize(picture->format, picture->width, plane);
        const bool is_chroma = plane == 1 || plane == 2;
        const int rows = AV_CEIL_RSHIFT(picture->height, is_chroma ? descriptor->log2_chroma_h : 0);
        const uint8_t *row = picture->data[plane];
        uint32_t sum = 0;
        for (int y = 0; y < rows && bytes > 0; y++, row += picture->linesize[plane])
            sum = (uint32_t)av_adler32_update(sum, row, (unsigned)bytes);
        out_checksums->adler32[plane] = sum;
        out_checksums->bytes[plane] = (uint64_t)bytes * (uint64_t)rows;
    }
}

/* The lower half is the sum of all bytes; the upper one that of the lower half after each byte:
 * over what follows it grows by what it would be alone, and by the lower half once for each byte.
 */
static uint32_t append(uint32_t first, uint32_t next, uint64_t next_bytes) {
    const uint64_t low = (first & 0xffff) + (next & 0xffff);
    const uint64_t high =
        (first >> 16) + (next >> 16) + next_bytes % MODULUS * (uint64_t)(first & 0xffff);
    return (uint32_t)(high % MODULUS << 16 | low % MODULUS);
}

void checksums_append(struct checksums *checksums, const struct checksums *next) {
    if (next->planes > checksums->planes)
        checksums->planes = next->planes;
    for (int plane = 0; plane < next->planes; plane++) {
        checksums->adler32[plane] =
            append(checksums->adler32[plane], next->adler32[plane], next->bytes[plane]);
        checksums->bytes[plane] += next->bytes[plane];
    }
}
