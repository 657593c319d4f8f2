#include "decoder_shape.h"

#include "decoder.h"
#include "format.h"

#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

void decoder_shape_init(struct decoder_shape *shape, const struct shmframe_loan *loan) {
    const struct shmframe_format *const format = loan->format;
    *shape = (struct decoder_shape){
        .is_known = true,
        .ring = loan->ring,
        .format = *format,
        .av_format = format->kind == SHMFRAME_VIDEO ? av_get_pix_fmt(format->video.pixel_format)
                     : format->kind == SHMFRAME_AUDIO
                         ? av_get_sample_fmt(format->audio.sample_format)
                         : -1,
    };
    for (uint32_t i = 0; i < format->plane_count; i++)
        shape->coded_offset[i] = format_coded_offset(format, i);
}

/* --- Pictures --------------------------------------------------------------------------------- */

static bool can_hold_picture(const struct decoder_shape *shape, uintptr_t base,
                             AVCodecContext *codec, const AVFrame *frame) {
    const struct shmframe_video_format *const video = &shape->format.video;
    int width = frame->width, height = frame->height, lines[4] = {0};
    int line_align[AV_NUM_DATA_POINTERS];
    avcodec_align_dimensions2(codec, &width, &height, line_align);
    if (frame->format != shape->av_format || width > (int)format_coded_width(video) ||
        height > (int)format_coded_height(video) ||
        av_image_fill_linesizes(lines, frame->format, width) < 0)
        return false;
    for (uint32_t i = 0; i < shape->format.plane_count; i++) {
        const uint32_t align = line_align[i] > 0 ? (uint32_t)line_align[i] : 1;
        const uint32_t line_bytes = shape->format.plane[i].line_bytes;
        if (lines[i] > (int)line_bytes || line_bytes % align ||
            (base + shape->coded_offset[i]) % align)
            return false;
    }
    return true;
}

static void point_picture(const struct decoder_shape *shape, uint8_t *base, AVFrame *frame) {
    const AVPixFmtDescriptor *const descriptor = av_pix_fmt_desc_get(frame->format);
    for (uint32_t i = 0; i < shape->format.plane_count; i++) {
        const bool is_palette = i == 1 && (descriptor->flags & AV_PIX_FMT_FLAG_PAL);
        frame->data[i] = base + shape->coded_offset[i];
        frame->linesize[i] = is_palette ? 0 : (int)shape->format.plane[i].line_bytes;
    }
    frame->extended_data = frame->data;
}

static bool shows_picture(const struct decoder_shape *shape, const uint8_t *base,
                          const AVFrame *frame) {
    const struct shmframe_video_format *const video = &shape->format.video;
    if (frame->width != (int)video->width || frame->height != (int)video->height ||
        frame->crop_left || frame->crop_top || frame->crop_right || frame->crop_bottom)
        return false;
    for (uint32_t i = 0; i < shape->format.plane_count; i++) {
        const struct shmframe_plane *const plane = &shape->format.plane[i];
        if (frame->data[i] != base + plane->offset ||
            (plane->rows > 1 && frame->linesize[i] != (int)plane->line_bytes))
            return false;
    }
    return true;
}

/* The shape that fits what the decoder asks for. */
static int plan_shape(AVCodecContext *codec, const AVFrame *frame,
                      struct decoder_shape *out_shape) {
    struct decoder_shape shape = {.is_known = true, .av_format = frame->format};
    int width = frame->width, height = frame->height;
    decoder_find_coded_size(codec, frame->format, &width, &height);
    const int result = shmframe_format_video(&shape.format, av_get_pix_fmt_name(frame->format),
                                             (uint32_t)width, (uint32_t)height);
    if (result)
        return result;
    for (uint32_t i = 0; i < shape.format.plane_count; i++)
        shape.coded_offset[i] = shape.format.plane[i].offset;
    *out_shape = shape;
    return 0;
}

