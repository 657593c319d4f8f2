#include "config_value.h"
#include "option.h"

#include <ctype.h>
#include <shmframe/format.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* What lists are made of. */

/* A copy of each; tells the problems if there is no memory. */
static void add_text(struct config_list *list, const char *text, struct config_place *place) {
    char *copy = strdup(text);
    char **grown = reallocarray(list->text, list->count + 2, sizeof(*grown));
    unsigned *line = reallocarray(list->line, list->count + 1, sizeof(*line));
    if (grown)
        list->text = grown;
    if (line)
        list->line = line;
    if (!copy || !grown || !line) {
        free(copy);
        place->problems->is_out_of_memory = true;
        return;
    }
    list->line[list->count] = place->line;
    list->text[list->count++] = copy;
    list->text[list->count] = NULL;
}

bool config_list_has(const struct config_list *list, const char *text) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->text[i], text) == 0)
            return true;
    return false;
}

void config_list_destroy(struct config_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->text[i]);
    free(list->text);
    free(list->line);
    *list = (struct config_list){0};
}

/* Texts. */

static void store_text(char **out, char *copy, struct config_place *place) {
    free(*out);
    *out = copy;
    if (!copy)
        place->problems->is_out_of_memory = true;
}

enum { COMMAND_MAX = 1 << 16 };

const char *config_read_command(const char *text, void *out, struct config_place *place) {
    if (!*text)
        return "a command line";
    /* The kernel takes no argument of more than 128 KiB. */
    if (strlen(text) > COMMAND_MAX)
        return "at most 65536 bytes; a script may be longer";
    store_text(out, strdup(text), place);
    return NULL;
}

static char *make_absolute(const char *text, const struct config_place *place) {
    char *path = NULL;
    if (*text == '/')
        return strdup(text);
    return asprintf(&path, "%s/%s", place->folder, text) < 0 ? NULL : path;
}

static bool is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

const char *config_read_folder(const char *text, void *out, struct config_place *place) {
    char *path = make_absolute(text, place);
    if (path && (!*text || !is_folder(path))) {
        free(path);
        return "a folder that exists";
    }
    store_text(out, path, place);
    return NULL;
}

/* Whether a file can be, or is, where the path says. */
static bool is_file_path(char *path) {
    char *slash = strrchr(path, '/');
    if (is_folder(path))
        return false;
    *slash = '\0';
    const bool is_there = slash == path || is_folder(path);
    *slash = '/';
    return is_there;
}

const char *config_read_log(const char *text, void *out, struct config_place *place) {
    static const char *const names[] = {[CONFIG_LOG_INHERIT] = "inherit",
                                        [CONFIG_LOG_NONE] = "none",
                                        [CONFIG_LOG_JOURNAL] = "journal"};
    struct config_node *node = out;
    for (enum config_log log = 0; log < CONFIG_LOG_FILE; log++)
        if (strcmp(text, names[log]) == 0) {
            node->log = log;
            return NULL;
        }
    /* A file's name has a slash, so that a slip in one of the words makes no file. */
    const char *slash = strrchr(text, '/');
    if (!slash || !slash[1])
        return "inherit, none, journal, or a file's path with a \"/\" such as ./cam.log";
    char *path = make_absolute(text, place);
    if (path && !is_file_path(path)) {
        free(path);
        return "a file in a folder that exists";
    }
    node->log = CONFIG_LOG_FILE;
    store_text(&node->log_path, path, place);
    return NULL;
}

/* Lists. */

const char *config_read_variable(const char *text, void *out, struct config_place *place) {
    static const char *const taken[] = {"SHMFRAME_SOCKET=", "SHMFRAME_NODE=", "NOTIFY_SOCKET="};
    struct config_list *list = out;
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_')
        length++;
    if (length == 0 || isdigit((unsigned char)*text) || text[length] != '=')
        return "NAME=VALUE";
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (strncmp(text, taken[i], length + 1) == 0)
            return "a variable that is not the supervisor's own to set";
    for (size_t i = 0; i < list->count; i++)
        if (strncmp(text, list->text[i], length + 1) == 0)
            return "each variable once";
    if (list->count == CONFIG_LIST_MAX)
        return "a shorter list";
    add_text(list, text, place);
    return NULL;
}

/* Copies the next word of a list to `word` and moves behind it. False: there is none. A word that
 * is too long is cut to what is no longer right. */
static bool next_word(const char **text, char *word, size_t word_bytes) {
    static const char between[] = " \t,";
    *text += strspn(*text, between);
    const size_t length = strcspn(*text, between);
    if (!length)
        return false;
    snprintf(word, word_bytes, "%.*s", (int)length, *text);
    *text += length;
    return true;
}

const char *config_read_streams(const char *text, void *out, struct config_place *place) {
    struct config_list *list = out;
    char word[SHMFRAME_NAME_BYTES + 1];
    const size_t before = list->count;
    while (next_word(&text, word, sizeof(word))) {
        if (!shmframe_name_is_valid(word))
            return "names of streams such as cam or cam.sound: at most 63 of a-z, 0-9, \".\", "
                   "\"_\" and \"-\", a letter or digit first";
        if (config_list_has(list, word))
            return "each stream once";
        if (list->count == CONFIG_LIST_MAX)
            return "a shorter list";
        add_text(list, word, place);
    }
    return list->count > before || place->problems->is_out_of_memory ? NULL : "names of streams";
}

