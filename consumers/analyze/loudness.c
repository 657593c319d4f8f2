#include "loudness.h"

#include "sound_levels.h"

#include <ebur128.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct loudness {
    ebur128_state *state;
    uint32_t channels;
    uint32_t step_samples; /* of a tenth of a second */
    uint32_t in_step;      /* samples of the present one */
    double peak[SHMFRAME_CHANNELS_MAX], interval_peak[SHMFRAME_CHANNELS_MAX];
    double *scratch; /* of converted blocks, interleaved */
    size_t scratch_samples;
};

/* What a channel weighs is decided by where its loudspeaker stands: BS.1770-4, table 4. */
static const struct {
    enum AVChannel channel;
    int place;
} places[] = {
    {AV_CHAN_FRONT_LEFT, EBUR128_Mp030},
    {AV_CHAN_FRONT_RIGHT, EBUR128_Mm030},
    {AV_CHAN_FRONT_CENTER, EBUR128_Mp000},
    {AV_CHAN_LOW_FREQUENCY, EBUR128_UNUSED},
    {AV_CHAN_LOW_FREQUENCY_2, EBUR128_UNUSED},
    {AV_CHAN_BACK_LEFT, EBUR128_Mp135},
    {AV_CHAN_BACK_RIGHT, EBUR128_Mm135},
    {AV_CHAN_FRONT_LEFT_OF_CENTER, EBUR128_MpSC},
    {AV_CHAN_FRONT_RIGHT_OF_CENTER, EBUR128_MmSC},
    {AV_CHAN_BACK_CENTER, EBUR128_Mp180},
    {AV_CHAN_SIDE_LEFT, EBUR128_Mp090},
    {AV_CHAN_SIDE_RIGHT, EBUR128_Mm090},
    {AV_CHAN_SURROUND_DIRECT_LEFT, EBUR128_Mp090},
    {AV_CHAN_SURROUND_DIRECT_RIGHT, EBUR128_Mm090},
    {AV_CHAN_WIDE_LEFT, EBUR128_Mp060},
    {AV_CHAN_WIDE_RIGHT, EBUR128_Mm060},
    {AV_CHAN_TOP_CENTER, EBUR128_Tp000},
    {AV_CHAN_TOP_FRONT_LEFT, EBUR128_Up045},
    {AV_CHAN_TOP_FRONT_CENTER, EBUR128_Up000},
    {AV_CHAN_TOP_FRONT_RIGHT, EBUR128_Um045},
    {AV_CHAN_TOP_SIDE_LEFT, EBUR128_Up090},
    {AV_CHAN_TOP_SIDE_RIGHT, EBUR128_Um090},
    {AV_CHAN_TOP_BACK_LEFT, EBUR128_Up135},
    {AV_CHAN_TOP_BACK_CENTER, EBUR128_Up180},
    {AV_CHAN_TOP_BACK_RIGHT, EBUR128_Um135},
    {AV_CHAN_BOTTOM_FRONT_CENTER, EBUR128_Bp000},
    {AV_CHAN_BOTTOM_FRONT_LEFT, EBUR128_Bp045},
    {AV_CHAN_BOTTOM_FRONT_RIGHT, EBUR128_Bm045},
};

/* A channel whose place is not known weighs 1, as one in front does. */
static int find_place(const AVChannelLayout *layout, uint32_t index) {
    const enum AVChannel channel = av_channel_layout_channel_from_index(layout, index);
    /* Without a pair at the sides the one at the back is the surround of 5.1, at 110 degrees. */
    const bool has_sides = av_channel_layout_index_from_channel(layout, AV_CHAN_SIDE_LEFT) >= 0;
    if (!has_sides && channel == AV_CHAN_BACK_LEFT)
        return EBUR128_Mp110;
    if (!has_sides && channel == AV_CHAN_BACK_RIGHT)
        return EBUR128_Mm110;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (places[i].channel == channel)
            return places[i].place;
    return EBUR128_Mp000;
}

static void place_channels(ebur128_state *state, const struct shmframe_audio_format *format) {
    AVChannelLayout layout;
    sound_layout(format, &layout); /* empty, if there is none: all weigh 1 */
    for (uint32_t i = 0; i < format->channels; i++)
        ebur128_set_channel(state, i, find_place(&layout, i));
    av_channel_layout_uninit(&layout);
}

static bool can_take(const struct shmframe_audio_format *format) {
    /* Below twice the 1682 Hz where its first filter turns that one does not hold. */
    enum { RATE_MIN = 4000, RATE_MAX = 2822400 /* libebur128's */ };
    return format->sample_rate >= RATE_MIN && format->sample_rate <= RATE_MAX;
}

static void begin_format(struct loudness *loudness, const struct shmframe_audio_format *format) {
    place_channels(loudness->state, format);
    loudness->channels = format->channels;
    /* As libebur128 rounds its own steps. */
    loudness->step_samples =
        (format->sample_rate + LOUDNESS_STEPS_PER_S / 2) / LOUDNESS_STEPS_PER_S;
    loudness->in_step = 0;
}

