#include "process.h"

#include "proc_read.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h> /* our own limits.h hides the other */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/linux/sched.h: shown to programs in /proc/PID/stat. */
enum { PF_EXITING = 0x4 };

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

static bool pidfd_is_dead(int pidfd) {
    struct pollfd poll_pidfd = {.fd = pidfd, .events = POLLIN};
    return poll(&poll_pidfd, 1, 0) > 0;
}

/* Of /proc/PID/stat, see proc_pid_stat(5). */
struct status {
    char state;                    /* field 3 */
    unsigned long long flags;      /* field 9: the kernel's PF_... */
    unsigned long long start_time; /* field 22 */
    unsigned long long pending;    /* field 31: signals, bit 0 is number 1 */
};

static bool is_not_seen(ssize_t code) {
    return code == -EBUSY || code == -EAGAIN || code == -EMFILE || code == -ENFILE ||
           code == -ENOMEM;
}

/* Errors: -ESRCH the process is gone; -EBUSY it cannot be looked at now; -EAGAIN, -EMFILE, -ENFILE,
 * -ENOMEM. The name in the file's second field may hold spaces and parentheses, so fields are
 * counted from the last parenthesis. */
static int read_status(pid_t pid, struct status *out_status) {
    char text[1024];
    const ssize_t length = proc_read(pid, "stat", text, sizeof(text) - 1);
    if (is_not_seen(length))
        return (int)length;
    text[length > 0 ? length : 0] = '\0';
    const char *end_of_name = strrchr(text, ')');
    if (!end_of_name ||
        sscanf(end_of_name,
               ") %c %*d %*d %*d %*d %*d %llu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
               "%llu %*u %*d %*u %*u %*u %*u %*u %*u %llu",
               &out_status->state, &out_status->flags, &out_status->start_time,
               &out_status->pending) != 4)
        return -ESRCH;
    return 0;
}

/* Its effective one, in /proc/PID/status. Errors: as read_status(). */
static int read_uid(pid_t pid, uid_t *out_uid) {
    char text[1024];
    const ssize_t length = proc_read(pid, "status", text, sizeof(text) - 1);
    if (is_not_seen(length))
        return (int)length;
    text[length > 0 ? length : 0] = '\0';
    const char *line = strstr(text, "\nUid:"); /* a line's end in the name is written otherwise */
    return line && sscanf(line, " Uid: %*u %u", out_uid) == 1 ? 0 : -ESRCH;
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)fd;
    (void)events;
    struct process *process = user;
    /* Once; whoever still refers to the process finds out by process_is_dead(). */
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    server_process_died(process->server, process);
    return 0;
}

static struct process *lookup(struct server *server, pid_t pid, uint64_t start_time) {
    struct process *process;
    TAILQ_FOREACH (process, &server->processes, all)
        if (process->pid == pid && process->start_time == start_time)
            return process;
    return NULL;
}

/* Takes its descriptor in any case. */
static int reference_pidfd(struct server *server, const struct process *found,
                           struct process **out_process) {
    const int pidfd = found->pidfd;
    struct process *process = lookup(server, found->pid, found->start_time);
    if (process) {
        close(pidfd);
        if (!process->has_uid && found->has_uid) {
            process->uid = found->uid;
            process->has_uid = true;
        }
        *out_process = process_reference(process);
        return 0;
    }
    process = calloc(1, sizeof(*process));
    if (!process) {
        close(pidfd);
        return -ENOMEM;
    }
    *process = *found;
    process->server = server;
    process->references = 1;
    process->returned_turn = process->stopped_turn = UINT64_MAX;
    TAILQ_INIT(&process->sessions);
    int code = sd_event_add_io(server->event, &process->source, pidfd, EPOLLIN, on_pidfd, process);
    if (code < 0) {
        close(pidfd);
        free(process);
        return code;
    }
    TAILQ_INSERT_TAIL(&server->processes, process, all);
    *out_process = process;
    return 0;
}

static int open_pidfd(pid_t pid) {
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return pidfd < 0 ? -errno : pidfd;
}

/* The kernel keeps the right process for us where it can; a pid might be another's by now. */
static int open_peer_pidfd(int socket, pid_t pid) {
    int pidfd = -1;
    socklen_t length = sizeof(pidfd);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0) {
        fcntl(pidfd, F_SETFD, FD_CLOEXEC);
        return pidfd;
    }
    if (errno == EMFILE || errno == ENFILE)
        return -errno;
    return open_pidfd(pid);
}

int process_of_socket(struct server *server, int socket, struct process **out_process) {
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return -errno;
    if (peer.pid <= 0)
        return -EACCES;
    int pidfd = open_peer_pidfd(socket, peer.pid);
    if (pidfd < 0)
        return pidfd;
    struct status status;
    int code = read_status(peer.pid, &status);
    /* Alive after the reading: then it was its own start time that was read. */
    if (code == 0 && pidfd_is_dead(pidfd))
        code = -ESRCH;
    if (code < 0) {
        close(pidfd);
        return code;
    }
    const struct process found = {.pid = peer.pid,
                                  .start_time = status.start_time,
                                  .has_uid = true,
                                  .uid = peer.uid,
                                  .pidfd = pidfd};
    return reference_pidfd(server, &found, out_process);
}

