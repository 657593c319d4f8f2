#include "config_key.h"
#include "config_value.h"
#include "near.h"
#include "shell_line.h"

#include <shmframe/format.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)

/* Kinds of sections, as bits; nodes in the order of enum config_kind. */
enum {
    PRODUCER = 1 << CONFIG_PRODUCER,
    CONSUMER = 1 << CONFIG_CONSUMER,
    FILTER = 1 << CONFIG_FILTER,
    STREAM = 1 << (CONFIG_FILTER + 1),
    NODE = PRODUCER | CONSUMER | FILTER,
    READS = CONSUMER | FILTER,
    WRITES = PRODUCER | FILTER,
};
static const struct {
    const char *name;
    unsigned kind;
} kinds[] = {
    {"producer", PRODUCER}, {"consumer", CONSUMER}, {"filter", FILTER}, {"stream", STREAM}};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct key {
    const char *name;
    unsigned kinds;
    bool is_list; /* it may be repeated, and each line of its value is one more */
    config_value_reader *read;
    size_t offset;
};

#define OF_NODE(field)   offsetof(struct config_node, field)
#define OF_STREAM(field) offsetof(struct config_stream, field)
static const struct key keys[] = {
    {"command", NODE, false, config_read_command, OF_NODE(command)},
    {"environment", NODE, true, config_read_variable, OF_NODE(environment)},
    {"user", NODE, false, config_read_user, 0},
    {"group", NODE, false, config_read_group, 0},
    {"directory", NODE, false, config_read_folder, OF_NODE(directory)},
    {"cpus", NODE, false, config_read_cpus, 0},
    {"scheduling", NODE, false, config_read_scheduling, 0},
    {"nice", NODE, false, config_read_nice, 0},
    {"limit", NODE, true, config_read_rlimits, 0},
    {"start", NODE, false, config_read_flag, OF_NODE(is_started)},
    {"reads", READS, true, config_read_streams, OF_NODE(reads)},
    {"writes", WRITES, true, config_read_streams, OF_NODE(writes)},
    {"ready", NODE, false, config_read_ready, 0},
    {"ready-timeout", NODE, false, config_read_limit, OF_NODE(policy.ready_timeout_ns)},
    {"restart", NODE, false, config_read_restart, OF_NODE(policy.restart)},
    {"restart-delay", NODE, false, config_read_duration, OF_NODE(policy.delay_ns)},
    {"restart-delay-max", NODE, false, config_read_duration, OF_NODE(policy.delay_max_ns)},
    {"restart-limit", NODE, false, config_read_burst, OF_NODE(policy)},
    {"stop-signal", NODE, false, config_read_signal, OF_NODE(stop_signal)},
    {"stop-timeout", NODE, false, config_read_duration, OF_NODE(policy.stop_timeout_ns)},
    {"log", NODE, false, config_read_log, 0},
    {"hold-limit", READS, false, config_read_limit, OF_NODE(hold.limit_ns)},
    {"on-hold", READS, false, config_read_hold_action, OF_NODE(hold.action)},
    {"stall-limit", WRITES, false, config_read_limit, OF_NODE(stall.limit_ns)},
    {"on-stall", WRITES, false, config_read_action, OF_NODE(stall.action)},
    {"watchdog", NODE, false, config_read_limit, OF_NODE(watchdog.limit_ns)},
    {"on-hang", NODE, false, config_read_action, OF_NODE(watchdog.action)},
    {"hold-limit", STREAM, false, config_read_limit, OF_STREAM(hold.limit_ns)},
    {"on-hold", STREAM, false, config_read_hold_action, OF_STREAM(hold.action)},
    {"stall-limit", STREAM, false, config_read_limit, OF_STREAM(stall.limit_ns)},
    {"on-stall", STREAM, false, config_read_action, OF_STREAM(stall.action)},
};
enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

/* One section while it is read. */
struct reading {
    const struct config_section *section;
    unsigned kind;
    void *object;        /* the node or stream */
    unsigned line[KEYS]; /* where each key stands; 0: nowhere */
    struct config_place place;
};

