#include "pipe_adapter.h"

#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <string.h>

static int create_scaler(struct pipe_adapter *adapter) {
    const struct shmframe_video_format *video = &adapter->format.video;
    const int range = av_color_range_from_name(video->color_range);
    const int space = av_color_space_from_name(video->color_space);
    adapter->color_range = range > 0 ? (enum AVColorRange)range : AVCOL_RANGE_UNSPECIFIED;
    adapter->color_space = space > 0 ? (enum AVColorSpace)space : AVCOL_SPC_RGB;
    const struct scaler_params params = {
        .pixel_format = av_get_pix_fmt(video->pixel_format),
        .width = (int)video->width,
        .height = (int)video->height,
        .color_range = adapter->color_range,
        .color_space = adapter->color_space,
    };
    colors_complete(params.pixel_format, params.height, &adapter->color_space,
                    &adapter->color_range);
    return scaler_create(&params, &adapter->scaler);
}

static bool is_rgb(const char *pixel_format) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(av_get_pix_fmt(pixel_format));
    return descriptor && (descriptor->flags & AV_PIX_FMT_FLAG_RGB);
}

/* Another pixel format has another geometry, and colours of its own where it is of another kind. */
static void rename_pixels(struct shmframe_format *format, const char *pixel_format) {
    struct shmframe_video_format *video = &format->video;
    if (is_rgb(video->pixel_format) != is_rgb(pixel_format)) {
        video->color_space[0] = '\0';
        strcpy(video->color_range, is_rgb(pixel_format) ? "pc" : "tv");
    }
    snprintf(video->pixel_format, sizeof(video->pixel_format), "%s", pixel_format);
}

int pipe_adapter_open(struct pipe_adapter *adapter, const struct shmframe_format *from,
                      const char *pixel_or_sample_format) {
    *adapter = (struct pipe_adapter){.format = *from};
    struct shmframe_format *format = &adapter->format;
    const char *name = pixel_or_sample_format;
    if (name && format->kind == SHMFRAME_VIDEO)
        rename_pixels(format, name);
    else if (name)
        snprintf(format->audio.sample_format, sizeof(format->audio.sample_format), "%s", name);
    /* The geometry of the slots is nobody's here. */
    format->plane_count = 0;
    format->video.coded_width = format->video.coded_height = 0;
    format->video.crop_left = format->video.crop_top = 0;
    int result = shmframe_format_complete(format);
    if (result == 0 && format->kind == SHMFRAME_VIDEO)
        result = create_scaler(adapter);
    return result;
}

void pipe_adapter_close(struct pipe_adapter *adapter) {
    scaler_destroy(adapter->scaler);
    adapter->scaler = NULL;
    swr_free(&adapter->resampler);
    av_frame_free(&adapter->last_sound);
}

/* Pictures. */

static bool is_fit(const struct pipe_adapter *adapter, const AVFrame *from) {
    const struct shmframe_video_format *video = &adapter->format.video;
    enum AVColorSpace space;
    enum AVColorRange range;
    picture_colors(from, &space, &range);
    return from->format == av_get_pix_fmt(video->pixel_format) &&
           from->width == (int)video->width && from->height == (int)video->height &&
           space == adapter->color_space && range == adapter->color_range;
}

static int run_picture(struct pipe_adapter *adapter, AVFrame *from, AVFrame **out_frame) {
    if (is_fit(adapter, from)) {
        *out_frame = from;
        adapter->in_place++;
        return 0;
    }
    const int result = scaler_run(adapter->scaler, from, out_frame);
    if (result < 0)
        return result;
    av_frame_free(&from);
    adapter->converted++;
    return 0;
}

/* Sound. */

static void describe_sound(const struct pipe_adapter *adapter, AVFrame *sound) {
    const struct shmframe_audio_format *audio = &adapter->format.audio;
    sound->format = av_get_sample_fmt(audio->sample_format);
    sound->sample_rate = (int)audio->sample_rate;
    if (audio->channel_layout[0] &&
        av_channel_layout_from_string(&sound->ch_layout, audio->channel_layout) == 0)
        return;
    av_channel_layout_default(&sound->ch_layout, (int)audio->channels);
}

static bool is_same_sound(const AVFrame *a, const AVFrame *b) {
    return a->format == b->format && a->sample_rate == b->sample_rate &&
           av_channel_layout_compare(&a->ch_layout, &b->ch_layout) == 0;
}

/* Makes it for sound like `from`, unless it was. */
static int prepare_resampler(struct pipe_adapter *adapter, AVFrame *from, AVFrame *to) {
    if (adapter->last_sound && is_same_sound(adapter->last_sound, from))
        return 0;
    swr_free(&adapter->resampler);
    av_frame_free(&adapter->last_sound);
    AVFrame *last = av_frame_alloc();
    if (!last || av_channel_layout_copy(&last->ch_layout, &from->ch_layout) < 0) {
        av_frame_free(&last);
        return -ENOMEM;
    }
    last->format = from->format;
    last->sample_rate = from->sample_rate;
    adapter->last_sound = last;
    if (swr_alloc_set_opts2(&adapter->resampler, &to->ch_layout, to->format, to->sample_rate,
                            &from->ch_layout, from->format, from->sample_rate, 0, NULL) < 0 ||
        swr_init(adapter->resampler) < 0)
        return -ENOTSUP;
    return 0;
}

static int resample(struct pipe_adapter *adapter, AVFrame *from, AVFrame *to) {
    /* swresample knows no channels without an order: any does where nothing is mixed. */
    if (from->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&from->ch_layout, from->ch_layout.nb_channels);
    describe_sound(adapter, to);
    const int result = prepare_resampler(adapter, from, to);
    if (result < 0)
        return result;
    to->nb_samples = swr_get_out_samples(adapter->resampler, from->nb_samples);
    if (to->nb_samples < 1)
        to->nb_samples = 1;
    if (av_frame_get_buffer(to, 0) < 0)
        return -ENOMEM;
    to->nb_samples =
        swr_convert(adapter->resampler, to->extended_data, to->nb_samples,
                    (const uint8_t **)(uintptr_t)from->extended_data, from->nb_samples);
    return to->nb_samples < 0 ? -ENOTSUP : 0;
}

static int run_sound(struct pipe_adapter *adapter, AVFrame *from, AVFrame **out_frame) {
    const struct shmframe_audio_format *audio = &adapter->format.audio;
    const enum AVSampleFormat wanted = av_get_sample_fmt(audio->sample_format);
    const bool is_like = from->sample_rate == (int)audio->sample_rate &&
                         from->ch_layout.nb_channels == (int)audio->channels;
    if (is_like && from->format == wanted) {
        *out_frame = from;
        adapter->in_place++;
        return 0;
    }
    const bool is_packing = is_like && av_get_packed_sample_fmt(from->format) == wanted;
    AVFrame *to = av_frame_alloc();
    if (!to)
        return -ENOMEM;
    const int result = resample(adapter, from, to);
    if (result < 0) {
        av_frame_free(&to);
        return result;
    }
    av_frame_free(&from);
    *out_frame = to;
    if (is_packing)
        adapter->packed++;
    else
        adapter->converted++;
    return 0;
}

int pipe_adapter_run(struct pipe_adapter *adapter, AVFrame *from, AVFrame **out_frame) {
    return adapter->format.kind == SHMFRAME_VIDEO ? run_picture(adapter, from, out_frame)
                                                  : run_sound(adapter, from, out_frame);
}
