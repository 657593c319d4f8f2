#include "clock.h"

int64_t shmframe_now_ns(void) {
    return clock_now_ns();
}

int64_t shmframe_deadline_ns(int64_t timeout_ns) {
    int64_t deadline_ns;
    if (timeout_ns == SHMFRAME_FOREVER ||
        __builtin_add_overflow(clock_now_ns(), timeout_ns, &deadline_ns))
        return SHMFRAME_FOREVER;
    return deadline_ns;
}
