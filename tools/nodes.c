/* shmframe status, start, stop, restart, reload, upgrade: the supervisor's nodes. */
#include "duration.h"
#include "event_text.h"
#include "gather_words.h"
#include "report.h"
#include "table.h"
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

enum { LOOK_MS = 50 };

static struct {
    const char *format;
    bool is_all;
    bool is_not_waiting;
    int64_t timeout_ns;
} settings = {.format = "text", .timeout_ns = INT64_C(30000000000)};

static struct gather *look(struct shmframe_session *session) {
    struct gather *gather = gather_open(session);
    if (gather_update(gather, NULL, shmframe_deadline_ns(GATHER_ANSWER_NS)) < 0)
        program_fail_call("the nodes cannot be listed");
    return gather;
}

static const struct gather_node *find_node(const struct gather *gather, const char *name) {
    for (uint32_t i = 0; i < gather->nodes; i++)
        if (strcmp(gather->node[i].info.name, name) == 0)
            return &gather->node[i];
    return NULL;
}

static const struct gather_node *need_node(const struct gather *gather, const char *name) {
    const struct gather_node *node = find_node(gather, name);
    if (!node && gather->nodes == 0)
        program_fail("there is no node %s: the supervisor runs without a pipeline file", name);
    if (!node)
        program_fail("there is no node %s; \"shmframe status\" lists those that there are", name);
    return node;
}

/* ---- status ---- */

static const struct option_spec status_options[] = {
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "text or json"},
    {0},
};

static const struct program status_program = {
    .name = "shmframe status",
    .purpose = "Lists the supervisor's nodes, or those named.",
    .operands = "[NODE...]",
    .options = status_options,
};

static void add_duration(struct table *table, bool is_known, int64_t duration_ns) {
    char text[DURATION_BYTES];
    duration_format(duration_ns > 0 ? duration_ns : 0, text);
    table_add(table, "%s", is_known ? text : "-");
}

static void add_row(struct table *table, const struct gather *gather,
                    const struct gather_node *node) {
    const struct shmframe_node_info *info = &node->info;
    table_add(table, "%s", info->name);
    table_add(table, "%s", info->kind);
    table_add(table, "%s", info->state);
    add_duration(table, info->since_ns != 0, gather->time_ns - info->since_ns);
    if (info->pid)
        table_add(table, "%" PRId32, info->pid);
    else
        table_add(table, "-");
    table_add(table, "%" PRIu32, info->starts);
    table_add(table, "%" PRIu32, info->restarts);
    if (node->process && node->process->is_known)
        table_add(table, "%.1f MiB", (double)node->process->private_bytes / (1024 * 1024));
    else
        table_add(table, "-");
    table_add(table, "%s", *info->reason ? info->reason : "-");
}

static bool is_named(const char *name, char *const *names) {
    bool is_found = *names == NULL;
    for (; *names; names++)
        is_found |= strcmp(*names, name) == 0;
    return is_found;
}

static void print_table(const struct gather *gather, char *const *names) {
    static const char *const titles[] = {"NODE",    "KIND",      "STATE",   ">FOR",   ">PID",
                                         ">STARTS", ">RESTARTS", ">MEMORY", "REASON", NULL};
    struct table table;
    table_init(&table, titles);
    for (uint32_t i = 0; i < gather->nodes; i++)
        if (is_named(gather->node[i].info.name, names))
            add_row(&table, gather, &gather->node[i]);
    table_print(&table, stdout);
    table_finish(&table);
}

static void print_json(const struct gather *gather, char *const *names) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < gather->nodes; i++)
        if (is_named(gather->node[i].info.name, names))
            json_array_append_new(list, gather_make_node_json(gather, &gather->node[i]));
    report_print_json(json_pack("{s:o}", "nodes", list));
}

int tool_status(int argc, char **argv) {
    char **names = argv + program_start(&status_program, argc, argv);
    const enum report_format format = report_format_parse(settings.format);
    struct shmframe_session *session = program_open_session();
    struct gather *gather = look(session);
    for (char **name = names; *name; name++)
        need_node(gather, *name);
    if (format == REPORT_JSON)
        print_json(gather, names);
    else if (gather->nodes == 0)
        program_warn("the supervisor runs without a pipeline file: it has no nodes");
    else
        print_table(gather, names);
    report_flush();
    gather_close(gather);
    program_close_session(session);
    return EXIT_DONE;
}

/* ---- commands ---- */

