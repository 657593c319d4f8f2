#include "stepper.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

_Noreturn static void give_up(const char *what) {
    perror(what);
    exit(1); /* the child ends with us */
}

static pid_t fork_bound(void) {
    const pid_t parent = getpid();
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0)
        give_up("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return child;
}

static int reap(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, __WALL) == child && !WIFEXITED(status) && !WIFSIGNALED(status)) {
    }
    return status;
}

bool stepper_is_allowed(void) {
    const pid_t child = fork_bound();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(1);
        raise(SIGSTOP);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    bool is_so = WIFSTOPPED(status);
    if (is_so && ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
        waitpid(child, &status, 0) == child)
        is_so = WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
    else
        is_so = false;
    if (WIFEXITED(status) || WIFSIGNALED(status))
        return false;
    kill(child, SIGKILL);
    reap(child);
    return is_so;
}

_Noreturn static void run_child(struct stepper *stepper) {
    if (stepper->ready)
        stepper->ready(stepper->of);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(1);
    raise(SIGSTOP);
    atomic_store(stepper->mark, STEPPER_AT_WORK);
    stepper->work(stepper->of);
    atomic_store(stepper->mark, STEPPER_AFTER);
    if (stepper->afterwards)
        stepper->afterwards(stepper->of);
    _exit(0);
}

bool stepper_is_asleep(pid_t thread) {
    char path[64], text[256];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)thread);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t bytes = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[bytes > 0 ? bytes : 0] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] == ' ' && name_end[2] == 'S';
}

/* Until the step is done. True: it sleeps instead. */
static bool await_step(const struct stepper *stepper, int *out_status) {
    while (stepper->may_sleep) {
        if (waitpid(stepper->child, out_status, WNOHANG) == stepper->child)
            return false;
        if (stepper_is_asleep(stepper->child))
            return true;
        sched_yield();
    }
    if (waitpid(stepper->child, out_status, 0) != stepper->child)
        give_up("waitpid");
    return false;
}

static enum stepper_place step(struct stepper *stepper, bool is_last) {
    int status;
    if (ptrace(PTRACE_SINGLESTEP, stepper->child, NULL, NULL) < 0)
        give_up("PTRACE_SINGLESTEP");
    if (await_step(stepper, &status)) {
        stepper->slept_at = stepper->steps + 1;
        if (is_last)
            return STEPPER_ASLEEP;
        if (stepper->awaken)
            stepper->awaken(stepper->of);
        if (waitpid(stepper->child, &status, 0) != stepper->child)
            give_up("waitpid");
    }
    return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP ? STEPPER_WITHIN : STEPPER_BROKEN;
}

void stepper_begin(struct stepper *stepper) {
    atomic_store(stepper->mark, STEPPER_BEFORE);
    stepper->steps = stepper->slept_at = 0;
    stepper->child = fork_bound();
    if (stepper->child == 0)
        run_child(stepper);
    int status;
    if (waitpid(stepper->child, &status, 0) != stepper->child || !WIFSTOPPED(status))
        give_up("the child did not stop");
    while (atomic_load(stepper->mark) == STEPPER_BEFORE)
        if (step(stepper, false) == STEPPER_BROKEN)
            give_up("the child did not come to its work");
    stepper->slept_at = 0;
}

/* A look at /proc costs more than a system call: most end soon. */
static void await_call(const struct stepper *stepper, int *out_status) {
    enum { LOOKS = 50 };
    for (unsigned looks = 1; waitpid(stepper->child, out_status, WNOHANG) == 0; looks++) {
        if (looks % LOOKS == 0 && stepper_is_asleep(stepper->child) && stepper->awaken)
            stepper->awaken(stepper->of);
        sched_yield();
    }
}

enum stepper_place stepper_go_calls(struct stepper *stepper, unsigned stops) {
    for (unsigned i = 1; i <= stops; i++) {
        int status = 0;
        if (ptrace(PTRACE_SYSCALL, stepper->child, NULL, NULL) < 0)
            give_up("PTRACE_SYSCALL");
        await_call(stepper, &status);
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
            return STEPPER_BROKEN;
        if (atomic_load(stepper->mark) == STEPPER_AFTER)
            return STEPPER_THROUGH;
        stepper->steps++;
    }
    return STEPPER_WITHIN;
}

enum stepper_place stepper_go(struct stepper *stepper, unsigned steps) {
    for (unsigned i = 1; i <= steps; i++) {
        const enum stepper_place place = step(stepper, i == steps);
        if (place == STEPPER_BROKEN)
            return place;
        if (atomic_load(stepper->mark) == STEPPER_AFTER)
            return STEPPER_THROUGH;
        stepper->steps++;
        if (stepper->look)
            stepper->look(stepper->of);
        if (place == STEPPER_ASLEEP)
            return place;
    }
    return STEPPER_WITHIN;
}

void stepper_kill(struct stepper *stepper) {
    kill(stepper->child, SIGKILL);
    reap(stepper->child);
}

void stepper_stop(struct stepper *stepper) {
    int status;
    /* One that sleeps in a system call is not stopped for its tracer yet. */
    if (ptrace(PTRACE_DETACH, stepper->child, NULL, SIGSTOP) < 0) {
        kill(stepper->child, SIGSTOP);
        if (waitpid(stepper->child, &status, 0) != stepper->child || !WIFSTOPPED(status) ||
            ptrace(PTRACE_DETACH, stepper->child, NULL, SIGSTOP) < 0)
            give_up("PTRACE_DETACH");
    }
    if (waitpid(stepper->child, &status, WUNTRACED) != stepper->child || !WIFSTOPPED(status))
        give_up("the child did not stop");
}

int stepper_continue(struct stepper *stepper) {
    const int pidfd = (int)syscall(SYS_pidfd_open, stepper->child, 0);
    if (pidfd < 0)
        give_up("pidfd_open");
    kill(stepper->child, SIGCONT);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    const bool has_ended = poll(&end, 1, PATIENCE_MS) == 1;
    close(pidfd);
    if (!has_ended)
        kill(stepper->child, SIGKILL);
    const int status = reap(stepper->child);
    return has_ended ? status : -1;
}
