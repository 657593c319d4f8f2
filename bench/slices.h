/* Slices: five processes, a writer and four readers with their work, that take all roads in turn,
 * and what each of them left behind. */
#ifndef BENCH_SLICES_H
#define BENCH_SLICES_H

#include "road.h"
#include "work.h"

#include <assert.h>
#include <pthread.h>

enum { SLICES_REPEATS_MAX = 100, SLICES_PEERS = ROAD_READERS + 1, SLICES_WRITER = ROAD_READERS };
static_assert((int)ROAD_READERS == (int)WORK_KINDS, "each reader has its work");

struct slices_plan {
    uint32_t width, height;
    int64_t period_ns; /* from one picture to the next */
    uint32_t frames;   /* in a slice */
    uint32_t repeats;
};

/* Of one process in one slice; processor time is that of the process, the kernel's included. */
struct slice {
    int64_t total_ns;
    int64_t work_ns; /* of it, between getting a frame and letting it go */
    uint64_t copied; /* bytes that system calls carried */
};

struct slices {
    struct slices_plan plan;
    size_t frame_bytes, buffer_bytes[ROADS];
    pthread_barrier_t barrier;
    int64_t start_ns; /* of the slice that runs */
    struct slice slice[SLICES_REPEATS_MAX][ROADS][SLICES_PEERS];
    uint64_t sent[SLICES_REPEATS_MAX][ROADS];
    uint64_t dropped[ROADS];             /* their successor was due */
    uint64_t lost[ROADS];                /* sent, and not received by one of the readers */
    int64_t copy_ns[SLICES_REPEATS_MAX]; /* the floor: one memcpy() of a frame */
    struct shmframe_histogram age[ROADS][ROAD_READERS]; /* received - sent, of all repeats */
};

/* Runs them; ends the program when anything goes wrong. */
struct slices *slices_run(const struct slices_plan *plan);
void slices_destroy(struct slices *slices);

#endif
