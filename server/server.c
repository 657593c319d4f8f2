#include "server.h"

#include "census.h"
#include "closer.h"
#include "error.h"
#include "limits.h"
#include "notify.h"
#include "proc_read.h"
#include "protect.h"
#include "step.h"
#include "store.h"
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h> /* our own limits.h hides the other */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

bool server_is_in_grace(const struct server *server) {
    return shmframe_now_ns() - server->started_ns < GRACE_NS;
}

/* The kernel gives out the lowest free number: a rough measure, and free of charge. */
bool server_is_short_of_fds(const struct server *server, int fd, unsigned reserved) {
    return (uint64_t)fd + reserved >= server->fds_limit;
}

/* ---- deaths ---- */

void server_process_died(struct server *server, struct process *process) {
    if (process->is_dead)
        return;
    process->is_dead = true;
    STEP(DEATH_SEEN);
    process_reference(process);
    struct client *client;
    while ((client = TAILQ_FIRST(&process->sessions))) {
        client_drain(client); /* it may have left in good order before */
        client_release(client, "its process died");
    }
    names_forget(server, process); /* whose last words were believed */
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
    struct client *client;
    TAILQ_FOREACH (client, &away->process->sessions, of_process) {
        aways += client->socket < 0;
        backs += client_is_here(client) && client->hello_ns > away->away_ns &&
                 now_ns - client->hello_ns > GRACE_NS && client_has_returned(client);
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
    names_end_return(server);
    notify_tick(server);
    return 0;
}

/* Whether something is due later that no event will tell of. */
static bool needs_tick(const struct server *server) {
    const struct client *client;
    const struct stream *stream;
    if (server->links_lost || server->has_untold || server->watches_former ||
        server->upgrade_due_ns != 0 || server->pipeline.is_notify_closed)
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

static void tell_news(struct server *server) {
    struct client *client;
    server->has_news = false;
    TAILQ_FOREACH (client, &server->clients, all)
        if (client->socket >= 0)
            list_tell_news(client);
}

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

/* Whoever asked for it was told that it has begun, and finds this in the journal. */
static void tell_not_upgraded(struct server *server) {
    struct shmframe_event event = {
        .type = SHMFRAME_JOURNAL_SUPERVISOR, .name = "shmframed", .pid = (int32_t)getpid()};
    log_trouble("event=upgrade-failed reason=%s", log_quote(shmframe_last_error()).text);
    snprintf(event.text, sizeof(event.text), "was not upgraded: %.160s", shmframe_last_error());
    journal_add(server, &event);
}

/* The program's start would close by itself what is left of what peers have passed, and what is in
 * their sockets and has not been read. */
static void drop_all(struct server *server) {
    struct client *client;
    TAILQ_FOREACH (client, &server->clients, all)
        client_drop(client, "the supervisor is run anew");
    struct stream *stream;
    TAILQ_FOREACH (stream, &server->streams, all)
        stream_link_drop_unused(stream);
}

/* A program is not run before all threads have ended, and what they had left is closed: what never
 * is would keep this one from it, and from all else, for ever. And who was told to end since, ends.
 * Nobody is dropped for a file that is gone by now. */
static int await_upgrade(struct server *server) {
    const int code = server->pipeline.is_ending ? error_set(-EBUSY, "the supervisor is ending")
                                                : upgrade_check_file();
    if (code < 0)
        return code;
    drop_all(server);
    notify_drain(server);
    pipeline_update(server); /* what nodes said is written down */
    return closer_await(CLOSER_PATIENCE_NS);
}

/* Does not return if it goes well. */
static void upgrade(struct server *server) {
    server->upgrade_due_ns = 0;
    names_save(server);
    if (await_upgrade(server) < 0) {
        tell_not_upgraded(server);
        return;
    }
    /* It raises the limit itself, and gives nodes the one that it was born with. */
    setrlimit(RLIMIT_NOFILE, &server->nofile_born);
    const struct listener *listener = &server->listener;
    const struct upgrade_kept kept = {.socket = listener->fd,
                                      .lock = listener->lock,
                                      .is_bound = listener->is_bound,
                                      .folder = listener->folder,
                                      .parent = server->parent_fd};
    if (upgrade_run(&kept) < 0)
        tell_not_upgraded(server);
    raise_fds_limit(server);
}

/* Rings whose memory is given back just then are waited for, while all are served: the kernel would
 * do it before it runs the program. But not for longer than whoever asked for it waits. */
static bool is_upgrade_due(const struct server *server) {
    return server->upgrade_due_ns != 0 &&
           (closer_count_memory() == 0 ||
            shmframe_now_ns() - server->upgrade_due_ns > CLOSER_MEMORY_PATIENCE_NS);
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
    pipeline_update(server);
    if (server->has_news)
        tell_news(server);
    if (server->names_changed)
        names_save(server);
    if (is_upgrade_due(server))
        upgrade(server);
    server->has_untold = notify_status(server) || notify_flush();
    arm_tick(server);
    watch_arm(server);
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

void server_rest(struct server *server) {
    enum { REST_US = 2000 };
    int enabled;
    if (sd_event_source_get_enabled(server->rest_source, &enabled) > 0)
        return;
    sd_event_source_set_time_relative(server->rest_source, REST_US);
    sd_event_source_set_enabled(server->rest_source, SD_EVENT_ONESHOT);
}

/* Whoever is thrown out comes again: descriptors would run out, if that were quicker than what was
 * sent can be closed. */
static bool must_rest(const struct server *server) {
    return closer_backlog() > server->fds_limit / 8;
}

static int on_rested(sd_event_source *source, uint64_t usec, void *user) {
    (void)source, (void)usec;
    struct server *server = user;
    struct client *client;
    TAILQ_FOREACH (client, &server->clients, all)
        client_rested(client);
    if (must_rest(server))
        server_rest(server);
    else
        sd_event_source_set_enabled(server->accept_source, SD_EVENT_ON);
    return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)events;
    struct server *server = user;
    if (must_rest(server)) {
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        server_rest(server);
        return 0;
    }
    int socket = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0)
        client_accept(server, socket);
    else if (errno == EMFILE || errno == ENFILE)
        refuse_without_descriptors(server);
    return 0;
}

/* ---- start and end ---- */

/* The nodes first. */
static void end(struct server *server) {
    if (server->pipeline.plan)
        pipeline_end(server);
    else
        sd_event_exit(server->event, 0);
}

static int on_end_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user) {
    (void)source, (void)info;
    end(user);
    return 0;
}

