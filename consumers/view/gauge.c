#include "gauge.h"

#include <math.h>
#include <string.h>

static const double fall_db_s = 20;
static const double mean_s = 0.3;
static const int64_t hold_ns = 1500000000;
static const int64_t jump_ns = 1000000000; /* a step of more, or back, is another time line */

void gauge_init(struct gauge *gauge, uint32_t channels) {
    memset(gauge, 0, sizeof *gauge);
    gauge->channels = channels < GAUGE_CHANNELS ? channels : GAUGE_CHANNELS;
}

void gauge_add(struct gauge *gauge, const struct sound_block *block, int64_t capture_ns,
               int64_t length_ns) {
    if (block->samples == 0) {
        return;
    }
    if (gauge->added - gauge->heard == GAUGE_BLOCKS) {
        gauge->heard++;
    }
    struct gauge_block *const to = &gauge->block[gauge->added % GAUGE_BLOCKS];
    gauge->added++;
    to->begin_ns = capture_ns;
    to->end_ns = capture_ns + length_ns;
    for (uint32_t c = 0; c < gauge->channels && c < block->channels; c++) {
        double peak = 0, power = 0;
        for (uint32_t i = 0; i < block->samples; i++) {
            const double sample = sound_block_sample(block, c, i);
            if (isfinite(sample)) {
                peak = fmax(peak, fabs(sample));
                power += sample * sample;
            }
        }
        to->peak[c] = (float)peak;
        to->power[c] = (float)(power / block->samples);
    }
}

static void rise(struct gauge *gauge, const struct gauge_block *block) {
    const double seconds = (double)(block->end_ns - block->begin_ns) / 1e9;
    const float share = (float)(1 - exp(-seconds / mean_s));
    for (uint32_t c = 0; c < gauge->channels; c++) {
        struct gauge_channel *const channel = &gauge->channel[c];
        channel->peak = fmaxf(channel->peak, block->peak[c]);
        gauge->power[c] += (block->power[c] - gauge->power[c]) * share;
        if (block->peak[c] >= channel->held) {
            channel->held = block->peak[c];
            gauge->held_ns[c] = block->end_ns;
        }
    }
}

/* Time passes, with or without sound. */
static void fall(struct gauge *gauge, int64_t time_ns, bool has_sound) {
    const double seconds = (double)time_ns / 1e9;
    const float peak = (float)pow(10, -fall_db_s * seconds / 20);
    const float power = has_sound ? 1 : (float)exp(-seconds / mean_s);
    for (uint32_t c = 0; c < gauge->channels; c++) {
        struct gauge_channel *const channel = &gauge->channel[c];
        channel->peak *= peak;
        gauge->power[c] *= power;
        if (gauge->heard_ns - gauge->held_ns[c] > hold_ns) {
            channel->held = channel->peak;
        }
    }
}

static bool is_heard(const struct gauge *gauge, int64_t capture_ns) {
    return gauge->heard != gauge->added &&
           gauge->block[gauge->heard % GAUGE_BLOCKS].begin_ns <= capture_ns;
}

void gauge_advance(struct gauge *gauge, int64_t capture_ns) {
    const int64_t time_ns = capture_ns - gauge->heard_ns;
    const bool is_jump = gauge->heard_ns == 0 || time_ns < -jump_ns || time_ns > jump_ns;
    if (time_ns <= 0 && !is_jump) {
        return;
    }
    gauge->heard_ns = capture_ns;
    fall(gauge, is_jump ? 0 : time_ns, is_heard(gauge, capture_ns));
    while (is_heard(gauge, capture_ns)) {
        rise(gauge, &gauge->block[gauge->heard % GAUGE_BLOCKS]);
        gauge->heard++;
    }
}

void gauge_read(const struct gauge *gauge, struct gauge_reading *out_reading) {
    out_reading->channels = gauge->channels;
    for (uint32_t c = 0; c < gauge->channels; c++) {
        out_reading->channel[c] = gauge->channel[c];
        out_reading->channel[c].rms = sqrtf(gauge->power[c]);
    }
}
