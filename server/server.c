#include "server.h"

#include "closer.h"
#include "error.h"
#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

bool server_is_in_grace(const struct server *server) {
    return shmframe_now_ns() - server->started_ns < GRACE_NS;
}

/* The kernel gives out the lowest free number: a rough measure, and free of charge. */
bool server_is_short_of_fds(const struct server *server, int fd, unsigned reserved) {
    return (uint64_t)fd + reserved >= server->fds_limit;
}

/* ---- deaths ---- */

static struct client *find_client_of(const struct server *server, const struct process *process) {
    struct client *client;
    TAILQ_FOREACH (client, &server->clients, all)
        if (client->process == process)
            return client;
    return NULL;
}

void server_process_died(struct server *server, struct process *process) {
    if (process->is_dead)
        return;
    process->is_dead = true;
    process_reference(process);
    struct client *client;
    while ((client = find_client_of(server, process))) {
        client_drain(client); /* it may have left in good order before */
        client_release(client, "its process died");
    }
    struct stream *stream;
    TAILQ_FOREACH (stream, &server->streams, all) {
        stream_link_end_held(stream, process);
        if (stream->owner != process)
            continue;
        process_release(stream->owner);
        stream->owner = NULL;
        stream_end_grace(stream);
        server->names_changed = true;
    }
    process_release(process);
}

/* ---- what is due now and then ---- */

/* Sessions of a process that are away, and sessions with which it has come back since for long
 * enough. Once there are as many of these, nobody will ask for what the former ones had. */
static bool came_back_without(const struct client *away) {
    const int64_t now_ns = shmframe_now_ns();
    unsigned aways = 0, backs = 0;
    const struct client *client;
    TAILQ_FOREACH (client, &away->server->clients, all) {
        if (client->process != away->process)
            continue;
        aways += client->socket < 0;
        backs += client_is_here(client) && client->hello_ns > away->away_ns &&
                 now_ns - client->hello_ns > GRACE_NS;
    }
    return backs >= aways;
}

static void tick_clients(struct server *server) {
    struct client *next;
    for (struct client *client = TAILQ_FIRST(&server->clients); client; client = next) {
        next = TAILQ_NEXT(client, all);
        if (client->socket >= 0)
            client_flush(client);
        else if (came_back_without(client))
            client_release(client, "its process came back without it");
    }
}

static void tick_streams(struct server *server) {
    struct stream *stream;
    const bool links_lost = server->links_lost;
    server->links_lost = false;
    TAILQ_FOREACH (stream, &server->streams, all) {
        if (links_lost)
            stream_link_readers(stream);
        stream_link_end_held(stream, NULL);
        stream_check_former(stream);
        if (!server_is_in_grace(server))
            stream_end_grace(stream);
    }
}

static int on_tick(sd_event_source *source, uint64_t usec, void *user) {
    (void)usec;
    struct server *server = user;
    (void)source;
    tick_clients(server);
    tick_streams(server);
    return 0;
}

/* Whether something is due later that no event will tell of. */
static bool needs_tick(const struct server *server) {
    const struct client *client;
    const struct stream *stream;
    if (server->links_lost)
        return true;
    TAILQ_FOREACH (client, &server->clients, all)
        if (client->socket < 0 || client->queued || client->tokens < 1)
            return true;
    TAILQ_FOREACH (stream, &server->streams, all)
        if (stream_waits_for_return(stream))
            return true;
    return false;
}

static void arm_tick(struct server *server) {
    int enabled;
    if (sd_event_source_get_enabled(server->tick_source, &enabled) > 0 || !needs_tick(server))
        return;
    sd_event_source_set_time_relative(server->tick_source, TICK_NS / 1000);
    sd_event_source_set_enabled(server->tick_source, SD_EVENT_ONESHOT);
}

