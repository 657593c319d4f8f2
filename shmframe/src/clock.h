/* CLOCK_MONOTONIC in nanoseconds, and deadlines. */
#ifndef SHMFRAME_SRC_CLOCK_H
#define SHMFRAME_SRC_CLOCK_H

#include <shmframe/clock.h>
#include <time.h>

/* shmframe_now_ns(), for the frame path: without the call. */
static inline int64_t clock_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline struct timespec clock_timespec(int64_t ns) {
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

#endif
