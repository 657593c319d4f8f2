#include "node.h"

#include "journal.h"
#include "pipeline.h"
#include "server.h"
#include "store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define HANG_TOLD_NS INT64_C(1000000000)

/* ---- plans ---- */

static struct plan *refer_to(struct plan *plan) {
    plan->references++;
    return plan;
}

void plan_release(struct plan *plan) {
    if (!plan || --plan->references > 0)
        return;
    config_destroy(&plan->config);
    free(plan->text);
    free(plan);
}

/* ---- what is told of it ---- */

/* What is too long ends after a word. */
static void put_words(char *out, size_t size, const char *text, va_list values) {
    static const char more[] = " ...";
    const int length = vsnprintf(out, size, text, values);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    if (length < 0 || (size_t)length < size)
        return;
    out[size - sizeof(more) + 1] = '\0';
    char *end = strrchr(out, ' ');
    strcpy(end ? end : out + size - sizeof(more), more);
}

void node_set_reason(struct node *node, const char *text, ...) {
    va_list values;
    va_start(values, text);
    put_words(node->next_reason, sizeof(node->next_reason), text, values);
    va_end(values);
}

void node_tell(struct node *node, const char *text, ...) {
    struct shmframe_event event = {.type = SHMFRAME_JOURNAL_NODE,
                                   .pid = node->has_ended ? 0 : (int32_t)node->pid};
    message_put_text(event.name, sizeof(event.name), node->name);
    va_list values;
    va_start(values, text);
    put_words(event.text, sizeof(event.text), text, values);
    va_end(values);
    journal_add(node->server, &event);
}

static void tell_state(struct node *node) {
    const char *state = policy_state_name(node->policy.state);
    if (node->reason[0])
        node_tell(node, "%s: %s", state, node->reason);
    else
        node_tell(node, "%s", state);
}

void node_fill_info(const struct node *node, struct shmframe_node_info *out_info) {
    const struct policy *policy = &node->policy;
    message_put_text(out_info->name, sizeof(out_info->name), node->name);
    message_put_text(out_info->kind, sizeof(out_info->kind), config_kind_name(node->config->kind));
    message_put_text(out_info->state, sizeof(out_info->state), policy_state_name(policy->state));
    out_info->pid = node->has_ended ? 0 : (int32_t)node->pid;
    out_info->starts = node->starts;
    out_info->restarts = (uint32_t)policy->restarts;
    out_info->exit_status = node->exit_status;
    out_info->since_ns = policy->since_ns;
    out_info->next_ns = policy->state == NODE_BACKOFF ? policy->deadline_ns : 0;
    const bool is_told = policy->state == NODE_RUNNING && node->status[0];
    message_put_text(out_info->reason, sizeof(out_info->reason),
                     is_told ? node->status : node->reason);
}

/* ---- life ---- */

struct node *node_create(struct server *server, struct plan *plan,
                         const struct config_node *config) {
    struct node *node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    *node = (struct node){.server = server,
                          .plan = refer_to(plan),
                          .config = config,
                          .exit_status = INT32_MIN,
                          .pidfd = -1,
                          .birth = {.report_fd = -1, .ready_fd = -1, .go_fd = -1},
                          .watchdog_ns = INT64_MAX,
                          .look_ns = INT64_MAX};
    message_put_text(node->name, sizeof(node->name), config->name);
    policy_init(&node->policy, &config->policy);
    return node;
}

static void end_report(struct node_birth *birth) {
    birth->report_source = sd_event_source_disable_unref(birth->report_source);
    if (birth->report_fd >= 0)
        close(birth->report_fd);
    birth->report_fd = -1;
}

static void end_ready(struct node_birth *birth) {
    birth->ready_source = sd_event_source_disable_unref(birth->ready_source);
    if (birth->ready_fd >= 0)
        close(birth->ready_fd);
    birth->ready_fd = -1;
}

static void end_go(struct node_birth *birth) {
    if (birth->go_fd >= 0)
        close(birth->go_fd);
    birth->go_fd = -1;
}

void node_drop_process(struct node *node) {
    end_report(&node->birth);
    end_ready(&node->birth);
    end_go(&node->birth);
    node->source = sd_event_source_disable_unref(node->source);
    if (node->pidfd >= 0)
        close(node->pidfd);
    node->pidfd = -1;
    node->watchdog_ns = INT64_MAX;
    node->status[0] = '\0';
}

void node_destroy(struct node *node) {
    node_drop_process(node);
    plan_release(node->plan);
    plan_release(node->next_plan);
    free(node);
}

