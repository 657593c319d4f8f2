/* Slices: five processes, a writer and four readers with their work, that take all roads in turn,
 * and what each of them left behind. */
#ifndef BENCH_SLICES_H
#define BENCH_SLICES_H

#include "roads/road.h"
#include "work.h"

#include <assert.h>
#include <pthread.h>

/* Each reader has its work. */
enum {
    SLICES_REPEATS_MAX = 100,
    SLICES_READERS = WORK_KINDS,
    SLICES_WRITER = SLICES_READERS,
    SLICES_PEERS,
};

/* The roads that the pictures take. */
enum slices_road {
    SLICES_NONE = 0, /* no road: each process has pictures of its own in memory already */
    SLICES_RING,
    SLICES_UNIX,
    SLICES_PIPE,
    SLICES_ROADS,
};
/* As in the table of roads; "none". */
const char *slices_road_name(enum slices_road road);

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
    size_t frame_bytes, kernel_bytes[SLICES_ROADS];
    pthread_barrier_t barrier;
    int64_t start_ns; /* of the slice that runs */
    struct slice slice[SLICES_REPEATS_MAX][SLICES_ROADS][SLICES_PEERS];
    uint64_t sent[SLICES_REPEATS_MAX][SLICES_ROADS];
    uint64_t dropped[SLICES_ROADS];      /* their successor was due */
    uint64_t lost[SLICES_ROADS];         /* sent, and not received by one of the readers */
    int64_t copy_ns[SLICES_REPEATS_MAX]; /* the floor: one memcpy() of a frame */
    struct shmframe_histogram age[SLICES_ROADS]
                                 [SLICES_READERS]; /* received - sent, of all repeats */
};

/* Runs them; ends the program when anything goes wrong. */
struct slices *slices_run(const struct slices_plan *plan);
void slices_destroy(struct slices *slices);

#endif
