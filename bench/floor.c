#include "floor.h"

#include <linux/futex.h>
#include <shmframe/clock.h>
#include <sys/syscall.h>
#include <unistd.h>

static long futex(_Atomic uint32_t *word, int operation, uint32_t value) {
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

void floor_wake(struct board *board, uint32_t number) {
    if (board->is_spinning) {
        /* The instant is the news: the clock is read right before the store. Never 0, and never the
         * same twice. */
        atomic_store_explicit(&board->line, shmframe_now_ns(), memory_order_release);
        return;
    }
    atomic_store_explicit(&board->line, shmframe_now_ns(), memory_order_relaxed);
    for (uint32_t i = 0; i < board->readers; i++) {
        atomic_store_explicit(&board->reader[i].word, number, memory_order_release);
        futex(&board->reader[i].word, FUTEX_WAKE, 1);
    }
}

static bool wait_spinning(struct board *board, uint32_t number, int64_t *out_sent_ns,
                          int64_t *out_came_ns) {
    static int64_t last_ns; /* this process's own */
    if (number == 1)
        last_ns = 0;
    int64_t sent_ns = atomic_load_explicit(&board->line, memory_order_acquire);
    const bool is_waiting = sent_ns == last_ns;
    while (sent_ns == last_ns)
        sent_ns = atomic_load_explicit(&board->line, memory_order_acquire);
    *out_came_ns = shmframe_now_ns();
    *out_sent_ns = last_ns = sent_ns;
    return is_waiting;
}

bool floor_wait(struct board *board, uint32_t reader, uint32_t number, int64_t *out_sent_ns,
                int64_t *out_came_ns) {
    if (board->is_spinning)
        return wait_spinning(board, number, out_sent_ns, out_came_ns);
    _Atomic uint32_t *word = &board->reader[reader].word;
    bool is_asleep = false;
    while (atomic_load_explicit(word, memory_order_acquire) == number - 1)
        is_asleep = futex(word, FUTEX_WAIT, number - 1) == 0;
    *out_came_ns = shmframe_now_ns();
    *out_sent_ns = atomic_load_explicit(&board->line, memory_order_relaxed);
    return is_asleep;
}
