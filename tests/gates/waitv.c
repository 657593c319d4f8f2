/* Preloaded into programs that run under valgrind, whose version here does not know futex_waitv(2),
 * and without which the library does not begin: waits for the first word, and looks at the others
 * every few milliseconds. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

enum { PERIOD_NS = 2000000, ARGUMENTS = 6 };

/* See futex_waitv(2). */
struct entry {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

typedef long syscall_function(long number, ...);

static int64_t to_ns(const struct timespec *time) {
    return time->tv_sec * INT64_C(1000000000) + time->tv_nsec;
}

static uint32_t load(const struct entry *entry) {
    return __atomic_load_n((const uint32_t *)(uintptr_t)entry->address, __ATOMIC_SEQ_CST);
}

static long wait_for_any(syscall_function *real, const struct entry *entries, long count,
                         const struct timespec *deadline) {
    for (;;) {
        for (long i = 0; i < count; i++)
            if (load(&entries[i]) != (uint32_t)entries[i].value) {
                errno = EAGAIN;
                return -1;
            }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        const int64_t left_ns = to_ns(deadline) - to_ns(&until);
        if (left_ns <= 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        const int64_t next_ns = to_ns(&until) + (left_ns < PERIOD_NS ? left_ns : PERIOD_NS);
        until = (struct timespec){.tv_sec = next_ns / 1000000000, .tv_nsec = next_ns % 1000000000};
        if (real(SYS_futex, entries->address, FUTEX_WAIT_BITSET, entries->value, &until, NULL,
                 FUTEX_BITSET_MATCH_ANY) == 0)
            return 0;
        if (errno != ETIMEDOUT && errno != EAGAIN)
            return -1;
    }
}

long syscall(long number, ...) {
    syscall_function *real = (syscall_function *)dlsym(RTLD_NEXT, "syscall");
    long argument[ARGUMENTS];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < ARGUMENTS; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    if (number != SYS_futex_waitv)
        return real(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                    argument[5]);
    if (argument[1] == 0) {
        errno = EINVAL; /* as of a kernel that has the call */
        return -1;
    }
    return wait_for_any(real, (const struct entry *)argument[0], argument[1],
                        (const struct timespec *)argument[3]);
}
