#include "burst_filter.h"

#include <errno.h>
#include <libavutil/mem.h>
#include <libavutil/tx.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_MAX = 768000, INVERSE = 2048 /* length of the transforms back */ };
/* Beyond the chirps' band the mask falls to nothing within this width ... */
static const double edge_hz = 150;
/* ... and so rings for less than this, which is lost at both ends of a block. */
static const double ringing_s = 0.01;
/* A block is at least this long: four chirps, so that half of it is new. */
static const double block_s = 4 * BURST_CHIRP_S + 0.01;

struct burst_filter {
    struct burst_filter_size size;
    uint32_t chirp_lags; /* how many lags a chirp lasts */
    AVTXContext *forward, *backward;
    av_tx_fn transform_forward, transform_backward;
    uint32_t band_first, band_count; /* bins */
    float *mask;                     /* of the bins of the band */
    AVComplexFloat *chirp[2];        /* conjugated spectra, masked, of the bins of the band */
    float chirp_power;               /* the sum of their squares */
    float *block;
    AVComplexFloat *spectrum, *band, *lags;
};

static uint32_t find_block_samples(uint32_t sample_rate) {
    uint32_t samples = INVERSE;
    while (samples < sample_rate * block_s)
        samples *= 2;
    return samples;
}

static void find_size(struct burst_filter *filter, uint32_t sample_rate) {
    struct burst_filter_size *size = &filter->size;
    size->samples = find_block_samples(sample_rate);
    size->lag_samples = size->samples / INVERSE;
    const uint32_t ringing = (uint32_t)ceil(ringing_s * sample_rate / size->lag_samples);
    filter->chirp_lags = (uint32_t)ceil(BURST_CHIRP_S * sample_rate / size->lag_samples);
    size->first = ringing * size->lag_samples;
    size->lags = INVERSE - filter->chirp_lags - 2 * ringing;
    size->step = size->lags * size->lag_samples;
    const double bin_hz = (double)sample_rate / size->samples;
    filter->band_first = (uint32_t)ceil((BURST_LOW_HZ - edge_hz) / bin_hz);
    filter->band_count =
        (uint32_t)floor((BURST_HIGH_HZ + edge_hz) / bin_hz) + 1 - filter->band_first;
}

static double find_mask(double hz) {
    const double beyond_hz = fmax(BURST_LOW_HZ - hz, hz - BURST_HIGH_HZ);
    return beyond_hz <= 0 ? 1 : (1 + cos(M_PI * fmin(beyond_hz / edge_hz, 1))) / 2;
}

static void transform_block(struct burst_filter *filter) {
    filter->transform_forward(filter->forward, filter->spectrum, filter->block, sizeof(float));
}

static void learn_chirp(struct burst_filter *filter, enum burst_chirp which, uint32_t sample_rate) {
    for (uint32_t i = 0; i < filter->size.samples; i++)
        filter->block[i] = (float)burst_chirp(which, (double)i / sample_rate);
    transform_block(filter);
    float power = 0;
    for (uint32_t i = 0; i < filter->band_count; i++) {
        const AVComplexFloat bin = filter->spectrum[filter->band_first + i];
        const float mask = filter->mask[i];
        filter->chirp[which][i] = (AVComplexFloat){bin.re * mask, -bin.im * mask};
        power += mask * (bin.re * bin.re + bin.im * bin.im);
    }
    filter->chirp_power = power; /* the same for both: one is the other, backwards */
}

static bool allocate(struct burst_filter *filter) {
    const uint32_t samples = filter->size.samples;
    const float forward_scale = 1;
    filter->mask = av_malloc_array(filter->band_count, sizeof(float));
    for (int i = 0; i < 2; i++)
        filter->chirp[i] = av_malloc_array(filter->band_count, sizeof(AVComplexFloat));
    filter->block = av_malloc_array(samples, sizeof(float));
    filter->spectrum = av_malloc_array(samples / 2 + 1, sizeof(AVComplexFloat));
    filter->band = av_calloc(INVERSE, sizeof(AVComplexFloat));
    filter->lags = av_malloc_array(INVERSE, sizeof(AVComplexFloat));
    return filter->mask && filter->chirp[0] && filter->chirp[1] && filter->block &&
           filter->spectrum && filter->band && filter->lags &&
           av_tx_init(&filter->forward, &filter->transform_forward, AV_TX_FLOAT_RDFT, 0,
                      (int)samples, &forward_scale, 0) >= 0 &&
           av_tx_init(&filter->backward, &filter->transform_backward, AV_TX_FLOAT_FFT, 1, INVERSE,
                      NULL, 0) >= 0;
}

