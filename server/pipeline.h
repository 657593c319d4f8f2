/* Pipeline: all nodes of a file: in which order they start and stop, what a reload changes, and
 * what the next supervisor needs to know of them. */
#ifndef SERVER_PIPELINE_H
#define SERVER_PIPELINE_H

#include "node.h"

struct client;
struct channel_mail;

/* Somebody who is told what there is to say, line by line. */
struct pipeline_listener {
    void (*on_line)(void *user, const char *text);
    void *user;
};

struct pipeline {
    const char *path;
    struct plan *plan;
    struct node_list nodes; /* in the file's order; removed ones last */
    sd_event_source *child_source, *timer, *notify_source;
    bool is_notify_closed; /* to descriptors: see notify_tick() */
    int64_t strays_ns;     /* when orphans that nobody knows are killed; 0: not asked to end yet */
    bool is_ending;        /* all are stopped, then the supervisor ends */
    const struct plan *saved_plan; /* whose text the next supervisor finds */
    bool is_changed;               /* the next supervisor's file is to be written */
};

/* Reads a file. Errors: -EINVAL with the mistakes in out_problems, -ENOMEM. Both out_ arguments are
 * to be released whatever the result is. */
int plan_load(const char *path, struct plan **out_plan, struct config_problems *out_problems);

/* Takes `plan`, adopts the nodes of a former supervisor, and has the others start. Errors: any,
 * with its sentence. */
int pipeline_open(struct server *server, const char *path, struct plan *plan);
/* Does what is due, in its order, after every event. */
void pipeline_update(struct server *server);
/* Something that the next supervisor has to know is different. */
void pipeline_note_change(struct server *server);
/* Stops all nodes, then the supervisor. Once more: in a hurry. */
void pipeline_end(struct server *server);

struct node *pipeline_find(const struct server *server, const char *name);

/* Does `verb` to the node of that name, or ("") to all. Errors: -ENOENT, -EBUSY with the sentence.
 */
int pipeline_start(struct server *server, const char *name);
int pipeline_stop(struct server *server, const char *name);
int pipeline_restart(struct server *server, const char *name);
/* Reads the file again and changes what is different. Errors: -EINVAL it has mistakes, which the
 * listener was told; nothing is changed then. */
int pipeline_reload(struct server *server, const struct pipeline_listener *listener);

/* ---- pipeline_plan.c ---- */
/* Makes the nodes what `plan` says. Takes it. */
void pipeline_apply(struct server *server, struct plan *plan);

/* ---- node_family.c ---- */
/* The node that process `pid` belongs to; NULL: none. */
struct node *pipeline_find_process(const struct server *server, pid_t pid);

/* ---- nodes_file.c ---- */
void nodes_save(struct server *server);
/* Nothing is left that a next supervisor would have to know. */
void nodes_forget(struct server *server);
/* Makes the nodes that a former supervisor had, with the plan that they had from it. */
void nodes_load(struct server *server);

/* ---- node_notify.c ---- */
/* Opens the socket for sd_notify(3). Without it nodes cannot speak, which is said in the log. */
void notify_open(struct server *server);
/* Lets descriptors come by it again, once what came is closed. */
void notify_tick(struct server *server);
/* Reads what is in it now. */
void notify_drain(struct server *server);

/* ---- command.c: messages ---- */
int command_do(struct client *client, struct channel_mail *mail);

#endif
