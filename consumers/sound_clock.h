/* The instants of samples, by the stamps of the blocks they came in.
 *
 * A line is laid through the stamps of the last seconds: its slope may differ from the sample rate
 * as far as clocks do, its error follows from how far the stamps lie from it. Exact stamps give
 * exact instants; stamps that waver are averaged, and the error told. Pure.
 */
#ifndef CONSUMERS_SOUND_CLOCK_H
#define CONSUMERS_SOUND_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { SOUND_CLOCK_STAMPS = 1024 };

struct sound_clock {
    uint32_t sample_rate;
    uint32_t count, next; /* of the stamps that are kept; where the next one goes */
    struct sound_clock_stamp {
        int64_t sample, ns;
    } stamps[SOUND_CLOCK_STAMPS];
};

/* Forgets all stamps. */
void sound_clock_reset(struct sound_clock *clock, uint32_t sample_rate);

/* Whether a stamp for that sample would be kept: some are too close to the one before. */
bool sound_clock_wants(const struct sound_clock *clock, int64_t sample);

/* Sample number `sample` is of the instant `ns`. Numbers rise. */
void sound_clock_add(struct sound_clock *clock, int64_t sample, int64_t ns);

struct sound_instant {
    int64_t ns;
    int64_t error_ns;  /* three standard deviations */
    int64_t spread_ns; /* standard deviation of the stamps from the line */
};

/* The instant of a sample, which need not be a whole one. False: there are no stamps. */
bool sound_clock_find(const struct sound_clock *clock, double sample,
                      struct sound_instant *out_instant);

#endif
