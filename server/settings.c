#include "settings.h"

#include "config_text.h"
#include "error.h"
#include "near.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what the keys are ---- */

static const char *const resources[QUOTA_RESOURCES] = {
    [QUOTA_SESSIONS] = "sessions", [QUOTA_STREAMS] = "streams", [QUOTA_READERS] = "readers",
    [QUOTA_LEASES] = "leases",     [QUOTA_MEMORY] = "memory",   [QUOTA_DESCRIPTORS] = "descriptors",
};
static const char *const scopes[QUOTA_SCOPES] = {
    [QUOTA_SESSION] = "-per-session",
    [QUOTA_PROCESS] = "-per-process",
    [QUOTA_USER] = "-per-user",
    [QUOTA_ALL] = "",
};
static const char *const slot_keys[] = {"slots-per-session", "slots-per-user"};
enum { SLOT_KEYS = 2, NAME_BYTES = 32, STREAMS_MAX = 1024 };

#define NONE QUOTA_NONE
static const uint64_t defaults[QUOTA_RESOURCES][QUOTA_SCOPES] = {
    [QUOTA_SESSIONS] = {1, 64, 256, 1024},
    [QUOTA_STREAMS] = {64, 256, 512, 1024},
    [QUOTA_READERS] = {1024, 2048, 4096, 16384},
    [QUOTA_LEASES] = {2048, 4096, 8192, 32768},
    [QUOTA_MEMORY] = {NONE, NONE, 0, 0}, /* shares of the machine's */
    [QUOTA_DESCRIPTORS] = {NONE, NONE, NONE, NONE},
};
enum { MEMORY_PERCENT = 50, MEMORY_PERCENT_OF_USER = 25, SLOTS_PERCENT_OF_USER = 50 };

const char *settings_limit_name(enum quota_resource resource, enum quota_scope scope) {
    static char names[QUOTA_RESOURCES][QUOTA_SCOPES][NAME_BYTES];
    if (resource == QUOTA_SESSIONS && scope == QUOTA_SESSION)
        return NULL;
    char *name = names[resource][scope];
    snprintf(name, NAME_BYTES, "%s%s", resources[resource], scopes[scope]);
    return name;
}

static uint64_t machine_bytes;

void settings_init(struct settings *settings, uint64_t memory_bytes) {
    *settings = (struct settings){.slots_percent_of_session = 100,
                                  .slots_percent_of_user = SLOTS_PERCENT_OF_USER};
    memcpy(settings->limit, defaults, sizeof(defaults));
    machine_bytes = memory_bytes;
    settings->limit[QUOTA_MEMORY][QUOTA_ALL] = memory_bytes / 100 * MEMORY_PERCENT;
    settings->limit[QUOTA_MEMORY][QUOTA_USER] = memory_bytes / 100 * MEMORY_PERCENT_OF_USER;
}

void settings_destroy(struct settings *settings) {
    free(settings->stream);
    *settings = (struct settings){0};
}

/* ---- values; each returns NULL, or what was expected ---- */

static bool read_digits(const char *text, const char **out_end, uint64_t *out_value) {
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno)
        return false;
    *out_end = end;
    *out_value = value;
    return true;
}

static const char *read_count(const char *text, uint64_t *out_value) {
    static const char expected[] = "a number, or none";
    const char *end;
    if (strcmp(text, "none") == 0) {
        *out_value = QUOTA_NONE;
        return NULL;
    }
    return read_digits(text, &end, out_value) && !*end ? NULL : expected;
}

static const char *read_memory(const char *text, uint64_t *out_value) {
    static const char expected[] = "a size such as 500M or 2G, a share of the machine's memory "
                                   "such as 25%, or none";
    static const char units[] = "KMGT";
    const char *end;
    uint64_t value;
    if (strcmp(text, "none") == 0) {
        *out_value = QUOTA_NONE;
        return NULL;
    }
    if (!read_digits(text, &end, &value))
        return expected;
    const char *unit = *end ? strchr(units, *end) : NULL;
    const unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (strcmp(end, "%") == 0 && value <= 100)
        *out_value = machine_bytes / 100 * value;
    else if ((*end && !(unit && !end[1])) || value > UINT64_MAX >> 1 >> shift)
        return expected;
    else
        *out_value = value << shift;
    return NULL;
}

static const char *read_percent(const char *text, unsigned *out_percent) {
    const char *end;
    uint64_t value;
    if (!read_digits(text, &end, &value) || strcmp(end, "%") != 0 || value < 1 || value > 100)
        return "a share from 1% to 100%";
    *out_percent = (unsigned)value;
    return NULL;
}

