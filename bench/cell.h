/* Cell: one road with one size of payload, one number of readers, one pace, touched or not. Each
 * run of it has processes of its own: a writer, the readers, and what daemons the road needs. */
#ifndef BENCH_CELL_H
#define BENCH_CELL_H

#include "roads/road.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

enum {
    CELL_SAMPLES = 1 << 14,
    CELL_WRITER = ROAD_READERS_MAX,
    CELL_SIDES = ROAD_READERS_MAX + 1,
    CELL_ALIGN = 128 /* two cache lines, which processors fetch together */
};

struct cell {
    struct road_plan plan;
    int64_t period_ns;   /* from one message to the next; 0: saturated, as many as there can be */
    int64_t duration_ns; /* of what is measured */
    uint32_t messages;   /* send so many instead; 0: as long as `duration_ns`, but at least a few */
    bool is_touched;     /* every byte of the payload is written before, and read after */
    bool is_checked;     /* each byte has its own value, which the readers check; slow */
    bool is_traced;      /* system calls are counted by strace */
};

/* Why it makes no sense or cannot be run here; NULL: it can be run. */
const char *cell_why_not(const struct cell *cell);

/* What one process writes with every message lies in no cache line that another one touches.
 *
 * Latencies of one reader: every one, or where there is no room for all one in `stride`, by chance:
 * what comes in batches has a period of its own. */
struct cell_samples {
    alignas(CELL_ALIGN) uint32_t count, stride, left; /* left: until the next one that is kept */
    uint32_t chance;                                  /* the state of what chooses them */
    uint32_t latency_ns[CELL_SAMPLES];                /* UINT32_MAX: 4.3 s and more */
};

/* What a process did while it was measured. */
struct cell_side {
    alignas(CELL_ALIGN) uint64_t messages;
    uint64_t lost; /* a reader: numbers that it never saw */
    uint64_t late; /* the writer: those that it could not send at their time */
    int64_t elapsed_ns;
    int64_t ahead_ns;           /* of them, before the first message was due */
    int64_t waited_ns;          /* of its threads, ready to run, for a processor */
    int64_t user_ns, system_ns; /* processor time */
    struct road_count count;
    double traced_calls; /* as strace counted them; -1: it did not */
};

static_assert(sizeof(struct cell_side) % CELL_ALIGN == 0 &&
                  sizeof(struct cell_samples) % CELL_ALIGN == 0,
              "none shares a cache line with its neighbour");

/* What the processes share, and what a run leaves. */
struct cell_run {
    struct cell cell;
    pthread_barrier_t barrier;
    int report_fd[2],
        go_fd[2]; /* each side tells that it is done with a phase, and is told to go on */
    struct cell_side side[CELL_SIDES];
    int64_t daemons_ns; /* processor time of the daemons */
    double
        others_share; /* of the processors' time, what neither these processes took nor was idle */
    uint64_t memory_bytes; /* PSS of all of them, after the last message, with all still open */
    uint64_t kernel_bytes; /* that the kernel may use besides */
    struct cell_samples samples[ROAD_READERS_MAX];
};

/* Runs it once. Ends the program when a process fails, or takes far longer than it should. */
struct cell_run *cell_run(const struct cell *cell);
void cell_run_destroy(struct cell_run *run);

#endif
