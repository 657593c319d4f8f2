/* Futexes on shared words: wait on several, wake one. */
#ifndef SHMFRAME_SRC_FUTEX_H
#define SHMFRAME_SRC_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { FUTEX_WORDS_MAX = 128 }; /* the kernel's FUTEX_WAITV_MAX */

struct futex_word {
    const _Atomic uint32_t *word; /* a read-only mapping will do */
    uint32_t expected;
};

/* Sleeps until one of the words is not, or no longer, as expected, or is woken, or the deadline.
 * May return 0 without a cause: the caller looks again. Errors: -ETIMEDOUT, -EINTR. */
int futex_wait(const struct futex_word *words, uint32_t count, int64_t deadline_ns);

/* Wakes up to `count` sleepers on `word`. */
void futex_wake(const _Atomic uint32_t *word, uint32_t count);

/* In a loop that waits busily. */
static inline void futex_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Whether the kernel has futex_waitv(), as from 5.16 on. */
bool futex_is_supported(void);

#endif