static const char *read_access(const char *text, struct access *out_access) {
    return access_parse(text, out_access) < 0 ? shmframe_last_error() : NULL;
}

static const char *read_reach(const char *text, struct settings *settings) {
    static const char expected[] = "\"own\", \"group NAME\" or \"all\"";
    struct access access = {0};
    if (strcmp(text, "own") == 0) {
        settings->reach = REACH_OWN;
        return NULL;
    }
    if (access_parse(text, &access) < 0)
        return strncmp(text, "group ", 6) == 0 ? shmframe_last_error() : expected;
    if (access.count != 1 ||
        (access.rule[0].kind != ACCESS_GROUP && access.rule[0].kind != ACCESS_ALL))
        return expected;
    settings->reach = access.rule[0].kind == ACCESS_ALL ? REACH_ALL : REACH_GROUP;
    settings->reach_gid = access.rule[0].id;
    return NULL;
}

/* ---- keys ---- */

static bool find_limit(const char *key, enum quota_resource *out_resource,
                       enum quota_scope *out_scope) {
    for (unsigned r = 0; r < QUOTA_RESOURCES; r++)
        for (unsigned s = 0; s < QUOTA_SCOPES; s++) {
            const char *name = settings_limit_name((enum quota_resource)r, (enum quota_scope)s);
            if (!name || strcmp(name, key) != 0)
                continue;
            *out_resource = (enum quota_resource)r;
            *out_scope = (enum quota_scope)s;
            return true;
        }
    return false;
}

static void offer_limits(struct near *near) {
    for (unsigned r = 0; r < QUOTA_RESOURCES; r++)
        for (unsigned s = 0; s < QUOTA_SCOPES; s++) {
            const char *name = settings_limit_name((enum quota_resource)r, (enum quota_scope)s);
            if (name)
                near_offer(near, name);
        }
    for (unsigned i = 0; i < SLOT_KEYS; i++)
        near_offer(near, slot_keys[i]);
}

/* What was expected in a section of this kind instead of a key that there is not. */
static const char *unknown_key(const char *kind, const char *key) {
    static const char *const access_keys[] = {"trust", "write", "allow", "reach"};
    static char text[320];
    struct near near = {.wanted = key};
    const char *expected = "the key \"allow\" (others of a stream are in a pipeline file, see "
                           "shmframe-pipeline(5))";
    if (strcmp(kind, "limits") == 0) {
        expected = "a key of [limits], see shmframed.conf(5)";
        offer_limits(&near);
    } else if (strcmp(kind, "access") == 0) {
        expected = "a key of [access]: trust, write, allow or reach";
        for (unsigned i = 0; i < sizeof(access_keys) / sizeof(access_keys[0]); i++)
            near_offer(&near, access_keys[i]);
    } else {
        near_offer(&near, "allow");
    }
    snprintf(text, sizeof(text), "%s, not \"%.64s\"%s", expected, key, near_text(&near));
    return text;
}

static bool is_key(const char *kind, const char *key) {
    enum quota_resource resource;
    enum quota_scope scope;
    if (strcmp(kind, "limits") == 0)
        return find_limit(key, &resource, &scope) || strcmp(key, slot_keys[0]) == 0 ||
               strcmp(key, slot_keys[1]) == 0;
    const bool is_allow = strcmp(key, "allow") == 0;
    if (strcmp(kind, "access") == 0)
        return is_allow || strcmp(key, "trust") == 0 || strcmp(key, "write") == 0 ||
               strcmp(key, "reach") == 0;
    return is_allow;
}

static const char *set_limit(struct settings *settings, const char *key, const char *value,
                             enum settings_origin origin) {
    enum quota_resource resource;
    enum quota_scope scope;
    if (strcmp(key, slot_keys[0]) == 0) {
        settings->slots_origin_of_session = origin;
        return read_percent(value, &settings->slots_percent_of_session);
    }
    if (strcmp(key, slot_keys[1]) == 0) {
        settings->slots_origin_of_user = origin;
        return read_percent(value, &settings->slots_percent_of_user);
    }
    if (!find_limit(key, &resource, &scope))
        return unknown_key("limits", key);
    uint64_t *limit = &settings->limit[resource][scope];
    settings->origin[resource][scope] = origin;
    return resource == QUOTA_MEMORY ? read_memory(value, limit) : read_count(value, limit);
}

static const char *set_access(struct settings *settings, const char *key, const char *value) {
    if (strcmp(key, "trust") == 0)
        return read_access(value, &settings->trust);
    if (strcmp(key, "write") == 0)
        return read_access(value, &settings->write);
    if (strcmp(key, "allow") == 0)
        return read_access(value, &settings->allow);
    return read_reach(value, settings);
}