int server_reload_settings(struct server *server, const struct pipeline_listener *listener) {
    char path[4096];
    struct settings settings;
    struct config_problems problems;
    const int code = settings_read(&server->params->source, &settings, path, &problems);
    for (size_t i = 0; i < problems.count; i++) {
        char line[512];
        snprintf(line, sizeof(line), "%.200s:%u: %.250s", path, problems.problem[i].line,
                 problems.problem[i].text);
        listener->on_line(listener->user, line);
    }
    const bool is_told = problems.count > 0;
    config_problems_destroy(&problems);
    if (code < 0)
        return is_told ? error_set(code, "%.200s has mistakes: nothing is changed", path) : code;
    settings_destroy(&server->settings);
    server->settings = settings;
    strcpy(server->settings_path, path);
    log_event("event=settings-read path=%s", log_quote(path).text);
    struct stream *stream;
    TAILQ_FOREACH (stream, &server->streams, all)
        stream_link_retry(stream); /* there may be room now */
    return 0;
}

/* Whoever speaks to nobody but the log is not listened to. */
static void ignore_line(void *user, const char *text) {
    (void)user, (void)text;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *user) {
    (void)source, (void)info;
    struct server *server = user;
    const struct pipeline_listener listener = {.on_line = ignore_line};
    if (server_reload_settings(server, &listener) < 0 ||
        (server->pipeline.plan && pipeline_reload(server, &listener) < 0))
        log_trouble("event=not-reloaded reason=%s", log_quote(shmframe_last_error()).text);
    return 0;
}

static int on_parent_gone(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)fd, (void)events;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    log_trouble("event=parent-gone");
    end(user);
    return 0;
}

/* After an upgrade it may be gone, and another one be in its place. */
static int watch_parent(struct server *server) {
    struct upgrade_kept kept;
    const bool is_kept = upgrade_take(&kept) && kept.parent >= 0;
    server->parent_fd = is_kept ? kept.parent : pidfd_open(getppid(), 0);
    if (server->parent_fd < 0)
        return -errno;
    fcntl(server->parent_fd, F_SETFD, FD_CLOEXEC);
    return sd_event_add_io(server->event, NULL, server->parent_fd, EPOLLIN, on_parent_gone, server);
}

