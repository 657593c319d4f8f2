/* Wake-ups, measured: what a frame's news costs here at the least, whatever the programs do.
 *
 * A sleeper in a process of its own waits on a futex on one processor, this process wakes it from
 * another one each millisecond. While the sleeper waits, its processor halts; or it stays awake,
 * busy with a process of the lowest kind, which gives way at once. The difference is what leaving
 * an idle state costs.
 */
#include "doctor.h"

#include "machine.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <sched.h>
#include <shmframe/clock.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char topic[] = "time";

#define PERIOD_NS INT64_C(1000000)

/* ---- the clock ---- */

int64_t doctor_measure_clock_ns(void) {
    enum { ROUNDS = 10, READS = 2000 };
    int64_t best_ns = INT64_MAX; /* of a round */
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t begin_ns = shmframe_now_ns();
        int64_t end_ns = begin_ns;
        for (int i = 0; i < READS; i++)
            end_ns = shmframe_now_ns();
        best_ns = end_ns - begin_ns < best_ns ? end_ns - begin_ns : best_ns;
    }
    return best_ns / READS;
}

void doctor_look_at_clock(struct findings *findings, const char *root, int64_t cost_ns) {
    enum { QUICK_NS = 150 };
    char source[MACHINE_TEXT_BYTES];
    if (!machine_read(root, "sys/devices/system/clocksource/clocksource0/current_clocksource",
                      source))
        strcpy(source, "unknown");
    struct finding *finding =
        findings_add(findings, topic, "clock", "source %.32s: a look at it takes %" PRId64 " ns",
                     source, cost_ns);
    finding_set_figure(finding, "read_ns", cost_ns);
    if (cost_ns > QUICK_NS)
        finding_set_trouble(finding, cost_ns > 10 * QUICK_NS ? FINDING_WARNING : FINDING_NOTE,
                            "each frame looks at it some ten times, through a system call here",
                            "clocksource=tsc on the kernel's command line; dmesg tells why it was "
                            "not chosen");
}

/* ---- the sleeper ---- */

/* Written by the waker: word, sent_ns. By the sleeper: wakes. */
struct bed {
    alignas(64) _Atomic uint32_t word; /* the number of the wake */
    _Atomic int64_t sent_ns;
    alignas(64) struct shmframe_histogram wakes;
};