int settings_set_limit(struct settings *settings, const char *text) {
    const char *sign = strchr(text, '=');
    char key[64];
    if (!sign || (size_t)(sign - text) >= sizeof(key))
        return error_set(-EINVAL, "KEY=VALUE, such as readers-per-user=100");
    snprintf(key, sizeof(key), "%.*s", (int)(sign - text), text);
    const char *expected = set_limit(settings, key, sign + 1, ORIGIN_OPTION);
    return expected ? error_set(-EINVAL, "%s", expected) : 0;
}

int settings_set_allow(struct settings *settings, const char *text) {
    return access_parse(text, &settings->allow);
}

int settings_set_reach(struct settings *settings, const char *text) {
    const char *expected = read_reach(text, settings);
    return expected ? error_set(-EINVAL, "%s", expected) : 0;
}

/* ---- sections ---- */

/* One section while it is read. */
struct reading {
    const struct config_section *section;
    struct settings *settings;
    struct settings_stream *stream;
    struct config_problems *problems;
};

/* A key that there is. */
static const char *set_key(const struct reading *reading, const char *key, const char *value) {
    if (strcmp(reading->section->kind, "limits") == 0)
        return set_limit(reading->settings, key, value, ORIGIN_FILE);
    if (strcmp(reading->section->kind, "access") == 0)
        return set_access(reading->settings, key, value);
    return read_access(value, &reading->stream->allow);
}

static void read_entries(const struct reading *reading) {
    const struct config_section *section = reading->section;
    for (size_t i = 0; i < section->entries; i++) {
        const struct config_entry *entry = &section->entry[i];
        size_t before = 0;
        while (before < i && strcmp(section->entry[before].key, entry->key) != 0)
            before++;
        if (entry->goes_on || before < i) {
            config_problem_add(reading->problems, entry->line,
                               "expected \"%.64s\" once, and its value in one line", entry->key);
            continue;
        }
        if (!is_key(section->kind, entry->key)) {
            config_problem_add(reading->problems, entry->line, "expected %s",
                               unknown_key(section->kind, entry->key));
            continue;
        }
        const char *expected = set_key(reading, entry->key, entry->value);
        if (expected)
            config_problem_add(reading->problems, entry->line, "%.64s: expected %s, not \"%.100s\"",
                               entry->key, expected, entry->value);
    }
}

static struct settings_stream *add_stream(const struct config_section *section,
                                          struct settings *settings,
                                          struct config_problems *problems) {
    if (!shmframe_name_is_valid(section->name)) {
        config_problem_add(problems, section->line,
                           "expected a stream's name such as cam: at most 63 of a-z, 0-9, \".\", "
                           "\"_\" and \"-\", a letter or digit first; not \"%.100s\"",
                           section->name);
        return NULL;
    }
    for (size_t i = 0; i < settings->streams; i++)
        if (strcmp(settings->stream[i].name, section->name) == 0) {
            config_problem_add(problems, section->line,
                               "expected [stream %s] once; it is in line "
                               "%u already",
                               section->name, settings->stream[i].line);
            return NULL;
        }
    if (settings->streams == STREAMS_MAX) {
        config_problem_add(problems, section->line, "expected at most %d streams", STREAMS_MAX);
        return NULL;
    }
    if (!config_grow((void **)&settings->stream, settings->streams, sizeof(*settings->stream),
                     problems))
        return NULL;
    struct settings_stream *stream = &settings->stream[settings->streams++];
    *stream = (struct settings_stream){.line = section->line};
    strcpy(stream->name, section->name);
    return stream;
}

/* Of two, the later would win in silence. Sections of streams are told apart by their names. */
static bool is_first(const struct config_text *text, size_t index,
                     struct config_problems *problems) {
    const struct config_section *section = &text->section[index];
    for (size_t i = 0; i < index && !section->name[0]; i++) {
        const struct config_section *before = &text->section[i];
        if (before->name[0] || strcmp(before->kind, section->kind) != 0)
            continue;
        config_problem_add(problems, section->line,
                           "expected [%.64s] once; it is in line %u already", section->kind,
                           before->line);
        return false;
    }
    return true;
}

static void read_section(const struct config_section *section, struct settings *settings,
                         struct config_problems *problems) {
    struct reading reading = {.section = section, .settings = settings, .problems = problems};
    const bool is_stream = strcmp(section->kind, "stream") == 0;
    const bool is_known =
        is_stream || strcmp(section->kind, "limits") == 0 || strcmp(section->kind, "access") == 0;
    if (!is_known || (section->name[0] != '\0') != is_stream) {
        config_problem_add(problems, section->line,
                           "expected [limits], [access] or [stream NAME], not \"%.64s%s%.64s\"",
                           section->kind, section->name[0] ? " " : "", section->name);
        return;
    }
    if (is_stream && !(reading.stream = add_stream(section, settings, problems)))
        return;
    read_entries(&reading);
}

