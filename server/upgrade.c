#include "upgrade.h"

#include "error.h"
#include "layout.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h> /* our own limits.h hides the other */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* "PID SOCKET LOCK IS_BOUND FOLDER PARENT": whose, as a program that we start must not take it for
 * its own. */
static const char KEPT[] = "SHMFRAMED_KEPT";

#define CHECK_NS INT64_C(5000000000)
#define KILL_NS  INT64_C(100000000)
enum { OUTPUT_BYTES = 64 << 10 };

static char **call;
static int call_count;
static char file[PATH_MAX];

static bool is_same_file(const char *a, const char *b) {
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

/* As it was named, if it was by a path: a symbolic link may lead to a newer version by then. */
static void find_file(const char *name) {
    static const char self[] = "/proc/self/exe";
    char folder[PATH_MAX];
    int length = -1;
    if (name[0] == '/')
        length = snprintf(file, sizeof(file), "%s", name);
    else if (strchr(name, '/') && getcwd(folder, sizeof(folder)))
        length = snprintf(file, sizeof(file), "%s/%s", folder, name);
    if (length > 0 && length < (int)sizeof(file) && is_same_file(file, self))
        return;
    const ssize_t bytes = readlink(self, file, sizeof(file) - 1);
    file[bytes > 0 ? bytes : 0] = '\0';
}

void upgrade_remember(int argc, char **argv) {
    call = calloc((size_t)argc + 2, sizeof(*call));
    for (int i = 0; call && i < argc; i++)
        call[i] = argv[i];
    call_count = call ? argc : 0;
    find_file(argv[0]);
}

bool upgrade_take(struct upgrade_kept *out_kept) {
    const char *text = getenv(KEPT);
    int pid, is_bound;
    struct upgrade_kept kept = {.folder = -1, .parent = -1};
    if (!text ||
        sscanf(text, "%d %d %d %d %d %d", &pid, &kept.socket, &kept.lock, &is_bound, &kept.folder,
               &kept.parent) < 4 ||
        pid != (int)getpid())
        return false;
    kept.is_bound = is_bound;
    *out_kept = kept;
    return true;
}

void upgrade_print_version(void) {
    printf("shmframed %s layout %u\n", SHMFRAME_VERSION, LAYOUT_ABI);
    fflush(stdout);
}

/* ---- may it? ---- */

_Noreturn static void become_check(int output) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    /* It would keep the place, and is not to judge it. */
    char text[32];
    snprintf(text, sizeof(text), "%d -1 -1 0 -1", (int)getpid());
    setenv(KEPT, text, 1);
    execv(file, call);
    dprintf(STDERR_FILENO, "%s: %s\n", file, strerror(errno));
    _exit(127);
}

/* Waits until there is something to read, or `deadline_ns`. */
static bool await_readable(int fd, int64_t deadline_ns) {
    const int64_t left_ns = deadline_ns - shmframe_now_ns();
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return left_ns > 0 && poll(&polled, 1, (int)(left_ns / 1000000) + 1) > 0;
}

/* What there is no room for is read all the same: its writer would wait. */
static void read_output(int fd, char output[OUTPUT_BYTES], int64_t deadline_ns) {
    char rest[4096];
    size_t length = 0;
    ssize_t bytes = 1;
    while (bytes > 0 && await_readable(fd, deadline_ns)) {
        const size_t room = OUTPUT_BYTES - 1 - length;
        bytes = read(fd, room ? output + length : rest, room ? room : sizeof(rest));
        length += room && bytes > 0 ? (size_t)bytes : 0;
    }
    output[length] = '\0';
}

/* It may have closed its output, and go on. One that does not die by SIGKILL either, as a file
 * system does not answer, is left to itself. */
static bool await_end(pid_t pid, int64_t deadline_ns, int *out_status) {
    const int pidfd = pidfd_open(pid, 0);
    const bool has_ended = pidfd >= 0 && await_readable(pidfd, deadline_ns);
    if (!has_ended) {
        kill(pid, SIGKILL);
        if (pidfd >= 0)
            await_readable(pidfd, shmframe_now_ns() + KILL_NS);
    }
    if (pidfd >= 0)
        close(pidfd);
    return waitpid(pid, out_status, WNOHANG) == pid && has_ended;
}

/* All that it prints until its end. Returns its status as of waitpid(). */
static int run_check(char output[OUTPUT_BYTES], int *out_status) {
    int ends[2];
    output[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(-errno, "no pipe: %s", strerror(errno));
    static char option[] = "--check";
    call[call_count] = option;
    const pid_t pid = fork();
    if (pid == 0)
        become_check(ends[1]);
    call[call_count] = NULL;
    close(ends[1]);
    const int64_t deadline_ns = shmframe_now_ns() + CHECK_NS;
    if (pid > 0)
        read_output(ends[0], output, deadline_ns);
    close(ends[0]);
    if (pid < 0)
        return error_set(-EAGAIN, "no process to try %s with", file);
    if (await_end(pid, deadline_ns, out_status))
        return 0;
    return error_set(-ETIMEDOUT, "%s did not end its --check in time", file);
}

static void pass_lines(char *output, void (*on_line)(void *user, const char *text), void *user) {
    char *rest;
    for (char *line = strtok_r(output, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        on_line(user, line);
}

int upgrade_check(void (*on_line)(void *user, const char *text), void *user) {
    if (call_count == 0 || file[0] == '\0')
        return error_set(-ENOTSUP, "where this program's file lies is not known");
    char *output = malloc(OUTPUT_BYTES);
    if (!output)
        return error_set(-ENOMEM, "the supervisor has no memory");
    int status = 0, length = 0;
    unsigned layout = 0;
    int code = run_check(output, &status);
    if (code == 0 && sscanf(output, "shmframed %*s layout %u%n", &layout, &length) != 1)
        layout = 0;
    pass_lines(output + length, on_line, user);
    free(output);
    if (code < 0)
        return code;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || layout == 0)
        return error_set(-EINVAL, "%s cannot take over: its --check failed", file);
    if (layout != LAYOUT_ABI)
        return error_set(
            -ENOTSUP,
            "%s is for memory layout %u, this supervisor and all sessions have %u: stop "
            "this supervisor and its programs, and start them all anew",
            file, layout, LAYOUT_ABI);
    return 0;
}

/* ---- does it ---- */

static void keep_open(int fd, bool is_kept) {
    if (fd >= 0)
        fcntl(fd, F_SETFD, is_kept ? 0 : FD_CLOEXEC);
}

static void keep_all_open(const struct upgrade_kept *kept, bool is_kept) {
    keep_open(kept->socket, is_kept);
    keep_open(kept->lock, is_kept);
    keep_open(kept->folder, is_kept);
    keep_open(kept->parent, is_kept);
}

static int refuse_to_run(int code) {
    return error_set(code, "%s cannot be run: %s", file, strerror(-code));
}

int upgrade_check_file(void) {
    return faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) == 0 ? 0 : refuse_to_run(-errno);
}

int upgrade_run(const struct upgrade_kept *kept) {
    char text[96];
    snprintf(text, sizeof(text), "%d %d %d %d %d %d", (int)getpid(), kept->socket, kept->lock,
             kept->is_bound, kept->folder, kept->parent);
    if (call_count == 0 || setenv(KEPT, text, 1) < 0)
        return error_set(-ENOMEM, "the supervisor has no memory");
    keep_all_open(kept, true);
    execv(file, call);
    const int code = -errno;
    keep_all_open(kept, false);
    unsetenv(KEPT);
    return refuse_to_run(code);
}
