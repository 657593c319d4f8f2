#include "clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_NS = 50000 };

static int64_t present_ns = INT64_C(1000000000000);

void clock_advance(int64_t ns) {
    present_ns += ns;
}

int64_t clock_peek_ns(void) {
    return present_ns;
}

/* Takes the place of the C library's, for its other users too. */
int clock_gettime(clockid_t clock, struct timespec *out) {
    if (clock != CLOCK_MONOTONIC)
        return (int)syscall(SYS_clock_gettime, clock, out);
    present_ns += LOOK_NS;
    *out = (struct timespec){.tv_sec = present_ns / 1000000000, .tv_nsec = present_ns % 1000000000};
    return 0;
}