/* ---- files ---- */

int settings_parse(const char *bytes, size_t count, struct settings *settings,
                   struct config_problems *out_problems) {
    struct config_text text;
    *out_problems = (struct config_problems){0};
    config_text_parse_unnamed(bytes, count, &text, out_problems);
    for (size_t i = 0; i < text.sections && !out_problems->is_out_of_memory; i++)
        if (is_first(&text, i, out_problems))
            read_section(&text.section[i], settings, out_problems);
    config_text_destroy(&text);
    if (out_problems->is_out_of_memory)
        return -ENOMEM;
    return out_problems->count ? -EINVAL : 0;
}

int settings_load(const char *path, struct settings *settings,
                  struct config_problems *out_problems) {
    size_t count = 0;
    *out_problems = (struct config_problems){0};
    char *bytes = config_text_load_own(path, &count, out_problems);
    if (!bytes)
        return out_problems->is_out_of_memory ? -ENOMEM : -EINVAL;
    const int code = settings_parse(bytes, count, settings, out_problems);
    free(bytes);
    return code;
}

/* Or may be: a folder that cannot be looked into is a mistake, which the reading tells. */
static bool is_there(char *path, size_t path_bytes, const char *folder, const char *below) {
    if (!folder || folder[0] != '/')
        return false;
    const int length = snprintf(path, path_bytes, "%s%s/shmframed.conf", folder, below);
    struct stat info;
    return length > 0 && (size_t)length < path_bytes &&
           (stat(path, &info) == 0 || (errno != ENOENT && errno != ENOTDIR));
}

/* One that is another user's and closed to us is of an environment that we were left with. */
static bool is_there_at_home(char *path, size_t path_bytes, const char *folder, const char *below) {
    struct stat info;
    return is_there(path, path_bytes, folder, below) &&
           (stat(path, &info) == 0 || (stat(folder, &info) == 0 && info.st_uid == geteuid()));
}

/* Root's and a service's are not found by what the environment says of a home. */
static void find_file(char *path, size_t path_bytes) {
    const char *service = getenv("CONFIGURATION_DIRECTORY");
    const bool has_home = !service && geteuid() != 0;
    const char *config = has_home ? getenv("XDG_CONFIG_HOME") : NULL;
    if (is_there(path, path_bytes, service, "") ||
        is_there_at_home(path, path_bytes, config, "/shmframe"))
        return;
    if (has_home && !config &&
        is_there_at_home(path, path_bytes, getenv("HOME"), "/.config/shmframe"))
        return;
    if (!service && is_there(path, path_bytes, "/etc", "/shmframe"))
        return;
    path[0] = '\0';
}

static int apply_options(const struct settings_source *source, struct settings *settings) {
    int code = 0;
    for (size_t i = 0; i < source->limits && code == 0; i++)
        code = settings_set_limit(settings, source->limit[i]);
    if (code == 0 && source->allow)
        code = settings_set_allow(settings, source->allow);
    if (code == 0 && source->reach)
        code = settings_set_reach(settings, source->reach);
    return code;
}

/* Who is told to change the file may be in another folder. */
static void make_absolute(const char *path, char out_path[4096]) {
    char folder[4096];
    int length = -1;
    if (path[0] != '/' && getcwd(folder, sizeof(folder)))
        length = snprintf(out_path, 4096, "%s/%s", folder, path);
    if (length < 0 || length >= 4096)
        snprintf(out_path, 4096, "%s", path);
}

int settings_read(const struct settings_source *source, struct settings *out_settings,
                  char out_path[4096], struct config_problems *out_problems) {
    struct settings settings;
    int code = 0;
    *out_problems = (struct config_problems){0};
    settings_init(&settings, (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    if (source->path)
        make_absolute(source->path, out_path);
    else
        find_file(out_path, 4096);
    if (out_path[0])
        code = settings_load(out_path, &settings, out_problems);
    if (code == 0)
        code = apply_options(source, &settings);
    if (code == 0)
        *out_settings = settings;
    else
        settings_destroy(&settings);
    return code;
}

const struct access *settings_allow(const struct settings *settings, const char *stream) {
    for (size_t i = 0; i < settings->streams; i++)
        if (strcmp(settings->stream[i].name, stream) == 0 && settings->stream[i].allow.count)
            return &settings->stream[i].allow;
    return &settings->allow;
}
