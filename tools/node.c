#include "node.h"

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
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(STATUS_NOT_EXECUTABLE);
    if (start->is_apart)
        setpgid(0, 0);
    if (start->pass_fd >= 0)
        fcntl(start->pass_fd, F_SETFD, 0);
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

/* What is to be done about a death by this signal. */
static const char *find_remedy(int signal_number) {
    switch (signal_number) {
    case SIGPIPE:
        return "nobody read its output any more; let the reader of that output outlive it, or send "
               "the output to a file";
    case SIGKILL:
        return "by somebody else, or for want of memory: see dmesg";
    case SIGXCPU:
    case SIGXFSZ:
        return "it reached a limit: see ulimit -a";
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGSEGV:
    case SIGSYS:
    case SIGTRAP:
        return "that is a mistake in it: run it in a debugger";
    default:
        return "it was sent by somebody else; run again";
    }
}

void node_describe_end(const struct node *node, char line[NODE_LINE_BYTES]) {
    const int status = node->end.si_status;
    const int shell_signal = status - STATUS_SIGNAL;
    if (node->end.si_code != CLD_EXITED)
        snprintf(line, NODE_LINE_BYTES, "\"%.256s\" was killed by signal %d (%s): %s", node->name,
                 status, strsignal(status), find_remedy(status));
    else if (status == 0)
        snprintf(line, NODE_LINE_BYTES,
                 "\"%.256s\" ended too early: somebody stopped it; run again", node->name);
    else if (status == STATUS_NOT_FOUND)
        snprintf(line, NODE_LINE_BYTES,
                 "\"%.256s\" was not found (status 127); check its name, or put its folder into "
                 "PATH",
                 node->name);
    else if (status == STATUS_NOT_EXECUTABLE)
        snprintf(line, NODE_LINE_BYTES,
                 "\"%.256s\" cannot be executed (status 126); check that it is a program, and its "
                 "permissions",
                 node->name);
    else if (shell_signal > 0 && shell_signal <= SIGRTMAX)
        snprintf(line, NODE_LINE_BYTES,
                 "\"%.256s\" failed with status %d, a shell's word for signal %d (%s): %s",
                 node->name, status, shell_signal, strsignal(shell_signal),
                 find_remedy(shell_signal));
    else
        snprintf(line, NODE_LINE_BYTES,
                 "\"%.256s\" failed with status %d; its own message above, or its "
                 "documentation, tells why",
                 node->name, status);
}
