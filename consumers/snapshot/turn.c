#include "turn.h"

#include <errno.h>
#include <libavutil/common.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <string.h>

enum { PLANES = 4 };

bool turn_can(enum AVPixelFormat format, int degrees) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    const uint64_t unfit =
        AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_PAL;
    if (!descriptor || descriptor->flags & unfit)
        return false;
    /* Chroma shared by neighbours in one plane: a pixel is not a whole of its own. */
    const bool is_packed = !(descriptor->flags & AV_PIX_FMT_FLAG_PLANAR);
    if (is_packed && (descriptor->log2_chroma_w || descriptor->log2_chroma_h))
        return false;
    return degrees % 180 == 0 || descriptor->log2_chroma_w == descriptor->log2_chroma_h;
}

/* A plane, and how its bytes are met in the order of the turned picture. */
struct walk {
    const uint8_t *first;
    ptrdiff_t pixel, row; /* from one pixel, and from one row, of the turned picture to the next */
};

static struct walk plan_walk(const uint8_t *data, ptrdiff_t line, int width, int height, int step,
                             int degrees) {
    const ptrdiff_t last_row = (height - 1) * line, last_pixel = (ptrdiff_t)(width - 1) * step;
    switch (degrees) {
    case 90:
        return (struct walk){data + last_row, -line, step};
    case 180:
        return (struct walk){data + last_row + last_pixel, -step, -line};
    case 270:
        return (struct walk){data + last_pixel, line, -step};
    }
    return (struct walk){data, step, line};
}

static void turn_plane(const AVFrame *from, AVFrame *to, int plane, int step, int degrees) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(from->format);
    const bool is_chroma = plane == 1 || plane == 2;
    const int shift_x = is_chroma ? descriptor->log2_chroma_w : 0;
    const int shift_y = is_chroma ? descriptor->log2_chroma_h : 0;
    const int to_width = AV_CEIL_RSHIFT(to->width, shift_x);
    const int to_height = AV_CEIL_RSHIFT(to->height, shift_y);
    const struct walk walk =
        plan_walk(from->data[plane], from->linesize[plane], AV_CEIL_RSHIFT(from->width, shift_x),
                  AV_CEIL_RSHIFT(from->height, shift_y), step, degrees);
    for (int y = 0; y < to_height; y++) {
        const uint8_t *source = walk.first + y * walk.row;
        uint8_t *target = to->data[plane] + (ptrdiff_t)y * to->linesize[plane];
        for (int x = 0; x < to_width; x++, source += walk.pixel, target += step)
            memcpy(target, source, (size_t)step);
    }
}

int turn_run(const AVFrame *from, int degrees, AVFrame **out_frame) {
    if (!turn_can(from->format, degrees))
        return -ENOTSUP;
    AVFrame *to = av_frame_alloc();
    if (!to || av_frame_copy_props(to, from) < 0)
        goto fail;
    const bool is_on_its_side = degrees % 180 != 0;
    to->format = from->format;
    to->width = is_on_its_side ? from->height : from->width;
    to->height = is_on_its_side ? from->width : from->height;
    if (is_on_its_side && from->sample_aspect_ratio.num > 0)
        to->sample_aspect_ratio = av_inv_q(from->sample_aspect_ratio);
    av_frame_remove_side_data(to, AV_FRAME_DATA_DISPLAYMATRIX);
    if (av_frame_get_buffer(to, 0) < 0)
        goto fail;
    int steps[PLANES];
    av_image_fill_max_pixsteps(steps, NULL, av_pix_fmt_desc_get(from->format));
    for (int plane = 0; plane < av_pix_fmt_count_planes(from->format); plane++)
        turn_plane(from, to, plane, steps[plane], degrees);
    *out_frame = to;
    return 0;
fail:
    av_frame_free(&to);
    return -ENOMEM;
}
