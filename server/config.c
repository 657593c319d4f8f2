#include "config.h"
#include "config_check.h"
#include "config_key.h"
#include "config_text.h"
#include "config_value.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

/* Loading. */

static void make_config(const struct config_text *text, const char *folder, struct config *config,
                        struct config_problems *problems) {
    for (size_t i = 0; i < text->sections && !problems->is_out_of_memory; i++)
        config_section_read(&text->section[i], folder, config, problems);
    if (!text->sections && !problems->count)
        config_problem_add(problems, 0, "expected a section such as [producer cam]: it has none");
    if (!problems->is_out_of_memory)
        config_check(config, problems);
}

/* The folder of the file, absolute; NULL: no memory, or none that is there. */
static char *find_folder(const char *path) {
    char *copy = strdup(path);
    char *folder = copy ? realpath(dirname(copy), NULL) : NULL;
    free(copy);
    return folder;
}

int config_parse(const char *bytes, size_t count, const char *path, struct config *out_config,
                 struct config_problems *out_problems) {
    struct config_text text = {0};
    char *folder = find_folder(path);
    *out_config = (struct config){0};
    *out_problems = (struct config_problems){0};
    if (folder)
        config_text_parse(bytes, count, &text, out_problems);
    else if (errno == ENOMEM)
        out_problems->is_out_of_memory = true;
    else
        config_problem_add(out_problems, 0, "its folder cannot be found: %s", strerror(errno));
    if (folder && !out_problems->is_out_of_memory)
        make_config(&text, folder, out_config, out_problems);
    config_text_destroy(&text);
    free(folder);
    if (!out_problems->count && !out_problems->is_out_of_memory)
        return 0;
    config_destroy(out_config);
    return out_problems->is_out_of_memory ? -ENOMEM : -EINVAL;
}

int config_load(const char *path, struct config *out_config, struct config_problems *out_problems) {
    size_t count = 0;
    *out_config = (struct config){0};
    *out_problems = (struct config_problems){0};
    char *bytes = config_text_load(path, &count, out_problems);
    if (!bytes)
        return out_problems->is_out_of_memory ? -ENOMEM : -EINVAL;
    const int result = config_parse(bytes, count, path, out_config, out_problems);
    free(bytes);
    return result;
}

void config_destroy(struct config *config) {
    for (size_t i = 0; i < config->nodes; i++)
        config_node_destroy(&config->node[i]);
    for (size_t i = 0; i < config->streams; i++)
        config_stream_destroy(&config->stream[i]);
    free(config->node);
    free(config->stream);
    free(config->start_order);
    *config = (struct config){0};
}

/* Finding. */

struct config_node *config_find_node(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->nodes; i++)
        if (strcmp(config->node[i].name, name) == 0)
            return &config->node[i];
    return NULL;
}

struct config_stream *config_find_stream(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->streams; i++)
        if (strcmp(config->stream[i].name, name) == 0)
            return &config->stream[i];
    return NULL;
}

struct config_node *config_find_writer(const struct config *config, const char *stream) {
    for (size_t i = 0; i < config->nodes; i++)
        if (config_list_has(&config->node[i].writes, stream))
            return &config->node[i];
    return NULL;
}

/* What is watched. */

static struct config_watch resolve(const struct config_node *node, struct config_watch own,
                                   struct config_watch of_stream, int64_t usual_ns) {
    struct config_watch watch = own;
    if (watch.limit_ns == CONFIG_LIMIT_UNSET)
        watch.limit_ns = of_stream.limit_ns;
    if (watch.limit_ns == CONFIG_LIMIT_UNSET)
        watch.limit_ns = usual_ns;
    if (watch.action == CONFIG_ACTION_UNSET)
        watch.action = of_stream.action;
    if (watch.action == CONFIG_ACTION_UNSET ||
        (watch.action == CONFIG_RESTART && (!node || node->policy.restart == POLICY_RESTART_NO)))
        watch.action = CONFIG_REPORT;
    return watch;
}

static const struct config_watch unset = {.limit_ns = CONFIG_LIMIT_UNSET};

