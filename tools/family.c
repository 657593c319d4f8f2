#include "family.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

struct process {
    pid_t pid, parent;
    bool is_ours;
};

struct census {
    struct process *process;
    size_t count, capacity;
};

void family_adopt_orphans(void) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* The parent of `pid`; 0 if it has ended, also while nobody has reaped it. */
static pid_t find_parent(pid_t pid) {
    char path[32], line[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    const size_t length = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    line[length] = '\0';
    /* "PID (NAME) STATE PARENT ...": the name may hold anything, so look from its end. */
    const char *rest = strrchr(line, ')');
    char state;
    int parent;
    if (!rest || sscanf(rest + 1, " %c %d", &state, &parent) != 2 || state == 'Z' || state == 'X')
        return 0;
    return parent;
}

static void add_process(struct census *census, pid_t pid, pid_t parent) {
    if (census->count == census->capacity) {
        const size_t capacity = census->capacity ? 2 * census->capacity : 256;
        void *grown = realloc(census->process, capacity * sizeof(*census->process));
        if (!grown)
            return;
        census->process = grown;
        census->capacity = capacity;
    }
    census->process[census->count++] = (struct process){.pid = pid, .parent = parent};
}

static void take_census(struct census *census) {
    *census = (struct census){0};
    DIR *dir = opendir("/proc");
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        const pid_t pid = atoi(entry->d_name);
        const pid_t parent = find_parent(pid);
        if (parent)
            add_process(census, pid, parent);
    }
    closedir(dir);
}

static bool is_ours(const struct census *census, pid_t pid) {
    for (size_t i = 0; i < census->count; i++)
        if (census->process[i].pid == pid)
            return census->process[i].is_ours;
    return false;
}

/* Marks children of ours as ours, until no more are found. */
static void mark_ours(struct census *census, pid_t spared) {
    const pid_t self = getpid();
    bool has_grown = true;
    while (has_grown) {
        has_grown = false;
        for (size_t i = 0; i < census->count; i++) {
            struct process *process = &census->process[i];
            if (process->is_ours || process->pid == spared ||
                (process->parent != self && !is_ours(census, process->parent)))
                continue;
            process->is_ours = has_grown = true;
        }
    }
}

static void signal_process(const struct process *process, int signal_number) {
    const int fd = pidfd_open(process->pid, 0);
    if (fd < 0)
        return;
    /* Still the process that was counted, and not the next one of that number. Adoption may have
     * changed its parent, to one that is ours as well; then the next round reaches it. */
    if (find_parent(process->pid) == process->parent)
        pidfd_send_signal(fd, signal_number, NULL, 0);
    close(fd);
}

unsigned family_signal(int signal_number, pid_t spared) {
    struct census census;
    unsigned count = 0;
    take_census(&census);
    mark_ours(&census, spared);
    for (size_t i = 0; i < census.count; i++) {
        if (!census.process[i].is_ours)
            continue;
        count++;
        if (signal_number)
            signal_process(&census.process[i], signal_number);
    }
    free(census.process);
    return count;
}
