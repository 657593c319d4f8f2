/* Preloaded: the wall clock is an hour ahead or behind, in turns. */
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { JUMP_S = 3600 };
static _Atomic unsigned looks;

int clock_gettime(clockid_t clock, struct timespec *out_time) {
    const long code = syscall(SYS_clock_gettime, clock, out_time);
    if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        out_time->tv_sec += atomic_fetch_add(&looks, 1) % 2 ? JUMP_S : -JUMP_S;
    return (int)code;
}

time_t time(time_t *out_time) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out_time)
        *out_time = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *out_time, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *out_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}
