/* Server: the loop, the listening socket, and everything that outlives one peer. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "client.h"
#include "journal.h"
#include "listener.h"
#include "pipeline.h"
#include "process.h"
#include "settings.h"
#include "stream.h"

#include <sys/resource.h>

#define ALLOWED_UIDS_MAX 16
#define PATH_BYTES       4352

struct server_params {
    const char *socket; /* path */
    uid_t allowed_uid[ALLOWED_UIDS_MAX];
    unsigned allowed_uids;
    struct settings_source source;
    struct settings settings;  /* as it has them at first */
    const char *settings_path; /* of their file; "": none */
    int ready_fd;              /* -1: none */
    const char *config;        /* a pipeline file's path; NULL: there are no nodes */
    struct plan *plan;         /* what it says */
    bool is_private;           /* ends with its parent */
};

struct server {
    const struct server_params *params;
    struct settings settings;
    sd_event *event;
    sd_event_source *accept_source, *rest_source, *tick_source, *after_source;
    struct listener listener;
    int parent_fd;                /* a pidfd; -1: its end is nothing to us */
    int reserve_fd;               /* closed for a moment to refuse a peer when no other is left */
    uint64_t fds_limit;           /* RLIMIT_NOFILE */
    struct rlimit nofile_born;    /* before it was raised: for nodes */
    char socket_path[PATH_BYTES]; /* absolute: nodes run elsewhere */
    char settings_path[4096];     /* "": no file */
    char notify_path[PATH_BYTES]; /* "": nodes cannot speak */
    struct pipeline pipeline;
    int64_t started_ns;
    struct client_list clients;
    unsigned client_count;
    struct process_list processes;
    struct stream_list streams; /* sorted by name */
    unsigned stream_count;
    uint32_t next_reader;               /* number */
    struct names_reader *former_reader; /* sorted by stream */
    unsigned former_readers;
    bool watches_former;   /* processes of theirs: see names_end_return() */
    uint32_t next_request; /* cookie */
    bool is_draining;      /* a client's last words are being read */
    bool names_changed;
    bool links_lost;        /* for lack of descriptors: asked for again */
    bool has_untold;        /* that the service manager was not told of yet */
    int64_t upgrade_due_ns; /* since when: see upgrade.h; 0: it is not */
    struct journal *journal;
    bool has_news; /* the journal has lines that those who wait were not told of */
    struct watch *watch;
};

/* Its socket, loop and journal, before anything is known of streams and nodes: for whoever drives
 * the loop himself, in one thread. Errors: any, with its sentence. */
int server_open(struct server *server, const struct server_params *params);

/* Serves until SIGTERM or SIGINT. Errors: any, with its sentence. */
int server_run(const struct server_params *params);

/* The last thread of `process` is gone: everything of it is released. */
void server_process_died(struct server *server, struct process *process);

/* Whether a new supervisor still waits for those who knew the former one. */
bool server_is_in_grace(const struct server *server);

/* Reads the settings again: what is there stays, what comes is measured by them. A mistake changes
 * nothing, and is told. Errors: -EINVAL, -ENOMEM. */
int server_reload_settings(struct server *server, const struct pipeline_listener *listener);

/* In a moment those who rest are read again, and connections accepted. */
void server_rest(struct server *server);

/* Whether descriptor number `fd` means that fewer than `reserved` are left. */
bool server_is_short_of_fds(const struct server *server, int fd, unsigned reserved);

#endif