static const struct option_spec node_options[] = {
    {.name = "all", .kind = OPTION_FLAG, .out = &settings.is_all, .help = "all nodes"},
    {.name = "no-wait",
     .kind = OPTION_FLAG,
     .out = &settings.is_not_waiting,
     .help = "do not wait until it is so"},
    {.name = "timeout",
     .kind = OPTION_POSITIVE_DURATION,
     .out = &settings.timeout_ns,
     .argument = "TIME",
     .help = "how long to wait for it (30s)"},
    {0},
};

/* The lines that the supervisor has to say go where errors go: they tell of mistakes. */
static void print_line(void *user, const char *text) {
    (void)user;
    fprintf(stderr, "%s\n", text);
}

static void command(struct shmframe_session *session, const char *verb, const char *node) {
    const int code = shmframe_session_command(
        session, verb, node, shmframe_deadline_ns(settings.timeout_ns), print_line, NULL);
    if (code < 0)
        program_fail("%s%s%s", node ? node : "", node ? ": " : "", shmframe_last_error());
}

enum progress { UNDER_WAY, DONE, FAILED };

static enum progress judge(const char *verb, const struct shmframe_node_info *now,
                           const struct shmframe_node_info *before) {
    const bool is_stopped = strcmp(now->state, "stopped") == 0;
    const bool is_running = strcmp(now->state, "running") == 0;
    const bool has_failed = strcmp(now->state, "failed") == 0;
    if (strcmp(verb, "stop") == 0)
        return is_stopped || has_failed ? DONE : UNDER_WAY;
    const bool was_running = strcmp(before->state, "running") == 0;
    const bool is_started =
        now->starts > before->starts || (strcmp(verb, "start") == 0 && was_running);
    if (has_failed)
        return is_started || now->since_ns > before->since_ns ? FAILED : UNDER_WAY;
    /* One that has nothing more to do ends well. */
    return is_started && (is_running || is_stopped) ? DONE : UNDER_WAY;
}

static void fail_late(const struct shmframe_node_info *info) {
    char text[DURATION_BYTES];
    duration_format(settings.timeout_ns, text);
    program_fail("%s: after %s it is %s%s%s", info->name, text, info->state,
                 *info->reason ? ": " : "", info->reason);
}

static void await(struct gather *gather, const char *verb,
                  const struct shmframe_node_info *before) {
    const int64_t deadline_ns = shmframe_deadline_ns(settings.timeout_ns);
    struct shmframe_node_info last = *before;
    while (!program_is_stopping()) {
        const int64_t answer_ns = shmframe_deadline_ns(GATHER_ANSWER_NS);
        const int code = gather_update(gather, NULL, answer_ns);
        const struct gather_node *node = code == 0 ? find_node(gather, before->name) : NULL;
        if (code == 0 && !node)
            program_fail("%s: there is no such node any more", before->name);
        if (node)
            last = node->info;
        const enum progress progress = node ? judge(verb, &last, before) : UNDER_WAY;
        if (progress == FAILED)
            program_fail("%s: it has failed: %s", last.name, last.reason);
        if (progress == DONE)
            return;
        if (shmframe_now_ns() >= deadline_ns)
            fail_late(&last);
        struct pollfd stop = {.fd = program_stop_fd(), .events = POLLIN};
        poll(&stop, 1, LOOK_MS);
    }
    program_fail("%s: not waited for any more; it is %s", before->name, last.state);
}

/* A restart of all leaves those alone that are stopped. */
static bool is_concerned(const char *verb, const struct shmframe_node_info *before,
                         char *const *names) {
    if (*names == NULL && strcmp(verb, "restart") == 0 && strcmp(before->state, "stopped") == 0)
        return false;
    return is_named(before->name, names);
}

/* All are told first, so that they begin together. */
static int act_on_nodes(const struct program *program, const char *verb, int argc, char **argv) {
    char **names = argv + program_start(program, argc, argv);
    if (settings.is_all == (*names != NULL))
        program_fail_usage(settings.is_all ? "--all goes without a node's name"
                                           : "a node is to be named, or --all");
    struct shmframe_session *session = program_open_session();
    struct gather *before = look(session);
    for (char **name = names; *name; name++)
        need_node(before, *name);
    program_stop_on_signals(session);
    if (settings.is_all)
        command(session, verb, NULL);
    for (char **name = names; *name; name++)
        command(session, verb, *name);
    struct gather *now = gather_open(session);
    for (uint32_t i = 0; i < before->nodes && !settings.is_not_waiting; i++)
        if (is_concerned(verb, &before->node[i].info, names))
            await(now, verb, &before->node[i].info);
    gather_close(now);
    gather_close(before);
    program_close_session(session);
    return EXIT_DONE;
}

