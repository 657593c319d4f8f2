/* Clock: CLOCK_MONOTONIC as the harness has it, for everything in the process: it stands still but
 * for a microsecond a look, so that a run is the same each time and whoever waits busily goes on.
 * Other clocks are the kernel's. */
#ifndef TESTS_FUZZ_CLOCK_H
#define TESTS_FUZZ_CLOCK_H

#include <stdint.h>

void clock_advance(int64_t ns);
/* Of the present, without advancing it. */
int64_t clock_peek_ns(void);

#endif
