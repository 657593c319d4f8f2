#include "sound_block.h"

#include <errno.h>

int sound_block_from_lease(const struct shmframe_lease *lease, uint32_t first, uint32_t count,
                           struct sound_block *out_block) {
    const struct shmframe_audio_format *format = &lease->format->audio;
    const enum AVSampleFormat sample_format = av_get_sample_fmt(format->sample_format);
    if (sample_format == AV_SAMPLE_FMT_NONE)
        return -ENOTSUP;
    const bool is_planar = av_sample_fmt_is_planar(sample_format) && format->channels > 1;
    const size_t sample_bytes = (size_t)av_get_bytes_per_sample(sample_format);
    const uint32_t samples =
        lease->frame.samples < format->samples_max ? lease->frame.samples : format->samples_max;
    const uint32_t left = first < samples ? samples - first : 0;
    *out_block = (struct sound_block){
        .stride_bytes = is_planar ? sample_bytes : sample_bytes * format->channels,
        .type = av_get_packed_sample_fmt(sample_format),
        .is_packed = !is_planar,
        .channels = format->channels,
        .samples = count < left ? count : left,
    };
    for (uint32_t i = 0; i < format->channels; i++) {
        const uint8_t *start = is_planar ? shmframe_lease_plane(lease, i)
                                         : shmframe_lease_plane(lease, 0) + i * sample_bytes;
        out_block->channel[i] = start + first * out_block->stride_bytes;
    }
    return 0;
}

double sound_block_sample(const struct sound_block *block, uint32_t channel, uint32_t index) {
    const void *at = block->channel[channel] + index * block->stride_bytes;
    switch ((int)block->type) {
    case AV_SAMPLE_FMT_U8:
        return (*(const uint8_t *)at - 128) / 128.0;
    case AV_SAMPLE_FMT_S16:
        return *(const int16_t *)at / 32768.0;
    case AV_SAMPLE_FMT_S32:
        return *(const int32_t *)at / 2147483648.0;
    case AV_SAMPLE_FMT_S64:
        return (double)*(const int64_t *)at / 9223372036854775808.0;
    case AV_SAMPLE_FMT_FLT:
        return (double)*(const float *)at;
    case AV_SAMPLE_FMT_DBL:
        return *(const double *)at;
    }
    return 0;
}

int sound_layout(const struct shmframe_audio_format *format, AVChannelLayout *out_layout) {
    *out_layout = (AVChannelLayout){0};
    if (format->channel_layout[0] != '\0' &&
        av_channel_layout_from_string(out_layout, format->channel_layout) == 0 &&
        out_layout->nb_channels == (int)format->channels &&
        out_layout->order != AV_CHANNEL_ORDER_UNSPEC)
        return 0;
    av_channel_layout_uninit(out_layout);
    av_channel_layout_default(out_layout, (int)format->channels);
    return out_layout->order == AV_CHANNEL_ORDER_UNSPEC ? -ENOTSUP : 0;
}