int decoder_mould_cast(struct decoder_mould *mould, const struct decoder_shape *ring,
                       AVCodecContext *codec, const AVFrame *frame) {
    const struct shmframe_video_format *const video = &ring->format.video;
    if (frame->format == mould->pixel_format && frame->width == mould->width &&
        frame->height == mould->height)
        return 0;
    if (ring->is_known && codec->width == (int)video->width &&
        codec->height == (int)video->height && can_hold_picture(ring, 0, codec, frame)) {
        mould->shape = *ring;
    } else {
        const int result = plan_shape(codec, frame, &mould->shape);
        if (result)
            return result;
    }
    mould->pixel_format = frame->format;
    mould->width = frame->width;
    mould->height = frame->height;
    return 0;
}

bool decoder_mould_has_lines_of(const struct decoder_mould *mould,
                                const struct decoder_shape *shape) {
    for (uint32_t i = 0; i < shape->format.plane_count; i++)
        if (shape->format.plane[i].line_bytes != mould->shape.format.plane[i].line_bytes)
            return false;
    return true;
}

/* --- Sound ------------------------------------------------------------------------------------ */

/* Of the rate a decoder may tell only with the next frame. */
static bool has_same_samples(const struct decoder_shape *shape, const AVFrame *frame) {
    return frame->format == shape->av_format &&
           frame->ch_layout.nb_channels == (int)shape->format.audio.channels;
}

static enum decoder_fit hold_sound(const struct decoder_shape *shape, const AVFrame *frame) {
    if (!has_same_samples(shape, frame))
        return DECODER_FITS_NOT;
    const int bytes = av_samples_get_buffer_size(NULL, frame->ch_layout.nb_channels,
                                                 frame->nb_samples, frame->format, 0);
    const uint64_t room = (uint64_t)shape->format.plane[0].line_bytes * shape->format.plane_count;
    return bytes > 0 && (uint64_t)bytes <= room ? DECODER_FITS : DECODER_TOO_LONG;
}

static int point_sound(const struct decoder_shape *shape, uint8_t *base, AVFrame *frame) {
    const uint32_t planes = shape->format.plane_count;
    frame->extended_data = frame->data;
    if (planes > AV_NUM_DATA_POINTERS) {
        uint8_t **pointers = av_calloc(planes, sizeof(*pointers));
        if (!pointers)
            return -ENOMEM;
        frame->extended_data = pointers;
    }
    for (uint32_t i = 0; i < planes; i++) {
        frame->extended_data[i] = base + shape->coded_offset[i];
        if (i < AV_NUM_DATA_POINTERS)
            frame->data[i] = frame->extended_data[i];
    }
    frame->linesize[0] = (int)shape->format.plane[0].line_bytes;
    return 0;
}

static bool shows_sound(const struct decoder_shape *shape, const uint8_t *base,
                        const AVFrame *frame) {
    const struct shmframe_audio_format *const audio = &shape->format.audio;
    if (!has_same_samples(shape, frame) || frame->sample_rate != (int)audio->sample_rate ||
        frame->nb_samples > (int)audio->samples_max)
        return false;
    for (uint32_t i = 0; i < shape->format.plane_count; i++)
        if (frame->extended_data[i] != base + shape->format.plane[i].offset)
            return false;
    return true;
}

/* --- Both ------------------------------------------------------------------------------------- */

enum decoder_fit decoder_shape_hold(const struct decoder_shape *shape, uintptr_t base,
                                    AVCodecContext *codec, const AVFrame *frame) {
    if (codec->codec_type == AVMEDIA_TYPE_AUDIO)
        return shape->format.kind == SHMFRAME_AUDIO ? hold_sound(shape, frame) : DECODER_FITS_NOT;
    return shape->format.kind == SHMFRAME_VIDEO && can_hold_picture(shape, base, codec, frame)
               ? DECODER_FITS
               : DECODER_FITS_NOT;
}

int decoder_shape_point(const struct decoder_shape *shape, uint8_t *base, AVFrame *frame) {
    if (shape->format.kind == SHMFRAME_AUDIO)
        return point_sound(shape, base, frame);
    point_picture(shape, base, frame);
    return 0;
}

bool decoder_shape_shows(const struct decoder_shape *shape, const uint8_t *base,
                         const AVFrame *frame) {
    if (frame->format != shape->av_format)
        return false;
    return frame->nb_samples > 0 ? shows_sound(shape, base, frame)
                                 : shows_picture(shape, base, frame);
}