/* Choices. */

const char *config_read_flag(const char *text, void *out, struct config_place *place) {
    (void)place;
    const bool is_yes = strcmp(text, "yes") == 0;
    if (!is_yes && strcmp(text, "no") != 0)
        return "yes or no";
    *(bool *)out = is_yes;
    return NULL;
}

const char *config_read_restart(const char *text, void *out, struct config_place *place) {
    static const char *const names[] = {[POLICY_RESTART_NO] = "no",
                                        [POLICY_RESTART_ON_FAILURE] = "on-failure",
                                        [POLICY_RESTART_ALWAYS] = "always"};
    (void)place;
    for (enum policy_restart restart = 0; restart <= POLICY_RESTART_ALWAYS; restart++)
        if (strcmp(text, names[restart]) == 0) {
            *(enum policy_restart *)out = restart;
            return NULL;
        }
    return "no, on-failure or always";
}

static bool read_action(const char *text, enum config_action *out_action) {
    static const char *const names[] = {
        [CONFIG_REPORT] = "report", [CONFIG_EVICT] = "evict", [CONFIG_RESTART] = "restart"};
    for (enum config_action action = CONFIG_REPORT; action <= CONFIG_RESTART; action++)
        if (strcmp(text, names[action]) == 0) {
            *out_action = action;
            return true;
        }
    return false;
}

const char *config_read_hold_action(const char *text, void *out, struct config_place *place) {
    (void)place;
    return read_action(text, out) ? NULL : "report, evict or restart";
}

const char *config_read_action(const char *text, void *out, struct config_place *place) {
    enum config_action action;
    (void)place;
    if (!read_action(text, &action) || action == CONFIG_EVICT)
        return "report or restart";
    *(enum config_action *)out = action;
    return NULL;
}

const char *config_read_ready(const char *text, void *out, struct config_place *place) {
    struct config_node *node = out;
    uint32_t fd;
    (void)place;
    if (strcmp(text, "none") == 0) {
        node->ready = CONFIG_READY_NONE;
    } else if (strcmp(text, "stream") == 0) {
        node->ready = CONFIG_READY_STREAM;
    } else {
        const struct option_spec spec = {.kind = OPTION_COUNT, .out = &fd};
        if (strncmp(text, "fd:", 3) != 0 || option_store(&spec, text + 3) || fd < 3 ||
            fd > CONFIG_READY_FD_MAX)
            return "none, stream, or fd:N with N from 3 to 255";
        node->ready = CONFIG_READY_FD;
        node->ready_fd = (int)fd;
    }
    return NULL;
}

const char *config_read_signal(const char *text, void *out, struct config_place *place) {
    static const int not_to_stop_by[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT};
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    (void)place;
    for (int number = 1; number < SIGRTMIN; number++) {
        const char *other = sigabbrev_np(number);
        if (!other || strcasecmp(name, other) != 0)
            continue;
        for (size_t i = 0; i < sizeof(not_to_stop_by) / sizeof(not_to_stop_by[0]); i++)
            if (number == not_to_stop_by[i])
                return "a signal that ends a process, such as SIGTERM or SIGINT";
        *(int *)out = number;
        return NULL;
    }
    return "a signal's name such as SIGTERM or SIGINT";
}

/* Times. */

const char *config_read_duration(const char *text, void *out, struct config_place *place) {
    const struct option_spec spec = {.kind = OPTION_DURATION, .out = out};
    (void)place;
    return option_store(&spec, text);
}

const char *config_read_limit(const char *text, void *out, struct config_place *place) {
    if (strcmp(text, "none") == 0) {
        *(int64_t *)out = 0;
        return NULL;
    }
    const char *expected = config_read_duration(text, out, place);
    if (!expected)
        return NULL;
    snprintf(place->expected, sizeof(place->expected), "none, or %s", expected);
    return place->expected;
}

const char *config_read_burst(const char *text, void *out, struct config_place *place) {
    struct policy_settings *settings = out;
    uint32_t starts = 0;
    int64_t interval_ns = 0;
    const struct option_spec count = {.kind = OPTION_POSITIVE_COUNT, .out = &starts};
    const struct option_spec interval = {.kind = OPTION_POSITIVE_DURATION, .out = &interval_ns};
    char number[16];
    const char *slash = strchr(text, '/');
    if (strcmp(text, "none") == 0) {
        settings->burst_starts = 0;
        return NULL;
    }
    snprintf(number, sizeof(number), "%.*s", slash ? (int)(slash - text) : 0, text);
    if (!slash || option_store(&count, number) || option_store(&interval, slash + 1) ||
        starts > POLICY_BURST_MAX) {
        snprintf(place->expected, sizeof(place->expected),
                 "none, or starts and a time such as 5/30s, with at most %d starts",
                 POLICY_BURST_MAX);
        return place->expected;
    }
    settings->burst_starts = starts;
    settings->burst_interval_ns = interval_ns;
    return NULL;
}
