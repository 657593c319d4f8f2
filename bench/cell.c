#include "cell.h"

#include "cell_look.h"
#include "cell_side.h"
#include "place.h"
#include "program.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Longer than one message takes, or one phase without any, where nothing hangs. Of a phase with
 * many there is no such time: traced on a busy machine a message takes seconds. */
#define PATIENCE_NS INT64_C(60000000000)

struct process {
    pid_t pid;
    int pid_fd;
    char name[24];
    struct trace *trace;
};

struct processes {
    struct cell_run *run;
    void *prepared;
    uint32_t count; /* the readers, then the writer */
    struct process process[CELL_SIDES];
    pid_t daemon[ROAD_DAEMONS_MAX];
    uint32_t daemons;
    uint64_t seen;                     /* messages, when patience last came to its end */
    int64_t begin_ns, idle_ns, own_ns; /* when what is measured began */
};

const char *cell_why_not(const struct cell *cell) {
    const struct road_plan *plan = &cell->plan;
    if (plan->spin_ns == INT64_MAX && plan->readers >= place_count())
        return "each one that spins, and the writer, takes a processor of its own";
    if (plan->road->batch > 1 && cell->period_ns)
        return "what comes at a pace is sent at once, not gathered";
    return plan->road->why_not ? plan->road->why_not(plan) : NULL;
}

static struct cell_run *create_run(const struct cell *cell) {
    struct cell_run *run =
        mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run == MAP_FAILED)
        program_fail("no memory for a run: %m");
    run->cell = *cell;
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&run->barrier, &shared, cell->plan.readers + 1);
    pthread_barrierattr_destroy(&shared);
    for (uint32_t i = 0; i < cell->plan.readers; i++) {
        memset(&run->samples[i], 0, sizeof(run->samples[i])); /* touched before it is measured */
        run->samples[i].stride = 1;
        run->samples[i].chance = i + 1;
    }
    if (pipe2(run->report_fd, O_CLOEXEC) < 0 || pipe2(run->go_fd, O_CLOEXEC) < 0)
        program_fail("no pipe: %m");
    return run;
}

void cell_run_destroy(struct cell_run *run) {
    if (run)
        munmap(run, sizeof(*run));
}

static void run_side(void *argument) {
    side_run(argument);
}

/* ---- the processes ---- */

static void start(struct processes *all, uint32_t number) {
    struct process *process = &all->process[all->count++];
    struct side side = {
        .run = all->run, .cell = all->run->cell, .prepared = all->prepared, .number = number};
    if (number == CELL_WRITER)
        snprintf(process->name, sizeof(process->name), "the writer");
    else
        snprintf(process->name, sizeof(process->name), "reader %u", number);
    process->pid = process_start(run_side, &side);
    process->pid_fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
    if (process->pid_fd < 0)
        program_fail("process %d cannot be watched: %m", (int)process->pid);
}

/* Ends what is left, and the program. */
static _Noreturn void give_up(struct processes *all, const char *name, const char *what) {
    const struct road *road = all->run->cell.plan.road;
    for (uint32_t i = 0; i < all->count; i++) {
        trace_cancel(all->process[i].trace);
        kill(all->process[i].pid, SIGKILL);
        waitpid(all->process[i].pid, NULL, 0);
    }
    road->finish(all->prepared);
    program_fail("%s: %s %s (%zu bytes, %u readers)", road->title, name, what,
                 all->run->cell.plan.bytes, all->run->cell.plan.readers);
}

static bool has_progress(struct processes *all) {
    uint64_t messages = 0;
    for (uint32_t i = 0; i < CELL_SIDES; i++)
        messages += __atomic_load_n(&all->run->side[i].messages, __ATOMIC_RELAXED);
    const bool is_more = messages > all->seen;
    all->seen = messages;
    return is_more;
}

/* Waits until one of them ends or has something to tell; returns which one ended, `count`: none. */
static uint32_t wait_for_any(struct processes *all, int fd, int64_t deadline_ns) {
    struct pollfd watched[CELL_SIDES + 1];
    const nfds_t count = all->count;
    for (nfds_t i = 0; i < count; i++)
        watched[i] = (struct pollfd){.fd = all->process[i].pid_fd, .events = POLLIN};
    watched[count] = (struct pollfd){.fd = fd, .events = POLLIN};
    int ready;
    for (;;) {
        if (program_is_stopping())
            give_up(all, "the run", "was interrupted");
        const int64_t left_ns = deadline_ns - shmframe_now_ns();
        ready = left_ns > 0 ? poll(watched, count + 1, (int)(left_ns / 1000000) + 1) : 0;
        if (ready == 0 && has_progress(all)) {
            deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
            continue;
        }
        if (ready >= 0 || errno != EINTR)
            break;
    }
    if (ready == 0)
        give_up(all, "one of the processes", "does not come to its end");
    for (uint32_t i = 0; ready > 0 && i < count; i++)
        if (watched[i].revents)
            return i;
    return (uint32_t)count;
}

