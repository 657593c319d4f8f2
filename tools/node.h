/* A node: one process that a run started and answers for. */
#ifndef TOOLS_NODE_H
#define TOOLS_NODE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct node {
    const char *name; /* what messages call it: its command line; borrowed */
    pid_t pid;        /* 0: not started */
    int fd;           /* its pidfd; -1 once it has ended */
    siginfo_t end;    /* si_code and si_status, as waitid() told them; counts when fd is -1 */
};

/* How to start one. */
struct node_start {
    char *const *argv;
    const sigset_t *mask;     /* of blocked signals, for the child */
    int pass_fd;              /* a descriptor that it inherits; -1: none */
    int stdout_fd, stderr_fd; /* above 0: what its output goes to, instead of ours */
    int death_signal;         /* it gets when this process dies; 0: SIGKILL */
    bool is_apart;            /* in a process group of its own: the terminal's Ctrl-C spares it */
};

/* Starts it as a child that the kernel ends should this process die. Only for programs with one
 * thread. Returns 0 or a negative errno. A program that cannot be executed ends with 127 (not
 * found) or 126, as a shell's would. */
int node_start(struct node *node, const char *name, const struct node_start *start);

bool node_is_running(const struct node *node);
void node_signal(const struct node *node, int signal_number);
/* Takes the end that waitid() told of this node. */
void node_take_end(struct node *node, const siginfo_t *end);

/* Whether it ended as it should: with status 0 or, once it was asked to stop, by the signal. */
bool node_ended_well(const struct node *node, bool was_asked);
/* Says in one line how it ended, and what can be done. */
enum { NODE_LINE_BYTES = 512 };
void node_describe_end(const struct node *node, char line[NODE_LINE_BYTES]);

#endif
