/* Clock: at what time of the pipe a frame is, for containers that have stamps.
 *
 * Live streams share the machine's clock: a frame is at its capture, counted from the first one of
 * all streams. What is read losslessly comes from files: a frame is at its pts, and where those
 * begin anew - a new writer, a seek, a loop - they go on from where they were.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_PIPE_CLOCK_H
#define CONSUMERS_PIPE_CLOCK_H

#include "stamps.h"

#include <shmframe/reader.h>

enum { PIPE_CLOCK_STREAMS = 16 };

struct pipe_clock {
    bool is_by_pts; /* given: if frames have one */
    bool is_begun;
    struct stamps stamps;
    struct stamps_place place[PIPE_CLOCK_STREAMS];
};

/* The first frame of all: its capture is 0, unless times are by pts, which it needs for that. Later
 * calls do nothing. */
void pipe_clock_begin(struct pipe_clock *clock, const struct shmframe_lease *first);

/* Time of a frame in nanoseconds. Negative: it is from before the beginning. */
int64_t pipe_clock_time_ns(struct pipe_clock *clock, uint32_t stream,
                           const struct shmframe_lease *lease);

/* How long a frame lasts, in nanoseconds; 0: not known. */
int64_t pipe_clock_duration_ns(const struct shmframe_lease *lease);

#endif
