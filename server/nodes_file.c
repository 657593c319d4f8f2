/* What a new supervisor needs to know of the nodes, in two files beside the socket: PATH.config,
 * the pipeline file as it was read, and
 *
 *   shmframe-nodes 2 BOOT_ID FILE
 *   NAME STATE PID START_TIME ASKED_SIGNAL EXIT_STATUS END_CODE END_STATUS STARTS MUST_STOP
 *   IS_RESUMED SEQUEL SINCE DEADLINE SPAWNED RESTARTS FAILURES START,START,... REASON
 *                                       (one line; PID 0: none; END_CODE 0: it was not seen to end)
 *
 * Times are CLOCK_MONOTONIC, which says nothing after the machine was started again. */
#include "pipeline.h"

#include "log.h"
#include "server.h"
#include "state_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct head {
    char boot_id[STATE_FILE_BOOT_BYTES];
    char path[4096];
};

/* "PATH.nodes" in the listener's folder. */
static void make_name(const struct server *server, const char *kind, char *out, size_t out_bytes) {
    const char *path = server->listener.path;
    const char *slash = strrchr(path, '/');
    snprintf(out, out_bytes, "%s.%s", slash ? slash + 1 : path, kind);
}

/* ---- saving ---- */

static void write_node(FILE *file, const struct node *node) {
    const struct policy *policy = &node->policy;
    fprintf(file, "%s %d %d %" PRIu64 " %d %" PRId32 " %d %d", node->name, (int)policy->state,
            (int)node->pid, node->start_time, node->asked_signal, node->exit_status,
            node->has_ended ? node->end.si_code : 0, node->has_ended ? node->end.si_status : 0);
    /* What the supervisor's own end asks for, nobody asked for. */
    fprintf(file, " %" PRIu32 " %d %d %d", node->starts, node->must_stop && !node->is_resumed,
            node->is_resumed, (int)policy->sequel);
    fprintf(file, " %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %u ", policy->since_ns,
            policy->deadline_ns, policy->spawned_ns, policy->restarts, policy->failures);
    for (unsigned i = 0; i < policy->starts; i++)
        fprintf(file, "%" PRId64 ",", policy->start_ns[i]);
    fprintf(file, "; %s\n", node->reason);
}

static int save(const struct server *server, const char *kind, const char *text, size_t bytes) {
    char name[STATE_FILE_NAME_BYTES];
    make_name(server, kind, name, sizeof(name));
    const int folder = server->listener.folder;
    const int code = state_file_write(folder, name, text, bytes);
    return code < 0 ? code : state_file_replace(folder, name);
}

static int save_nodes(const struct server *server) {
    char boot_id[STATE_FILE_BOOT_BYTES], *text = NULL;
    size_t bytes;
    state_file_read_boot(boot_id);
    FILE *file = open_memstream(&text, &bytes);
    if (file) {
        fprintf(file, "shmframe-nodes 2 %s %s\n", boot_id, server->pipeline.path);
        const struct node *node;
        TAILQ_FOREACH (node, &server->pipeline.nodes, all)
            write_node(file, node);
    }
    int code = state_file_finish_text(file, &text);
    if (code == 0)
        code = save(server, "nodes", text, bytes);
    free(text);
    return code;
}

static int save_config(const struct server *server) {
    const struct plan *plan = server->pipeline.plan;
    return save(server, "config", plan->text, plan->bytes);
}

/* The nodes' file comes last: with it the other counts. Both are never half a file. */
void nodes_save(struct server *server) {
    struct pipeline *pipeline = &server->pipeline;
    pipeline->is_changed = false;
    if (server->listener.folder < 0)
        return;
    int code = pipeline->saved_plan == pipeline->plan ? 0 : save_config(server);
    if (code == 0) {
        pipeline->saved_plan = pipeline->plan;
        code = save_nodes(server);
    }
    if (code < 0)
        log_trouble("event=nodes-not-saved reason=%s", log_quote(strerror(-code)).text);
}

