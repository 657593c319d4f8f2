/* Workload: what every road carries in one cell of the table. */
#ifndef BENCH_COMPARE_WORKLOAD_H
#define BENCH_COMPARE_WORKLOAD_H

#include "program.h"

#include <stddef.h>

enum { WORKLOADS_MAX = 512 };

struct workload {
    char size[16]; /* "128 B", "1080p" */
    size_t bytes;
    uint32_t readers;
    int64_t period_ns; /* 0: saturated */
    bool is_touched;
    bool is_own_only; /* in the short form: other roads take too long for it */
};

struct workloads {
    struct workload workload[WORKLOADS_MAX];
    uint32_t count;
};

/* What the command line chose; an empty list: its default. */
struct workload_choice {
    struct option_list size, readers, pace, touch;
    bool is_full;
};

/* A cross-section when nothing was chosen; otherwise all combinations. Mistakes end the program. */
void workloads_choose(struct workloads *workloads, const struct workload_choice *choice);
/* Those that --check carries: every size to 1, 2 and 4 readers, unless others were chosen. */
void workloads_choose_check(struct workloads *workloads, const struct workload_choice *choice);

/* "4 KiB, 2 readers, 1000/s, touched" */
void workload_describe(const struct workload *workload, char *text, size_t text_bytes);

#endif
