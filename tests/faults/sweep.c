#include "sweep.h"

#include "flow.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ERRORS_MAX = 5, RUN_MS = 30000, NTH_MAX = 64 };

static const struct {
    const char *name;
    int error[ERRORS_MAX + 1];
} kinds[] = {
#define KIND(name, ...) {#name, {__VA_ARGS__}},
    FAULT_KINDS(KIND)
#undef KIND
};

static const struct scenario *running;
static enum fault_mode wanted;

/* ---- within a run ---- */

void sweep_arm(void) {
    if (!atomic_load(&fault_page()->fired))
        atomic_store(&fault_page()->mode, wanted);
}

void sweep_disarm(void) {
    atomic_store(&fault_page()->mode, FAULT_OFF);
}

bool sweep_has_fired(void) {
    return atomic_load(&fault_page()->fired);
}

int sweep_error(void) {
    return sweep_has_fired() ? fault_page()->error : 0;
}

int64_t sweep_deadline(void) {
    return shmframe_deadline_ns(SWEEP_NS);
}

void sweep_wrong(const char *text, ...) {
    sweep_disarm();
    va_list values;
    va_start(values, text);
    vsnprintf(fault_page()->text, sizeof(fault_page()->text), text, values);
    va_end(values);
    _exit(1);
}

/* ---- what an answer may be ---- */

/* How an error of the kernel's is told; 0: it is to be coped with. */
static bool may_answer(int error, int code) {
    switch (error) {
    case EMFILE:
    case ETOOMANYREFS:
        return code == -EMFILE;
    case ENFILE:
        return code == -ENFILE;
    case ENOMEM:
    case ENOBUFS:
        return code == -ENOMEM;
    case ENOSPC:
        return code == -ENOSPC || code == -ENOMEM;
    case EINTR:
        return code == -EINTR;
    case ECONNREFUSED:
        return code == -ENOTCONN;
    default:
        return false;
    }
}

static void check_sentence(const char *call, int code, const char *text) {
    const bool tells_ulimit = strstr(text, "ulimit -n");
    MUST(text[0], "%s answers %s without a word", call, strerrorname_np(-code));
    MUST(code != -EMFILE || tells_ulimit, "%s: EMFILE without its remedy: %s", call, text);
    MUST(code == -EMFILE || !tells_ulimit, "%s: %s with another's remedy: %s", call,
         strerrorname_np(-code), text);
    MUST(code != -ENFILE || strstr(text, "file-max"), "%s: ENFILE without its remedy: %s", call,
         text);
    MUST(code != -ENOMEM || strstr(text, "memory"), "%s: ENOMEM says nothing of memory: %s", call,
         text);
}

void sweep_judge(const char *call, int code) {
    char text[512];
    snprintf(text, sizeof(text), "%s", shmframe_last_error());
    MUST(sweep_has_fired(), "%s answers %s, and no call has failed: %s", call,
         strerrorname_np(-code), text);
    MUST(may_answer(sweep_error(), code), "%s answers %s: %s", call, strerrorname_np(-code), text);
    snprintf(fault_page()->call, sizeof(fault_page()->call), "%s", call);
    fault_page()->code = code;
    if (code != -EINTR)
        check_sentence(call, code, text);
    sweep_disarm();
}

/* ---- one run ---- */

static int count_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    while (folder && readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static int count_mappings(void) {
    FILE *file = fopen("/proc/self/maps", "re");
    char line[512];
    int count = 0;
    while (file && fgets(line, sizeof(line), file))
        count += strstr(line, "memfd:shmframe") != NULL;
    fclose(file);
    return count;
}

_Noreturn static void run_inside(void) {
    const int descriptors = count_descriptors(), mappings = count_mappings();
    const int64_t allocations = atomic_load(&fault_page()->allocations);
    running->act();
    sweep_disarm();
    MUST(count_descriptors() == descriptors, "%d descriptors are left over",
         count_descriptors() - descriptors);
    MUST(count_mappings() == mappings, "%d mappings are left over", count_mappings() - mappings);
    MUST(atomic_load(&fault_page()->allocations) == allocations, "%lld allocations are left over",
         (long long)(atomic_load(&fault_page()->allocations) - allocations));
    _exit(0);
}

/* 0: it went well. The page then has the text. */
static int run_once(void) {
    struct fault_page *page = fault_page();
    page->text[0] = page->call[0] = '\0';
    atomic_store(&page->fired, 0);
    atomic_store(&page->mode, FAULT_OFF);
    atomic_store(&page->allocations, 0);
    for (unsigned i = 0; i < FAULT_PLACES_MAX; i++)
        atomic_store(&page->place[i].calls, 0);
    const pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            run_inside();
        _exit(1);
    }
    const int pidfd = pidfd_open(pid, 0);
    struct pollfd poll_end = {.fd = pidfd, .events = POLLIN};
    int status = 0;
    const bool has_ended = poll(&poll_end, 1, RUN_MS) == 1;
    if (!has_ended)
        kill(pid, SIGKILL);
    close(pidfd);
    waitpid(pid, &status, 0);
    if (flow_supervisor > 0)
        kill(flow_supervisor, SIGCONT);
    if (!has_ended)
        snprintf(page->text, sizeof(page->text), "hangs");
    else if (WIFSIGNALED(status))
        snprintf(page->text, sizeof(page->text), "is killed by signal %d", WTERMSIG(status));
    else if (status && !page->text[0])
        snprintf(page->text, sizeof(page->text), "ends with status %d", WEXITSTATUS(status));
    return status;
}

