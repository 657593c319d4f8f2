#include "gather_process.h"
#include "program.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct known_process {
    struct gather_process process; /* first: what others see */
    uint64_t start_ticks;          /* with the pid it names a process */
    uint64_t round;                /* when it was last looked at */
    int64_t time_ns;               /* likewise */
};

/* ---- /proc ---- */

/* Both files are one short line. */
static bool read_line(int32_t pid, const char *file, char *line, size_t bytes) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/%s", pid, file);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t length = read(fd, line, bytes - 1);
    close(fd);
    if (length <= 0)
        return false;
    line[length] = 0;
    return true;
}

static int64_t ticks_to_ns(uint64_t ticks) {
    return (int64_t)((double)ticks * 1e9 / (double)sysconf(_SC_CLK_TCK));
}

static int64_t boot_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The fields of proc(5), counted from 1, are after the name, which may hold anything. */
static bool read_stat(struct gather_process *process, uint64_t *out_start_ticks) {
    char line[1024];
    if (!read_line(process->pid, "stat", line, sizeof(line)))
        return false;
    const char *rest = strrchr(line, ')');
    uint64_t user, system;
    if (!rest || sscanf(rest + 1,
                        " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                        " %*d %*d %*d %*d %" SCNu32 " %*d %" SCNu64,
                        &process->state, &user, &system, &process->threads, out_start_ticks) != 5)
        return false;
    process->cpu_ns = ticks_to_ns(user + system);
    process->age_ns = boot_now_ns() - ticks_to_ns(*out_start_ticks);
    return true;
}

static bool read_memory(struct gather_process *process) {
    char line[256];
    uint64_t resident, shared;
    if (!read_line(process->pid, "statm", line, sizeof(line)) ||
        sscanf(line, "%*u %" SCNu64 " %" SCNu64, &resident, &shared) != 2)
        return false;
    const int64_t page_bytes = sysconf(_SC_PAGESIZE);
    process->resident_bytes = (int64_t)resident * page_bytes;
    process->private_bytes = resident > shared ? (int64_t)(resident - shared) * page_bytes : 0;
    return true;
}

static void look(struct known_process *known, int64_t now_ns) {
    struct gather_process now = {.pid = known->process.pid, .cpu_percent = -1};
    uint64_t start_ticks = 0;
    now.is_known = read_stat(&now, &start_ticks) && read_memory(&now);
    const bool is_same = known->process.is_known && known->start_ticks == start_ticks;
    if (now.is_known && is_same && now_ns > known->time_ns)
        now.cpu_percent = 100.0 * (double)(now.cpu_ns - known->process.cpu_ns) /
                          (double)(now_ns - known->time_ns);
    known->process = now;
    known->start_ticks = start_ticks;
    known->time_ns = now_ns;
}

/* ---- rounds ---- */

static struct known_process *add(struct gather_processes *processes, int32_t pid) {
    if (processes->count == processes->capacity) {
        processes->capacity = processes->capacity ? 2 * processes->capacity : 16;
        processes->known =
            realloc(processes->known, processes->capacity * sizeof(struct known_process *));
    }
    struct known_process *known = calloc(1, sizeof(*known));
    if (!processes->known || !known)
        program_fail("no memory for a list of %" PRIu32 " processes", processes->count);
    known->process.pid = pid;
    processes->known[processes->count++] = known;
    return known;
}

void gather_processes_begin(struct gather_processes *processes) {
    processes->round++;
    processes->time_ns = shmframe_now_ns();
}

const struct gather_process *gather_processes_find(struct gather_processes *processes,
                                                   int32_t pid) {
    if (pid <= 0)
        return NULL;
    struct known_process *known = NULL;
    for (uint32_t i = 0; i < processes->count && !known; i++)
        if (processes->known[i]->process.pid == pid)
            known = processes->known[i];
    if (!known)
        known = add(processes, pid);
    if (known->round != processes->round)
        look(known, processes->time_ns);
    known->round = processes->round;
    return &known->process;
}

void gather_processes_end(struct gather_processes *processes) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < processes->count; i++)
        if (processes->known[i]->round == processes->round)
            processes->known[kept++] = processes->known[i];
        else
            free(processes->known[i]);
    processes->count = kept;
}

void gather_processes_finish(struct gather_processes *processes) {
    processes->round++;
    gather_processes_end(processes);
    free(processes->known);
    *processes = (struct gather_processes){0};
}