/* After every event: what could not be done while lists were being walked. */
static int on_after_event(sd_event_source *source, void *user) {
    (void)source;
    struct server *server = user;
    struct client *next;
    for (struct client *client = TAILQ_FIRST(&server->clients); client; client = next) {
        next = TAILQ_NEXT(client, all);
        client_sweep(client);
    }
    if (server->names_changed)
        names_save(server);
    arm_tick(server);
    return 0;
}

/* ---- new peers ---- */

static int open_reserve(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor left even to refuse with: the one that was kept for this makes room. */
static void refuse_without_descriptors(struct server *server) {
    if (server->reserve_fd < 0) /* whom we refused last was not closed yet */
        server->reserve_fd = open_reserve();
    if (server->reserve_fd < 0)
        return;
    close(server->reserve_fd);
    int socket = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0)
        client_turn_away(socket, -EMFILE,
                         "the supervisor has no descriptor left: raise its limit, "
                         "`ulimit -n`");
    server->reserve_fd = open_reserve();
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)source;
    (void)events;
    struct server *server = user;
    int socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0)
        client_accept(server, socket);
    else if (errno == EMFILE || errno == ENFILE)
        refuse_without_descriptors(server);
    return 0;
}

/* ---- start and end ---- */

static void raise_fds_limit(struct server *server) {
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        const rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = before;
    }
    server->fds_limit = limit.rlim_cur;
}

static int add_signals(struct server *server) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    signal(SIGPIPE, SIG_IGN);
    int code = sd_event_add_signal(server->event, NULL, SIGTERM, NULL, NULL);
    if (code >= 0)
        code = sd_event_add_signal(server->event, NULL, SIGINT, NULL, NULL);
    return code < 0 ? code : 0;
}

static int add_sources(struct server *server) {
    int code = sd_event_new(&server->event);
    if (code >= 0)
        code = add_signals(server);
    if (code >= 0)
        code = sd_event_add_io(server->event, &server->accept_source, server->listener.fd, EPOLLIN,
                               on_connection, server);
    if (code >= 0)
        code = sd_event_add_time_relative(server->event, &server->tick_source, CLOCK_MONOTONIC,
                                          TICK_NS / 1000, 0, on_tick, server);
    if (code >= 0)
        code = sd_event_add_post(server->event, &server->after_source, on_after_event, server);
    if (code >= 0)
        code = sd_event_set_watchdog(server->event, true);
    return code < 0 ? error_set(code, "no event loop: %s", strerror(-code)) : 0;
}

static void tell_ready(const struct server *server) {
    sd_notify(0, "READY=1");
    const int fd = server->params->ready_fd;
    if (fd < 0)
        return;
    if (write(fd, "\n", 1) < 0)
        log_trouble("event=ready-not-told reason=%s", log_quote(strerror(errno)).text);
    close(fd);
}

int server_run(const struct server_params *params) {
    /* Never taken apart: peers go on with what they have, and tell the next supervisor of it.
     * Releasing a client would tell others that it has left. */
    static struct server server;
    server = (struct server){.params = params, .started_ns = shmframe_now_ns(), .reserve_fd = -1};
    TAILQ_INIT(&server.clients);
    TAILQ_INIT(&server.processes);
    TAILQ_INIT(&server.streams);
    raise_fds_limit(&server);
    int code = listener_open(&server.listener, params->socket);
    if (code < 0)
        return code;
    server.reserve_fd = open_reserve();
    code = add_sources(&server);
    if (code == 0)
        code = closer_start(server.fds_limit);
    if (code == 0) {
        names_load(&server);
        log_event("event=listening socket=%s pid=%d version=%s", server.listener.path,
                  (int)getpid(), SHMFRAME_VERSION);
        tell_ready(&server);
        code = sd_event_loop(server.event);
        sd_notify(0, "STOPPING=1");
        names_save(&server);
        log_event("event=stopped");
    }
    listener_close(&server.listener);
    return code < 0 ? code : 0;
}
