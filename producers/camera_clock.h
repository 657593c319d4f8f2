/* Camera clock: from a driver's time stamps and frame numbers to ours. Pure: the time is told. */
#ifndef PRODUCERS_CAMERA_CLOCK_H
#define PRODUCERS_CAMERA_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* The instant at which a buffer was taken, on both clocks that drivers stamp with. */
struct camera_instant {
    int64_t monotonic_ns;
    int64_t realtime_ns;
    int64_t error_ns; /* how far apart the two may have been read */
};

struct camera_clock {
    int64_t error_ns; /* largest error of a converted stamp so far; 0: none was converted */
    uint32_t sequence;
    bool has_sequence;
};

/* Capture time of a buffer that bears `stamp_ns` and V4L2's `flags`. What no clock of this machine
 * shows is captured when it was taken, one frame's time `period_ns` (0: not known) being the error;
 * what lies ahead of now is captured now. */
int64_t camera_clock_convert(struct camera_clock *clock, uint32_t flags, int64_t stamp_ns,
                             const struct camera_instant *now, int64_t period_ns);

/* Frames that are missing between the last one and number `sequence`. Numbers that stand still or
 * go back tell nothing. */
uint32_t camera_clock_count_gap(struct camera_clock *clock, uint32_t sequence);

/* The stream was started again: the next number is the first. */
void camera_clock_restart(struct camera_clock *clock);

/* Reads both clocks. */
struct camera_instant camera_clock_now(void);

#endif
