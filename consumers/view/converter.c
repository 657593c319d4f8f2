#include "converter.h"

#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libavutil/samplefmt.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct converter {
    struct SwrContext *resampler;
    struct shmframe_audio_format from;
    enum AVSampleFormat sample_format;
    uint32_t rate_hz, channels; /* what comes out */
    uint32_t used_channels;     /* the first so many of those that go in */
    void *picked;               /* these, if not all are used */
    size_t picked_bytes;
    void *converted;
    size_t converted_bytes;
};

/* The stream's layout: by name, or by number of channels where it has none. */
static void parse_layout(const struct shmframe_audio_format *audio, AVChannelLayout *out_layout) {
    if (audio->channel_layout[0] != '\0' &&
        av_channel_layout_from_string(out_layout, audio->channel_layout) == 0) {
        if (out_layout->nb_channels == (int)audio->channels) {
            return;
        }
        av_channel_layout_uninit(out_layout);
    }
    av_channel_layout_default(out_layout, (int)audio->channels);
}

/* A converter from the first converter->used_channels channels to the speaker's rate and channels.
 * It always resamples, so that its speed can be adjusted. */
static struct SwrContext *create_resampler(const struct converter *converter) {
    const struct shmframe_audio_format *const from = &converter->from;
    AVChannelLayout in = {0}, out = {0};
    av_channel_layout_default(&out, (int)converter->channels);
    if (converter->used_channels == from->channels) {
        parse_layout(from, &in);
    } else {
        av_channel_layout_default(&in, (int)converter->used_channels);
    }
    struct SwrContext *resampler = NULL;
    int error = swr_alloc_set_opts2(&resampler, &out, AV_SAMPLE_FMT_FLT, (int)converter->rate_hz,
                                    &in, converter->sample_format, (int)from->sample_rate, 0, NULL);
    if (error >= 0) {
        av_opt_set_int(resampler, "flags", SWR_FLAG_RESAMPLE, 0);
        av_opt_set_int(resampler, "linear_interp", 1, 0);
        /* Channels that are mixed into fewer must not be louder than the device can play. */
        av_opt_set_double(resampler, "rematrix_maxval", 1, 0);
        error = swr_init(resampler);
    }
    if (error < 0) {
        swr_free(&resampler);
    }
    av_channel_layout_uninit(&in);
    av_channel_layout_uninit(&out);
    return resampler;
}

/* Makes room for `bytes` in a buffer that only grows. */
static bool reserve(void **buffer, size_t *capacity, size_t bytes) {
    if (bytes > *capacity) {
        void *const larger = realloc(*buffer, bytes);
        if (!larger) {
            return false;
        }
        *buffer = larger;
        *capacity = bytes;
    }
    return true;
}

/* Where the channels that are used lie: in the slot, or, of interleaved ones some of which are not
 * used, in converter->picked. */
static bool find_planes(struct converter *converter, const struct shmframe_lease *lease,
                        const uint8_t *out_planes[SHMFRAME_PLANES_MAX]) {
    for (unsigned i = 0; i < lease->format->plane_count; i++) {
        out_planes[i] = shmframe_lease_plane(lease, i);
    }
    const uint32_t channels = converter->from.channels;
    if (converter->used_channels == channels || av_sample_fmt_is_planar(converter->sample_format)) {
        return true;
    }
    const size_t sample_bytes = (size_t)av_get_bytes_per_sample(converter->sample_format);
    const size_t used_bytes = converter->used_channels * sample_bytes;
    if (!reserve(&converter->picked, &converter->picked_bytes, used_bytes * lease->frame.samples)) {
        return false;
    }
    for (size_t i = 0; i < lease->frame.samples; i++) {
        memcpy((uint8_t *)converter->picked + i * used_bytes,
               out_planes[0] + i * channels * sample_bytes, used_bytes);
    }
    out_planes[0] = converter->picked;
    return true;
}

int converter_create(const struct shmframe_format *from, uint32_t to_rate_hz, uint32_t to_channels,
                     struct converter **out_converter) {
    struct converter *const converter = calloc(1, sizeof *converter);
    if (!converter) {
        return -ENOMEM;
    }
    converter->from = from->audio;
    converter->sample_format = av_get_sample_fmt(from->audio.sample_format);
    converter->rate_hz = to_rate_hz;
    converter->channels = to_channels;
    converter->used_channels = from->audio.channels;
    converter->resampler = create_resampler(converter);
    if (!converter->resampler && to_channels < from->audio.channels) {
        /* Layouts that libswresample cannot mix are played by their first channels. */
        converter->used_channels = to_channels;
        converter->resampler = create_resampler(converter);
    }
    if (!converter->resampler) {
        converter_destroy(converter);
        return -ENOTSUP;
    }
    *out_converter = converter;
    return 0;
}

void converter_destroy(struct converter *converter) {
    if (!converter) {
        return;
    }
    swr_free(&converter->resampler);
    free(converter->picked);
    free(converter->converted);
    free(converter);
}

int converter_run(struct converter *converter, const struct shmframe_lease *lease,
                  const float **out_samples) {
    const int samples = (int)lease->frame.samples;
    const int most = swr_get_out_samples(converter->resampler, samples);
    if (most < 0) {
        return -EINVAL;
    }
    const uint8_t *planes[SHMFRAME_PLANES_MAX] = {0};
    if (!find_planes(converter, lease, planes) ||
        !reserve(&converter->converted, &converter->converted_bytes,
                 (size_t)most * converter->channels * sizeof(float))) {
        return -ENOMEM;
    }
    uint8_t *out = converter->converted;
    *out_samples = converter->converted;
    const int frames = swr_convert(converter->resampler, &out, most, planes, samples);
    return frames < 0 ? -EINVAL : frames;
}

int64_t converter_delay_ns(const struct converter *converter) {
    return swr_get_delay(converter->resampler, 1000000000);
}

void converter_set_speed(struct converter *converter, double speed) {
    const int distance = (int)converter->rate_hz;
    const int delta = (int)lround((1 - speed) * distance);
    swr_set_compensation(converter->resampler, delta, distance);
}
