/* What the samples of a stretch of sound amount to, channel by channel. Pure. */
#ifndef CONSUMERS_SOUND_LEVELS_H
#define CONSUMERS_SOUND_LEVELS_H

#include "sound_block.h"

/* A clip is a run of so many samples at full scale or more, one after the other. Full scale is the
 * last step of 16 bits; of 8 bits where there are no more. */
enum { SOUND_CLIP_SAMPLES = 3 };

/* A sample that is no number, or too large to be one of sound, is not finite, and counts as 0: it
 * would stay in sums and filters for good. */
static inline bool sound_sample_is_finite(double value) {
    return value >= -1e6 && value <= 1e6;
}

struct channel_levels {
    char name[16]; /* "": its place is not known */
    uint64_t samples;
    double peak;           /* largest magnitude; full scale is 1 */
    double sum, sum_power; /* of samples, of their squares */
    uint64_t at_full_scale, clips;
    uint32_t clip_run; /* samples at full scale that came last */
};

struct sound_levels {
    struct channel_levels channel[SHMFRAME_CHANNELS_MAX];
    uint32_t channels;
    uint64_t samples;               /* that came, each of all channels */
    uint64_t not_finite;            /* of floats; they count as 0 */
    double pair_sum[3];             /* left * left, right * right, left * right */
    uint32_t pair_left, pair_right; /* the channels whose phase is compared; equal: none */
};

/* Begins a stretch. Runs of full scale go on from `before`, which may be `out_levels`, or NULL. */
void sound_levels_begin(struct sound_levels *out_levels, const struct shmframe_audio_format *format,
                        const struct sound_levels *before);
void sound_levels_add(struct sound_levels *levels, const struct sound_block *block);
/* What comes next does not follow on what came last. */
void sound_levels_break(struct sound_levels *levels);
/* Adds what a later stretch has, which may be of other channels: each is called as it was last. */
void sound_levels_merge(struct sound_levels *levels, const struct sound_levels *more);

double sound_levels_peak(const struct sound_levels *levels); /* of all channels */
double sound_levels_rms(const struct sound_levels *levels);  /* of all channels together */
double sound_levels_dc_offset(
    const struct sound_levels *levels); /* the mean of the channel where it is most */
uint64_t sound_levels_clips(const struct sound_levels *levels);
uint64_t sound_levels_at_full_scale(const struct sound_levels *levels);
/* -1 to 1; NAN where one of the pair is silent, or there is no pair. */
double sound_levels_correlation(const struct sound_levels *levels);

double sound_levels_channel_rms(const struct sound_levels *levels, uint32_t channel);
double sound_levels_channel_dc_offset(const struct sound_levels *levels, uint32_t channel);

#endif
