#include "config_check.h"
#include "config_value.h"
#include "near.h"

#include <stdlib.h>
#include <string.h>

static void add_stream(struct config *config, const struct config_node *node, const char *name,
                       struct config_problems *problems) {
    if (config_find_stream(config, name))
        return;
    if (config->streams == CONFIG_STREAMS_MAX) {
        config_problem_add(problems, node->line, "expected at most %d streams", CONFIG_STREAMS_MAX);
        return;
    }
    if (!config_grow((void **)&config->stream, config->streams, sizeof(*config->stream), problems))
        return;
    config->stream[config->streams] = (struct config_stream){
        .name = strdup(name),
        .hold = {.limit_ns = CONFIG_LIMIT_UNSET},
        .stall = {.limit_ns = CONFIG_LIMIT_UNSET},
    };
    if (config->stream[config->streams].name)
        config->streams++;
    else
        problems->is_out_of_memory = true;
}

static void check_reads(const struct config *config, const struct config_node *node,
                        struct config_problems *problems) {
    for (size_t i = 0; i < node->reads.count && !problems->is_cut; i++) {
        const char *name = node->reads.text[i];
        struct near near = {.wanted = name};
        if (config_find_stream(config, name))
            continue;
        for (size_t k = 0; k < config->streams; k++)
            near_offer(&near, config->stream[k].name);
        config_problem_add(problems, node->reads.line[i],
                           "\"%s\" reads \"%s\", which no node writes: expected it in a node's "
                           "\"writes\", or a section [stream %s] if another program writes it%s",
                           node->name, name, name, near_text(&near));
    }
}

static void check_writes(const struct config *config, const struct config_node *node,
                         struct config_problems *problems) {
    for (size_t i = 0; i < node->writes.count && !problems->is_cut; i++) {
        const struct config_node *first = config_find_writer(config, node->writes.text[i]);
        if (first != node)
            config_problem_add(problems, node->writes.line[i],
                               "\"%s\" writes \"%s\": expected one writer; \"%s\" in line %u "
                               "writes it already",
                               node->name, node->writes.text[i], first->name, first->line);
    }
}

/* The order of starts. */

enum visit { UNSEEN = 0, OPEN, SEEN };
struct order {
    struct config *config;
    struct config_problems *problems;
    enum visit *visit;
    size_t *via; /* of an open node: which of its reads is being followed */
    size_t placed;
};

/* A writer of what the node reads, from its `via` on, that is not in the order yet. */
static struct config_node *next_writer(struct order *order, const struct config_node *node) {
    size_t *via = &order->via[node - order->config->node];
    for (; *via < node->reads.count; ++*via) {
        struct config_node *writer = config_find_writer(order->config, node->reads.text[*via]);
        if (writer && order->visit[writer - order->config->node] != SEEN)
            return writer;
    }
    return NULL;
}

/* `path` ends where it came to a node that it had passed. */
static void tell_cycle(const struct order *order, const size_t *path, size_t length, size_t again) {
    const struct config_node *nodes = order->config->node;
    char *text = NULL;
    size_t bytes = 0, at = length;
    FILE *file = open_memstream(&text, &bytes);
    if (!file) {
        order->problems->is_out_of_memory = true;
        return;
    }
    while (at > 0 && path[at - 1] != again)
        at--;
    for (size_t i = at - 1; i < length; i++) {
        const struct config_node *node = &nodes[path[i]];
        const char *stream = node->reads.text[order->via[path[i]]];
        if (i == at - 1)
            fprintf(file, "\"%s\"", node->name);
        fprintf(file, "%s reads \"%s\" of \"%s\"", i == at - 1 ? "" : ", which", stream,
                config_find_writer(order->config, stream)->name);
    }
    if (fclose(file) != 0)
        order->problems->is_out_of_memory = true;
    else
        config_problem_add(order->problems, nodes[again].line,
                           "expected no circle, in which nobody can start first: %.500s", text);
    free(text);
}

/* Places a node behind the writers of what it reads. Without recursion: a file may be long. */
static void place(struct order *order, size_t first, size_t *path) {
    struct config *config = order->config;
    size_t length = 0;
    path[length++] = first;
    order->visit[first] = OPEN;
    while (length > 0) {
        const size_t node = path[length - 1];
        struct config_node *writer = next_writer(order, &config->node[node]);
        const size_t next = writer ? (size_t)(writer - config->node) : 0;
        if (!writer) {
            order->visit[node] = SEEN;
            config->start_order[order->placed++] = node;
            length--;
        } else if (order->visit[next] == OPEN) {
            tell_cycle(order, path, length, next);
            order->via[node]++;
        } else {
            order->visit[next] = OPEN;
            path[length++] = next;
        }
    }
}

static void find_order(struct config *config, struct config_problems *problems) {
    struct order order = {.config = config, .problems = problems};
    const size_t room = config->nodes + 1;
    size_t *path = calloc(room, sizeof(*path));
    order.visit = calloc(room, sizeof(*order.visit));
    order.via = calloc(room, sizeof(*order.via));
    config->start_order = calloc(room, sizeof(*config->start_order));
    if (!path || !order.visit || !order.via || !config->start_order)
        problems->is_out_of_memory = true;
    else
        for (size_t i = 0; i < config->nodes; i++)
            if (order.visit[i] == UNSEEN)
                place(&order, i, path);
    free(path);
    free(order.visit);
    free(order.via);
}

void config_check(struct config *config, struct config_problems *problems) {
    for (size_t i = 0; i < config->nodes; i++) {
        const struct config_node *node = &config->node[i];
        check_writes(config, node, problems);
        for (size_t k = 0; k < node->writes.count; k++)
            add_stream(config, node, node->writes.text[k], problems);
    }
    for (size_t i = 0; i < config->nodes; i++)
        check_reads(config, &config->node[i], problems);
    if (!problems->is_cut)
        find_order(config, problems);
}
