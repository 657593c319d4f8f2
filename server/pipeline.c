#include "pipeline.h"

#include "census.h"
#include "config_text.h"
#include "error.h"
#include "near.h"
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Rounds of one update: each node may change a few times, and others then follow. */
enum { ROUNDS_MAX = 64 };
#define TIMER_ACCURACY_US 1000
#define LOOK_AGAIN_US     20000
#define STRAYS_NS         INT64_C(5000000000)

/* ---- reading ---- */

int plan_load(const char *path, struct plan **out_plan, struct config_problems *out_problems) {
    *out_problems = (struct config_problems){0};
    struct plan *plan = *out_plan = calloc(1, sizeof(*plan));
    if (!plan)
        return -ENOMEM;
    plan->references = 1;
    plan->text = config_text_load(path, &plan->bytes, out_problems);
    if (!plan->text)
        return out_problems->is_out_of_memory ? -ENOMEM : -EINVAL;
    /* It was read into room for the longest. */
    char *fitting = realloc(plan->text, plan->bytes + 1);
    plan->text = fitting ? fitting : plan->text;
    return config_parse(plan->text, plan->bytes, path, &plan->config, out_problems);
}

/* ---- finding ---- */

struct node *pipeline_find(const struct server *server, const char *name) {
    struct node *node;
    TAILQ_FOREACH (node, &server->pipeline.nodes, all)
        if (strcmp(node->name, name) == 0)
            return node;
    return NULL;
}

void pipeline_note_change(struct server *server) {
    server->pipeline.is_changed = true;
}

/* ---- what waits for what ---- */

static bool has(const struct config_list *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->text[i], name) == 0)
            return true;
    return false;
}

static struct node *find_writer(const struct server *server, const char *stream) {
    struct node *node;
    TAILQ_FOREACH (node, &server->pipeline.nodes, all)
        if (!node->is_removed && has(&node->config->writes, stream))
            return node;
    return NULL;
}

static bool is_live(const struct stream *stream) {
    return stream && stream->state == SHMFRAME_STREAM_LIVE && stream->generation > 0;
}

/* A stream whose writer is about to go is not what a new reader waits for. */
static bool has_its_streams(const struct node *node) {
    const struct config_list *reads = &node->config->reads;
    for (size_t i = 0; i < reads->count; i++) {
        const struct node *writer = find_writer(node->server, reads->text[i]);
        if (!is_live(stream_find(node->server, reads->text[i])))
            return false;
        if (writer && (writer->policy.state == NODE_STOPPING ||
                       writer->policy.state == NODE_KILLING || writer->has_ended))
            return false;
    }
    return true;
}

/* By its own process: one before it, whose death is not known here yet, does not count. */
static bool makes_its_streams(const struct node *node) {
    const struct config_list *writes = &node->config->writes;
    for (size_t i = 0; i < writes->count; i++) {
        const struct stream *stream = stream_find(node->server, writes->text[i]);
        if (!is_live(stream) || !stream->writer || !stream->writer->ring)
            return false;
        if (pipeline_find_process(node->server, stream->writer->client->process->pid) != node)
            return false;
    }
    return true;
}

static bool reads_from(const struct node *reader, const struct node *writer) {
    for (size_t i = 0; i < writer->config->writes.count; i++)
        if (has(&reader->config->reads, writer->config->writes.text[i]))
            return true;
    return false;
}

/* Whether somebody who is to be stopped too, and before it, still runs. */
static bool is_needed(const struct node *node) {
    const struct node *other;
    TAILQ_FOREACH (other, &node->server->pipeline.nodes, all)
        if (other != node && other->must_stop && node_is_active(other) && reads_from(other, node))
            return true;
    return false;
}

/* ---- one update ---- */