/* Until each has come to the end of a phase. */
static void await_reports(struct processes *all) {
    for (uint32_t reports = 0; reports < all->count;) {
        const int64_t deadline_ns =
            shmframe_deadline_ns(PATIENCE_NS + 2 * all->run->cell.duration_ns);
        const uint32_t ended = wait_for_any(all, all->run->report_fd[0], deadline_ns);
        if (ended < all->count)
            give_up(all, all->process[ended].name, "ended early");
        char bytes[CELL_SIDES];
        const ssize_t got = read(all->run->report_fd[0], bytes, all->count - reports);
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            program_fail("a run's pipe: %m");
        reports += got > 0 ? (uint32_t)got : 0;
    }
}

static void let_go(struct processes *all) {
    const char bytes[CELL_SIDES] = {0};
    if (write(all->run->go_fd[1], bytes, all->count) != (ssize_t)all->count)
        give_up(all, "a process", "cannot be told to go on");
}

static void await_ends(struct processes *all) {
    const int64_t deadline_ns = shmframe_deadline_ns(PATIENCE_NS);
    while (all->count > 0) {
        int status;
        const uint32_t ended = wait_for_any(all, -1, deadline_ns);
        if (ended == all->count)
            continue;
        struct process process = all->process[ended];
        waitpid(process.pid, &status, 0);
        close(process.pid_fd);
        all->process[ended] = all->process[--all->count];
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_DONE)
            give_up(all, process.name, "failed at its end");
    }
}

/* ---- what is seen of them ---- */

static int64_t look_at_daemons(const struct processes *all) {
    int64_t sum_ns = 0;
    for (uint32_t i = 0; i < all->daemons; i++)
        sum_ns += look_at_processor(all->daemon[i]);
    return sum_ns;
}

/* Processor time that is this run's, of whatever kind. */
static int64_t look_at_own(const struct processes *all) {
    int64_t sum_ns = look_at_processor(getpid()) + look_at_daemons(all);
    for (uint32_t i = 0; i < all->count; i++)
        sum_ns += look_at_processor(all->process[i].pid);
    return sum_ns;
}

static void begin_others(struct processes *all) {
    all->own_ns = look_at_own(all);
    all->idle_ns = look_at_idle();
    all->begin_ns = shmframe_now_ns();
}

/* The kernel's figures of idle time are 10 ms off at most, each. */
static double find_others(const struct processes *all) {
    const double cpus = place_count();
    const double whole_ns = (double)(shmframe_now_ns() - all->begin_ns) * cpus;
    const double idle_ns = (double)(look_at_idle() - all->idle_ns);
    const double others_ns = whole_ns - idle_ns - (double)(look_at_own(all) - all->own_ns);
    const double error_ns = cpus * 1e9 / (double)sysconf(_SC_CLK_TCK);
    return others_ns > error_ns ? (others_ns - error_ns) / whole_ns : 0;
}

static void begin_look(struct processes *all) {
    const struct road *road = all->run->cell.plan.road;
    all->daemons = road->daemons ? road->daemons(all->prepared, all->daemon) : 0;
    for (uint32_t i = 0; all->run->cell.is_traced && i < all->count; i++)
        all->process[i].trace = trace_start(all->process[i].pid);
    begin_others(all);
    all->run->daemons_ns = look_at_daemons(all);
}

static void end_look(struct processes *all) {
    struct cell_run *run = all->run;
    const struct road *road = run->cell.plan.road;
    run->daemons_ns = look_at_daemons(all) - run->daemons_ns;
    run->others_share = find_others(all);
    for (uint32_t i = 0; i < all->count; i++) {
        const uint32_t side = i == run->cell.plan.readers ? (uint32_t)CELL_WRITER : i;
        struct trace *trace = all->process[i].trace;
        run->side[side].traced_calls = trace ? trace_finish(trace) : -1;
        all->process[i].trace = NULL;
        run->memory_bytes += look_at_memory(all->process[i].pid);
    }
    for (uint32_t i = 0; i < all->daemons; i++)
        run->memory_bytes += look_at_memory(all->daemon[i]);
    run->kernel_bytes = road->kernel_bytes ? road->kernel_bytes(all->prepared) : 0;
}

struct cell_run *cell_run(const struct cell *cell) {
    struct cell_run *run = create_run(cell);
    struct processes all = {.run = run};
    all.prepared = run->cell.plan.road->prepare(&run->cell.plan);
    for (uint32_t i = 0; i < cell->plan.readers; i++)
        start(&all, i);
    start(&all, CELL_WRITER);
    close(run->report_fd[1]);
    close(run->go_fd[0]);
    await_reports(&all); /* open */
    let_go(&all);
    await_reports(&all); /* warm */
    begin_look(&all);
    let_go(&all);
    await_reports(&all); /* measured */
    end_look(&all);
    let_go(&all);
    await_ends(&all);
    close(run->report_fd[0]);
    close(run->go_fd[1]);
    run->cell.plan.road->finish(all.prepared);
    return run;
}