static const char *kind_name(unsigned kind) {
    for (unsigned i = 0; i < KINDS; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return "";
}

const char *config_kind_name(enum config_kind kind) {
    return kind_name(1U << kind);
}

/* Keys. */

static const struct key *find_key(const char *name, unsigned kinds_allowed) {
    for (unsigned i = 0; i < KEYS; i++)
        if ((keys[i].kinds & kinds_allowed) && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

/* The line of a key of this section; 0: it has none. */
static unsigned line_of(const struct reading *reading, const char *name) {
    return reading->line[find_key(name, reading->kind) - keys];
}

static void tell_unknown(const struct reading *reading, const struct config_entry *entry) {
    struct near near = {.wanted = entry->key};
    for (unsigned i = 0; i < KEYS; i++)
        if (keys[i].kinds & reading->kind)
            near_offer(&near, keys[i].name);
    const struct key *elsewhere = find_key(entry->key, NODE | STREAM);
    struct config_problems *problems = reading->place.problems;
    if (!elsewhere)
        config_problem_add(problems, entry->line, "expected a key of a %s, not \"%.100s\"%s",
                           kind_name(reading->kind), entry->key, near_text(&near));
    else if (reading->kind == STREAM)
        config_problem_add(problems, entry->line, "expected a key of a stream; \"%s\" is a node's",
                           entry->key);
    else
        config_problem_add(
            problems, entry->line, "a %s has no key \"%s\"; what %s streams is a %s or a filter",
            kind_name(reading->kind), entry->key, elsewhere->kinds & CONSUMER ? "reads" : "writes",
            elsewhere->kinds & CONSUMER ? "consumer" : "producer");
}

/* Whether a line that goes on with a value was meant to be a line of its own. */
static bool looks_like_own(const struct config_entry *entry) {
    char word[32];
    if (*entry->value == '[') {
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(entry->value + 1, " \t]"),
                 entry->value + 1);
        for (unsigned i = 0; i < KINDS; i++)
            if (strcmp(word, kinds[i].name) == 0)
                return true;
        return false;
    }
    const size_t length = strcspn(entry->value, " \t=");
    const char *behind = entry->value + length + strspn(entry->value + length, " \t");
    snprintf(word, sizeof(word), "%.*s", (int)length, entry->value);
    return *behind == '=' && find_key(word, NODE | STREAM);
}

/* Values. */

static const char *comment_hint(const char *text) {
    return strstr(text, " #") || strstr(text, " ;") ? "; a comment is a line of its own" : "";
}

static void read_value(struct reading *reading, const struct key *key, unsigned line,
                       const char *text) {
    void *out = (char *)reading->object + key->offset;
    reading->place.line = line;
    const char *expected = key->read(text, out, &reading->place);
    if (expected)
        config_problem_add(reading->place.problems, line, "%s: expected %s, not \"%.200s\"%s",
                           key->name, expected, text, comment_hint(text));
}

/* The lines of one value as one text. A backslash at a line's end, as a shell's lines have it, is
 * not needed and left out. */
static char *join(const struct config_entry *entry, size_t lines) {
    size_t bytes = 1;
    for (size_t i = 0; i < lines; i++)
        bytes += strlen(entry[i].value) + 1;
    char *text = malloc(bytes);
    char *at = text;
    for (size_t i = 0; text && i < lines; i++) {
        size_t length = strlen(entry[i].value);
        size_t slashes = 0;
        while (slashes < length && entry[i].value[length - 1 - slashes] == '\\')
            slashes++;
        if (i + 1 < lines && slashes % 2)
            length--;
        if (at > text && at[-1] != ' ')
            *at++ = ' ';
        at = mempcpy(at, entry[i].value, length);
    }
    if (text)
        *at = '\0';
    return text;
}

static void read_scalar(struct reading *reading, const struct key *key,
                        const struct config_entry *entry, size_t lines) {
    const unsigned before = reading->line[key - keys];
    if (before) {
        config_problem_add(reading->place.problems, entry->line,
                           "expected \"%s\" once; it is in line %u already", key->name, before);
        return;
    }
    char *text = join(entry, lines);
    if (text)
        read_value(reading, key, entry->line, text);
    else
        reading->place.problems->is_out_of_memory = true;
    free(text);
}

static void read_items(struct reading *reading, const struct key *key,
                       const struct config_entry *entry, size_t lines) {
    for (size_t i = 0; i < lines; i++)
        if (i > 0 || *entry->value || lines == 1)
            read_value(reading, key, entry[i].line, entry[i].value);
}

/* Tells of lines that were not meant to go on with the value. Returns how many are before them. */
static size_t check_lines(struct reading *reading, const struct config_entry *entry, size_t lines) {
    size_t good = lines;
    for (size_t i = lines; i-- > 1;)
        if (looks_like_own(&entry[i])) {
            config_problem_add(reading->place.problems, entry[i].line,
                               "expected no blank before \"%.100s\": so it goes on with the value "
                               "of \"%s\"",
                               entry[i].value, entry->key);
            good = i;
        }
    return good;
}

/* One key with all lines of its value. */
static void read_entry(struct reading *reading, const struct config_entry *entry, size_t lines) {
    const struct key *key = find_key(entry->key, reading->kind);
    const size_t good = check_lines(reading, entry, lines);
    if (!key) {
        tell_unknown(reading, entry);
        return;
    }
    if (key->is_list)
        read_items(reading, key, entry, good);
    else
        read_scalar(reading, key, entry, good);
    if (!reading->line[key - keys])
        reading->line[key - keys] = entry->line;
}

static void read_entries(struct reading *reading) {
    const struct config_section *section = reading->section;
    for (size_t i = 0; i < section->entries;) {
        size_t lines = 1;
        while (i + lines < section->entries && section->entry[i + lines].goes_on)
            lines++;
        read_entry(reading, &section->entry[i], lines);
        i += lines;
    }
}

/* Sections. */

static const struct config_node default_node = {
    .is_started = true,
    .stop_signal = SIGTERM,
    .policy = {.restart = POLICY_RESTART_ON_FAILURE,
               .delay_ns = SECOND_NS / 5,
               .delay_max_ns = 10 * SECOND_NS,
               .burst_starts = 5,
               .burst_interval_ns = 30 * SECOND_NS,
               .ready_timeout_ns = 30 * SECOND_NS,
               .stop_timeout_ns = 5 * SECOND_NS},
    .hold = {.limit_ns = CONFIG_LIMIT_UNSET},
    .stall = {.limit_ns = CONFIG_LIMIT_UNSET},
    .watchdog = {.action = CONFIG_REPORT},
};

static void check_restarts(const struct reading *reading, const struct config_node *node) {
    static const char *const names[] = {"on-hold", "on-stall", "on-hang"};
    const enum config_action actions[] = {node->hold.action, node->stall.action,
                                          node->watchdog.action};
    for (unsigned i = 0; i < 3; i++)
        if (actions[i] == CONFIG_RESTART && node->policy.restart == POLICY_RESTART_NO)
            config_problem_add(reading->place.problems, line_of(reading, names[i]),
                               "%s: expected report, since restart = no", names[i]);
    if (line_of(reading, "on-hang") && !line_of(reading, "watchdog"))
        config_problem_add(reading->place.problems, line_of(reading, "on-hang"),
                           "expected \"watchdog\" beside \"on-hang\": how long it may be silent");
    if (node->policy.delay_ns > node->policy.delay_max_ns)
        config_problem_add(reading->place.problems, line_of(reading, "restart-delay"),
                           "restart-delay: expected at most what restart-delay-max says");
}

/* What can be told of a node on its own, once all of its keys are read. */
static void finish_node(struct reading *reading, struct config_node *node) {
    if (!line_of(reading, "command"))
        config_problem_add(reading->place.problems, node->line,
                           "expected the key \"command\" in [%s %s]", kind_name(reading->kind),
                           node->name);
    if (node->command) {
        node->shell_line = shell_line_create(node->command);
        if (!node->shell_line)
            reading->place.problems->is_out_of_memory = true;
    }
    if (!line_of(reading, "ready") && node->writes.count)
        node->ready = CONFIG_READY_STREAM;
    if (node->ready == CONFIG_READY_STREAM && !node->writes.count)
        config_problem_add(reading->place.problems, line_of(reading, "ready"),
                           "ready: expected none or fd:N, since \"writes\" names no stream");
    if (!line_of(reading, "restart-delay-max") && node->policy.delay_ns > node->policy.delay_max_ns)
        node->policy.delay_max_ns = node->policy.delay_ns;
    check_restarts(reading, node);
}

static void read_node(struct reading *reading, struct config *config, char *name) {
    struct config_node *node = &config->node[config->nodes++];
    *node = default_node;
    node->name = name;
    node->line = reading->section->line;
    while (1U << node->kind != reading->kind)
        node->kind++;
    reading->object = node;
    read_entries(reading);
    finish_node(reading, node);
}

static void read_stream(struct reading *reading, struct config *config, char *name) {
    struct config_stream *stream = &config->stream[config->streams++];
    *stream = (struct config_stream){
        .name = name,
        .line = reading->section->line,
        .hold = {.limit_ns = CONFIG_LIMIT_UNSET},
        .stall = {.limit_ns = CONFIG_LIMIT_UNSET},
    };
    reading->object = stream;
    read_entries(reading);
}

static unsigned find_kind(const struct config_section *section, struct config_problems *problems) {
    struct near near = {.wanted = section->kind};
    for (unsigned i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].name, section->kind) == 0)
            return kinds[i].kind;
        near_offer(&near, kinds[i].name);
    }
    config_problem_add(problems, section->line,
                       "expected [producer NAME], [consumer NAME], [filter NAME] or [stream NAME], "
                       "not \"%.64s\"%s",
                       section->kind, near_text(&near));
    return 0;
}