static void update_node(struct node *node, int64_t now_ns) {
    const enum node_state state = node->policy.state;
    const bool is_stopping = state == NODE_STOPPING || state == NODE_KILLING;
    node_tick(node, now_ns);
    if (node->must_stop && node_is_active(node) && !is_stopping && !is_needed(node)) {
        node_set_reason(node, node->is_removed ? "not in the file any more" : "on request");
        node_handle(node, NODE_STOP);
    }
    if (node->policy.state == NODE_WAITING && !node->must_stop && has_its_streams(node))
        node_handle(node, NODE_STREAMS_READY);
    if (node->policy.state == NODE_STARTING && !node->has_ended &&
        node->config->ready == CONFIG_READY_STREAM && makes_its_streams(node)) {
        node_set_reason(node, "its streams are live");
        node_handle(node, NODE_READY);
    }
}

static bool update_round(struct pipeline *pipeline, int64_t now_ns) {
    bool has_moved = false;
    struct node *next;
    for (struct node *node = TAILQ_FIRST(&pipeline->nodes); node; node = next) {
        next = TAILQ_NEXT(node, all);
        const enum node_state before = node->policy.state;
        update_node(node, now_ns);
        has_moved |= before != node->policy.state;
        if (!node->is_removed || node_is_active(node))
            continue;
        TAILQ_REMOVE(&pipeline->nodes, node, all);
        node_destroy(node);
        pipeline->is_changed = has_moved = true;
    }
    return has_moved;
}

static bool is_any_active(const struct pipeline *pipeline) {
    const struct node *node;
    TAILQ_FOREACH (node, &pipeline->nodes, all)
        if (node_is_active(node))
            return true;
    return false;
}