struct config_watch config_hold(const struct config *config, const struct config_node *node,
                                const char *stream) {
    const struct config_stream *known = config_find_stream(config, stream);
    return resolve(node, node ? node->hold : unset, known ? known->hold : unset, SECOND_NS);
}

struct config_watch config_stall(const struct config *config, const struct config_node *node,
                                 const char *stream, int64_t period_ns) {
    const struct config_stream *known = config_find_stream(config, stream);
    const int64_t ten_ns = period_ns < INT64_MAX / 10 ? 10 * period_ns : INT64_MAX;
    const int64_t usual_ns = period_ns <= 0 ? 0 : ten_ns > SECOND_NS ? ten_ns : SECOND_NS;
    return resolve(node, node ? node->stall : unset, known ? known->stall : unset, usual_ns);
}

/* Reload. */

static bool is_same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_same_list(const struct config_list *a, const struct config_list *b) {
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->text[i], b->text[i]) != 0)
            return false;
    return true;
}

static bool has_same_limits(const struct config_node *a, const struct config_node *b) {
    if (a->rlimits != b->rlimits)
        return false;
    for (size_t i = 0; i < a->rlimits; i++)
        if (a->rlimit[i].resource != b->rlimit[i].resource ||
            a->rlimit[i].value.rlim_cur != b->rlimit[i].value.rlim_cur ||
            a->rlimit[i].value.rlim_max != b->rlimit[i].value.rlim_max)
            return false;
    return true;
}

static bool has_same_rights(const struct config_node *a, const struct config_node *b) {
    return is_same_text(a->user, b->user) && a->uid == b->uid && a->gid == b->gid &&
           a->has_group == b->has_group && is_same_text(a->home, b->home) &&
           a->has_cpus == b->has_cpus && CPU_EQUAL(&a->cpus, &b->cpus) &&
           a->has_scheduling == b->has_scheduling && a->scheduling_policy == b->scheduling_policy &&
           a->scheduling_priority == b->scheduling_priority && a->has_nice == b->has_nice &&
           a->nice == b->nice && has_same_limits(a, b);
}

/* The descriptor that it was given to say that it is ready; 0: none. */
static int ready_fd(const struct config_node *node) {
    return node->ready == CONFIG_READY_FD ? node->ready_fd : 0;
}

bool config_node_needs_restart(const struct config_node *old, const struct config_node *new_node) {
    return !is_same_text(old->shell_line, new_node->shell_line) ||
           !is_same_list(&old->environment, &new_node->environment) ||
           !has_same_rights(old, new_node) || !is_same_text(old->directory, new_node->directory) ||
           ready_fd(old) != ready_fd(new_node) || old->log != new_node->log ||
           !is_same_text(old->log_path, new_node->log_path) ||
           old->watchdog.limit_ns != new_node->watchdog.limit_ns;
}

static bool is_same_watch(struct config_watch a, struct config_watch b) {
    return a.limit_ns == b.limit_ns && a.action == b.action;
}

static bool is_same_policy(const struct policy_settings *a, const struct policy_settings *b) {
    return a->restart == b->restart && a->delay_ns == b->delay_ns &&
           a->delay_max_ns == b->delay_max_ns && a->burst_starts == b->burst_starts &&
           a->burst_interval_ns == b->burst_interval_ns &&
           a->ready_timeout_ns == b->ready_timeout_ns && a->stop_timeout_ns == b->stop_timeout_ns;
}

bool config_node_applies_same(const struct config_node *old, const struct config_node *new_node) {
    return old->kind == new_node->kind && old->is_started == new_node->is_started &&
           is_same_list(&old->reads, &new_node->reads) &&
           is_same_list(&old->writes, &new_node->writes) && old->ready == new_node->ready &&
           old->stop_signal == new_node->stop_signal &&
           is_same_policy(&old->policy, &new_node->policy) &&
           is_same_watch(old->hold, new_node->hold) && is_same_watch(old->stall, new_node->stall) &&
           old->watchdog.action == new_node->watchdog.action;
}