void node_take_next_config(struct node *node) {
    if (!node->next_plan)
        return;
    plan_release(node->plan);
    node->plan = node->next_plan;
    node->config = node->next_config;
    node->next_plan = NULL;
    node->policy.settings = node->config->policy;
}

void node_set_config(struct node *node, struct plan *plan, const struct config_node *config) {
    const bool is_later =
        policy_has_process(&node->policy) && config_node_needs_restart(node->config, config);
    plan_release(node->next_plan);
    node->next_plan = refer_to(plan);
    node->next_config = config;
    if (!is_later)
        node_take_next_config(node);
}

bool node_is_active(const struct node *node) {
    return node->policy.state != NODE_STOPPED && node->policy.state != NODE_FAILED;
}

/* ---- birth ---- */

static void check_program(struct node *node) {
    char reason[sizeof(node->birth_error)];
    if (!node_read_birth(node, reason, sizeof(reason)))
        return;
    end_report(&node->birth);
    if (reason[0]) {
        message_put_text(node->birth_error, sizeof(node->birth_error), reason);
    } else if (node->config->ready == CONFIG_READY_NONE) {
        node_set_reason(node, "started");
        node_handle(node, NODE_READY);
    }
}

static void check_ready(struct node *node) {
    char text[64];
    const ssize_t length =
        node->birth.ready_fd < 0 ? -1 : read(node->birth.ready_fd, text, sizeof(text));
    if (length < 0)
        return;
    if (length > 0 && !memchr(text, '\n', (size_t)length))
        return;
    end_ready(&node->birth);
    if (length == 0) {
        node_tell(node, "closed its ready descriptor without a line");
        return;
    }
    node_set_reason(node, "said that it is ready");
    node_handle(node, NODE_READY);
}

void node_check_birth(struct node *node) {
    check_program(node);
    check_ready(node);
}

static int on_report(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)source, (void)fd, (void)events;
    node_check_birth(user);
    return 0;
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)source, (void)fd, (void)events;
    check_ready(user);
    return 0;
}

int node_listen_to_birth(struct node *node) {
    struct node_birth *birth = &node->birth;
    sd_event *event = node->server->event;
    int code = 0;
    if (birth->report_fd >= 0)
        code = sd_event_add_io(event, &birth->report_source, birth->report_fd, EPOLLIN, on_report,
                               node);
    if (code >= 0 && birth->ready_fd >= 0)
        code =
            sd_event_add_io(event, &birth->ready_source, birth->ready_fd, EPOLLIN, on_ready, node);
    return code < 0 ? code : 0;
}

void node_let_go(struct node *node) {
    if (node->birth.go_fd >= 0 && write(node->birth.go_fd, "", 1) < 0)
        pidfd_send_signal(node->pidfd, SIGKILL, NULL, 0); /* it is gone, or would wait for ever */
    end_go(&node->birth);
}

static void spawn(struct node *node) {
    node->birth_error[0] = '\0';
    node->asked_signal = 0;
    node->asked_ticks = 0;
    node->has_ended = node->is_clearing = node->is_hang_told = false;
    node->starts++;
    int code = node_spawn(node);
    if (code == 0)
        code = node_listen_to_birth(node);
    if (code == 0) {
        store_put_node(node->name, node->pidfd);
        return;
    }
    if (node->pid) {
        /* Its end is told like any other. */
        pidfd_send_signal(node->pidfd, SIGKILL, NULL, 0);
        return;
    }
    node_drop_process(node);
    node_set_reason(node, "no process could be made: %s", strerror(-code));
    node_handle(node, NODE_SPAWN_FAILED);
}

/* ---- signals ---- */

void node_signal(struct node *node, int signal_number) {
    if (!node->pid)
        return;
    if (!node->has_ended) {
        /* Its number is its own until it is reaped, and its group's as long as that exists. */
        if (node->is_child || pidfd_send_signal(node->pidfd, 0, NULL, 0) == 0)
            kill(-node->pid, signal_number);
        pidfd_send_signal(node->pidfd, SIGCONT, NULL, 0);
    }
    node_signal_family(node, signal_number, node->has_ended ? FAMILY_ALL : FAMILY_OUTSIDE_GROUP);
}

static void ask_to_end(struct node *node) {
    if (node->has_ended)
        return; /* the rest was asked already */
    node->asked_signal = node->config->stop_signal;
    const uint64_t ticks = family_now();
    node_signal(node, node->asked_signal);
    node->asked_ticks = ticks;
}

static void kill_all(struct node *node) {
    node->asked_signal = SIGKILL;
    node_signal(node, SIGKILL);
    node->clear_ns = 0;
}