void nodes_forget(struct server *server) {
    static const char *const kinds[] = {"nodes", "config", "notify"};
    for (unsigned i = 0; i < 3 && server->listener.folder >= 0; i++) {
        char name[STATE_FILE_NAME_BYTES];
        make_name(server, kinds[i], name, sizeof(name));
        unlinkat(server->listener.folder, name, 0);
    }
}

/* ---- loading ---- */

static char *read_file(const struct server *server, const char *kind, size_t *out_bytes) {
    char name[STATE_FILE_NAME_BYTES];
    make_name(server, kind, name, sizeof(name));
    return state_file_read(server->listener.folder, name, out_bytes);
}

static bool read_head(const char *line, struct head *out_head) {
    return sscanf(line, "shmframe-nodes 2 %39s %4095[^\n]", out_head->boot_id, out_head->path) == 2;
}

static bool read_starts(struct policy *policy, const char *text) {
    while (*text != ';') {
        char *end;
        const long long start_ns = strtoll(text, &end, 10);
        if (end == text || *end != ',' || policy->starts == POLICY_BURST_MAX)
            return false;
        policy->start_ns[policy->starts++] = start_ns;
        text = end + 1;
    }
    return true;
}

/* Makes the sections with mistakes empty lines: the machine has changed since, not the text. False:
 * there is none. */
static bool blank_sections(struct plan *plan, const struct config_problems *problems) {
    bool is_blank = false, is_other = false;
    unsigned number = 0;
    size_t section = 0; /* where it begins */
    for (size_t at = 0, end; at < plan->bytes; at = end) {
        const char *newline = memchr(plan->text + at, '\n', plan->bytes - at);
        end = newline ? (size_t)(newline - plan->text) + 1 : plan->bytes;
        number++;
        if (plan->text[at] == '[') {
            section = at;
            is_blank = false;
        }
        for (size_t i = 0; i < problems->count; i++)
            is_blank = is_blank || problems->problem[i].line == number;
        for (; is_blank && section < end; section++)
            if (plan->text[section] != '\n') {
                plan->text[section] = ' ';
                is_other = true;
            }
    }
    return is_other;
}

struct former {
    char name[SHMFRAME_NAME_BYTES];
    struct policy policy;
    int pid, asked_signal, end_code, end_status, must_stop, is_resumed;
    uint64_t start_time;
    int32_t exit_status;
    uint32_t starts;
    char reason[NODE_REASON_BYTES];
};

static bool read_line(const char *line, struct former *out) {
    *out = (struct former){0};
    struct policy *policy = &out->policy;
    int state, sequel, end = 0;
    if (sscanf(line,
               "%63s %d %d %" SCNu64 " %d %" SCNd32 " %d %d %" SCNu32 " %d %d %d %" SCNd64
               " %" SCNd64 " %" SCNd64 " %" SCNu64 " %u %n",
               out->name, &state, &out->pid, &out->start_time, &out->asked_signal,
               &out->exit_status, &out->end_code, &out->end_status, &out->starts, &out->must_stop,
               &out->is_resumed, &sequel, &policy->since_ns, &policy->deadline_ns,
               &policy->spawned_ns, &policy->restarts, &policy->failures, &end) != 17 ||
        end == 0 || state < 0 || state >= NODE_STATES || sequel < 0 ||
        sequel > POLICY_THEN_FAILURE || out->pid < 0 || out->end_code < 0 ||
        out->end_code > CLD_DUMPED)
        return false;
    policy->state = (enum node_state)state;
    policy->sequel = (enum policy_sequel)sequel;
    if (!read_starts(policy, line + end))
        return false;
    const char *reason = strchr(line + end, ';') + 1;
    snprintf(out->reason, sizeof(out->reason), "%s", reason + (*reason == ' '));
    return true;
}

