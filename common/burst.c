#include "burst.h"

#include <math.h>

/* Both ends of a chirp swell for so long: no click, and fewer ripples beside the filter's peak. */
static const double swell_s = 0.002;

double burst_chirp(enum burst_chirp chirp, double time_s) {
    if (time_s <= 0 || time_s >= BURST_CHIRP_S)
        return 0;
    const double slope = (BURST_HIGH_HZ - BURST_LOW_HZ) / BURST_CHIRP_S;
    const double turns = chirp == BURST_RISING ? (BURST_LOW_HZ + slope / 2 * time_s) * time_s
                                               : (BURST_HIGH_HZ - slope / 2 * time_s) * time_s;
    const double end_s = fmin(time_s, BURST_CHIRP_S - time_s);
    const double swell = end_s < swell_s ? (1 - cos(M_PI * end_s / swell_s)) / 2 : 1;
    return swell * sin(2 * M_PI * turns);
}

double burst_second_s(uint32_t beat) {
    return BURST_CHIRP_S + beat % BURST_BEATS * BURST_STEP_S;
}

double burst_at(uint32_t beat, double time_s) {
    return burst_chirp(BURST_FALLING, time_s) +
           burst_chirp(BURST_RISING, time_s - burst_second_s(beat));
}
