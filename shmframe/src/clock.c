#include "clock.h"

int64_t shmframe_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t shmframe_deadline_ns(int64_t timeout_ns) {
    int64_t deadline_ns;
    if (timeout_ns == SHMFRAME_FOREVER ||
        __builtin_add_overflow(shmframe_now_ns(), timeout_ns, &deadline_ns))
        return SHMFRAME_FOREVER;
    return deadline_ns;
}