static void arm_timer(struct pipeline *pipeline) {
    int64_t deadline_ns = INT64_MAX;
    const struct node *node;
    TAILQ_FOREACH (node, &pipeline->nodes, all) {
        const int64_t own_ns = node_deadline_ns(node);
        deadline_ns = own_ns < deadline_ns ? own_ns : deadline_ns;
    }
    if (deadline_ns < INT64_MAX)
        sd_event_source_set_time(pipeline->timer, (uint64_t)(deadline_ns / 1000 + 1));
    sd_event_source_set_enabled(pipeline->timer,
                                deadline_ns < INT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Orphans whom nothing shows as a node's: without its session, its parents and its environment.
 * They end with the supervisor. False: there are none. */
static bool end_strays(struct pipeline *pipeline) {
    struct census census;
    const pid_t self = getpid();
    const int64_t now_ns = shmframe_now_ns();
    census_take(&census);
    for (size_t i = 0; i < census.count; i++)
        census.process[i].is_ours = census.process[i].parent == self;
    census_mark_descendants(&census);
    int signal_number = pipeline->strays_ns && now_ns >= pipeline->strays_ns ? SIGKILL : 0;
    if (!pipeline->strays_ns) {
        pipeline->strays_ns = now_ns + STRAYS_NS;
        signal_number = SIGTERM;
    }
    const unsigned count = census_signal(&census, signal_number);
    census_destroy(&census);
    sd_event_source_set_time(pipeline->timer, (uint64_t)(now_ns / 1000 + LOOK_AGAIN_US));
    sd_event_source_set_enabled(pipeline->timer, SD_EVENT_ONESHOT);
    return count > 0;
}

static void let_go(struct pipeline *pipeline) {
    struct node *node;
    TAILQ_FOREACH (node, &pipeline->nodes, all)
        node_let_go(node);
}

void pipeline_update(struct server *server) {
    struct pipeline *pipeline = &server->pipeline;
    if (!pipeline->plan)
        return;
    for (unsigned i = 0; i < ROUNDS_MAX && update_round(pipeline, shmframe_now_ns()); i++) {
    }
    if (pipeline->is_ending && !is_any_active(pipeline)) {
        if (end_strays(pipeline))
            return;
        nodes_forget(server);
        sd_event_exit(server->event, 0);
        return;
    }
    if (pipeline->is_changed)
        nodes_save(server);
    let_go(pipeline);
    arm_timer(pipeline);
}

/* ---- events ---- */

/* Nodes, and what they left behind: this process is the parent of all orphans below it. */
static void reap(struct server *server) {
    for (;;) {
        siginfo_t end = {0};
        if (waitid(P_ALL, 0, &end, WEXITED | WNOHANG) < 0 || end.si_pid == 0)
            return;
        struct node *node;
        TAILQ_FOREACH (node, &server->pipeline.nodes, all)
            if (node->is_child && !node->has_ended && node->pid == end.si_pid) {
                node_take_end(node, &end);
                break;
            }
    }
}

static int on_child(sd_event_source *source, const struct signalfd_siginfo *info, void *user) {
    (void)source, (void)info;
    reap(user);
    return 0;
}

/* What is due is done after every event, and this is one. */
static int on_timer(sd_event_source *source, uint64_t usec, void *user) {
    (void)source, (void)usec, (void)user;
    return 0;
}

static int add_sources(struct server *server) {
    struct pipeline *pipeline = &server->pipeline;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return -errno;
    signal(SIGCHLD, SIG_DFL); /* ignored, children would vanish without a word */
    int code =
        sd_event_add_signal(server->event, &pipeline->child_source, SIGCHLD, on_child, server);
    if (code >= 0)
        code = sd_event_add_time(server->event, &pipeline->timer, CLOCK_MONOTONIC, 0,
                                 TIMER_ACCURACY_US, on_timer, NULL);
    return code < 0 ? code : 0;
}

int pipeline_open(struct server *server, const char *path, struct plan *plan) {
    struct pipeline *pipeline = &server->pipeline;
    pipeline->path = path;
    int code = add_sources(server);
    if (code < 0) {
        plan_release(plan);
        return error_set(code, "nodes cannot be watched: %s", strerror(-code));
    }
    notify_open(server);
    nodes_load(server);
    reap(server);
    pipeline_apply(server, plan);
    pipeline_update(server);
    return 0;
}

/* ---- requests ---- */

void pipeline_end(struct server *server) {
    struct pipeline *pipeline = &server->pipeline;
    struct node *node;
    TAILQ_FOREACH (node, &pipeline->nodes, all) {
        if (!pipeline->is_ending)
            node->is_resumed = node_is_active(node) && !node->must_stop;
        node->must_stop = true;
        if (pipeline->is_ending)
            node_handle(node, NODE_KILL);
    }
    pipeline->is_ending = true;
    pipeline->is_changed = true;
}

static int check_name(const struct server *server, const char *name) {
    if (server->pipeline.is_ending)
        return error_set(-EBUSY, "the supervisor is ending");
    if (!name[0] || pipeline_find(server, name))
        return 0;
    struct near near = {.wanted = name};
    const struct node *node;
    TAILQ_FOREACH (node, &server->pipeline.nodes, all)
        near_offer(&near, node->name);
    return error_set(-ENOENT, "no node '%s'%s; 'shmframe status' lists them", name,
                     near_text(&near));
}

static int do_to(struct server *server, const char *name,
                 void (*act)(struct node *, bool is_named)) {
    int code = check_name(server, name);
    if (code < 0)
        return code;
    struct node *node;
    TAILQ_FOREACH (node, &server->pipeline.nodes, all)
        if (!node->is_removed && (!name[0] || strcmp(node->name, name) == 0))
            act(node, name[0]);
    return 0;
}

static void start(struct node *node, bool is_named) {
    (void)is_named;
    node->must_stop = false;
    node_set_reason(node, "on request");
    node_handle(node, NODE_START);
}

static void stop(struct node *node, bool is_named) {
    (void)is_named;
    if (node_is_active(node) || node->policy.state == NODE_FAILED)
        node->must_stop = true;
    if (node->policy.state != NODE_FAILED)
        return;
    node_set_reason(node, "on request");
    node_handle(node, NODE_STOP);
}

/* What is stopped was never started, was stopped, or has done its work: only its name starts it. */
static void restart(struct node *node, bool is_named) {
    if (!is_named && node->policy.state == NODE_STOPPED)
        return;
    node->must_stop = false;
    node_set_reason(node, "restart on request");
    node_handle(node, NODE_RESTART);
}

int pipeline_start(struct server *server, const char *name) {
    return do_to(server, name, start);
}

int pipeline_stop(struct server *server, const char *name) {
    return do_to(server, name, stop);
}

int pipeline_restart(struct server *server, const char *name) {
    return do_to(server, name, restart);
}
