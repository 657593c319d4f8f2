#include "iceoryx.h"

#include "program.h"
#include "supervisor.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MODULE        "iceoryx"
#define DAEMON        "iox-roudi"
#define CONFIGURATION "/tmp/roudi.toml"

enum {
    EXTRA_BYTES = 128, /* of a chunk: its own header, and what alignment takes */
    DEPTH_MAX = 250,   /* of a queue; the library allows for 256 */
    CHUNK_MAX = 1 << 30,
};

/* There can be one daemon on a machine, with fixed names in /tmp and /dev/shm. So ours has these
 * to itself in a mount namespace, which both sides enter: it disturbs none that runs already,
 * several benchmarks may run at once, and nothing is left behind. It is given one pool of chunks
 * that fit what is sent, as one configures it for an application. */

static bool write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    if (!file)
        return false;
    const bool is_written = fputs(text, file) >= 0;
    return fclose(file) == 0 && is_written;
}

/* Whoever may not have a mount namespace may have one in a user namespace, as the same user. */
static bool unshare_mounts(void) {
    char user[32], group[32];
    snprintf(user, sizeof(user), "%u %u 1", geteuid(), geteuid());
    snprintf(group, sizeof(group), "%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
           write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", user) &&
           write_text("/proc/self/gid_map", group);
}

static bool enter_new_namespace(void) {
    return unshare_mounts() && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/dev/shm", "tmpfs", 0, "size=100%") == 0 &&
           mount("none", "/tmp", "tmpfs", 0, NULL) == 0;
}

/* Chunks: one is lent; a queue is full, and its reader holds some. */
static bool write_configuration(const struct road_plan *plan) {
    char text[256];
    snprintf(text, sizeof(text),
             "[general]\nversion = 1\n[[segment]]\n[[segment.mempool]]\nsize = %zu\ncount = %u\n",
             (ICEORYX_HEAD_BYTES + plan->bytes + 63) / 64 * 64 + EXTRA_BYTES,
             1 + road_depth(plan, DEPTH_MAX) + plan->held);
    return write_text(CONFIGURATION, text);
}

struct start {
    const struct road_plan *plan;
    int ready_fd;
};

static void run_daemon(void *argument) {
    const struct start *start = argument;
    if (!enter_new_namespace() || !write_configuration(start->plan))
        program_fail("iceoryx: its daemon gets no /tmp and /dev/shm of its own: %m");
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a new user namespace has taken that back */
    /* Ready is a line on its standard output; on the other it prints even at its lowest level. */
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (dup2(start->ready_fd, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0)
        _exit(EXIT_FAILED);
    execlp(DAEMON, DAEMON, "--monitoring-mode", "off", "--log-level", "fatal", "--config-file",
           CONFIGURATION, (char *)NULL);
    _exit(EXIT_FAILED);
}

/* Only then may its clients come. */
static void await_daemon(int ready_fd) {
    char line[128];
    bool is_ready = false;
    FILE *file = fdopen(ready_fd, "re");
    while (!is_ready && file && fgets(line, sizeof(line), file))
        is_ready = strstr(line, "ready for clients") != NULL;
    if (!is_ready)
        program_fail("iceoryx: %s ended before it was ready", DAEMON);
    fclose(file);
}

/* Asked of a process of its own, which is in it afterwards. */
static bool has_namespace(void) {
    int status = 0;
    const pid_t pid = fork();
    if (pid == 0)
        _exit(enter_new_namespace() ? EXIT_DONE : EXIT_FAILED);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == EXIT_DONE;
}

static bool has_program(const char *name) {
    char path[PATH_MAX];
    const char *from = getenv("PATH");
    while (from && *from) {
        const size_t length = strcspn(from, ":");
        snprintf(path, sizeof(path), "%.*s/%s", (int)length, from, name);
        if (access(path, X_OK) == 0)
            return true;
        from += length + (from[length] == ':');
    }
    return false;
}

static const char *say_why_not(const struct road_plan *plan) {
    const char *lacking = library_why_not(MODULE, "libiceoryx-binding-c-dev");
    if (lacking)
        return lacking;
    if (plan->held > DEPTH_MAX || plan->bytes > CHUNK_MAX)
        return "a chunk is smaller, and a reader holds at most 256";
    if (!has_program(DAEMON))
        return "its daemon is not there: package iceoryx";
    return has_namespace() ? NULL : "its daemon needs a mount namespace, which is refused here";
}

static void *prepare(const struct road_plan *plan) {
    struct iceoryx *iceoryx = calloc(1, sizeof(*iceoryx));
    int ready[2];
    if (!iceoryx)
        program_fail("no memory for iceoryx");
    *iceoryx = (struct iceoryx){.library = {.module = MODULE, .plan = plan},
                                .depth = road_depth(plan, DEPTH_MAX)};
    if (pipe2(iceoryx->arrived, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
        program_fail("no pipe: %m");
    iceoryx->daemon = process_start(run_daemon, &(struct start){plan, ready[1]});
    close(ready[1]);
    await_daemon(ready[0]);
    return iceoryx;
}

/* Asked to end, it would end whoever has not taken his leave, by process number; there is nothing
 * that it would have to put in order. */
static void finish(void *prepared) {
    struct iceoryx *iceoryx = prepared;
    kill(iceoryx->daemon, SIGKILL);
    waitpid(iceoryx->daemon, NULL, 0);
    close(iceoryx->arrived[0]);
    close(iceoryx->arrived[1]);
    free(iceoryx);
}

static uint32_t list_daemons(void *prepared, pid_t *out_pids) {
    const struct iceoryx *iceoryx = prepared;
    *out_pids = iceoryx->daemon;
    return 1;
}

#define MEMBERS                                                                                    \
    .why_not = say_why_not, .prepare = prepare, .finish = finish, .daemons = list_daemons,         \
    LIBRARY_MEMBERS
#define HOW "a pool of chunks that fit, the publisher waits for a full queue; "

const struct road road_iceoryx = {
    .name = "iceoryx", .title = "iceoryx", .how = HOW "a reader sleeps in a wait set", MEMBERS};
const struct road road_iceoryx_spinning = {.name = "iceoryx-spinning",
                                           .title = "iceoryx, spinning",
                                           .how = HOW "a reader takes until there is one",
                                           .spin_ns = INT64_MAX,
                                           MEMBERS};
