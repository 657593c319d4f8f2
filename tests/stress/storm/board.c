#include "board.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct board *board;

static void nap(int64_t duration_ns) {
    nanosleep(&(struct timespec){.tv_nsec = duration_ns}, NULL);
}

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

void board_sample(enum recovery recovery, int64_t duration_ns) {
    struct samples *samples = &board->recovery[recovery];
    const uint32_t place = atomic_fetch_add(&samples->count, 1);
    if (place < SAMPLES_MAX)
        atomic_store(&samples->ns[place], duration_ns > 0 ? duration_ns : 1);
}

void board_fault(const char *text, ...) {
    const uint32_t place = atomic_fetch_add(&board->faults, 1);
    if (place >= FAULTS_MAX)
        return;
    const size_t room = sizeof(board->fault[place]);
    const int length =
        snprintf(board->fault[place], room, "behind act %u: ", atomic_load(&board->act));
    va_list values;
    va_start(values, text);
    vsnprintf(board->fault[place] + length, room - (size_t)length, text, values);
    va_end(values);
    atomic_fetch_add(&board->faults_written, 1);
}

bool board_has_faults(void) {
    return atomic_load(&board->faults) > 0;
}

/* Spins at first, so that who is let go goes at once. */
void board_pass(struct seat *seat, enum door door) {
    enum { SPINS = 20000 };
    atomic_store(&seat->door, door);
    for (unsigned i = 0;
         atomic_load_explicit(&seat->held_at, memory_order_relaxed) == (uint32_t)door; i++) {
        if (i < SPINS)
            sched_yield();
        else
            nap(200000);
    }
}

bool board_is_disturbed(int64_t from_ns) {
    return atomic_load(&board->supervisor_settled_ns) > from_ns ||
           atomic_load(&board->supervisor_left_ns) > from_ns;
}

bool board_has_supervisor(void) {
    return atomic_load(&board->supervisor_settled_ns) != INT64_MAX;
}

static const char own_times[] = "/proc/thread-self/schedstat";

static void read_times(const char *path, int64_t *out_ran_ns, int64_t *out_queued_ns) {
    char text[64];
    long long ran_ns = 0, queued_ns = 0;
    *out_ran_ns = *out_queued_ns = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    const ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    if (sscanf(text, "%lld %lld", &ran_ns, &queued_ns) != 2)
        return;
    *out_ran_ns = ran_ns;
    *out_queued_ns = queued_ns;
}

/* Nanoseconds that this thread was ready to run and had no processor. */
static int64_t read_run_delay_ns(void) {
    int64_t ran_ns, queued_ns;
    read_times(own_times, &ran_ns, &queued_ns);
    return queued_ns;
}

int64_t board_awake_ns(void) {
    int64_t ran_ns, queued_ns;
    read_times(own_times, &ran_ns, &queued_ns);
    return ran_ns + queued_ns;
}

int64_t board_supervisor_awake_ns(void) {
    char path[64];
    int64_t ran_ns, queued_ns;
    snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)atomic_load(&board->supervisor));
    read_times(path, &ran_ns, &queued_ns);
    return ran_ns + queued_ns;
}

/* ---- times in which somebody did not run ---- */

static int64_t max_ns(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* What of the intervals lies between `from_ns` and now. */
static int64_t sum_since(const struct interval *interval, unsigned count, int64_t from_ns) {
    int64_t sum_ns = 0;
    for (unsigned i = 0; i < count; i++) {
        const int64_t begin_ns = atomic_load(&interval[i].from_ns);
        int64_t end_ns = atomic_load(&interval[i].until_ns);
        if (begin_ns && !end_ns)
            end_ns = shmframe_now_ns();
        if (end_ns > from_ns)
            sum_ns += end_ns - max_ns(begin_ns, from_ns);
    }
    return sum_ns;
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
            nap(500000);
}

int64_t board_stalled_ns(int64_t from_ns) {
    await_probes();
    return sum_since(board->stall, STALLS_MAX, from_ns);
}

void board_pause_begin(struct seat *seat) {
    struct interval *pause = &seat->pause[atomic_load(&seat->pauses) % PAUSES_MAX];
    if (atomic_load(&pause->from_ns) && !atomic_load(&pause->until_ns))
        return; /* one that lasts */
    atomic_store(&pause->from_ns, 0);
    atomic_store(&pause->until_ns, 0);
    atomic_store(&pause->from_ns, shmframe_now_ns());
}

void board_pause_end(struct seat *seat) {
    struct interval *pause = &seat->pause[atomic_load(&seat->pauses) % PAUSES_MAX];
    if (!atomic_load(&pause->from_ns) || atomic_load(&pause->until_ns))
        return;
    atomic_store(&pause->until_ns, shmframe_now_ns());
    struct interval *next = &seat->pause[(atomic_load(&seat->pauses) + 1) % PAUSES_MAX];
    atomic_store(&next->from_ns, 0);
    atomic_store(&next->until_ns, 0);
    atomic_fetch_add(&seat->pauses, 1);
}

int64_t board_paused_ns(const struct seat *seat, int64_t from_ns) {
    return sum_since(seat->pause, PAUSES_MAX, from_ns);
}

/* Nanoseconds in which another machine had this processor, as proc(5) has them: "steal". */
static int64_t read_stolen_ns(int cpu) {
    char line[256], name[16];
    long long ticks = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return 0;
    const int length = snprintf(name, sizeof(name), "cpu%d ", cpu);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, (size_t)length) == 0 &&
            sscanf(line + length, "%*d %*d %*d %*d %*d %*d %*d %lld", &ticks) == 1)
            break;
    fclose(file);
    return ticks * (INT64_C(1000000000) / sysconf(_SC_CLK_TCK));
}

void board_probe(unsigned number, int cpu) {
    enum { PAUSE_NS = 2000000, STALL_NS = 1000000 };
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
    int64_t before_ns = shmframe_now_ns(), before_delay_ns = read_run_delay_ns();
    int64_t stolen_ns = read_stolen_ns(cpu);
    for (;;) {
        atomic_fetch_add(&board->rounds[number], 1);
        nap(PAUSE_NS);
        const int64_t now_ns = shmframe_now_ns(), delay_ns = read_run_delay_ns();
        int64_t late_ns = now_ns - before_ns - PAUSE_NS - (delay_ns - before_delay_ns);
        if (now_ns - before_ns - PAUSE_NS >= STALL_NS) {
            /* What was stolen while this one waited for its turn looks like its wait. */
            const int64_t now_stolen_ns = read_stolen_ns(cpu);
            late_ns = max_ns(late_ns, now_stolen_ns - stolen_ns);
            stolen_ns = now_stolen_ns;
        }
        before_ns = now_ns; /* what comes from here on is told by the next round */
        before_delay_ns = delay_ns;
        if (late_ns < STALL_NS)
            continue;
        struct interval *stall = &board->stall[atomic_fetch_add(&board->stalls, 1) % STALLS_MAX];
        atomic_store(&stall->from_ns, now_ns - late_ns);
        atomic_store(&stall->until_ns, now_ns);
    }
}
