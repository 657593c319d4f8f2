/* Gauges of sound: peak, RMS and held peak of each channel, as they are heard. Pure.
 *
 * Blocks are measured when they come and wait until they are heard. A peak falls by 20 dB a second,
 * a held one stays for a second and a half; RMS is the mean of some 300 ms.
 */
#ifndef CONSUMERS_GAUGE_H
#define CONSUMERS_GAUGE_H

#include "sound_block.h"
#include <stdbool.h>

enum {
    GAUGE_CHANNELS = 16, /* the first so many are shown */
    GAUGE_BLOCKS = 512,
};

struct gauge_channel {
    float peak, held, rms; /* full scale is 1 */
};

struct gauge_reading {
    uint32_t channels; /* 0: there is no sound */
    struct gauge_channel channel[GAUGE_CHANNELS];
};

struct gauge_block {
    int64_t begin_ns, end_ns; /* captured */
    float peak[GAUGE_CHANNELS], power[GAUGE_CHANNELS];
};

struct gauge {
    uint32_t channels;
    struct gauge_channel channel[GAUGE_CHANNELS];
    int64_t held_ns[GAUGE_CHANNELS]; /* since when */
    float power[GAUGE_CHANNELS];
    int64_t heard_ns; /* so far: captured then */
    struct gauge_block block[GAUGE_BLOCKS];
    uint32_t added, heard; /* blocks */
};

/* Begins anew. */
void gauge_init(struct gauge *gauge, uint32_t channels);
/* A block that was captured from `capture_ns` on; the oldest one that waits is forgotten if there
 * are too many. */
void gauge_add(struct gauge *gauge, const struct sound_block *block, int64_t capture_ns,
               int64_t length_ns);
/* What was captured until `capture_ns` has been heard. */
void gauge_advance(struct gauge *gauge, int64_t capture_ns);
void gauge_read(const struct gauge *gauge, struct gauge_reading *out_reading);

#endif
