/* What a file says, and what becomes of nodes when it says something else. */
#include "pipeline.h"

#include "error.h"
#include "log.h"
#include "server.h"
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- limits ---- */

static struct config_watch find_hold(void *user, pid_t pid, const char *stream) {
    const struct server *server = user;
    const struct node *node = pipeline_find_process(server, pid);
    return config_hold(&server->pipeline.plan->config, node ? node->config : NULL, stream);
}

static struct config_watch find_stall(void *user, pid_t pid, const char *stream,
                                      int64_t period_ns) {
    const struct server *server = user;
    const struct node *node = pipeline_find_process(server, pid);
    return config_stall(&server->pipeline.plan->config, node ? node->config : NULL, stream,
                        period_ns);
}

static bool restart_for(void *user, pid_t pid, const char *reason) {
    struct node *node = pipeline_find_process(user, pid);
    if (!node)
        return false;
    node_set_reason(node, "%s", reason);
    node_handle(node, NODE_HANG);
    return true;
}

static void set_hooks(struct server *server) {
    static struct watch_hooks hooks = {
        .hold = find_hold, .stall = find_stall, .restart = restart_for};
    hooks.user = server;
    watch_set_hooks(server, &hooks);
    watch_limits_changed(server);
}

/* ---- nodes ---- */

static void add_node(struct server *server, struct plan *plan, const struct config_node *config) {
    struct node *node = node_create(server, plan, config);
    if (!node) {
        log_trouble("event=node-not-made node=%s reason=\"no memory\"", config->name);
        return;
    }
    TAILQ_INSERT_TAIL(&server->pipeline.nodes, node, all);
    node_set_reason(node, "new in the file");
    if (config->is_started)
        node_handle(node, NODE_START);
}

/* A node that was stopped by somebody stays so. One that was removed, and has not ended yet, is a
 * new one. */
static void change_node(struct node *node, struct plan *plan, const struct config_node *config) {
    const bool needs_restart = config_node_needs_restart(node->config, config);
    const bool was_removed = node->is_removed;
    node->is_removed = false;
    if (was_removed)
        node->must_stop = !config->is_started;
    node_set_config(node, plan, config);
    if (was_removed && config->is_started) {
        node_set_reason(node, "in the file again");
        node_handle(node, needs_restart ? NODE_RESTART : NODE_START);
    } else if (!was_removed && needs_restart && node->policy.state != NODE_STOPPED &&
               !node->must_stop) {
        node_set_reason(node, "the file says something else");
        node_handle(node, NODE_RESTART);
    }
}

static void remove_lacking(struct server *server, const struct config *config) {
    struct node *node;
    TAILQ_FOREACH (node, &server->pipeline.nodes, all) {
        if (config_find_node(config, node->name))
            continue;
        node->is_removed = true;
        node->must_stop = true;
    }
}

/* What was is moved to the front of what is to be: the file's order, then removed ones. */
static void sort_nodes(struct server *server, const struct config *config) {
    struct node_list *nodes = &server->pipeline.nodes;
    for (size_t i = config->nodes; i-- > 0;) {
        struct node *node = pipeline_find(server, config->node[i].name);
        if (!node)
            continue;
        TAILQ_REMOVE(nodes, node, all);
        TAILQ_INSERT_HEAD(nodes, node, all);
    }
}

void pipeline_apply(struct server *server, struct plan *plan) {
    struct pipeline *pipeline = &server->pipeline;
    const struct config *config = &plan->config;
    for (size_t i = 0; i < config->nodes; i++) {
        struct node *node = pipeline_find(server, config->node[i].name);
        if (node)
            change_node(node, plan, &config->node[i]);
        else
            add_node(server, plan, &config->node[i]);
    }
    remove_lacking(server, config);
    sort_nodes(server, config);
    plan_release(pipeline->plan);
    pipeline->plan = plan;
    pipeline->saved_plan = NULL;
    pipeline->is_changed = true;
    set_hooks(server);
}

static void tell_problems(const struct config_problems *problems, const char *path,
                          const struct pipeline_listener *listener) {
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *problem = &problems->problem[i];
        char line[512];
        if (problem->line)
            snprintf(line, sizeof(line), "%s:%u: %s", path, problem->line, problem->text);
        else
            snprintf(line, sizeof(line), "%s: %s", path, problem->text);
        log_trouble("event=mistake text=%s", log_quote(line).text);
        listener->on_line(listener->user, line);
    }
}

int pipeline_reload(struct server *server, const struct pipeline_listener *listener) {
    struct pipeline *pipeline = &server->pipeline;
    struct config_problems problems;
    struct plan *plan;
    if (pipeline->is_ending)
        return error_set(-EBUSY, "the supervisor is ending");
    int code = plan_load(pipeline->path, &plan, &problems);
    if (code == 0) {
        log_event("event=reloaded file=%s", log_quote(pipeline->path).text);
        pipeline_apply(server, plan);
    } else {
        tell_problems(&problems, pipeline->path, listener);
        plan_release(plan);
        error_set(code, "%s is not used: %s", pipeline->path,
                  code == -ENOMEM ? "no memory" : "it has mistakes; all goes on as before");
    }
    config_problems_destroy(&problems);
    return code;
}