int tool_start(int argc, char **argv) {
    static const struct program program = {
        .name = "shmframe start",
        .purpose = "Starts nodes, and waits until they run.",
        .operands = "NODE...",
        .options = node_options,
    };
    return act_on_nodes(&program, "start", argc, argv);
}

int tool_stop(int argc, char **argv) {
    static const struct program program = {
        .name = "shmframe stop",
        .purpose = "Stops nodes, and waits until they have ended.",
        .operands = "NODE...",
        .options = node_options,
    };
    return act_on_nodes(&program, "stop", argc, argv);
}

int tool_restart(int argc, char **argv) {
    static const struct program program = {
        .name = "shmframe restart",
        .purpose = "Stops nodes, starts them again, and waits until they run.",
        .operands = "NODE...",
        .options = node_options,
    };
    return act_on_nodes(&program, "restart", argc, argv);
}

/* ---- the supervisor itself ---- */

/* Whoever is told that it is done finds a supervisor that answers. */
static void await_answer(struct shmframe_session *session) {
    struct gather *gather = gather_open(session);
    const int64_t deadline_ns = shmframe_deadline_ns(settings.timeout_ns);
    while (gather_update(gather, NULL, deadline_ns) < 0)
        if (program_is_stopping() || shmframe_now_ns() >= deadline_ns)
            program_fail("the supervisor does not answer any more: %s", shmframe_last_error());
    gather_close(gather);
}

enum { EVENTS_AT_ONCE = 64 };

static uint64_t find_newest_event(struct shmframe_session *session) {
    struct shmframe_event event[EVENTS_AT_ONCE];
    uint64_t newest = 0;
    int count;
    while ((count = shmframe_session_events(session, newest, SHMFRAME_NOW, event, EVENTS_AT_ONCE)) >
           0)
        newest = event[count - 1].id;
    return newest;
}

/* What has begun shows in the journal: the new program's first word, or that it cannot be run. */
static void await_upgrade(struct shmframe_session *session, uint64_t newest) {
    const int64_t deadline_ns = shmframe_deadline_ns(settings.timeout_ns);
    struct shmframe_event event;
    for (;;) {
        const int count = shmframe_session_events(session, newest, deadline_ns, &event, 1);
        if (program_is_stopping() || (count < 0 && shmframe_now_ns() >= deadline_ns))
            program_fail("what became of it is not known: %s", shmframe_last_error());
        if (count < 0)
            continue;
        newest = event.id;
        if (event.type != SHMFRAME_JOURNAL_SUPERVISOR)
            continue;
        if (strcmp(event.text, "was upgraded") != 0)
            program_fail("the supervisor %s", event.text);
        char text[EVENT_TEXT_BYTES];
        event_describe(&event, text);
        puts(text);
        report_flush();
        return;
    }
}

static int act_on_supervisor(const struct program *program, const char *verb, int argc,
                             char **argv) {
    if (program_start(program, argc, argv) < argc)
        program_fail_usage("no operand is taken");
    struct shmframe_session *session = program_open_session();
    program_stop_on_signals(session);
    const bool is_upgrade = strcmp(verb, "upgrade") == 0;
    const uint64_t newest = is_upgrade ? find_newest_event(session) : 0;
    command(session, verb, NULL);
    if (is_upgrade)
        await_upgrade(session, newest);
    await_answer(session);
    program_close_session(session);
    return EXIT_DONE;
}

static const struct option_spec supervisor_options[] = {
    {.name = "timeout",
     .kind = OPTION_POSITIVE_DURATION,
     .out = &settings.timeout_ns,
     .argument = "TIME",
     .help = "how long to wait for the answer (30s)"},
    {0},
};

int tool_reload(int argc, char **argv) {
    static const struct program program = {
        .name = "shmframe reload",
        .purpose = "Has the supervisor read its pipeline file again, and apply what has changed.",
        .options = supervisor_options,
    };
    return act_on_supervisor(&program, "reload", argc, argv);
}

int tool_upgrade(int argc, char **argv) {
    static const struct program program = {
        .name = "shmframe upgrade",
        .purpose = "Has the supervisor become the program that is installed now.",
        .notes = "Streams and nodes go on meanwhile.",
        .options = supervisor_options,
    };
    return act_on_supervisor(&program, "upgrade", argc, argv);
}
