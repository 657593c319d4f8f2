#include "chroma.h"

#include <errno.h>
#include <libavutil/bswap.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 64 /* as far apart as libswscale wants lines to be */ };

bool chroma_reads(enum AVPixelFormat format) {
    return format == AV_PIX_FMT_NV16 || format == AV_PIX_FMT_NV20;
}

static bool is_limited_grey(const AVFrame *picture) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(picture->format);
    return picture->color_range == AVCOL_RANGE_MPEG && descriptor &&
           strncmp(descriptor->name, "gray", 4) == 0 &&
           !(descriptor->flags & AV_PIX_FMT_FLAG_FLOAT);
}

bool chroma_is_needed(const AVFrame *picture) {
    return chroma_reads(picture->format) || is_limited_grey(picture);
}

static int reserve(struct chroma *chroma, size_t bytes) {
    if (bytes <= chroma->bytes)
        return 0;
    chroma_finish(chroma);
    chroma->memory = av_malloc(bytes);
    chroma->bytes = chroma->memory ? bytes : 0;
    return chroma->memory ? 0 : -ENOMEM;
}

/* All samples of its chroma planes are alike, so that their lines may overlap. */
static int add_none(struct chroma *chroma, const AVFrame *grey, AVFrame *out_yuv) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(grey->format);
    const int depth = descriptor->comp[0].depth;
    char name[32];
    snprintf(name, sizeof(name), "yuv444p%s", descriptor->name + strlen("gray"));
    out_yuv->format = av_get_pix_fmt(name);
    if (out_yuv->format == AV_PIX_FMT_NONE)
        return -ENOTSUP;
    const size_t samples =
        (size_t)grey->width + (size_t)grey->height * LINE_BYTES / sizeof(uint16_t) + LINE_BYTES;
    if (reserve(chroma, samples * sizeof(uint16_t)) < 0)
        return -ENOMEM;
    const uint16_t middle = (uint16_t)(1U << (depth - 1));
    const bool is_big_endian = descriptor->flags & AV_PIX_FMT_FLAG_BE;
    uint16_t *samples16 = (uint16_t *)chroma->memory;
    for (size_t i = 0; i < samples; i++)
        samples16[i] = depth == 8      ? (uint16_t)(middle << 8 | middle)
                       : is_big_endian ? av_be2ne16(middle)
                                       : av_le2ne16(middle);
    out_yuv->data[1] = out_yuv->data[2] = chroma->memory;
    out_yuv->linesize[1] = out_yuv->linesize[2] = LINE_BYTES;
    return 0;
}

static void split8(const uint8_t *from, uint8_t *cb, uint8_t *cr, int count) {
    for (int i = 0; i < count; i++) {
        cb[i] = from[2 * i];
        cr[i] = from[2 * i + 1];
    }
}

static void split16(const uint16_t *from, uint16_t *cb, uint16_t *cr, int count) {
    for (int i = 0; i < count; i++) {
        cb[i] = from[2 * i];
        cr[i] = from[2 * i + 1];
    }
}

/* Cb and Cr that alternate become a plane each. */
static int add_split(struct chroma *chroma, const AVFrame *picture, AVFrame *out_yuv) {
    const bool is_deep = picture->format == AV_PIX_FMT_NV20;
    out_yuv->format = is_deep ? AV_PIX_FMT_YUV422P10 : AV_PIX_FMT_YUV422P;
    const int width = AV_CEIL_RSHIFT(picture->width, 1);
    const int line_bytes = (width * (is_deep ? 2 : 1) + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    const size_t plane_bytes = (size_t)line_bytes * (size_t)picture->height;
    if (reserve(chroma, 2 * plane_bytes + LINE_BYTES) < 0)
        return -ENOMEM;
    uint8_t *cb = chroma->memory, *cr = chroma->memory + plane_bytes;
    out_yuv->data[1] = cb;
    out_yuv->data[2] = cr;
    out_yuv->linesize[1] = out_yuv->linesize[2] = line_bytes;
    const uint8_t *line = picture->data[1];
    for (int y = 0; y < picture->height; y++) {
        if (is_deep)
            split16((const uint16_t *)line, (uint16_t *)cb, (uint16_t *)cr, width);
        else
            split8(line, cb, cr, width);
        line += picture->linesize[1];
        cb += line_bytes;
        cr += line_bytes;
    }
    return 0;
}

int chroma_add(struct chroma *chroma, const AVFrame *picture, AVFrame *out_yuv) {
    out_yuv->width = picture->width;
    out_yuv->height = picture->height;
    out_yuv->colorspace = picture->colorspace;
    out_yuv->color_range = picture->color_range;
    out_yuv->chroma_location = picture->chroma_location;
    out_yuv->data[0] = picture->data[0];
    out_yuv->linesize[0] = picture->linesize[0];
    return chroma_reads(picture->format) ? add_split(chroma, picture, out_yuv)
                                         : add_none(chroma, picture, out_yuv);
}

void chroma_finish(struct chroma *chroma) {
    av_freep(&chroma->memory);
    chroma->bytes = 0;
}
