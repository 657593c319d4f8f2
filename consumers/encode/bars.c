#include "bars.h"

#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/mathematics.h>
#include <libavutil/pixdesc.h>
#include <stddef.h>

/* Pixels that a chroma sample is wide and high. */
static int step_x(const AVFrame *frame) {
    return 1 << av_pix_fmt_desc_get(frame->format)->log2_chroma_w;
}

static int step_y(const AVFrame *frame) {
    return 1 << av_pix_fmt_desc_get(frame->format)->log2_chroma_h;
}

static AVRational aspect_of(const AVFrame *frame) {
    const AVRational square = {1, 1}, aspect = frame->sample_aspect_ratio;
    return aspect.num > 0 && aspect.den > 0 ? aspect : square;
}

/* As many whole steps on both sides of the middle. */
static int round_side(int64_t side, int step) {
    const int whole = (int)side & ~(2 * step - 1);
    return whole < step ? step : whole;
}

struct bars bars_find(const AVFrame *from, const AVFrame *to) {
    /* How wide the picture is, in pixels of what is written, if it is as high as it came. */
    const AVRational pixel = av_div_q(aspect_of(from), aspect_of(to));
    const int64_t width = FFMAX(av_rescale(from->width, pixel.num, pixel.den), 1);
    const int64_t fitted_width = av_rescale(to->height, width, from->height);
    const int64_t fitted_height = av_rescale(to->width, from->height, width);
    const bool is_narrow = fitted_width < to->width;
    const struct bars bars = {
        .width = is_narrow ? round_side(fitted_width, step_x(to)) : to->width,
        .height = is_narrow ? to->height : round_side(fitted_height, step_y(to)),
    };
    if (to->width - bars.width < 4 * step_x(to) && to->height - bars.height < 4 * step_y(to))
        return (struct bars){to->width, to->height};
    return bars;
}

bool bars_are_needed(const struct bars *bars, const AVFrame *to) {
    return bars->width != to->width || bars->height != to->height;
}

static int make_black(const AVFrame *to, const AVFrame *from, AVFrame *frame) {
    ptrdiff_t lines[4];
    if (av_frame_copy_props(frame, from) < 0)
        return -ENOMEM;
    frame->format = to->format;
    frame->width = to->width;
    frame->height = to->height;
    frame->colorspace = to->colorspace;
    frame->color_range = to->color_range;
    frame->sample_aspect_ratio = to->sample_aspect_ratio;
    if (av_frame_get_buffer(frame, 0) < 0)
        return -ENOMEM;
    for (int i = 0; i < 4; i++)
        lines[i] = frame->linesize[i];
    av_image_fill_black(frame->data, lines, frame->format, frame->color_range, frame->width,
                        frame->height);
    return 0;
}

/* A reference to the middle of `whole`. */
static int cut_middle(const struct bars *bars, const AVFrame *whole, AVFrame *middle) {
    if (av_frame_ref(middle, whole) < 0)
        return -ENOMEM;
    middle->crop_left = (size_t)((whole->width - bars->width) / 2 & ~(step_x(whole) - 1));
    middle->crop_top = (size_t)((whole->height - bars->height) / 2 & ~(step_y(whole) - 1));
    middle->crop_right = (size_t)(whole->width - bars->width) - middle->crop_left;
    middle->crop_bottom = (size_t)(whole->height - bars->height) - middle->crop_top;
    return av_frame_apply_cropping(middle, AV_FRAME_CROP_UNALIGNED) < 0 ? -ENOTSUP : 0;
}

int bars_convert(const struct bars *bars, const AVFrame *to, struct scaler *scaler,
                 const AVFrame *from, AVFrame **out_frame) {
    AVFrame *whole = av_frame_alloc(), *middle = av_frame_alloc();
    int result = whole && middle ? make_black(to, from, whole) : -ENOMEM;
    if (result == 0)
        result = cut_middle(bars, whole, middle);
    if (result == 0)
        result = scaler_run_into(scaler, from, middle);
    av_frame_free(&middle);
    if (result < 0)
        av_frame_free(&whole);
    else
        *out_frame = whole;
    return result;
}
