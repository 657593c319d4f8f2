/* Matched filter for the chirps of bursts: how like one the sound is from each instant on.
 *
 * Works on blocks of samples that overlap. In one Fourier transform a block is limited to the
 * chirps' band and compared with both chirps at all lags; only the band is transformed back, so
 * that what comes out has a lower rate than the sound.
 */
#ifndef CONSUMERS_BURST_FILTER_H
#define CONSUMERS_BURST_FILTER_H

#include "burst.h"

#include <stdbool.h>

struct burst_filter;

/* A lag: a chirp that begins there. */
struct burst_lag {
    float level[2]; /* of each enum burst_chirp, as it was sent: the sine's amplitude */
    float power;    /* of all that is in the band while a chirp would last; level^2 if it is one */
};

struct burst_filter_size {
    uint32_t samples;     /* of a block */
    uint32_t step;        /* from a block to the next: samples */
    uint32_t first;       /* sample of the block at which the first lag is */
    uint32_t lags;        /* of a block; those of the next one follow without a gap */
    uint32_t lag_samples; /* from a lag to the next */
};

/* Errors: -ENOTSUP a rate below BURST_RATE_MIN or above 768000; -ENOMEM. */
int burst_filter_create(uint32_t sample_rate, struct burst_filter **out_filter);
void burst_filter_destroy(struct burst_filter *filter);
const struct burst_filter_size *burst_filter_size(const struct burst_filter *filter);

/* Filters size.samples samples into size.lags lags. */
void burst_filter_run(struct burst_filter *filter, const float *samples,
                      struct burst_lag *out_lags);

#endif