/* ---- what the policy decides ---- */

static void enter_state(struct node *node, enum node_state before) {
    struct server *server = node->server;
    if (node->policy.state == NODE_RUNNING && node->config->watchdog.limit_ns > 0)
        node->watchdog_ns = shmframe_now_ns() + node->config->watchdog.limit_ns;
    if (node->policy.state == NODE_STOPPED)
        node->must_stop = false;
    if (before != node->policy.state) {
        if (node->next_reason[0])
            memcpy(node->reason, node->next_reason, sizeof(node->reason));
        tell_state(node);
    }
    pipeline_note_change(server);
}

static void tell_given_up(struct node *node) {
    const struct policy_settings *settings = &node->policy.settings;
    char why[sizeof(node->reason)];
    if (settings->restart == POLICY_RESTART_NO)
        return;
    memcpy(why, node->reason, sizeof(why));
    node_set_reason(node,
                    "given up: one more start would be more than %u within %.3g s; shmframe start "
                    "%s; the last time: %s",
                    settings->burst_starts, (double)settings->burst_interval_ns * 1e-9, node->name,
                    why);
    memcpy(node->reason, node->next_reason, sizeof(node->reason));
    node->next_reason[0] = '\0';
    node_tell(node, "%s", node->reason);
}

void node_handle(struct node *node, enum node_event event) {
    const enum node_state before = node->policy.state;
    const enum policy_action action = policy_handle(&node->policy, event, shmframe_now_ns());
    if (action != POLICY_NONE || before != node->policy.state)
        enter_state(node, before);
    node->next_reason[0] = '\0';
    switch (action) {
    case POLICY_NONE:
    case POLICY_AWAIT: /* the pipeline looks after every event */
        break;
    case POLICY_GIVE_UP:
        tell_given_up(node);
        break;
    case POLICY_SPAWN:
        spawn(node);
        break;
    case POLICY_SIGNAL:
        ask_to_end(node);
        break;
    case POLICY_KILL:
        kill_all(node);
        break;
    }
}

/* ---- time ---- */

static void hang(struct node *node) {
    const int64_t limit_ns = node->config->watchdog.limit_ns;
    const int64_t now_ns = shmframe_now_ns();
    const bool is_said = node->is_hang_said;
    node->watchdog_ns = INT64_MAX;
    node->is_hang_said = false;
    if (node->config->watchdog.action == CONFIG_RESTART) {
        if (is_said)
            node_set_reason(node, "said that it hangs");
        else
            node_set_reason(node, "did not say for %.3g s that it lives", (double)limit_ns * 1e-9);
        node_handle(node, NODE_HANG);
    } else if (!node->is_hang_told && now_ns - node->hang_told_ns >= HANG_TOLD_NS) {
        node->is_hang_told = true;
        node->hang_told_ns = now_ns;
        if (is_said)
            node_tell(node, "said that it hangs");
        else
            node_tell(node, "has not said for %.3g s that it lives", (double)limit_ns * 1e-9);
    }
}

static void take_time_out(struct node *node) {
    const double ready_s = (double)node->policy.settings.ready_timeout_ns * 1e-9;
    switch (node->policy.state) {
    case NODE_STARTING:
        node_set_reason(node, "was not ready within %.3g s", ready_s);
        break;
    case NODE_BACKOFF:
        node_set_reason(node, "starts again");
        break;
    case NODE_STOPPING:
    case NODE_STOPPED:
    case NODE_WAITING:
    case NODE_RUNNING:
    case NODE_KILLING:
    case NODE_FAILED:
    case NODE_STATES:
        break;
    }
    node_handle(node, NODE_TIME_OUT);
}

void node_tick(struct node *node, int64_t now_ns) {
    if (now_ns >= policy_deadline_ns(&node->policy))
        take_time_out(node);
    if (node->has_ended && now_ns >= node->look_ns)
        node_clear(node, now_ns);
    else if (node->is_end_awaited && now_ns >= node->look_ns)
        node_take_adopted_end(node, true);
    if (node->policy.state == NODE_RUNNING && !node->has_ended && now_ns >= node->watchdog_ns)
        hang(node);
}

int64_t node_deadline_ns(const struct node *node) {
    int64_t deadline_ns = policy_deadline_ns(&node->policy);
    if ((node->has_ended || node->is_end_awaited) && node->look_ns < deadline_ns)
        deadline_ns = node->look_ns;
    if (node->policy.state == NODE_RUNNING && !node->has_ended && node->watchdog_ns < deadline_ns)
        deadline_ns = node->watchdog_ns;
    return deadline_ns;
}