static void pin(int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value) {
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

/* At least one wake is measured, however long this process is kept from its processor. */
static void sleep_in(struct bed *bed, int64_t duration_ns) {
    const int64_t end_ns = shmframe_deadline_ns(duration_ns);
    int64_t now_ns;
    uint32_t seen = 0;
    do {
        bool was_asleep = false;
        while (atomic_load_explicit(&bed->word, memory_order_acquire) == seen)
            was_asleep = futex(&bed->word, FUTEX_WAIT, seen) == 0;
        now_ns = shmframe_now_ns();
        seen = atomic_load_explicit(&bed->word, memory_order_acquire);
        if (was_asleep)
            shmframe_histogram_add(
                &bed->wakes, now_ns - atomic_load_explicit(&bed->sent_ns, memory_order_relaxed));
    } while (now_ns < end_ns || bed->wakes.count == 0);
}

_Noreturn static void keep_awake(void) {
    sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
    for (volatile unsigned turns = 0;; turns++)
        ;
}

/* A child on `cpu` that does not outlive this process. */
static pid_t fork_on(int cpu, pid_t parent) {
    const pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    pin(cpu);
    return 0;
}

/* ---- the waker ---- */

static void sleep_until(int64_t deadline_ns) {
    const struct timespec deadline = {.tv_sec = deadline_ns / 1000000000,
                                      .tv_nsec = deadline_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
        ;
}

static void wake_until_it_ends(struct bed *bed, pid_t sleeper) {
    for (uint32_t number = 1; waitpid(sleeper, NULL, WNOHANG) == 0; number++) {
        sleep_until(shmframe_deadline_ns(PERIOD_NS));
        atomic_store_explicit(&bed->sent_ns, shmframe_now_ns(), memory_order_relaxed);
        atomic_store_explicit(&bed->word, number, memory_order_release);
        futex(&bed->word, FUTEX_WAKE, 1);
    }
}

static void end_child(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int measure_futex(int cpu, bool is_kept_awake, int64_t duration_ns,
                         struct shmframe_histogram *out_wakes) {
    struct bed *bed =
        mmap(NULL, sizeof(*bed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (bed == MAP_FAILED)
        return -errno;
    const pid_t parent = getpid();
    const pid_t sleeper = fork_on(cpu, parent);
    if (sleeper == 0) {
        sleep_in(bed, duration_ns);
        _exit(0);
    }
    const pid_t awake = is_kept_awake && sleeper > 0 ? fork_on(cpu, parent) : -1;
    if (awake == 0)
        keep_awake();
    const int code = sleeper < 0 || (is_kept_awake && awake < 0) ? -errno : 0;
    if (code == 0)
        wake_until_it_ends(bed, sleeper);
    else if (sleeper > 0)
        end_child(sleeper);
    if (awake > 0)
        end_child(awake);
    *out_wakes = bed->wakes;
    munmap(bed, sizeof(*bed));
    return code;
}

static void measure_timer(int64_t duration_ns, struct shmframe_histogram *histogram) {
    const int64_t end_ns = shmframe_deadline_ns(duration_ns);
    do {
        const int64_t deadline_ns = shmframe_deadline_ns(PERIOD_NS);
        sleep_until(deadline_ns);
        shmframe_histogram_add(histogram, shmframe_now_ns() - deadline_ns);
    } while (shmframe_now_ns() < end_ns);
}

/* The `index`-th of the processors that this process may use; the last one if there are fewer. */
static int find_processor(const cpu_set_t *allowed, int index) {
    int last = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, allowed)) {
            last = cpu;
            if (index-- == 0)
                break;
        }
    return last;
}

int doctor_measure_wakes(struct doctor_wakes *wakes, int64_t duration_ns) {
    *wakes = (struct doctor_wakes){0};
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return -errno;
    const int waker = find_processor(&allowed, 0), sleeper = find_processor(&allowed, 1);
    wakes->processors = waker == sleeper ? 1 : 2;
    pin(waker);
    int code = measure_futex(sleeper, true, duration_ns, &wakes->awake);
    if (code == 0)
        code = measure_futex(sleeper, false, duration_ns, &wakes->halted);
    sched_setaffinity(0, sizeof(allowed), &allowed);
    measure_timer(duration_ns, &wakes->timed);
    const int slack_ns = prctl(PR_GET_TIMERSLACK);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    measure_timer(duration_ns, &wakes->exact);
    prctl(PR_SET_TIMERSLACK, slack_ns > 0 ? (unsigned long)slack_ns : 0UL, 0UL, 0UL, 0UL);
    return code;
}

/* ---- what that means ---- */

static struct finding *add_wake(struct findings *findings, const char *name, const char *text,
                                const struct shmframe_histogram *histogram) {
    const int64_t p50_ns = shmframe_histogram_quantile_ns(histogram, 0.5);
    const int64_t p99_ns = shmframe_histogram_quantile_ns(histogram, 0.99);
    struct finding *finding = findings_add(
        findings, topic, name, "p50 %.1f us, p99 %.1f us, max %.1f us of %" PRIu64 ": %s",
        (double)p50_ns / 1000, (double)p99_ns / 1000, (double)histogram->max_ns / 1000,
        histogram->count, text);
    finding_set_figure(finding, "count", (json_int_t)histogram->count);
    finding_set_figure(finding, "p50_ns", p50_ns);
    finding_set_figure(finding, "p99_ns", p99_ns);
    finding_set_figure(finding, "max_ns", histogram->max_ns);
    return finding;
}

static void judge_scheduler(struct finding *finding, const struct shmframe_histogram *histogram) {
    enum { GOOD_NS = 200000, BAD_NS = 2000000 };
    const int64_t p99_ns = shmframe_histogram_quantile_ns(histogram, 0.99);
    if (p99_ns > GOOD_NS)
        finding_set_trouble(finding, p99_ns > BAD_NS ? FINDING_WARNING : FINDING_NOTE,
                            "one frame in a hundred is heard of so late, or later: other programs, "
                            "or other guests of the host, are in the way",
                            "see pressure and steal; `scheduling = fifo:10` or `cpus` in the "
                            "pipeline file for nodes that matter");
}

void doctor_look_at_wakes(struct findings *findings, const struct doctor_wakes *wakes) {
    enum { HALT_NS = 20000, LATE_NS = 200000 };
    struct finding *finding =
        add_wake(findings, "wake-awake",
                 wakes->processors == 2 ? "by another process, the processor being awake"
                                        : "by another process, both on one processor",
                 &wakes->awake);
    judge_scheduler(finding, &wakes->awake);
    finding = add_wake(findings, "wake-halted",
                       "by another process, the processor having been halted", &wakes->halted);
    judge_scheduler(finding, &wakes->halted);
    const int64_t halt_ns = shmframe_histogram_quantile_ns(&wakes->halted, 0.5) -
                            shmframe_histogram_quantile_ns(&wakes->awake, 0.5);
    finding_set_figure(finding, "halt_ns", halt_ns);
    if (halt_ns > HALT_NS && finding->level == FINDING_OK) {
        char cost[200];
        snprintf(cost, sizeof(cost),
                 "coming back from the halt takes %.0f us: each frame for which a reader sleeps on "
                 "a quiet processor pays it",
                 (double)halt_ns / 1000);
        finding_set_trouble(finding, FINDING_NOTE, cost,
                            "see idle-states; in a virtual machine kvm.halt_poll_ns on the host, "
                            "or the guest's cpuidle_haltpoll; readers that spin (spin_ns) do "
                            "without");
    }
    finding = add_wake(findings, "sleep", "by the clock, as any program", &wakes->timed);
    finding = add_wake(findings, "sleep-exact", "by the clock, without timer slack", &wakes->exact);
    if (shmframe_histogram_quantile_ns(&wakes->exact, 0.99) > LATE_NS)
        finding_set_trouble(finding, FINDING_NOTE,
                            "producers that pace themselves publish late by that",
                            "see pressure, steal and idle-states; a kernel with high-resolution "
                            "timers (highres=on)");
}
