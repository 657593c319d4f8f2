#include "cell_look.h"

#include "place.h"
#include "program.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS  2000000
#define TRACE_NS INT64_C(10000000000) /* until strace has attached itself */

struct trace {
    pid_t pid, strace;
    char folder[sizeof("/tmp/shmframe-bench.XXXXXX")];
    char path[sizeof("/tmp/shmframe-bench.XXXXXX/calls")];
};

/* The number behind `key` in a file of /proc; -1: there is none. */
static long long find_number(const char *path, const char *key) {
    char line[256];
    long long number = -1;
    FILE *file = fopen(path, "re");
    while (file && number < 0 && fgets(line, sizeof(line), file))
        if (strncmp(line, key, strlen(key)) == 0)
            number = strtoll(line + strlen(key), NULL, 10);
    if (file)
        fclose(file);
    return number;
}

uint64_t look_at_memory(pid_t pid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    const long long kib = find_number(path, "Pss:");
    if (kib < 0)
        program_fail("%s tells no memory: is the process gone, or whose is it?", path);
    return (uint64_t)kib * 1024;
}

int64_t look_at_processor(pid_t pid) {
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) < 0)
        program_fail("process %d tells no processor time: it is gone", (int)pid);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* What nobody had, neither others here nor those beside this virtual machine. */
int64_t look_at_idle(void) {
    char line[256];
    int64_t ticks = 0;
    FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(line, sizeof(line), file)) {
        int cpu;
        long long idle, waiting;
        if (sscanf(line, "cpu%d %*d %*d %*d %lld %lld", &cpu, &idle, &waiting) == 3 &&
            place_has(cpu))
            ticks += idle + waiting;
    }
    if (file)
        fclose(file);
    return ticks * (INT64_C(1000000000) / sysconf(_SC_CLK_TCK));
}

/* ---- strace ---- */

static _Noreturn void run_strace(const struct trace *trace) {
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", (int)trace->pid);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDERR_FILENO);
    execlp("strace", "strace", "-f", "-qq", "-s", "0", "-e", "signal=none", "-e",
           "trace=!clock_nanosleep", "-o", trace->path, "-p", pid, (char *)NULL);
    _exit(EXIT_FAILED);
}

/* Whether all threads of the process are traced. */
static bool is_attached(const struct trace *trace) {
    char path[sizeof("/proc//task//status") + 2 * 20 + NAME_MAX];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)trace->pid);
    DIR *tasks = opendir(path);
    bool is_traced = tasks != NULL;
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)trace->pid, task->d_name);
        is_traced &= find_number(path, "TracerPid:") == trace->strace;
    }
    if (tasks)
        closedir(tasks);
    return is_traced;
}

struct trace *trace_start(pid_t pid) {
    struct trace *trace = calloc(1, sizeof(*trace));
    if (!trace)
        program_fail("no memory for a trace");
    *trace = (struct trace){.pid = pid, .folder = "/tmp/shmframe-bench.XXXXXX"};
    if (!mkdtemp(trace->folder))
        program_fail("no folder for strace: %m");
    snprintf(trace->path, sizeof(trace->path), "%s/calls", trace->folder);
    fflush(NULL);
    trace->strace = fork();
    if (trace->strace == 0)
        run_strace(trace);
    const int64_t deadline_ns = shmframe_deadline_ns(TRACE_NS);
    while (trace->strace < 0 || !is_attached(trace)) {
        if (trace->strace < 0 || waitpid(trace->strace, NULL, WNOHANG) != 0 ||
            shmframe_now_ns() > deadline_ns)
            program_fail("system calls cannot be counted: strace is not there (package strace), or "
                         "is not allowed to look at a process (see ptrace(2), ptrace_scope)");
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    return trace;
}

static void end(struct trace *trace) {
    unlink(trace->path);
    rmdir(trace->folder);
    free(trace);
}

void trace_cancel(struct trace *trace) {
    if (!trace)
        return;
    kill(trace->strace, SIGKILL);
    waitpid(trace->strace, NULL, 0);
    end(trace);
}

/* Marks are calls that fail, of descriptors that nobody has. */
enum { MARK_BEGIN = -1000001, MARK_END = -1000002 };

void trace_begin(void) {
    close(MARK_BEGIN);
}

void trace_end(void) {
    close(MARK_END);
}

static bool is_mark(const char *call, int mark) {
    int fd;
    return sscanf(call, "close(%d)", &fd) == 1 && fd == mark;
}

/* A line is "PID call(...) = ...". What sleeps while another thread calls has a second line, "PID
 * <... call resumed> ...". */
static double count_calls(FILE *file) {
    char line[256];
    double calls = 0;
    bool is_within = false, is_whole = true; /* a line that is longer is a line all the same */
    while (fgets(line, sizeof(line), file)) {
        const bool is_first = is_whole;
        is_whole = strchr(line, '\n') != NULL;
        const char *call = line + strspn(line, " 0123456789");
        if (is_mark(call, MARK_END))
            break;
        calls += is_first && is_within && *call != '<';
        is_within |= is_mark(call, MARK_BEGIN);
    }
    if (!is_within)
        program_fail("strace has not seen where the messages begin");
    return calls;
}

double trace_finish(struct trace *trace) {
    kill(trace->strace, SIGINT);
    waitpid(trace->strace, NULL, 0);
    FILE *file = fopen(trace->path, "re");
    if (!file)
        program_fail("strace left nothing in %s: %m", trace->path);
    const double calls = count_calls(file);
    fclose(file);
    end(trace);
    return calls;
}
