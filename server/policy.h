/* Policy: when a node is started, stopped, killed and started again. Pure: a table of states and
 * events, with the time passed in.
 *
 * Whoever owns the node tells what happened and does what it is told to:
 *
 *     action = policy_handle(&policy, NODE_START, now_ns);       AWAIT
 *     action = policy_handle(&policy, NODE_STREAMS_READY, ...);  SPAWN
 *     action = policy_handle(&policy, NODE_READY, ...);          NONE: it runs
 *     action = policy_handle(&policy, NODE_EXITED_BADLY, ...);   NONE: it waits for its back-off
 *     action = policy_handle(&policy, NODE_TIME_OUT, ...);       AWAIT: once more
 */
#ifndef SERVER_POLICY_H
#define SERVER_POLICY_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum node_state {
    NODE_STOPPED = 0, /* never started, stopped on request, or done */
    NODE_WAITING,     /* for the streams that it reads */
    NODE_STARTING,    /* spawned, not ready yet */
    NODE_RUNNING,
    NODE_STOPPING, /* has its stop signal */
    NODE_KILLING,  /* did not end in time, has SIGKILL */
    NODE_BACKOFF,  /* ended; will be started again */
    NODE_FAILED,   /* given up */
    NODE_STATES,
};

enum node_event {
    NODE_START = 0,     /* somebody asks for it */
    NODE_STOP,          /* likewise */
    NODE_RESTART,       /* likewise */
    NODE_KILL,          /* likewise, for its end at once, without the stop signal */
    NODE_STREAMS_READY, /* all streams that it reads are live */
    NODE_SPAWN_FAILED,  /* there is no process after all */
    NODE_READY,         /* told by the node; for one that does not tell: once it is spawned */
    NODE_EXITED_WELL,   /* see policy_judge_exit(); its readiness was looked at first */
    NODE_EXITED_BADLY,
    NODE_HANG, /* it does not answer, stalls, or holds too long, and is to be restarted for it */
    NODE_TIME_OUT, /* policy_deadline_ns() has passed: readiness, stop or back-off, by the state */
    NODE_EVENTS,
};

enum policy_action {
    POLICY_NONE = 0,
    POLICY_AWAIT,   /* tell NODE_STREAMS_READY once its streams are live: at once, if they are */
    POLICY_SPAWN,   /* start the process, then tell NODE_SPAWN_FAILED, or NODE_READY when it is */
    POLICY_SIGNAL,  /* send the stop signal */
    POLICY_KILL,    /* send SIGKILL */
    POLICY_GIVE_UP, /* nothing to do but to report it: the state is NODE_FAILED now */
};

enum policy_restart {
    POLICY_RESTART_NO = 0,
    POLICY_RESTART_ON_FAILURE,
    POLICY_RESTART_ALWAYS,
};

enum { POLICY_BURST_MAX = 100 };

struct policy_settings {
    enum policy_restart restart;
    int64_t delay_ns;          /* before the first restart; each further one doubles it ... */
    int64_t delay_max_ns;      /* ... up to here */
    unsigned burst_starts;     /* so many starts within the interval, 0: any number of them; */
    int64_t burst_interval_ns; /* whoever runs for longer begins with the first delay again */
    int64_t ready_timeout_ns;  /* 0: none */
    int64_t stop_timeout_ns;   /* until SIGKILL; 0: at once */
};

/* What the end of a process that is being stopped leads to. */
enum policy_sequel {
    POLICY_THEN_STOP = 0,
    POLICY_THEN_START,   /* somebody asked for it */
    POLICY_THEN_FAILURE, /* it hung, or was never ready: as if it had crashed */
};

/* Plain data: may be stored, and set again by a supervisor that adopts the process. */
struct policy {
    struct policy_settings settings; /* may be replaced at any time */
    enum node_state state;
    enum policy_sequel sequel; /* counts while stopping or killing */
    int64_t since_ns;          /* when it came into this state */
    int64_t deadline_ns;       /* INT64_MAX: none */
    int64_t spawned_ns;        /* the process's birth */
    uint64_t restarts;         /* starts that nobody asked for */
    unsigned failures;         /* ends in a row that each doubled the delay */
    unsigned starts;           /* in start_ns; the oldest first */
    int64_t start_ns[POLICY_BURST_MAX];
};

/* A node that is stopped. */
void policy_init(struct policy *policy, const struct policy_settings *settings);

/* Takes what happened into account. An event that makes no sense in this state changes nothing. */
enum policy_action policy_handle(struct policy *policy, enum node_event event, int64_t now_ns);

/* When NODE_TIME_OUT is due; INT64_MAX: never. */
int64_t policy_deadline_ns(const struct policy *policy);

/* Whether there is, or may be, a process. */
bool policy_has_process(const struct policy *policy);

/* Of a process's end, as waitid() or PIDFD_GET_INFO told it: it ended well with status 0 or, if
 * `asked_signal` (0: none) was sent, by that signal or with a shell's status for it. An end that
 * is not known (si_code 0) is a failure. */
enum node_event policy_judge_exit(const siginfo_t *end, int asked_signal);

/* "stopped", "waiting", ... */
const char *policy_state_name(enum node_state state);

#endif
