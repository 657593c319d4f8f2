/* Calls: what loan + publish and acquire + release cost when nobody sleeps and frames are there. */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

#include <stdbool.h>
#include <stdint.h>

enum { CALLS_REPEATS_MAX = 64, CALLS_ROUNDS_MAX = 1024 };

enum calls_kind {
    CALLS_CLOCK = 0, /* one reading of the clock */
    CALLS_PUBLISH,   /* loan + publish */
    CALLS_ACQUIRE,   /* acquire + release */
    CALLS_KINDS,
};

/* Nanoseconds an operation: of each repetition the median of its rounds. */
struct calls_result {
    double median_ns[CALLS_KINDS][CALLS_REPEATS_MAX];
};

/* `links` readers are linked and awake; frames are published on the first processor and acquired on
 * the second one (`is_apart`), or both on one. */
void calls_run(uint32_t links, bool is_apart, uint32_t repeats, uint32_t rounds,
               struct calls_result *out_result);

#endif
