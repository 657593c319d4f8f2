/* A node's end, and that of what it leaves behind; processes that a former supervisor started. */
#include "census.h"
#include "ending.h"
#include "pipeline.h"
#include "server.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_AGAIN_NS INT64_C(20000000)
/* How long we wait for somebody else to reap what he has adopted: where it is another user's, the
 * kernel does not tell before that how it ended. Some containers' first process takes a second. */
#define END_TOLD_NS INT64_C(10000000000)

/* include/uapi/linux/pidfd.h of Linux 6.15; the structure's first version. */
struct end_info {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t ids[11];
    int32_t exit_code; /* as wait(2) tells it */
};
#define END_INFO_GET  _IOWR(0xff, 11, struct end_info)
#define END_INFO_PID  (1u << 0)
#define END_INFO_EXIT (1u << 3)

/* ---- its end ---- */

static bool was_asked(const struct node *node) {
    return node->policy.state == NODE_STOPPING || node->policy.state == NODE_KILLING;
}

static bool ended_well(const struct node *node) {
    return node->policy.state != NODE_KILLING && node->end.si_code != 0 &&
           policy_judge_exit(&node->end, node->asked_signal) == NODE_EXITED_WELL;
}

static void set_end_reason(struct node *node) {
    char text[ENDING_BYTES];
    if (node->birth_error[0]) {
        node_set_reason(node, "%s", node->birth_error);
    } else if (was_asked(node) && (node->policy.sequel != POLICY_THEN_STOP || ended_well(node))) {
        node->next_reason[0] = '\0'; /* why it had to end says more than how it did */
    } else if (node->end.si_code == 0) {
        node_set_reason(node, "ended, nobody knows how: it was not this supervisor's child");
    } else if (node->policy.state == NODE_KILLING) {
        node_set_reason(node, "was killed: it had not ended within %.3g s of its stop signal",
                        (double)node->policy.settings.stop_timeout_ns * 1e-9);
    } else if (ended_well(node)) {
        node_set_reason(node, "ended with status 0");
    } else {
        ending_describe(&node->end, text);
        node_set_reason(node, "%s", text);
    }
}

static void set_exit_status(struct node *node) {
    node->exit_status = INT32_MIN;
    if (node->end.si_code == CLD_EXITED)
        node->exit_status = node->end.si_status;
    else if (node->end.si_code != 0)
        node->exit_status = -node->end.si_status;
}

static void finish_end(struct node *node) {
    set_end_reason(node);
    const enum node_event event = policy_judge_exit(&node->end, node->asked_signal);
    node_drop_process(node);
    store_remove_node(node->name);
    node->pid = 0;
    node->has_ended = false;
    node->look_ns = INT64_MAX;
    node_take_next_config(node);
    node_handle(node, event);
}

/* Until nothing of it is left. */
void node_clear(struct node *node, int64_t now_ns) {
    const bool is_late = now_ns >= node->clear_ns || node->policy.state == NODE_KILLING;
    const int signal_number = is_late ? SIGKILL : node->config->stop_signal;
    const uint64_t ticks = family_now();
    const unsigned left =
        node_signal_family(node, signal_number, is_late ? FAMILY_ALL : FAMILY_UNASKED);
    if (left == 0 || (left == FAMILY_UNKNOWN && is_late)) {
        finish_end(node);
        return;
    }
    if (left == FAMILY_UNKNOWN) {
        node->look_ns = now_ns + LOOK_AGAIN_NS;
        return;
    }
    if (!node->is_clearing && !was_asked(node))
        node_tell(node, "ended, and left %u processes behind, which are stopped", left);
    if (!node->is_clearing)
        pipeline_note_change(node->server); /* how it ended */
    node->is_clearing = true;
    node->asked_ticks = ticks;
    node->look_ns = now_ns + LOOK_AGAIN_NS;
}

static void begin_clearing(struct node *node) {
    const int64_t now_ns = shmframe_now_ns();
    node->has_ended = true;
    node->clear_ns = now_ns + node->policy.settings.stop_timeout_ns;
    node_clear(node, now_ns);
}

void node_take_end(struct node *node, const siginfo_t *end) {
    if (node->has_ended)
        return;
    node_check_birth(node);
    node->source = sd_event_source_disable_unref(node->source);
    node->is_end_awaited = false;
    node->end = *end;
    set_exit_status(node);
    begin_clearing(node);
}

/* ---- processes of a former supervisor ---- */