int process_find(struct server *server, pid_t pid, uint64_t start_time,
                 struct process **out_process) {
    if (pid <= 0)
        return -ESRCH;
    struct process *process = lookup(server, pid, start_time);
    if (process) {
        *out_process = process_reference(process);
        return 0;
    }
    int pidfd = open_pidfd(pid);
    if (pidfd == -ESRCH || pidfd == -EINVAL) /* the latter: the number is a thread's by now */
        return -ESRCH;
    struct status status;
    const struct process found = {.pid = pid, .start_time = start_time, .pidfd = pidfd};
    int code = read_status(pid, &status);
    if (code == 0 && (status.start_time != start_time || (pidfd >= 0 && pidfd_is_dead(pidfd))))
        code = -ESRCH;
    if (code == 0 && pidfd < 0)
        return pidfd; /* it lives: that it cannot be watched is no death */
    if (code < 0) {
        if (pidfd >= 0)
            close(pidfd);
        return code;
    }
    return reference_pidfd(server, &found, out_process);
}

int process_read_uid(struct process *process) {
    if (process->has_uid)
        return 0;
    int code = read_uid(process->pid, &process->uid);
    if (code == 0 && process_is_dead(process)) /* it may be another's pid by now */
        code = -ESRCH;
    process->has_uid = code == 0;
    return code;
}

static void look_at_return(struct process *process) {
    unsigned here = 0, returned = 0;
    struct client *client;
    process->here_ns = INT64_MAX;
    TAILQ_FOREACH (client, &process->sessions, of_process)
        if (client_is_here(client)) {
            here++;
            returned += client_has_returned(client);
            if (client->hello_ns < process->here_ns)
                process->here_ns = client->hello_ns;
        }
    process->returned = returned == 0 ? RETURN_NONE : returned < here ? RETURN_PART : RETURN_ALL;
}

/* Whether the loop's turn is another one than `*turn`, which it is from now on. */
static bool is_next_turn(const struct process *process, uint64_t *turn) {
    uint64_t now = 0;
    sd_event_get_iteration(process->server->event, &now);
    const bool is_next = now != *turn;
    *turn = now;
    return is_next;
}

enum process_return process_returned(struct process *process) {
    if (is_next_turn(process, &process->returned_turn))
        look_at_return(process);
    return process->returned;
}

bool process_is_back(struct process *process, int64_t others_ns) {
    return process_returned(process) == RETURN_ALL &&
           shmframe_now_ns() - process->here_ns > others_ns;
}

struct process *process_reference(struct process *process) {
    process->references++;
    return process;
}

void process_release(struct process *process) {
    if (!process || --process->references > 0)
        return;
    TAILQ_REMOVE(&process->server->processes, process, all);
    sd_event_source_disable_unref(process->source);
    close(process->pidfd);
    free(process);
}

bool process_is_dead(const struct process *process) {
    return process->is_dead || pidfd_is_dead(process->pidfd);
}

/* The kernel's file: reading it does not wait. */
static bool is_group_frozen(const char *root, const char *group) {
    char path[PATH_MAX], text[256];
    if (snprintf(path, sizeof(path), "%s%s/cgroup.events", root, group) >= (int)sizeof(path))
        return false;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    return strstr(text, "frozen 1") != NULL;
}

/* No state of a process tells: /proc/PID/stat says that it sleeps. See cgroups(7). */
static enum process_stop look_whether_frozen(pid_t pid) {
    char text[2 * PATH_MAX];
    const ssize_t length = proc_read(pid, "cgroup", text, sizeof(text) - 1);
    if (is_not_seen(length))
        return STOP_UNKNOWN;
    text[length > 0 ? length : 0] = '\0';
    char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    char *group = line ? strchr(line, '/') : NULL;
    if (!group || strncmp(group, "/../", 4) == 0) /* in no group that is seen from here */
        return STOP_NONE;
    group[strcspn(group, "\n")] = '\0';
    /* Where groups of version 2 are, alone or beside those of version 1. */
    return is_group_frozen("/sys/fs/cgroup", group) ||
                   is_group_frozen("/sys/fs/cgroup/unified", group)
               ? STOP_SEEN
               : STOP_NONE;
}

static enum process_stop look_whether_stopped(const struct process *process) {
    struct status status;
    const int code = read_status(process->pid, &status);
    if (code < 0)
        return code == -ESRCH ? STOP_NONE : STOP_UNKNOWN;
    if (status.state == 'T' || status.state == 't')
        return STOP_SEEN;
    return status.state == 'S' ? look_whether_frozen(process->pid) : STOP_NONE;
}

static enum process_stop find_stop(struct process *process) {
    if (is_next_turn(process, &process->stopped_turn))
        process->stop = look_whether_stopped(process);
    return process->stop;
}

bool process_is_stopped(struct process *process) {
    return find_stop(process) == STOP_SEEN;
}

bool process_may_be_stopped(struct process *process) {
    return find_stop(process) != STOP_NONE;
}

bool process_is_dying(const struct process *process) {
    struct status status;
    if (process_is_dead(process))
        return true;
    const int code = read_status(process->pid, &status);
    return code < 0 ? code == -ESRCH
                    : (status.flags & PF_EXITING) || (status.pending & (1u << (SIGKILL - 1)));
}
