/* Rate: how many frames a second go from one process to another while the writer never rests and
 * the reader gets every frame. */
#ifndef BENCH_RATE_H
#define BENCH_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum { RATE_REPEATS_MAX = 64 };

struct rate_plan {
    const char *name;
    uint32_t loans, leases; /* so many at once; 1: single calls */
    int64_t spin_ns;        /* of the reader, before it sleeps */
    bool is_touched;        /* every byte is written, and read */
    uint32_t frames;        /* in each repetition */
};

struct rate_result {
    double per_second[RATE_REPEATS_MAX];
    /* In all repetitions. */
    uint64_t frames;
    uint64_t waits;  /* of the writer for the reader */
    uint64_t sleeps; /* of the reader */
};

void rate_run(const struct rate_plan *plan, uint32_t repeats, struct rate_result *out_result);

#endif
