/* The report of a measurement: a folder with a page for people (index.html), a line for each frame
 * (frames.csv), and what scripts and `shmframe report` read (run.json). */
#ifndef CONSUMERS_LATENCY_RUN_REPORT_H
#define CONSUMERS_LATENCY_RUN_REPORT_H

#include "run.h"
#include "run_machine.h"

#include <stdint.h>

enum { RUN_REPORT_RUNS = 16 };

struct run_report {
    char *const *arguments; /* of the program, NULL ends them */
    const char *title;      /* what was measured, as the caller says; NULL: nothing is said */
    int64_t wall_ns;        /* CLOCK_REALTIME, when it began */
    struct run_machine machine;
    struct run *run[RUN_REPORT_RUNS]; /* one a stream */
    uint32_t runs;
};

/* Before anything is measured: creates the folder if it is not there, and sees whether files can be
 * written into it. Errors: -ENOTDIR, or why not: -EACCES, -ENOENT (of the folder that it is to be
 * in) ... */
int run_report_try(const char *folder);

/* Writes all three; each replaces one of its name at once, others are left alone. Errors: -ENOMEM;
 * as write(). */
int run_report_write(const struct run_report *report, const char *folder);

#endif
