/* Config: a pipeline file, read, checked and resolved. shmframe-pipeline(5) tells of every key.
 *
 * Nothing of a file with a mistake is used.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "policy.h"

struct config_problem {
    unsigned line; /* 0: the file as a whole */
    char *text;    /* what was found, and what was expected */
};
struct config_problems {
    struct config_problem *problem; /* by line */
    size_t count;
    bool is_cut; /* there are more */
    bool is_out_of_memory;
};
void config_problems_destroy(struct config_problems *problems);
/* One line each: "PATH:LINE: text", or of the file as a whole "shmframed: PATH: text". */
void config_problems_print(const struct config_problems *problems, const char *path, FILE *file);

/* Names, NULL at the end, and the line of each. */
struct config_list {
    char **text;
    unsigned *line;
    size_t count;
};

/* What is done about a reader that holds too long, a writer that stalls, a node that hangs. */
enum config_action {
    CONFIG_ACTION_UNSET = 0,
    CONFIG_REPORT,
    CONFIG_EVICT,   /* holds only: its lease is taken back */
    CONFIG_RESTART, /* whoever is no node is reported only */
};

#define CONFIG_LIMIT_UNSET INT64_C(-1)
struct config_watch {
    int64_t limit_ns; /* CONFIG_LIMIT_UNSET; 0: none */
    enum config_action action;
};

struct config_stream {
    char *name;
    unsigned line;            /* 0: it has no section of its own */
    struct config_watch hold; /* for each of its readers */
    struct config_watch stall;
};

enum config_kind {
    CONFIG_PRODUCER = 0,
    CONFIG_CONSUMER,
    CONFIG_FILTER,
};
/* "producer", ... */
const char *config_kind_name(enum config_kind kind);

enum config_ready {
    CONFIG_READY_NONE = 0, /* as soon as it is spawned */
    CONFIG_READY_FD,       /* when it writes a line to the descriptor ready_fd */
    CONFIG_READY_STREAM,   /* when all streams that it writes are live */
};

enum { CONFIG_READY_FD_MAX = 255 };

enum config_log {
    CONFIG_LOG_INHERIT = 0,
    CONFIG_LOG_NONE,
    CONFIG_LOG_JOURNAL,
    CONFIG_LOG_FILE, /* log_path, appended to */
};

struct config_rlimit {
    int resource; /* RLIMIT_NOFILE ... */
    struct rlimit value;
};
enum { CONFIG_RLIMITS_MAX = RLIM_NLIMITS };

struct config_node {
    char *name;
    enum config_kind kind;
    unsigned line; /* of its section */

    char *command;                  /* as written, lines joined by blanks */
    char *shell_line;               /* what `/bin/sh -c` gets: see common/shell_line.h */
    struct config_list environment; /* NAME=VALUE, for putenv() or environ */
    char *user; /* name for initgroups(); NULL: this process's user and groups, unless has_group */
    uid_t uid;  /* counts if user */
    gid_t gid;  /* counts if user or has_group: the group's, else the user's own */
    bool has_group;
    char *home;      /* of user; NULL without one */
    char *directory; /* NULL: the supervisor's; absolute otherwise */

    bool has_cpus;
    cpu_set_t cpus;
    bool has_scheduling;
    int scheduling_policy; /* SCHED_OTHER ... */
    int scheduling_priority;
    bool has_nice;
    int nice;
    struct config_rlimit rlimit[CONFIG_RLIMITS_MAX];
    size_t rlimits;

    bool is_started; /* with the pipeline; else by `shmframe start` */
    struct config_list reads;
    struct config_list writes;
    enum config_ready ready;
    int ready_fd; /* 3 and up; counts with CONFIG_READY_FD */
    int stop_signal;
    struct policy_settings policy;

    enum config_log log;
    char *log_path; /* absolute; NULL unless CONFIG_LOG_FILE */

    struct config_watch hold;     /* of what it reads */
    struct config_watch stall;    /* of what it writes */
    struct config_watch watchdog; /* limit_ns 0: none; never unset */
};

/* Of each; as many items a list may have. */
enum { CONFIG_NODES_MAX = 256, CONFIG_STREAMS_MAX = 1024, CONFIG_LIST_MAX = 1024 };

struct config {
    struct config_stream *stream; /* of the file's sections, then others that nodes name */
    size_t streams;
    struct config_node *node; /* in the file's order */
    size_t nodes;
    size_t *start_order; /* indices of nodes: who writes a stream before those who read it */
};

/* Reads a file. Returns 0, -EINVAL with the file's mistakes in out_problems, at least one, or
 * -ENOMEM. Both out_ arguments are written always, and are to be destroyed. */
int config_load(const char *path, struct config *out_config, struct config_problems *out_problems);
/* The same of text in memory; relative paths in it begin in the folder of `path`. */
int config_parse(const char *bytes, size_t count, const char *path, struct config *out_config,
                 struct config_problems *out_problems);
void config_destroy(struct config *config);

/* NULL: there is none. */
struct config_node *config_find_node(const struct config *config, const char *name);
struct config_stream *config_find_stream(const struct config *config, const char *name);
/* Who writes a stream; NULL: nobody of this file. */
struct config_node *config_find_writer(const struct config *config, const char *stream);

/* What applies, never unset: the node's own keys, then the stream's, then the default. `node` is
 * NULL for a process that is none; `period_ns` is the stream's nominal one, 0: it has none. */
struct config_watch config_hold(const struct config *config, const struct config_node *node,
                                const char *stream);
struct config_watch config_stall(const struct config *config, const struct config_node *node,
                                 const char *stream, int64_t period_ns);

/* For a reload. Whether what a process is born with differs. */
bool config_node_needs_restart(const struct config_node *old, const struct config_node *new_node);
/* Whether all else, which applies at once, is the same. */
bool config_node_applies_same(const struct config_node *old, const struct config_node *new_node);

#endif