/* It comes before all other events: a program that is run anew finds a signal that the kernel
 * holds, and not one that was taken from it and waits for its turn. */
static int add_end_signal(struct server *server, int number) {
    sd_event_source *source;
    int code = sd_event_add_signal(server->event, &source, number, on_end_signal, server);
    if (code < 0)
        return code;
    code = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
    sd_event_source_set_floating(source, true);
    sd_event_source_unref(source);
    return code;
}

static int add_signals(struct server *server) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is one that cannot be written */
    int code = add_end_signal(server, SIGTERM);
    if (code >= 0)
        code = add_end_signal(server, SIGINT);
    if (code >= 0)
        code = sd_event_add_signal(server->event, NULL, SIGHUP, on_hangup, server);
    if (code >= 0 && server->params->is_private)
        code = watch_parent(server);
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
        code =
            sd_event_add_time_relative(server->event, &server->rest_source, CLOCK_MONOTONIC, 0,
                                       1 /* by itself a timer is 250 ms late */, on_rested, server);
    if (code >= 0)
        code = sd_event_source_set_enabled(server->rest_source, SD_EVENT_OFF);
    if (code >= 0)
        code = sd_event_add_post(server->event, &server->after_source, on_after_event, server);
    if (code >= 0)
        code = notify_start_watchdog(server->event);
    return code < 0 ? error_set(code, "no event loop: %s", strerror(-code)) : 0;
}

static void tell_ready(const struct server *server) {
    notify_ready();
    const int fd = server->params->ready_fd;
    if (fd < 0)
        return;
    if (write(fd, "\n", 1) < 0)
        log_trouble("event=ready-not-told reason=%s", log_quote(strerror(errno)).text);
    close(fd);
}

/* Absolute: nodes may run in another directory. */
static void set_socket_path(struct server *server) {
    const char *path = server->listener.path;
    char folder[PATH_MAX] = "";
    const bool is_relative = path[0] != '/' && getcwd(folder, sizeof(folder));
    snprintf(server->socket_path, sizeof(server->socket_path), "%s%s%s", folder,
             is_relative ? "/" : "", path);
}

int server_open(struct server *server, const struct server_params *params) {
    *server = (struct server){.params = params,
                              .settings = params->settings,
                              .started_ns = shmframe_now_ns(),
                              .reserve_fd = -1,
                              .parent_fd = -1};
    snprintf(server->settings_path, sizeof(server->settings_path), "%s", params->settings_path);
    TAILQ_INIT(&server->clients);
    TAILQ_INIT(&server->processes);
    TAILQ_INIT(&server->streams);
    TAILQ_INIT(&server->pipeline.nodes);
    getrlimit(RLIMIT_NOFILE, &server->nofile_born);
    raise_fds_limit(server);
    const struct listener_reach reach = {.reach = server->settings.reach,
                                         .gid = server->settings.reach_gid};
    int code = listener_open(&server->listener, params->socket, &reach);
    if (code < 0)
        return code;
    if (!params->config)
        protect_drop_capabilities(); /* a socket for a group took one */
    STEP(SERVER_LISTENS);
    set_socket_path(server);
    server->reserve_fd = open_reserve();
    code = add_sources(server);
    if (code == 0)
        code = journal_open(server);
    if (code == 0)
        code = watch_start(server);
    return code;
}

int server_run(const struct server_params *params) {
    /* Never taken apart: peers go on with what they have, and tell the next supervisor of it.
     * Releasing a client would tell others that it has left. */
    static struct server server;
    int code = server_open(&server, params);
    if (code == 0)
        code = closer_start(server.fds_limit);
    if (code == 0)
        code = proc_read_start();
    if (code == 0) {
        census_read_by(proc_read);
        names_load(&server);
        STEP(NAMES_LOADED);
        store_restore_streams(&server);
        if (params->plan)
            code = pipeline_open(&server, params->config, params->plan);
        store_drop_rest();
    }
    if (code == 0) {
        log_event("event=listening socket=%s pid=%d version=%s", server.listener.path,
                  (int)getpid(), SHMFRAME_VERSION);
        watch_begin(&server);
        if (!params->config)
            protect_filter_calls();
        tell_ready(&server);
        STEP(SERVER_READY);
        code = sd_event_loop(server.event);
        notify_stopping();
        watch_finish(&server);
        names_save(&server);
        log_event("event=stopped");
    }
    listener_close(&server.listener);
    return code < 0 ? code : 0;
}