/* Empty if this is no pidfd, or the kernel does not say. */
static struct end_info ask_info(int pidfd) {
    struct end_info info = {.mask = END_INFO_EXIT | END_INFO_PID};
    if (ioctl(pidfd, END_INFO_GET, &info) < 0)
        return (struct end_info){0};
    return info;
}

/* False: the kernel does not say, or not yet: before it is reaped /proc tells, afterwards a pidfd
 * of it does. */
static bool ask_kernel(const struct node *node, int pidfd, siginfo_t *out_end) {
    int status;
    if (!census_find_end(node->pid, node->start_time, &status)) {
        const struct end_info info = ask_info(pidfd);
        if (!(info.mask & END_INFO_EXIT))
            return false;
        status = info.exit_code;
    }
    *out_end = (siginfo_t){0};
    out_end->si_code = WIFEXITED(status) ? CLD_EXITED : CLD_KILLED;
    out_end->si_status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    return true;
}

void node_take_adopted_end(struct node *node, bool is_last_chance) {
    siginfo_t end = {0};
    if (ask_kernel(node, node->pidfd, &end) || is_last_chance)
        node_take_end(node, &end);
}

/* It is dead; once its parent has reaped it, which is told as a hang-up, the kernel tells how. */
static int on_adopted(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)fd;
    struct node *node = user;
    sd_event_source_set_io_events(source, 0);
    if (!node->is_end_awaited)
        node->clear_ns = shmframe_now_ns() + END_TOLD_NS;
    node->is_end_awaited = true;
    node->look_ns = node->clear_ns;
    node_take_adopted_end(node, events & (EPOLLHUP | EPOLLERR));
    return 0;
}

static bool is_child(int pidfd) {
    siginfo_t end;
    return waitid(P_PIDFD, (id_t)pidfd, &end, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void adopt_ready_fd(struct node *node) {
    if (node->policy.state != NODE_STARTING || node->config->ready != CONFIG_READY_FD)
        return;
    char path[48];
    struct stat info;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)node->pid, node->config->ready_fd);
    if (stat(path, &info) == 0 && S_ISFIFO(info.st_mode)) {
        node->birth.ready_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        return;
    }
    node_set_reason(node, "let go of its ready descriptor while no supervisor was there");
    node_handle(node, NODE_READY);
}

/* What the service manager kept tells who it is even if it has ended, and how. */
static bool take_stored(struct node *node) {
    char name[SHMFRAME_NAME_BYTES + 8];
    snprintf(name, sizeof(name), "node.%s", node->name);
    const int fd = store_take(name);
    if (fd < 0)
        return false;
    /* A pidfd, and of the process that is meant? */
    const struct end_info info = ask_info(fd);
    if ((info.mask & END_INFO_EXIT) ||
        ((info.mask & END_INFO_PID) && (pid_t)info.ids[0] == node->pid)) {
        node->pidfd = fd;
        return true;
    }
    close(fd);
    return false;
}

void node_adopt(struct node *node, pid_t pid, uint64_t start_time) {
    struct census_process process = {0};
    node->pid = pid;
    node->start_time = start_time;
    const bool is_stored = take_stored(node);
    if (!is_stored)
        node->pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    node->is_child = node->pidfd >= 0 && is_child(node->pidfd);
    /* Who cannot be looked at has not ended. */
    const int code_of_find = node->pidfd >= 0 ? census_find(pid, &process) : -ESRCH;
    const bool is_alive =
        code_of_find == -EBUSY || (code_of_find == 0 && process.start_time == start_time);
    if (!node->is_child && !is_alive) {
        siginfo_t end = {0};
        ask_kernel(node, is_stored ? node->pidfd : -1, &end);
        node_take_end(node, &end);
        return;
    }
    if (node->policy.state == NODE_RUNNING && node->config->watchdog.limit_ns > 0)
        node->watchdog_ns = shmframe_now_ns() + node->config->watchdog.limit_ns;
    /* Its end first: whatever else is not to be had, that is seen. */
    int code = 0;
    if (!node->is_child)
        code = sd_event_add_io(node->server->event, &node->source, node->pidfd, EPOLLIN, on_adopted,
                               node);
    adopt_ready_fd(node);
    const int birth_code = node_listen_to_birth(node);
    if (code < 0 || birth_code < 0)
        node_tell(node, "cannot be watched: %s", strerror(code < 0 ? -code : -birth_code));
    /* It may have become ready before it was known to be the program. */
    if (node->policy.state == NODE_STARTING && node->config->ready == CONFIG_READY_NONE)
        node_handle(node, NODE_READY);
}
