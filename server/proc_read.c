#include "proc_read.h"

#include "clock.h"
#include "error.h"
#include "log.h"
#include "thread.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 64 << 10, PATIENCE_PARTS = 20 };

/* A process that was waited for in vain. */
struct stuck {
    pid_t pid;
    uid_t uid;
    int64_t since_ns;
    bool is_waited_for; /* a thread still reads */
};

/* A thread. Left behind, it owns itself. */
struct worker {
    pid_t pid; /* what is asked for; 0: nothing */
    char name[16];
    char *text;
    size_t room;
    ssize_t count;       /* the answer: bytes, or a negative errno */
    struct stuck *stuck; /* left behind: as this one */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t is_asked, is_answered;
    bool is_started;
    struct worker *worker; /* NULL: the last one was left behind */
    struct stuck stuck[PROC_READ_STUCK_MAX];
} reader = {.mutex = PTHREAD_MUTEX_INITIALIZER,
            .is_asked = PTHREAD_COND_INITIALIZER,
            .is_answered = PTHREAD_COND_INITIALIZER};

/* ---- reading ---- */

static ssize_t read_file(pid_t pid, const char *name, char *out, size_t room) {
    char path[48];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    size_t count = 0;
    ssize_t length;
    while ((length = read(fd, out + count, room - count)) > 0)
        count += (size_t)length;
    const int code = length < 0 && count == 0 ? -errno : 0;
    close(fd);
    return code < 0 ? code : (ssize_t)count;
}

/* ---- the thread ---- */

static void destroy_worker(struct worker *worker) {
    free(worker->text);
    free(worker);
}

static void *run(void *user) {
    struct worker *worker = user;
    pthread_mutex_lock(&reader.mutex);
    while (!worker->stuck) {
        while (worker->pid == 0)
            pthread_cond_wait(&reader.is_asked, &reader.mutex);
        pthread_mutex_unlock(&reader.mutex);
        const ssize_t count = read_file(worker->pid, worker->name, worker->text, worker->room);
        pthread_mutex_lock(&reader.mutex);
        worker->count = count;
        worker->pid = 0;
        pthread_cond_signal(&reader.is_answered);
    }
    worker->stuck->is_waited_for = false;
    pthread_mutex_unlock(&reader.mutex);
    destroy_worker(worker);
    return NULL;
}

static int start_worker(void) {
    if (reader.worker)
        return 0;
    struct worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return -ENOMEM;
    const int code = thread_start(run, worker, STACK_BYTES);
    if (code < 0)
        destroy_worker(worker);
    else
        reader.worker = worker;
    return code;
}

int proc_read_start(void) {
    pthread_mutex_lock(&reader.mutex);
    const int code = start_worker();
    reader.is_started = code == 0;
    pthread_mutex_unlock(&reader.mutex);
    return code < 0 ? error_set(code, "no thread: %s", strerror(-code)) : 0;
}

/* ---- whom nobody looks at ---- */

/* The directory's owner is the process's effective user, and asking for it never waits. */
static uid_t find_owner(pid_t pid) {
    char path[32];
    struct stat info;
    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    return stat(path, &info) == 0 ? info.st_uid : (uid_t)-1;
}

static bool counts(const struct stuck *stuck, int64_t now_ns) {
    return stuck->is_waited_for ||
           (stuck->since_ns > 0 && now_ns - stuck->since_ns < PROC_READ_COUNTS_NS);
}

static struct stuck *find_unused(int64_t now_ns) {
    for (unsigned i = 0; i < PROC_READ_STUCK_MAX; i++)
        if (!counts(&reader.stuck[i], now_ns))
            return &reader.stuck[i];
    return NULL;
}

/* In all but bad times the first question is the only one. */
static bool may_look(pid_t pid, int64_t now_ns) {
    unsigned all = 0, of_user = 0;
    uid_t uid = 0;
    for (unsigned i = 0; i < PROC_READ_STUCK_MAX; i++) {
        const struct stuck *stuck = &reader.stuck[i];
        if (!counts(stuck, now_ns))
            continue;
        if (stuck->is_waited_for && stuck->pid == pid)
            return false;
        if (all++ == 0)
            uid = find_owner(pid);
        of_user += stuck->uid == uid;
    }
    if (all == PROC_READ_STUCK_MAX)
        return false;
    return all == 0 || uid == 0 || uid == geteuid() || of_user < PROC_READ_STUCK_OF_USER;
}

static void leave_behind(struct worker *worker, const char *name) {
    const int64_t now_ns = shmframe_now_ns();
    struct stuck *stuck = find_unused(now_ns); /* there is one, or nobody had been asked */
    *stuck = (struct stuck){.pid = worker->pid,
                            .uid = find_owner(worker->pid),
                            .since_ns = now_ns,
                            .is_waited_for = true};
    worker->stuck = stuck;
    reader.worker = NULL;
    log_trouble("event=process-not-seen pid=%d uid=%u file=%s reason=\"it does not answer: it may "
                "run a program, and close a file whose file system does not answer\"",
                (int)stuck->pid, (unsigned)stuck->uid, name);
}

/* ---- for the loop ---- */

static ssize_t ask(struct worker *worker, pid_t pid, const char *name, char *out, size_t room) {
    if (worker->room < room) {
        char *text = realloc(worker->text, room);
        if (!text)
            return -ENOMEM;
        worker->text = text;
    }
    worker->room = room > worker->room ? room : worker->room;
    snprintf(worker->name, sizeof(worker->name), "%s", name);
    worker->pid = pid;
    pthread_cond_signal(&reader.is_asked);
    /* Who is stopped as a whole for long does not lose more than a part of its patience. */
    for (unsigned i = 0; i < PATIENCE_PARTS && worker->pid != 0; i++) {
        const struct timespec until =
            clock_timespec(shmframe_now_ns() + PROC_READ_PATIENCE_NS / PATIENCE_PARTS);
        for (int code = 0; worker->pid != 0 && code == 0;)
            code =
                pthread_cond_clockwait(&reader.is_answered, &reader.mutex, CLOCK_MONOTONIC, &until);
    }
    if (worker->pid != 0) {
        leave_behind(worker, name);
        return -EBUSY;
    }
    const ssize_t count = worker->count < (ssize_t)room ? worker->count : (ssize_t)room;
    if (count > 0)
        memcpy(out, worker->text, (size_t)count);
    return count;
}

ssize_t proc_read(pid_t pid, const char *name, char *out, size_t room) {
    ssize_t count = -EBUSY;
    pthread_mutex_lock(&reader.mutex);
    const bool is_started = reader.is_started;
    if (is_started && may_look(pid, shmframe_now_ns())) {
        const int code = start_worker();
        count = code < 0 ? code : ask(reader.worker, pid, name, out, room);
    }
    pthread_mutex_unlock(&reader.mutex);
    return is_started ? count : read_file(pid, name, out, room);
}
