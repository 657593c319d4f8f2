#include "futex.h"

#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than some kernel headers that this is built with; see futex_waitv(2). */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef FUTEX_32
#define FUTEX_32 2
#endif
struct waitv_entry {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

static int wait_for_one(const struct futex_word *word, int64_t deadline_ns) {
    const struct timespec deadline = clock_timespec(deadline_ns);
    if (syscall(SYS_futex, word->word, FUTEX_WAIT_BITSET, word->expected, &deadline, NULL,
                FUTEX_BITSET_MATCH_ANY) >= 0)
        return 0;
    return errno == ETIMEDOUT || errno == EINTR ? -errno : 0;
}

/* Apart: its entries are more stack than all else on a frame's way. */
static __attribute__((noinline)) int wait_for_several(const struct futex_word *words,
                                                      uint32_t count, int64_t deadline_ns) {
    struct waitv_entry entries[FUTEX_WORDS_MAX];
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct waitv_entry){.value = words[i].expected,
                                          .address = (uint64_t)(uintptr_t)words[i].word,
                                          .flags = FUTEX_32};
    const struct timespec deadline = clock_timespec(deadline_ns);
    if (syscall(SYS_futex_waitv, entries, count, 0, &deadline, CLOCK_MONOTONIC) >= 0)
        return 0;
    return errno == ETIMEDOUT || errno == EINTR ? -errno : 0;
}

int futex_wait(const struct futex_word *words, uint32_t count, int64_t deadline_ns) {
    return count == 1 ? wait_for_one(words, deadline_ns)
                      : wait_for_several(words, count, deadline_ns);
}

void futex_wake(const _Atomic uint32_t *word, uint32_t count) {
    syscall(SYS_futex, word, FUTEX_WAKE, count < INT_MAX ? count : INT_MAX, NULL, NULL, 0);
}

bool futex_is_supported(void) {
    /* No words at all: -EINVAL where the call exists. */
    return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) >= 0 || errno != ENOSYS;
}
