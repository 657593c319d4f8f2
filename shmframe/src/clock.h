/* CLOCK_MONOTONIC in nanoseconds, and deadlines. */
#ifndef SHMFRAME_SRC_CLOCK_H
#define SHMFRAME_SRC_CLOCK_H

#include <shmframe/clock.h>
#include <time.h>

static inline struct timespec clock_timespec(int64_t ns) {
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

#endif
