/* A measurement: of which streams, how long already, and why it ended. */
#ifndef CONSUMERS_LATENCY_MEASUREMENT_H
#define CONSUMERS_LATENCY_MEASUREMENT_H

#include "budget.h"
#include "measured.h"
#include "report.h"
#include "selection.h"

#include <stdbool.h>

enum { BUDGETS_MAX = 16, MEASURED_MAX = SELECTION_MAX };

struct measurement {
    /* Set by the program. */
    enum report_format format;
    struct budget budget[BUDGETS_MAX];
    bool is_judged[BUDGETS_MAX]; /* at the end: a stream had its hop */
    uint32_t budgets;
    int64_t interval_ns; /* 0: only the whole is told */
    int64_t spin_ns;
    uint32_t of; /* number of the reader that is watched; 0: it reads itself */
    bool is_touching;

    struct measured stream[MEASURED_MAX];
    uint32_t streams;

    int64_t start_ns;
    int64_t interval_start_ns;
    int64_t next_ns; /* when the next interval ends */
    int64_t end_ns;
    const char *reason; /* why it ended; NULL: it goes on */
};

/* Begins to measure its streams. */
void measurement_start(struct measurement *m);
/* Between two frames, or two looks: tells the interval that is over, and sees whether the whole is:
 * --duration, or --frames of the first stream, or a signal. */
void measurement_look_at_clock(struct measurement *m);
/* Until when nothing but a frame matters. */
int64_t measurement_deadline_ns(const struct measurement *m);

#endif