/* ---- all runs ---- */

struct point {
    uint64_t address;
    uint32_t kind, calls;
};

struct tally {
    unsigned runs, fired, wrong;
    bool has_answer[ANSWERS_MAX]; /* of those that the scenario must get */
};

static const char *error_name(int error) {
    return error == FAULT_SHORT ? "SHORT" : strerrorname_np(error);
}

static void note_answer(struct tally *tally) {
    const struct fault_page *page = fault_page();
    for (unsigned i = 0; i < ANSWERS_MAX && running->answers[i].call; i++)
        if (page->code == running->answers[i].code && strstr(page->call, running->answers[i].call))
            tally->has_answer[i] = true;
}

static unsigned count_missing_answers(const struct tally *tally) {
    unsigned missing = 0;
    for (unsigned i = 0; i < ANSWERS_MAX && running->answers[i].call; i++) {
        if (tally->has_answer[i])
            continue;
        missing++;
        fprintf(stderr, "%s: no run got %s from %s()\n", running->name,
                strerrorname_np(-running->answers[i].code), running->answers[i].call);
    }
    return missing;
}

static void run_point(const struct point *point, uint32_t nth, int error, struct tally *tally) {
    struct fault_page *page = fault_page();
    page->address = point->address;
    page->nth = nth;
    page->error = error;
    tally->runs++;
    const int status = run_once();
    tally->fired += atomic_load(&page->fired);
    note_answer(tally);
    if (status == 0)
        return;
    tally->wrong++;
    fprintf(stderr, "%s: call %u of %s at 0x%llx, %s: %s\n", running->name, nth,
            kinds[point->kind].name, (unsigned long long)point->address, error_name(error),
            page->text);
}

static bool is_long(void) {
    const char *text = getenv("FAULTS");
    return text && strcmp(text, "all") == 0;
}

/* By default the first call of each place fails in every way, its last in one. */
static void run_place(const struct point *point, struct tally *tally) {
    const int *errors = kinds[point->kind].error;
    const uint32_t last = point->calls < NTH_MAX ? point->calls : NTH_MAX;
    for (uint32_t nth = 1; nth <= last; nth++) {
        const bool is_last = nth == last && nth > 1;
        for (unsigned i = 0; errors[i]; i++)
            if (is_long() || nth == 1 || (is_last && i == 0))
                run_point(point, nth, errors[i], tally);
    }
}

/* FAULTS=ADDRESS,NTH,ERROR: that one alone. */
static bool run_asked(struct tally *tally) {
    const char *text = getenv("FAULTS");
    unsigned long long address;
    struct point point = {0};
    uint32_t nth;
    int error;
    if (!text || sscanf(text, "%llx,%u,%d", &address, &nth, &error) != 3)
        return false;
    point.address = address;
    wanted = FAULT_FAIL;
    run_point(&point, nth, error, tally);
    return true;
}

static unsigned find_points(struct point *out_points) {
    const struct fault_page *page = fault_page();
    unsigned count = 0;
    for (unsigned i = 0; i < FAULT_PLACES_MAX; i++)
        if (atomic_load(&page->place[i].calls))
            out_points[count++] = (struct point){.address = atomic_load(&page->place[i].address),
                                                 .kind = atomic_load(&page->place[i].kind),
                                                 .calls = atomic_load(&page->place[i].calls)};
    return count;
}

unsigned sweep(const struct scenario *scenario) {
    static struct point points[FAULT_PLACES_MAX];
    struct tally tally = {0};
    running = scenario;
    if (run_asked(&tally))
        return tally.wrong;
    wanted = FAULT_COUNT;
    if (run_once() != 0) {
        fprintf(stderr, "%s, without any fault: %s\n", scenario->name, fault_page()->text);
        return 1;
    }
    const unsigned count = find_points(points);
    if (getenv("FAULTS_PLACES"))
        for (unsigned i = 0; i < count; i++)
            fprintf(stderr, "0x%llx %s %u\n", (unsigned long long)points[i].address,
                    kinds[points[i].kind].name, points[i].calls);
    wanted = FAULT_FAIL;
    for (unsigned i = 0; i < count; i++)
        run_place(&points[i], &tally);
    fprintf(stderr, "%-20s %3u places, %4u runs, %4u with a fault, %u wrong\n", scenario->name,
            count, tally.runs, tally.fired, tally.wrong);
    return tally.wrong + (count == 0) + count_missing_answers(&tally);
}
