/* Process: who a peer is, and whether it lives. A pid alone says neither. */
#ifndef SERVER_PROCESS_H
#define SERVER_PROCESS_H

#include "journal_budget.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct client;
struct server;

/* How far it has come back, by its sessions that are here: see client_has_returned(). */
enum process_return {
    RETURN_NONE = 0,
    RETURN_PART, /* one of them has */
    RETURN_ALL,
};

enum process_stop {
    STOP_NONE = 0,
    STOP_SEEN,
    STOP_UNKNOWN,
};

/* One a process, shared by all that refer to it. */
struct process {
    TAILQ_ENTRY(process) all;
    struct server *server;
    pid_t pid;
    uint64_t start_time; /* field 22 of /proc/PID/stat: with the pid, unique since boot */
    bool has_uid;        /* see process_read_uid() */
    uid_t uid;           /* as it was when it connected, or was looked at */
    int pidfd;           /* readable once the last thread is gone */
    TAILQ_HEAD(, client) sessions;
    sd_event_source *source;
    unsigned references;
    struct journal_purse purse;
    bool is_dead; /* told to server_process_died() already */
    /* As looked at in this turn of the loop, which has one event. */
    uint64_t returned_turn, stopped_turn;
    enum process_return returned;
    int64_t here_ns; /* when the first of its sessions that are here said HELLO */
    enum process_stop stop;
};
TAILQ_HEAD(process_list, process);

/* The process at the other end of a connected socket. The reference is the caller's.
 * Errors: -EACCES it is in another pid namespace; -ESRCH it is gone; -EBUSY it cannot be looked at
 * now, see proc_read.h; -EAGAIN, -EMFILE, -ENOMEM. */
int process_of_socket(struct server *server, int socket, struct process **out_process);

/* The process that was told us by these two numbers, if it lives. One that is watched already is
 * found until server_process_died() is over, as any other may be dead a moment later.
 * Errors: -ESRCH it is gone; -EBUSY, -EAGAIN, -EMFILE, -ENFILE, -ENOMEM, or what else pidfd_open(2)
 * says: it lives, and cannot be looked at or watched now. */
int process_find(struct server *server, pid_t pid, uint64_t start_time,
                 struct process **out_process);

/* Looks who its user is, if that is not known yet. Errors: as process_find(). */
int process_read_uid(struct process *process);

/* These four: as it was when this was first asked in this turn of the loop. One process may have
 * much that it is asked for. */
enum process_return process_returned(struct process *process);

/* Whether it is back with all that it had: all its sessions that are here have returned, and the
 * first one came longer ago than `others_ns`, in which others had time to come. */
bool process_is_back(struct process *process, int64_t others_ns);

/* Whether it is stopped: by SIGSTOP, by a debugger, or with its control group, of version 2. */
bool process_is_stopped(struct process *process);
/* Or that cannot be looked at now. */
bool process_may_be_stopped(struct process *process);

struct process *process_reference(struct process *process);
/* NULL is allowed. */
void process_release(struct process *process);

/* Asks the kernel now, without waiting for the event loop. */
bool process_is_dead(const struct process *process);

/* Whether it is dead or on its way: for the many milliseconds in which a large process gives its
 * memory back. Decides nothing but what others are told meanwhile. */
bool process_is_dying(const struct process *process);

#endif
