/* Planes of chroma for pictures that libswscale does not take as they are (5.1 to 7.1): grey of
 * limited range, since it takes all grey to be of full range, and nv16 and nv20, which it does not
 * read.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_CHROMA_H
#define CONSUMERS_CHROMA_H

#include <libavutil/frame.h>
#include <stdbool.h>

/* Where they are kept. Zero it at first. */
struct chroma {
    uint8_t *memory;
    size_t bytes;
};

/* Whether a format becomes one that libswscale reads. */
bool chroma_reads(enum AVPixelFormat format);
bool chroma_is_needed(const AVFrame *picture);

/* Describes the same picture as planar YUV in `out_yuv`, all zeros before; it owns nothing, and is
 * valid until the next call. Errors: -ENOTSUP grey of a depth that YUV does not have; -ENOMEM. */
int chroma_add(struct chroma *chroma, const AVFrame *picture, AVFrame *out_yuv);
void chroma_finish(struct chroma *chroma);

#endif
