#include "census.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES = 1024 };

static ssize_t read_file(pid_t pid, const char *name, char *out, size_t room) {
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const ssize_t length = read(fd, out, room);
    const int code = -errno;
    close(fd);
    return length < 0 ? code : length;
}

static census_reader *read_by = read_file;

void census_read_by(census_reader *reader) {
    read_by = reader;
}

/* "PID (NAME) STATE PARENT ...": the name may hold anything, so look from its end. What stands
 * after it. Errors: -EBUSY the process cannot be looked at; -ESRCH there is none. */
static int read_line(pid_t pid, char line[LINE_BYTES], char **out_rest) {
    const ssize_t length = read_by(pid, "stat", line, LINE_BYTES - 1);
    if (length < 0)
        return length == -EBUSY ? -EBUSY : -ESRCH;
    line[length] = '\0';
    char *end_of_name = strrchr(line, ')');
    if (!end_of_name)
        return -ESRCH;
    *out_rest = end_of_name + 1;
    return 0;
}

int census_find(pid_t pid, struct census_process *out_process) {
    char line[LINE_BYTES], *rest;
    const int code = read_line(pid, line, &rest);
    if (code < 0)
        return code;
    char state;
    int parent, group, session, threads;
    unsigned long long start_time;
    if (sscanf(rest, " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %llu",
               &state, &parent, &group, &session, &threads, &start_time) != 6 ||
        state == 'X' || (state == 'Z' && threads <= 1))
        return -ESRCH; /* its first thread alone may have ended */
    *out_process = (struct census_process){
        .pid = pid, .parent = parent, .group = group, .session = session, .start_time = start_time};
    return 0;
}

bool census_is_other(pid_t pid, uint64_t start_time) {
    char line[LINE_BYTES], *rest;
    unsigned long long started;
    return read_line(pid, line, &rest) == 0 &&
           sscanf(rest,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                  "%llu",
                  &started) == 1 &&
           started != start_time;
}

bool census_find_end(pid_t pid, uint64_t start_time, int *out_status) {
    enum { STATE = 3, THREADS = 20, START_TIME = 22, EXIT_CODE = 52 }; /* see proc_pid_stat(5) */
    char line[LINE_BYTES], path[32], *rest, *place = NULL;
    const int code = read_line(pid, line, &rest);
    char state = 0;
    unsigned long long started = 0;
    long threads = 0;
    long status = -1;
    const char *word = code == 0 ? strtok_r(rest, " \n", &place) : NULL;
    for (int field = STATE; word; field++, word = strtok_r(NULL, " \n", &place)) {
        if (field == STATE)
            state = *word;
        else if (field == THREADS)
            threads = strtol(word, NULL, 10);
        else if (field == START_TIME)
            started = strtoull(word, NULL, 10);
        else if (field == EXIT_CODE)
            status = strtol(word, NULL, 10);
    }
    if (state != 'Z' || threads > 1 || started != start_time || status < 0)
        return false;
    /* 0 is also what those read who may not know. */
    snprintf(path, sizeof(path), "/proc/%d", pid);
    struct stat owner;
    if (status == 0 &&
        (stat(path, &owner) < 0 || owner.st_uid != geteuid() || owner.st_gid != getegid()))
        return false;
    *out_status = (int)status;
    return true;
}

static void add_process(struct census *census, const struct census_process *process) {
    if (census->count == census->capacity) {
        const size_t capacity = census->capacity ? 2 * census->capacity : 256;
        void *grown = reallocarray(census->process, capacity, sizeof(*census->process));
        if (!grown)
            return;
        census->process = grown;
        census->capacity = capacity;
    }
    census->process[census->count++] = *process;
}

bool census_take(struct census *census) {
    *census = (struct census){0};
    DIR *dir = opendir("/proc");
    if (!dir)
        return false;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        struct census_process process;
        if (isdigit((unsigned char)entry->d_name[0]) &&
            census_find(atoi(entry->d_name), &process) == 0)
            add_process(census, &process);
    }
    closedir(dir);
    return true;
}

void census_destroy(struct census *census) {
    free(census->process);
    *census = (struct census){0};
}

static bool is_ours(const struct census *census, pid_t pid) {
    for (size_t i = 0; i < census->count; i++)
        if (census->process[i].pid == pid)
            return census->process[i].is_ours;
    return false;
}

void census_mark_descendants(struct census *census) {
    bool has_grown = true;
    while (has_grown) {
        has_grown = false;
        for (size_t i = 0; i < census->count; i++) {
            struct census_process *process = &census->process[i];
            if (process->is_ours || !is_ours(census, process->parent))
                continue;
            process->is_ours = has_grown = true;
        }
    }
}

static void signal_process(const struct census_process *process, int signal_number) {
    struct census_process now;
    const int fd = pidfd_open(process->pid, 0);
    if (fd < 0)
        return;
    if (census_find(process->pid, &now) == 0 && now.start_time == process->start_time)
        pidfd_send_signal(fd, signal_number, NULL, 0);
    close(fd);
}

unsigned census_signal(const struct census *census, int signal_number) {
    unsigned count = 0;
    for (size_t i = 0; i < census->count; i++) {
        if (!census->process[i].is_ours)
            continue;
        count++;
        if (signal_number)
            signal_process(&census->process[i], signal_number);
    }
    return count;
}
