/* Node: one process of the pipeline, which the supervisor starts, watches, stops and starts again.
 *
 * What is to be done is decided by the table of policy.h; here it is done. A node's end is told to
 * the policy once nothing of what the process had started is left, so that the next one finds
 * streams, devices and files free.
 */
#ifndef SERVER_NODE_H
#define SERVER_NODE_H

#include "config.h"

#include <shmframe/supervisor.h>
#include <signal.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

struct server;

/* A pipeline file as it was read; what was made by it refers to it. */
struct plan {
    unsigned references;
    struct config config;
    char *text; /* of the file, for the next supervisor */
    size_t bytes;
};

/* The new process tells by a pipe what it could not do, or closes it as it becomes the program. */
struct node_birth {
    int report_fd; /* -1: it is the program, or gone */
    int ready_fd;  /* -1: nothing is told here, or it was told */
    int go_fd;     /* it waits for a byte here; -1: it was let go */
    sd_event_source *report_source, *ready_source;
};

enum { NODE_REASON_BYTES = sizeof(((struct shmframe_node_info *)0)->reason) };

struct node {
    TAILQ_ENTRY(node) all;
    struct server *server;
    char name[SHMFRAME_NAME_BYTES];
    struct plan *plan;                /* where `config` is */
    const struct config_node *config; /* of the process there is, or of the next one */
    struct plan *next_plan;           /* NULL: no other; else counts once there is no process */
    const struct config_node *next_config;
    struct policy policy;
    uint32_t starts;
    int32_t exit_status;                 /* as shmframe_node_info tells it */
    char reason[NODE_REASON_BYTES];      /* what brought it into its state */
    char next_reason[NODE_REASON_BYTES]; /* what will bring it into the next; "": the same */
    bool is_removed;                     /* the file has it no more: goes once it is stopped */
    bool must_stop;                      /* once nobody is left who needs it */
    bool is_resumed; /* by the next supervisor, should this one die before it has ended */

    /* The process. */
    pid_t pid; /* also its session's and process group's number; 0: none */
    uint64_t start_time;
    int pidfd;
    bool is_child;
    sd_event_source *source; /* of pidfd, when it is not our child */
    struct node_birth birth;
    int asked_signal;     /* the signal by which it was asked to end; 0: none */
    uint64_t asked_ticks; /* all that is older has had the stop signal; 0: nothing has */
    int64_t watchdog_ns;  /* INT64_MAX: it need not say that it lives */
    bool is_hang_told;
    bool is_hang_said;     /* by itself */
    int64_t hang_told_ns;  /* so that whoever hangs a thousand times a second fills no journal */
    char status[128];      /* what it says of itself by sd_notify(3) */
    char birth_error[128]; /* why it did not become the program; "": it did */

    /* It has ended, and what it left behind is being ended. */
    bool has_ended;
    siginfo_t end;
    bool is_clearing;    /* the rest was asked to end */
    int64_t clear_ns;    /* when the rest is killed */
    int64_t look_ns;     /* when to look again whether there is one */
    bool is_end_awaited; /* its end is not known yet: not before clear_ns */
};
TAILQ_HEAD(node_list, node);

/* Takes a reference to `plan`. NULL: no memory. */
struct node *node_create(struct server *server, struct plan *plan,
                         const struct config_node *config);
/* Only without a process. */
void node_destroy(struct node *node);

/* NULL is allowed. */
void plan_release(struct plan *plan);

/* Why the next event changes its state, if it does. */
void node_set_reason(struct node *node, const char *text, ...)
    __attribute__((format(printf, 2, 3)));
/* Tells the policy, and does what that says. */
void node_handle(struct node *node, enum node_event event);
/* From now on, or from the next process on, it is as `config` says. */
void node_set_config(struct node *node, struct plan *plan, const struct config_node *config);
/* What is due by now. */
void node_tick(struct node *node, int64_t now_ns);
/* When node_tick() is to be called; INT64_MAX: not. */
int64_t node_deadline_ns(const struct node *node);

/* Signals its process and that one's group. */
void node_signal(struct node *node, int signal_number);
/* Whether it needs a supervisor: it runs, or is about to. */
bool node_is_active(const struct node *node);
/* Tells the journal. */
void node_tell(struct node *node, const char *text, ...) __attribute__((format(printf, 2, 3)));
void node_fill_info(const struct node *node, struct shmframe_node_info *out_info);

/* ---- node.c, for its end ---- */
/* Takes what it has said since it was born. */
void node_check_birth(struct node *node);
/* Listens to what it says. Errors: -ENOMEM. */
int node_listen_to_birth(struct node *node);
/* The next supervisor would find it: it may become the program. */
void node_let_go(struct node *node);
/* Forgets its process: descriptors, and what that had said. */
void node_drop_process(struct node *node);
/* What the file has said since counts from now on. */
void node_take_next_config(struct node *node);

/* ---- node_end.c ---- */
/* The process that a former supervisor started; 0: it is gone. */
void node_adopt(struct node *node, pid_t pid, uint64_t start_time);
/* waitid(), or a former supervisor, told of the end of its process. */
void node_take_end(struct node *node, const siginfo_t *end);
/* Ends what it left behind; once nothing is left, tells the policy. */
void node_clear(struct node *node, int64_t now_ns);
/* An adopted process has ended; unless this is the last chance, its parent is waited for. */
void node_take_adopted_end(struct node *node, bool is_last_chance);

/* ---- node_spawn.c ---- */
/* Starts the process: pid, pidfd, birth. Errors: any of fork(2), -ENOMEM. */
int node_spawn(struct node *node);
/* The read end of its pipe can be read: true once it is the program, or could not become it; then
 * `reason` says what it could not do, "" for nothing. */
bool node_read_birth(struct node *node, char *reason, size_t reason_bytes);

/* ---- node_family.c ---- */
enum family_part {
    FAMILY_ALL = 0,
    FAMILY_OUTSIDE_GROUP, /* of its process */
    FAMILY_UNASKED,       /* born since it was asked to end */
};
enum { FAMILY_UNKNOWN = INT32_MAX };
/* Signals this part of what belongs to the node, but never its process itself while that runs; 0:
 * no signal. Returns how many there are in all; FAMILY_UNKNOWN: that could not be found out. */
unsigned node_signal_family(const struct node *node, int signal_number, enum family_part part);
/* The time as births are told, in the kernel's ticks. */
uint64_t family_now(void);

#endif