int loudness_create(const struct shmframe_audio_format *format, struct loudness **out_loudness) {
    /* With histograms, of bins of 0.1 LU: without them it would keep every block for good. */
    const int mode = EBUR128_MODE_M | EBUR128_MODE_S | EBUR128_MODE_I | EBUR128_MODE_LRA |
                     EBUR128_MODE_TRUE_PEAK | EBUR128_MODE_HISTOGRAM;
    if (!can_take(format))
        return -ENOTSUP;
    struct loudness *loudness = calloc(1, sizeof(*loudness));
    if (!loudness)
        return -ENOMEM;
    loudness->state = ebur128_init(format->channels, format->sample_rate, mode);
    if (!loudness->state) {
        free(loudness);
        return -ENOMEM;
    }
    begin_format(loudness, format);
    *out_loudness = loudness;
    return 0;
}

int loudness_set_format(struct loudness *loudness, const struct shmframe_audio_format *format) {
    if (!can_take(format))
        return -ENOTSUP;
    const int result =
        ebur128_change_parameters(loudness->state, format->channels, format->sample_rate);
    if (result == EBUR128_ERROR_NOMEM)
        return -ENOMEM;
    begin_format(loudness, format);
    return 0;
}

void loudness_destroy(struct loudness *loudness) {
    if (!loudness)
        return;
    ebur128_destroy(&loudness->state);
    free(loudness->scratch);
    free(loudness);
}

static int add_converted(struct loudness *loudness, const struct sound_block *block) {
    const size_t samples = (size_t)block->samples * block->channels;
    if (samples > loudness->scratch_samples) {
        double *larger = realloc(loudness->scratch, samples * sizeof(double));
        if (!larger)
            return -ENOMEM;
        loudness->scratch = larger;
        loudness->scratch_samples = samples;
    }
    double *to = loudness->scratch;
    for (uint32_t i = 0; i < block->samples; i++) {
        for (uint32_t c = 0; c < block->channels; c++) {
            const double value = sound_block_sample(block, c, i);
            *to++ = sound_sample_is_finite(value) ? value : 0;
        }
    }
    return ebur128_add_frames_double(loudness->state, loudness->scratch, block->samples);
}

static int add(struct loudness *loudness, const struct sound_block *block, bool has_only_finite) {
    const void *first = block->channel[0];
    if (!loudness_reads_in_place(block) || !has_only_finite)
        return add_converted(loudness, block);
    switch ((int)block->type) {
    case AV_SAMPLE_FMT_S16:
        return ebur128_add_frames_short(loudness->state, first, block->samples);
    case AV_SAMPLE_FMT_S32:
        return ebur128_add_frames_int(loudness->state, first, block->samples);
    case AV_SAMPLE_FMT_FLT:
        return ebur128_add_frames_float(loudness->state, first, block->samples);
    case AV_SAMPLE_FMT_DBL:
        return ebur128_add_frames_double(loudness->state, first, block->samples);
    }
    return add_converted(loudness, block);
}

bool loudness_reads_in_place(const struct sound_block *block) {
    switch ((int)block->type) {
    case AV_SAMPLE_FMT_S16:
    case AV_SAMPLE_FMT_S32:
    case AV_SAMPLE_FMT_FLT:
    case AV_SAMPLE_FMT_DBL:
        return block->is_packed;
    }
    return false;
}

int loudness_add(struct loudness *loudness, const struct sound_block *block, bool has_only_finite) {
    if (add(loudness, block, has_only_finite) != EBUR128_SUCCESS)
        return -ENOMEM;
    for (uint32_t c = 0; c < loudness->channels; c++) {
        double peak = 0;
        ebur128_prev_true_peak(loudness->state, c, &peak);
        loudness->peak[c] = fmax(loudness->peak[c], peak);
        loudness->interval_peak[c] = fmax(loudness->interval_peak[c], peak);
    }
    loudness->in_step = (loudness->in_step + block->samples) % loudness->step_samples;
    return 0;
}

uint32_t loudness_until_step(const struct loudness *loudness) {
    return loudness->step_samples - loudness->in_step;
}

double loudness_momentary_lufs(const struct loudness *loudness) {
    double value = -HUGE_VAL;
    ebur128_loudness_momentary(loudness->state, &value);
    return value;
}

double loudness_short_term_lufs(const struct loudness *loudness) {
    double value = -HUGE_VAL;
    ebur128_loudness_shortterm(loudness->state, &value);
    return value;
}

double loudness_integrated_lufs(const struct loudness *loudness) {
    double value = -HUGE_VAL;
    ebur128_loudness_global(loudness->state, &value);
    return value;
}

double loudness_range_lu(const struct loudness *loudness) {
    double value = 0;
    ebur128_loudness_range(loudness->state, &value);
    return value;
}

double loudness_true_peak_dbtp(const struct loudness *loudness, uint32_t channel) {
    return 20 * log10(loudness->peak[channel]);
}

double loudness_interval_true_peak_dbtp(const struct loudness *loudness, uint32_t channel) {
    return 20 * log10(loudness->interval_peak[channel]);
}

void loudness_begin_interval(struct loudness *loudness) {
    memset(loudness->interval_peak, 0, sizeof(loudness->interval_peak));
}
