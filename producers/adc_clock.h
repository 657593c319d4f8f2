/* The instant at which each sample met the ADC, learned from when samples are there. Pure.
 *
 * A sample cannot be there before it was captured, and some are there at once: the earliest
 * arrivals, over windows of half a second, are the line that the others are late to. It comes down
 * at once, since an earlier arrival proves it, and goes up no quicker than a crystal drifts.
 * Arrivals that all come later than that for a second are a gap: the device has lost samples and
 * has not said so. What device and sound server delay always cannot be seen from here.
 *
 * A position counts samples since the first one, with those lost: position / rate is media time.
 */
#ifndef PRODUCERS_ADC_CLOCK_H
#define PRODUCERS_ADC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct adc_clock {
    uint32_t rate_hz;
    int64_t base_ns;   /* instant of position 0 */
    int64_t skipped;   /* position of the first sample since the device was opened */
    int64_t delivered; /* samples since then */
    int64_t
        error_ns;  /* how far off times were that were told, at most, by what was learned later */
    bool is_known; /* base_ns counts */
    bool is_behind_gap; /* the next arrival says how many samples are missing */
    /* The present window. */
    int64_t window_ns;     /* begin; 0: there is none */
    int64_t least_ns;      /* earliest base that an arrival spoke for */
    int64_t highest_ns[2]; /* bases that were told from, in this window and in the one before */
    uint32_t arrivals;
    uint32_t windows;      /* since the device was opened; the first ones settle the base */
    uint32_t late_windows; /* in a row */
};

/* Before the first sample. */
void adc_clock_init(struct adc_clock *clock);

/* The device was opened, or opened again after a time without one, maybe with another rate.
 * Positions count on, in the new rate. */
void adc_clock_open(struct adc_clock *clock, uint32_t rate_hz);

/* The device says that it lost samples, all that came behind the first `delivered` ones. */
void adc_clock_overflow(struct adc_clock *clock, int64_t delivered);

/* The device has delivered that many samples since it was opened, taken or waiting, seen at
 * `now_ns`. Returns how many are missing before the next one: 0 nearly always. */
int64_t adc_clock_observe(struct adc_clock *clock, int64_t delivered, int64_t now_ns);

/* Position of the sample that `delivered` others were delivered before. */
int64_t adc_clock_position(const struct adc_clock *clock, int64_t delivered);

/* When the sample at `position` was captured. */
int64_t adc_clock_capture_ns(const struct adc_clock *clock, int64_t position);

#endif
