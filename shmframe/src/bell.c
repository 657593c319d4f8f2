#include "bell.h"

#include "clock.h"
#include "step.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

/* ---- waking ---- */

/* From here on it does not sleep on what it has seen of the bell. */
static void change(struct bell_page *page, int64_t now_ns) {
    /* Only we write these. The futex call orders the first. */
    atomic_store_explicit(&page->bell, atomic_load_explicit(&page->bell, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&page->rings,
                          atomic_load_explicit(&page->rings, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&page->rung_ns, now_ns, memory_order_relaxed);
}

/* A full socket has a byte in it already; a closed one has nobody to wake. Where the kernel has no
 * memory for a byte now, it was not rung: the next publish tries again. */
static void wake_socket(struct ring_link *link) {
    enum { TRIES = 4 };
    for (unsigned i = 0; i < TRIES; i++)
        if (send(link->wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
            (errno != ENOMEM && errno != ENOBUFS && errno != EINTR))
            return;
    link->rung = 0;
}

static void wake(struct ring_link *link) {
    if ((link->rung & 3) == WAIT_SOCKET)
        wake_socket(link);
    else
        futex_wake(&link->bell->bell, 1);
}

/* Apart, so that a publish that wakes nobody does not pay for it. */
static __attribute__((noinline, hot)) void wake_all(struct ring_link *const *due, uint32_t count) {
    const int64_t now_ns = clock_now_ns();
    /* All words first: their cache lines come while the first are woken. */
    for (uint32_t i = 0; i < count; i++)
        change(due[i]->bell, now_ns);
    STEP(PUBLISH_BELL);
    for (uint32_t i = 0; i < count; i++)
        wake(due[i]);
    STEP(PUBLISH_WOKEN);
}

void bell_ring(struct ring_writer *writer) {
    enum { AT_ONCE = 32 };
    struct ring_link *due[AT_ONCE];
    uint32_t count = 0;
    for (uint32_t i = 0; i < writer->active_count; i++) {
        struct ring_link *link = writer->active[i];
        /* W: relaxed, after the caller's fence. An episode that was rung for once needs no second;
         * that a number comes again after 2^30 episodes without a ring costs one short sleep. */
        const uint32_t waiting = atomic_load_explicit(&link->lease->waiting, memory_order_relaxed);
        if (waiting == 0 || waiting == link->rung)
            continue;
        link->rung = waiting;
        writer->rings++;
        due[count++] = link;
        if (count == AT_ONCE) {
            wake_all(due, count);
            count = 0;
        }
    }
    if (count)
        wake_all(due, count);
}

/* ---- sleeping ---- */

static bool see_any(struct ring_reader *const *readers, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (ring_look(readers[i], NULL) != RING_NOTHING)
            return true;
    return false;
}

static void say_waiting(struct ring_reader *reader, enum wait_mode mode) {
    atomic_store_explicit(&reader->lease->waiting, wait_word(++reader->episode, mode),
                          memory_order_relaxed);
}

static void say_awake(struct ring_reader *reader) {
    atomic_store_explicit(&reader->lease->waiting, 0, memory_order_relaxed);
}

static uint32_t add_others(struct futex_word *words, uint32_t count,
                           const struct bell_others *others) {
    if (others->notice)
        words[count++] =
            (struct futex_word){.word = &others->notice->word, .expected = others->notice_seen};
    if (others->interrupt)
        words[count++] = (struct futex_word){.word = others->interrupt, .expected = 0};
    return count;
}

int bell_sleep(const struct futex_word *words, uint32_t count, int64_t deadline_ns) {
    const int64_t slice_ns = clock_now_ns() + BELL_SLEEP_MAX_NS;
    return futex_wait(words, count, slice_ns < deadline_ns ? slice_ns : deadline_ns);
}

int bell_rest(const struct bell_others *others, int64_t deadline_ns) {
    struct futex_word words[2];
    return bell_sleep(words, add_others(words, 0, others), deadline_ns);
}

static bool see_others(const struct bell_others *others) {
    /* Relaxed: they only tell that it is worth a look. */
    return (others->notice && atomic_load_explicit(&others->notice->word, memory_order_relaxed) !=
                                  others->notice_seen) ||
           (others->interrupt && atomic_load_explicit(others->interrupt, memory_order_relaxed));
}

/* First for the next frame alone, then, if it does not come, for the others too. */
static int sleep_for_frame(const struct futex_word *bell, const struct bell_others *others,
                           int64_t deadline_ns) {
    if (see_others(others))
        return 0;
    const int64_t now_ns = clock_now_ns(), end_ns = now_ns + BELL_SLEEP_MAX_NS;
    if (others->is_frame_due) {
        const int64_t alone_ns = now_ns + BELL_ALONE_NS;
        const bool is_last = deadline_ns <= alone_ns;
        const int code = futex_wait(bell, 1, is_last ? deadline_ns : alone_ns);
        if (code != -ETIMEDOUT || is_last)
            return code;
    }
    struct futex_word all[3] = {*bell};
    return futex_wait(all, add_others(all, 1, others), end_ns < deadline_ns ? end_ns : deadline_ns);
}

/* `words`: room for `count` and two. */
static inline __attribute__((always_inline)) int
wait_with(struct futex_word *words, struct ring_reader *const *readers, uint32_t count,
          const struct bell_others *others, int64_t deadline_ns) {
    for (uint32_t i = 0; i < count; i++) {
        const _Atomic uint32_t *bell = &readers[i]->bell->bell;
        words[i] = (struct futex_word){
            .word = bell, .expected = atomic_load_explicit(bell, memory_order_acquire)};
        say_waiting(readers[i], WAIT_FUTEX);
    }
    /* W, with the one in ring_announce() and ring_end(). */
    atomic_thread_fence(memory_order_seq_cst);
    STEP(WAIT_SET);
    int code = 0;
    if (!see_any(readers, count)) {
        STEP(WAIT_CHECKED);
        code = count == 1 ? sleep_for_frame(words, others, deadline_ns)
                          : bell_sleep(words, add_others(words, count, others), deadline_ns);
        STEP(WAIT_SLEPT);
    }
    for (uint32_t i = 0; i < count; i++)
        say_awake(readers[i]);
    return code;
}

/* Apart, for its stack. */
static __attribute__((noinline)) int wait_for_several(struct ring_reader *const *readers,
                                                      uint32_t count,
                                                      const struct bell_others *others,
                                                      int64_t deadline_ns) {
    struct futex_word words[BELL_READERS_MAX + 2];
    return wait_with(words, readers, count, others, deadline_ns);
}

int bell_wait(struct ring_reader *const *readers, uint32_t count, const struct bell_others *others,
              int64_t deadline_ns) {
    struct futex_word words[1 + 2];
    return count == 1 ? wait_with(words, readers, 1, others, deadline_ns)
                      : wait_for_several(readers, count, others, deadline_ns);
}

bool bell_spin(struct ring_reader *const *readers, uint32_t count, const struct bell_others *others,
               int64_t until_ns) {
    enum { LOOKS_PER_CLOCK = 64 };
    do {
        for (unsigned i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (see_any(readers, count))
                return true;
            futex_relax();
        }
        if (see_others(others))
            return true;
    } while (clock_now_ns() < until_ns);
    return false;
}

bool bell_arm(struct ring_reader *reader) {
    say_waiting(reader, WAIT_SOCKET);
    atomic_thread_fence(memory_order_seq_cst); /* W */
    STEP(POLL_ARMED);
    return !see_any(&reader, 1);
}

void bell_disarm(struct ring_reader *reader) {
    say_awake(reader);
}

/* ---- a lossless writer ---- */

uint32_t bell_arm_space(struct ring_writer *writer, struct ring_link *link,
                        const struct bell_others *others, struct futex_word *out_words) {
    struct bell_page *page = link->bell;
    const _Atomic uint32_t *space = &link->lease->space;
    out_words[0] = (struct futex_word){
        .word = space, .expected = atomic_load_explicit(space, memory_order_acquire)};
    /* Only we write these. */
    atomic_store_explicit(&page->waits,
                          atomic_load_explicit(&page->waits, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&page->writer_waiting, 1, memory_order_relaxed);
    /* C, with the one in acquire. */
    atomic_thread_fence(memory_order_seq_cst);
    STEP(SPACE_ASKED);
    return ring_writer_behind(writer) == link ? add_others(out_words, 1, others) : 0;
}

void bell_disarm_space(struct ring_link *link) {
    atomic_store_explicit(&link->bell->writer_waiting, 0, memory_order_relaxed);
}
