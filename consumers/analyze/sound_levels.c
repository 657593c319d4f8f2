#include "sound_levels.h"

#include <math.h>
#include <string.h>

/* The front pair, if there is one; otherwise the first two. */
static void find_pair(struct sound_levels *levels, const AVChannelLayout *layout) {
    if (levels->channels < 2)
        return;
    levels->pair_right = 1;
    const int left = av_channel_layout_index_from_channel(layout, AV_CHAN_FRONT_LEFT);
    const int right = av_channel_layout_index_from_channel(layout, AV_CHAN_FRONT_RIGHT);
    if (left >= 0 && right >= 0) {
        levels->pair_left = (uint32_t)left;
        levels->pair_right = (uint32_t)right;
    }
}

static void name_channels(struct sound_levels *levels, const AVChannelLayout *layout) {
    for (uint32_t c = 0; c < levels->channels; c++) {
        const enum AVChannel place = av_channel_layout_channel_from_index(layout, c);
        if (place >= 0)
            av_channel_name(levels->channel[c].name, sizeof(levels->channel[c].name), place);
    }
}

void sound_levels_begin(struct sound_levels *out_levels, const struct shmframe_audio_format *format,
                        const struct sound_levels *before) {
    struct sound_levels levels = {.channels = format->channels};
    for (uint32_t c = 0; before && c < SHMFRAME_CHANNELS_MAX; c++)
        levels.channel[c].clip_run = before->channel[c].clip_run;
    AVChannelLayout layout;
    sound_layout(format, &layout); /* empty, if there is none */
    find_pair(&levels, &layout);
    name_channels(&levels, &layout);
    av_channel_layout_uninit(&layout);
    *out_levels = levels;
}

static void add_channel(struct sound_levels *levels, const struct sound_block *block, uint32_t c) {
    const double full_scale = block->type == AV_SAMPLE_FMT_U8 ? 127 / 128.0 : 32767 / 32768.0;
    struct channel_levels *channel = &levels->channel[c];
    channel->samples += block->samples;
    for (uint32_t i = 0; i < block->samples; i++) {
        double value = sound_block_sample(block, c, i);
        if (!sound_sample_is_finite(value)) {
            levels->not_finite++;
            value = 0;
        }
        const double magnitude = fabs(value);
        channel->peak = magnitude > channel->peak ? magnitude : channel->peak;
        channel->sum += value;
        channel->sum_power += value * value;
        if (magnitude < full_scale) {
            channel->clip_run = 0;
            continue;
        }
        channel->at_full_scale++;
        channel->clip_run++;
        channel->clips += channel->clip_run == SOUND_CLIP_SAMPLES;
    }
}

static void add_pair(struct sound_levels *levels, const struct sound_block *block) {
    for (uint32_t i = 0; i < block->samples; i++) {
        const double left = sound_block_sample(block, levels->pair_left, i);
        const double right = sound_block_sample(block, levels->pair_right, i);
        if (!sound_sample_is_finite(left) || !sound_sample_is_finite(right))
            continue;
        levels->pair_sum[0] += left * left;
        levels->pair_sum[1] += right * right;
        levels->pair_sum[2] += left * right;
    }
}

void sound_levels_add(struct sound_levels *levels, const struct sound_block *block) {
    for (uint32_t c = 0; c < block->channels; c++)
        add_channel(levels, block, c);
    if (levels->pair_left != levels->pair_right)
        add_pair(levels, block);
    levels->samples += block->samples;
}

void sound_levels_break(struct sound_levels *levels) {
    for (uint32_t c = 0; c < SHMFRAME_CHANNELS_MAX; c++)
        levels->channel[c].clip_run = 0;
}

void sound_levels_merge(struct sound_levels *levels, const struct sound_levels *more) {
    for (uint32_t c = 0; c < more->channels; c++) {
        struct channel_levels *channel = &levels->channel[c];
        memcpy(channel->name, more->channel[c].name, sizeof(channel->name));
        channel->samples += more->channel[c].samples;
        channel->peak = fmax(channel->peak, more->channel[c].peak);
        channel->sum += more->channel[c].sum;
        channel->sum_power += more->channel[c].sum_power;
        channel->at_full_scale += more->channel[c].at_full_scale;
        channel->clips += more->channel[c].clips;
    }
    if (more->channels > levels->channels)
        levels->channels = more->channels;
    levels->samples += more->samples;
    levels->not_finite += more->not_finite;
    for (int i = 0; i < 3; i++)
        levels->pair_sum[i] += more->pair_sum[i];
}

double sound_levels_channel_rms(const struct sound_levels *levels, uint32_t channel) {
    const struct channel_levels *of = &levels->channel[channel];
    return of->samples ? sqrt(of->sum_power / (double)of->samples) : 0;
}

double sound_levels_channel_dc_offset(const struct sound_levels *levels, uint32_t channel) {
    const struct channel_levels *of = &levels->channel[channel];
    return of->samples ? of->sum / (double)of->samples : 0;
}

double sound_levels_peak(const struct sound_levels *levels) {
    double peak = 0;
    for (uint32_t c = 0; c < levels->channels; c++)
        peak = fmax(peak, levels->channel[c].peak);
    return peak;
}

double sound_levels_rms(const struct sound_levels *levels) {
    double sum = 0, samples = 0;
    for (uint32_t c = 0; c < levels->channels; c++) {
        sum += levels->channel[c].sum_power;
        samples += (double)levels->channel[c].samples;
    }
    return samples > 0 ? sqrt(sum / samples) : 0;
}

double sound_levels_dc_offset(const struct sound_levels *levels) {
    double offset = 0;
    for (uint32_t c = 0; c < levels->channels; c++) {
        const double mean = sound_levels_channel_dc_offset(levels, c);
        if (fabs(mean) > fabs(offset))
            offset = mean;
    }
    return offset;
}

uint64_t sound_levels_clips(const struct sound_levels *levels) {
    uint64_t clips = 0;
    for (uint32_t c = 0; c < levels->channels; c++)
        clips += levels->channel[c].clips;
    return clips;
}

uint64_t sound_levels_at_full_scale(const struct sound_levels *levels) {
    uint64_t samples = 0;
    for (uint32_t c = 0; c < levels->channels; c++)
        samples += levels->channel[c].at_full_scale;
    return samples;
}

double sound_levels_correlation(const struct sound_levels *levels) {
    const double power = levels->pair_sum[0] * levels->pair_sum[1];
    return power > 0 ? levels->pair_sum[2] / sqrt(power) : NAN;
}
