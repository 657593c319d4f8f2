#include "sound_history.h"

#include "sound_levels.h"

#include <stdio.h>
#include <string.h>

static void name_channels(struct sound_history *history,
                          const struct shmframe_audio_format *format) {
    AVChannelLayout layout;
    sound_layout(format, &layout);
    for (uint32_t c = 0; c < format->channels; c++) {
        const enum AVChannel channel = av_channel_layout_channel_from_index(&layout, c);
        if (channel < 0 || av_channel_name(history->channel_name[c],
                                           sizeof(history->channel_name[c]), channel) < 0)
            snprintf(history->channel_name[c], sizeof(history->channel_name[c]), "%u", c + 1);
    }
    av_channel_layout_uninit(&layout);
}

void sound_history_begin(struct sound_history *history, const struct shmframe_audio_format *format,
                         uint32_t pair_left, uint32_t pair_right) {
    const uint32_t point_samples = format->sample_rate / 1000 ? format->sample_rate / 1000 : 1;
    memset(history->cell, 0, sizeof(history->cell));
    history->sample_rate = format->sample_rate;
    history->channels = format->channels < HISTORY_CHANNELS ? format->channels : HISTORY_CHANNELS;
    history->pair_left = pair_left;
    history->pair_right = pair_right;
    for (uint32_t c = 0; c < history->channels; c++)
        curve_init(&history->waveform[c], point_samples);
    curve_init(&history->momentary, 1);
    curve_init(&history->short_term, 1);
    curve_init(&history->integrated, 1);
    name_channels(history, format);
}

static uint32_t find_cell(double value) {
    const double cell = (value + 1) / 2 * HISTORY_CELLS;
    return cell <= 0 ? 0 : cell >= HISTORY_CELLS ? HISTORY_CELLS - 1 : (uint32_t)cell;
}

void sound_history_add(struct sound_history *history, const struct sound_block *block) {
    for (uint32_t c = 0; c < history->channels; c++) {
        for (uint32_t i = 0; i < block->samples; i++) {
            const double value = sound_block_sample(block, c, i);
            curve_add(&history->waveform[c], sound_sample_is_finite(value) ? (float)value : 0);
        }
    }
    if (history->pair_left == history->pair_right)
        return;
    for (uint32_t i = 0; i < block->samples; i++) {
        const double left = sound_block_sample(block, history->pair_left, i);
        const double right = sound_block_sample(block, history->pair_right, i);
        if (sound_sample_is_finite(left) && sound_sample_is_finite(right))
            history->cell[find_cell(right)][find_cell(left)]++;
    }
}
