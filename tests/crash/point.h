/* Point: where a process of the test build is to be stopped or killed; in memory that it shares
 * with the test. */
#ifndef TESTS_CRASH_POINT_H
#define TESTS_CRASH_POINT_H

#include "step.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

/* Number of the descriptor under which a program finds its point. */
#define POINT_ENVIRONMENT "SHMFRAME_CRASH_POINT"

struct point {
    _Atomic uint32_t armed;  /* enum step; STEP_NONE once it was reached */
    _Atomic uint32_t passes; /* which one of those to come */
    _Atomic uint32_t signal; /* that it sends itself there */
    _Atomic uint32_t held;   /* loans or leases that it had there */
    _Atomic int64_t reached_ns;
};

/* From now on this process heeds `point`; NULL: none. */
void point_use(struct point *point);
/* Called there, before the signal. */
void point_call_before(void (*call)(void *user, struct point *point), void *user);

#endif
