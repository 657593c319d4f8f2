/* What the litmus programs share. They are one-shot programs for a checker of C11 (GenMC); with
 * larger FRAMES the same programs run for a while on real threads, under ThreadSanitizer or bare.
 */
#ifndef LITMUS_H
#define LITMUS_H
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#define load(place, order)         atomic_load_explicit(&(place), memory_order_##order)
#define store(place, value, order) atomic_store_explicit(&(place), value, memory_order_##order)
#define fence(order)               atomic_thread_fence(memory_order_##order)

enum { PUBLISHED = 1, RETIRED = 2, WRITING = 3 };
#define STATE(seq, kind) ((unsigned)(seq) << 2 | (kind))
#define WORD(seq, slot)  ((unsigned)(seq) << 8 | (slot))
#define SEQ(word)        ((word) >> 8)
#define SLOT(word)       ((word)&0xff)

/* In a loop that waits for another thread. */
#ifdef YIELD
#include <sched.h>
#define idle() sched_yield()
#else
#define idle() ((void)0)
#endif

/* A futex as the kernel makes it: compare and queue under the lock of the bucket. */
struct futex {
    pthread_mutex_t bucket;
    unsigned is_queued;
    _Atomic unsigned is_awake;
};

static inline void futex_wait(struct futex *futex, _Atomic unsigned *word, unsigned value) {
    unsigned sleeps = 0;
    pthread_mutex_lock(&futex->bucket);
    if (load(*word, relaxed) == value) {
        store(futex->is_awake, 0, relaxed);
        futex->is_queued = 1;
        sleeps = 1;
    }
    pthread_mutex_unlock(&futex->bucket);
    if (sleeps)
        while (!load(futex->is_awake, acquire))
            idle();
}

static inline void futex_wake(struct futex *futex) {
    pthread_mutex_lock(&futex->bucket);
    if (futex->is_queued) {
        futex->is_queued = 0;
        store(futex->is_awake, 1, release);
    }
    pthread_mutex_unlock(&futex->bucket);
}

/* On real threads: abort when a counter has stood still for WATCH_MS. */
#ifdef WATCH_MS
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static inline void watch(_Atomic unsigned *counter, unsigned last) {
    const struct timespec tick = {.tv_nsec = 10 * 1000 * 1000};
    unsigned seen = 0;
    for (int still_ms = 0; seen < last; still_ms += 10) {
        nanosleep(&tick, NULL);
        const unsigned now = load(*counter, relaxed);
        if (now != seen)
            still_ms = 0;
        seen = now;
        if (still_ms >= WATCH_MS) {
            fputs("a wake-up is lost: nobody moves any more\n", stderr);
            abort();
        }
    }
}
#else
#define watch(counter, last) ((void)0)
#endif

/* On real threads: widen the gap between two statements. */
#ifdef STALL
static inline void stall(void) {
    for (volatile int i = 0; i < STALL; i++)
        ;
}
#else
#define stall() ((void)0)
#endif
#endif