int burst_filter_create(uint32_t sample_rate, struct burst_filter **out_filter) {
    if (sample_rate < BURST_RATE_MIN || sample_rate > RATE_MAX)
        return -ENOTSUP;
    struct burst_filter *filter = calloc(1, sizeof(*filter));
    if (!filter)
        return -ENOMEM;
    find_size(filter, sample_rate);
    if (!allocate(filter)) {
        burst_filter_destroy(filter);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < filter->band_count; i++)
        filter->mask[i] =
            (float)find_mask((double)(filter->band_first + i) * sample_rate / filter->size.samples);
    learn_chirp(filter, BURST_FALLING, sample_rate);
    learn_chirp(filter, BURST_RISING, sample_rate);
    *out_filter = filter;
    return 0;
}

void burst_filter_destroy(struct burst_filter *filter) {
    if (!filter)
        return;
    av_tx_uninit(&filter->forward);
    av_tx_uninit(&filter->backward);
    av_free(filter->mask);
    av_free(filter->chirp[0]);
    av_free(filter->chirp[1]);
    av_free(filter->block);
    av_free(filter->spectrum);
    av_free(filter->band);
    av_free(filter->lags);
    free(filter);
}

const struct burst_filter_size *burst_filter_size(const struct burst_filter *filter) {
    return &filter->size;
}

/* Transforms filter->band back, into filter->lags. */
static void transform_back(struct burst_filter *filter) {
    filter->transform_backward(filter->backward, filter->lags, filter->band,
                               sizeof(AVComplexFloat));
}

static float find_square(AVComplexFloat value) {
    return value.re * value.re + value.im * value.im;
}

/* How like one chirp the block is. The band begins at bin 0 of what is transformed back: that turns
 * the phase of the lags, not their size. */
static void find_levels(struct burst_filter *filter, enum burst_chirp which,
                        struct burst_lag *lags) {
    const AVComplexFloat *sound = filter->spectrum + filter->band_first;
    for (uint32_t i = 0; i < filter->band_count; i++) {
        const AVComplexFloat chirp = filter->chirp[which][i];
        filter->band[i] = (AVComplexFloat){sound[i].re * chirp.re - sound[i].im * chirp.im,
                                           sound[i].re * chirp.im + sound[i].im * chirp.re};
    }
    transform_back(filter);
    const uint32_t first = filter->size.first / filter->size.lag_samples;
    for (uint32_t i = 0; i < filter->size.lags; i++)
        lags[i].level[which] = sqrtf(find_square(filter->lags[first + i])) / filter->chirp_power;
}

static void find_powers(struct burst_filter *filter, struct burst_lag *lags) {
    const AVComplexFloat *sound = filter->spectrum + filter->band_first;
    for (uint32_t i = 0; i < filter->band_count; i++)
        filter->band[i] =
            (AVComplexFloat){sound[i].re * filter->mask[i], sound[i].im * filter->mask[i]};
    transform_back(filter);
    const AVComplexFloat *at = filter->lags + filter->size.first / filter->size.lag_samples;
    double power = 0;
    for (uint32_t i = 0; i < filter->chirp_lags; i++)
        power += (double)find_square(at[i]);
    const double scale = 1 / ((double)filter->chirp_power * INVERSE);
    for (uint32_t i = 0; i < filter->size.lags; i++) {
        lags[i].power = (float)fmax(power * scale, 0);
        power += (double)find_square(at[i + filter->chirp_lags]) - (double)find_square(at[i]);
    }
}

void burst_filter_run(struct burst_filter *filter, const float *samples,
                      struct burst_lag *out_lags) {
    memcpy(filter->block, samples, sizeof(float) * filter->size.samples);
    transform_block(filter);
    find_levels(filter, BURST_FALLING, out_lags);
    find_levels(filter, BURST_RISING, out_lags);
    find_powers(filter, out_lags);
}
