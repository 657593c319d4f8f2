/* What a picture of a stream's sound is painted from: waveform, loudness, left against right. Pure.
 */
#ifndef CONSUMERS_SOUND_HISTORY_H
#define CONSUMERS_SOUND_HISTORY_H

#include "curve.h"
#include "sound_block.h"

enum {
    HISTORY_CHANNELS = 8, /* whose waveform is kept */
    HISTORY_CELLS = 192,  /* the goniometer's, in each direction */
};

struct sound_history {
    struct curve waveform[HISTORY_CHANNELS]; /* a value a sample */
    char channel_name[SHMFRAME_CHANNELS_MAX][16];
    uint32_t channels;
    uint32_t sample_rate;
    uint32_t pair_left, pair_right; /* equal: there is none */
    /* How often left (column) and right (row) had such values, -1 to 1. */
    uint64_t cell[HISTORY_CELLS][HISTORY_CELLS];
    /* A value a loudness step, LUFS. */
    struct curve momentary, short_term, integrated;
};

/* Begins anew, also where the format changes: what is shown has one rate and layout. */
void sound_history_begin(struct sound_history *history, const struct shmframe_audio_format *format,
                         uint32_t pair_left, uint32_t pair_right);
void sound_history_add(struct sound_history *history, const struct sound_block *block);

#endif