/* Tells if the name may not be used. The section is read all the same: what it says is told as
 * well.
 */
static void check_name(const struct config_section *section, unsigned kind,
                       const struct config *config, struct config_problems *problems) {
    const struct config_stream *stream =
        kind == STREAM ? config_find_stream(config, section->name) : NULL;
    const struct config_node *node =
        kind == STREAM ? NULL : config_find_node(config, section->name);
    if (!shmframe_name_is_valid(section->name))
        config_problem_add(problems, section->line,
                           "expected a name such as cam: at most 63 of a-z, 0-9, \".\", \"_\" and "
                           "\"-\", a letter or digit first; not \"%.100s\"",
                           section->name);
    else if (stream)
        config_problem_add(problems, section->line,
                           "expected [stream %s] once; it is in line %u already", section->name,
                           stream->line);
    else if (node)
        config_problem_add(problems, section->line,
                           "expected each node's name once; \"%s\" is in line %u already",
                           section->name, node->line);
}

void config_section_read(const struct config_section *section, const char *folder,
                         struct config *config, struct config_problems *problems) {
    struct reading reading = {
        .section = section,
        .kind = find_kind(section, problems),
        .place = {.folder = folder, .problems = problems},
    };
    if (!reading.kind)
        return;
    check_name(section, reading.kind, config, problems);
    const bool is_stream = reading.kind == STREAM;
    if (is_stream ? config->streams == CONFIG_STREAMS_MAX : config->nodes == CONFIG_NODES_MAX) {
        config_problem_add(problems, section->line, "expected at most %d nodes and %d streams",
                           CONFIG_NODES_MAX, CONFIG_STREAMS_MAX);
        return;
    }
    if (!(is_stream ? config_grow((void **)&config->stream, config->streams,
                                  sizeof(*config->stream), problems)
                    : config_grow((void **)&config->node, config->nodes, sizeof(*config->node),
                                  problems)))
        return;
    char *name = strdup(section->name);
    if (!name)
        problems->is_out_of_memory = true;
    else if (is_stream)
        read_stream(&reading, config, name);
    else
        read_node(&reading, config, name);
}

void config_stream_destroy(struct config_stream *stream) {
    free(stream->name);
}

void config_node_destroy(struct config_node *node) {
    free(node->name);
    free(node->command);
    free(node->shell_line);
    config_list_destroy(&node->environment);
    free(node->user);
    free(node->home);
    free(node->directory);
    config_list_destroy(&node->reads);
    config_list_destroy(&node->writes);
    free(node->log_path);
}