/* Takes `text`. */
static struct plan *parse_plan(char *text, size_t bytes, const char *path) {
    struct plan *plan = calloc(1, sizeof(*plan));
    if (!plan) {
        free(text);
        return NULL;
    }
    *plan = (struct plan){.references = 1, .text = text, .bytes = bytes};
    while (text) {
        struct config_problems problems;
        const int code = config_parse(text, bytes, path, &plan->config, &problems);
        const bool is_other = code == -EINVAL && blank_sections(plan, &problems);
        config_problems_destroy(&problems);
        if (code == 0)
            return plan;
        if (!is_other)
            break;
    }
    plan_release(plan);
    return NULL;
}

/* For one that the text of the former file has no more, or says what does not hold any more: it is
 * ended, and started anew if today's file has it. NULL: no name of a node, or no memory. */
static struct plan *make_substitute(const char *name) {
    char *text;
    const int bytes = asprintf(&text, "[consumer %s]\ncommand = true\n", name);
    return bytes < 0 ? NULL : parse_plan(text, (size_t)bytes, "/");
}

static struct node *load_idle_node(struct server *server, struct plan *plan, const char *name) {
    const struct config_node *config = plan ? config_find_node(&plan->config, name) : NULL;
    struct plan *own = NULL;
    if (pipeline_find(server, name))
        return NULL;
    if (!config) {
        plan = own = make_substitute(name);
        config = own ? config_find_node(&own->config, name) : NULL;
    }
    struct node *node = config ? node_create(server, plan, config) : NULL;
    plan_release(own);
    return node;
}

static void load_process(struct node *node, const struct former *former) {
    siginfo_t end = {0};
    end.si_code = former->end_code;
    end.si_status = former->end_status;
    if (!policy_has_process(&node->policy))
        return;
    if (!former->end_code) {
        node_adopt(node, former->pid, former->start_time);
        return;
    }
    node->pid = former->pid;
    node->start_time = former->start_time;
    node_take_end(node, &end);
}

static void load_node(struct server *server, struct plan *plan, const struct former *former) {
    struct node *node = load_idle_node(server, plan, former->name);
    if (!node)
        return;
    TAILQ_INSERT_TAIL(&server->pipeline.nodes, node, all);
    node->policy = former->policy;
    node->policy.settings = node->config->policy;
    node->exit_status = former->exit_status;
    node->starts = former->starts;
    node->must_stop = former->must_stop;
    node->asked_signal = former->asked_signal;
    memcpy(node->reason, former->reason, sizeof(node->reason));
    load_process(node, former);
    if (former->is_resumed) {
        node_set_reason(node, "the supervisor was killed while it ended");
        node_handle(node, NODE_START);
    }
}

static void load_nodes(struct server *server, struct plan *plan, char *text) {
    char *rest = text;
    strsep(&rest, "\n"); /* the head */
    for (char *line; (line = strsep(&rest, "\n"));) {
        struct former former;
        if (read_line(line, &former))
            load_node(server, plan, &former);
    }
}

static struct plan *load_plan(const struct server *server, const char *path) {
    size_t bytes;
    char *text = read_file(server, "config", &bytes);
    return text ? parse_plan(text, bytes, path) : NULL;
}

void nodes_load(struct server *server) {
    char boot_id[STATE_FILE_BOOT_BYTES];
    struct head head;
    size_t bytes;
    if (server->listener.folder < 0)
        return;
    state_file_read_boot(boot_id);
    char *text = read_file(server, "nodes", &bytes);
    struct plan *plan = NULL;
    const bool is_known = text && read_head(text, &head) && strcmp(head.boot_id, boot_id) == 0;
    if (is_known)
        plan = load_plan(server, head.path);
    if (is_known && !plan)
        log_trouble(
            "event=nodes-not-adopted reason=\"PATH.config cannot be read: they are started anew\"");
    if (is_known)
        load_nodes(server, plan, text);
    plan_release(plan);
    free(text);
}
