#include "node.h"

#include "ending.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127, STATUS_SIGNAL = 128 };

_Noreturn static void become_node(const struct node_start *start, pid_t parent) {
    /* The parent may have died before the kernel was told to watch it. */
    const int death_signal = start->death_signal ? start->death_signal : SIGKILL;
    if (prctl(PR_SET_PDEATHSIG, death_signal) < 0 || getppid() != parent)
        _exit(STATUS_NOT_EXECUTABLE);
    if (start->is_apart)
        setpgid(0, 0);
    if (start->pass_fd >= 0)
        fcntl(start->pass_fd, F_SETFD, 0);
    if (start->stdout_fd > 0)
        dup2(start->stdout_fd, STDOUT_FILENO);
    if (start->stderr_fd > 0)
        dup2(start->stderr_fd, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, start->mask, NULL);
    execvp(start->argv[0], start->argv);
    const int error = errno;
    dprintf(STDERR_FILENO, "%s: %s\n", start->argv[0], strerror(error));
    _exit(error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

int node_start(struct node *node, const char *name, const struct node_start *start) {
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become_node(start, parent);
    /* The child is not reaped yet, so the number is still its own. */
    const int fd = pidfd_open(pid, 0);
    if (fd < 0) {
        const int error = errno;
        kill(pid, SIGKILL);
        waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED);
        return -error;
    }
    *node = (struct node){.name = name, .pid = pid, .fd = fd};
    return 0;
}

bool node_is_running(const struct node *node) {
    return node->pid > 0 && node->fd >= 0;
}

void node_signal(const struct node *node, int signal_number) {
    if (node_is_running(node))
        pidfd_send_signal(node->fd, signal_number, NULL, 0);
}

void node_take_end(struct node *node, const siginfo_t *end) {
    close(node->fd);
    node->fd = -1;
    node->end = *end;
}

bool node_ended_well(const struct node *node, bool was_asked) {
    const int status = node->end.si_status;
    if (node->end.si_code == CLD_EXITED)
        return status == 0 || (was_asked && (status == STATUS_SIGNAL + SIGINT ||
                                             status == STATUS_SIGNAL + SIGTERM));
    return was_asked && (status == SIGINT || status == SIGTERM);
}

void node_describe_end(const struct node *node, char line[NODE_LINE_BYTES]) {
    char ending[ENDING_BYTES];
    ending_describe(&node->end, ending);
    snprintf(line, NODE_LINE_BYTES, "\"%.200s\" %s", node->name, ending);
}
