#include "board.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Longest that peers need to find a new supervisor and be known to it: they look once a second, it
 * gives them two. */
#define RETURN_NS INT64_C(3500000000)

struct board *board;

void board_create(void) {
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) {
        perror("board");
        exit(1);
    }
}

void board_count(enum total total, uint64_t more) {
    atomic_fetch_add(&board->total[total], more);
}

void board_fault(const char *text, ...) {
    const uint32_t place = atomic_fetch_add(&board->faults, 1);
    if (place >= FAULTS_MAX)
        return;
    va_list values;
    va_start(values, text);
    vsnprintf(board->fault[place], sizeof(board->fault[place]), text, values);
    va_end(values);
    atomic_fetch_add(&board->faults_written, 1);
}

void board_pass(struct seat *seat, enum door door) {
    atomic_store(&seat->door, door);
    while (atomic_load_explicit(&seat->held_at, memory_order_relaxed) == (uint32_t)door)
        sched_yield();
}

bool board_is_disturbed(int64_t from_ns) {
    const int64_t started_ns = atomic_load(&board->supervisor_started_ns);
    return started_ns == 0 || started_ns + RETURN_NS > from_ns ||
           atomic_load(&board->supervisor_killed_ns) > from_ns;
}

int64_t board_run_delay_ns(void) {
    char text[64];
    long long ran_ns, delay_ns = 0;
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    return sscanf(text, "%lld %lld", &ran_ns, &delay_ns) == 2 ? delay_ns : 0;
}

/* Until each probe has told what came until now: who is late since a processor was not there runs
 * again no later than the probe that is to tell of it. */
static void await_probes(void) {
    const int64_t deadline_ns = shmframe_deadline_ns(INT64_C(5000000000));
    uint64_t rounds[PROBES_MAX];
    for (unsigned i = 0; i < PROBES_MAX; i++)
        rounds[i] = atomic_load(&board->rounds[i]);
    for (unsigned i = 0; i < PROBES_MAX; i++)
        while (rounds[i] && atomic_load(&board->rounds[i]) == rounds[i] &&
               shmframe_now_ns() < deadline_ns)
            nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

int64_t board_stalled_ns(int64_t from_ns) {
    int64_t stalled_ns = 0;
    await_probes();
    for (unsigned i = 0; i < STALLS_MAX; i++) {
        const int64_t begin_ns = atomic_load(&board->stall[i].from_ns);
        const int64_t end_ns = atomic_load(&board->stall[i].until_ns);
        if (end_ns > from_ns)
            stalled_ns += end_ns - (begin_ns > from_ns ? begin_ns : from_ns);
    }
    return stalled_ns;
}

int64_t board_held_ns(const struct seat *seat, int64_t from_ns) {
    const int64_t begin_ns = atomic_load(&seat->held_from_ns);
    const int64_t end_ns = atomic_load(&seat->held_until_ns);
    const int64_t until_ns = end_ns < begin_ns ? shmframe_now_ns() : end_ns;
    return until_ns > from_ns ? until_ns - (begin_ns > from_ns ? begin_ns : from_ns) : 0;
}

void board_probe(unsigned number, int cpu) {
    enum { PAUSE_NS = 2000000, STALL_NS = 1000000 };
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
    int64_t before_ns = shmframe_now_ns(), before_delay_ns = board_run_delay_ns();
    for (;;) {
        atomic_fetch_add(&board->rounds[number], 1);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        const int64_t now_ns = shmframe_now_ns(), delay_ns = board_run_delay_ns();
        const int64_t late_ns = now_ns - before_ns - PAUSE_NS - (delay_ns - before_delay_ns);
        before_ns = now_ns; /* what comes from here on is told by the next round */
        before_delay_ns = delay_ns;
        if (late_ns < STALL_NS)
            continue;
        struct stall *stall = &board->stall[atomic_fetch_add(&board->stalls, 1) % STALLS_MAX];
        atomic_store(&stall->from_ns, now_ns - late_ns);
        atomic_store(&stall->until_ns, now_ns);
    }
}
