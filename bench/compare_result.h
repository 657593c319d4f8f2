/* Result: what the runs of one road in one cell of the table came to. */
#ifndef BENCH_COMPARE_RESULT_H
#define BENCH_COMPARE_RESULT_H

#include "cell.h"

#include <jansson.h>

enum { RESULT_REPEATS_MAX = 100 };
#define RESULT_DISTURBED 0.05
#define SAMPLES_BEYOND   10 /* a quantile: fewer tell nothing */

enum result_figure {
    RESULT_P50 = 0, /* one-way latency, all readers together */
    RESULT_P99,
    RESULT_MESSAGE_NS,   /* from one message to the next, until the last reader has the last */
    RESULT_WRITER_NS,    /* processor time a message */
    RESULT_READER_NS,    /* ... and reader */
    RESULT_DAEMONS_NS,   /* ... of the daemons */
    RESULT_WRITER_SHARE, /* of a processor */
    RESULT_READER_SHARE, /* of one reader */
    RESULT_WAITED_SHARE, /* of the time a side was ready to run without a processor; the worst side
                          */
    RESULT_OTHERS_SHARE, /* of all processors: what others took; above RESULT_DISTURBED: disturbed
                          */
    RESULT_TO_FLOOR,     /* p50, or when saturated the time of a message, as a ratio */
    RESULT_P99_TO_FLOOR, /* paced only */
    RESULT_FIGURES,
};

/* One number of several repetitions. */
struct spread {
    double median, least, most;
};

struct result {
    const struct road *road;
    const char *why_not; /* it was not run; NULL: it was */
    uint32_t repeats;
    double figure[RESULT_FIGURES][RESULT_REPEATS_MAX];
    bool has_floor, has_p99_floor;
    uint64_t sent, received, lost, late;
    uint64_t calls[2], copied;           /* of writer and readers; counted */
    double traced_calls[2];              /* a message; -1: not traced */
    uint64_t memory_bytes, kernel_bytes; /* the most */
    /* Latencies of all repetitions. */
    uint32_t *sample;
    size_t samples, samples_room;
    bool is_sorted;
};

/* Of zeros. */
struct result *result_table_create(size_t count);
void result_table_destroy(struct result *table, size_t count);

/* Takes what a repetition left. */
void result_add(struct result *result, const struct cell_run *run);
/* Once both have this repetition: its p50 and p99, as ratios. */
void result_add_ratio(struct result *result, const struct result *floor);
/* Saturated: against the least time that a message could take. */
void result_add_floor_ns(struct result *result, double floor_ns);
/* What strace counted, in a run apart. */
void result_add_trace(struct result *result, const struct cell_run *run);

struct spread spread_find(const double *values, uint32_t count);
struct spread result_spread(const struct result *result, enum result_figure figure);
/* Over all repetitions. */
int64_t result_quantile_ns(struct result *result, double level);
/* Whether so many samples are beyond it that it is more than the chance of a few. */
bool result_has_quantile(const struct result *result, double level);
/* Others took so much in one of its runs that it tells of them. */
bool result_is_disturbed(const struct result *result);
json_t *result_describe(struct result *result, uint32_t readers);

#endif
