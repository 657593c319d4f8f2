#include "comparison_run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A report has at most RUNS_MAX streams of RUN_BLOCKS_MAX blocks of RUN_HOPS hops: this leaves each
 * of these lists three hundred different values. A number above COUNT_MAX could not be added up. */
enum { RUNS_MAX = 16, FILE_BYTES_MAX = 256 << 20 };
#define COUNT_MAX (INT64_C(1) << 40)
#define TIME_MAX  (INT64_C(1) << 62)

static const struct {
    const char *name;
    bool is_of_machine;
} facts[COMPARISON_FACTS] = {
    [COMPARISON_STREAM] = {"stream", false},      [COMPARISON_FORMAT] = {"format", false},
    [COMPARISON_HOST] = {"host", true},           [COMPARISON_KERNEL] = {"kernel", true},
    [COMPARISON_PROCESSOR] = {"processor", true}, [COMPARISON_PROCESSORS] = {"processors", true},
    [COMPARISON_GOVERNOR] = {"governor", true},   [COMPARISON_LIBRARY] = {"library", false},
};

const char *comparison_fact_name(enum comparison_fact fact) {
    return facts[fact].name;
}

__attribute__((format(printf, 2, 3))) static bool refuse(char *reason, const char *text, ...) {
    va_list values;
    va_start(values, text);
    vsnprintf(reason, COMPARISON_REASON_BYTES, text, values);
    va_end(values);
    return false;
}

/* As much of a text as there is room for: whole characters, and none that a terminal obeys. What is
 * no UTF-8 counts as a character a byte. */
static void copy_text(char *into, size_t room, const char *from) {
    size_t used = 0;
    while (*from) {
        const unsigned char *next = (const unsigned char *)from;
        size_t bytes = 1;
        while (next[0] >= 0xc0 && (next[bytes] & 0xc0) == 0x80)
            bytes++;
        const bool is_control =
            next[0] < ' ' || next[0] == 0x7f || (next[0] == 0xc2 && bytes > 1 && next[1] < 0xa0);
        if (used + bytes >= room)
            break;
        if (is_control)
            into[used++] = '?';
        else
            memcpy(into + used, from, bytes);
        used += is_control ? 0 : bytes;
        from += bytes;
    }
    into[used] = '\0';
}

/* ---- pieces ---- */

/* A whole number from 0 to `most`; -1: it is none. */
static int64_t get_number(const json_t *object, const char *name, int64_t most) {
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value))
        return -1;
    const json_int_t number = json_integer_value(value);
    return number >= 0 && number <= most ? number : -1;
}

static bool read_values(const json_t *list, struct run_values *out_values) {
    const size_t count = json_array_size(list) / 2;
    if (!json_is_array(list) || count == 0 || json_array_size(list) % 2)
        return false;
    struct run_value *value = calloc(count, sizeof(*value));
    bool is_right = value != NULL;
    for (size_t i = 0; i < count && is_right; i++) {
        const json_t *time = json_array_get(list, 2 * i);
        const json_t *often = json_array_get(list, 2 * i + 1);
        is_right = json_is_integer(time) && json_is_integer(often);
        if (!is_right)
            break;
        value[i].value_ns = json_integer_value(time);
        value[i].count = (uint64_t)json_integer_value(often);
        const int64_t least_ns = i ? value[i - 1].value_ns + 1 : 0;
        is_right = value[i].value_ns >= least_ns && value[i].value_ns < TIME_MAX &&
                   value[i].count > 0 && value[i].count <= (uint64_t)COUNT_MAX;
    }
    if (!is_right) {
        free(value);
        return false;
    }
    *out_values = (struct run_values){.value = value, .count = count};
    return true;
}

static bool read_block(const json_t *json, struct comparison_run *run, struct run_block *block,
                       char *reason) {
    const json_t *events = json_object_get(json, "events");
    const json_t *hops = json_object_get(json, "hops");
    const int64_t number = get_number(json, "number", COUNT_MAX);
    const int64_t frames = get_number(json, "frames", COUNT_MAX);
    if (number < 0 || frames < 0 || !json_is_object(events) || !json_is_object(hops))
        return refuse(reason, "a block has no number, frames, events or hops");
    block->number = (uint64_t)number;
    block->frames = (uint64_t)frames;
    for (enum run_event event = 0; event < RUN_EVENTS; event++) {
        const char *name = run_event_name(event);
        const bool is_counted = json_object_get(events, name) != NULL;
        const int64_t count = is_counted ? get_number(events, name, COUNT_MAX) : 0;
        run->has_not_event[event] |= !is_counted;
        if (count < 0)
            return refuse(reason, "\"%s\" of block %lld is no count", name, (long long)number);
        block->event[event] = (uint64_t)count;
    }
    for (enum run_hop hop = 0; hop < RUN_HOPS; hop++) {
        const json_t *values = json_object_get(hops, run_hop_name(hop));
        if (values && !read_values(json_object_get(values, "values"), &block->hop[hop]))
            return refuse(reason, "\"%s\" of block %lld has values that cannot be",
                          run_hop_name(hop), (long long)number);
    }
    return true;
}

static void read_fact(const json_t *json, char text[COMPARISON_FACT_BYTES]) {
    if (json_is_integer(json))
        snprintf(text, COMPARISON_FACT_BYTES, "%lld", (long long)json_integer_value(json));
    else
        copy_text(text, COMPARISON_FACT_BYTES, json_is_string(json) ? json_string_value(json) : "");
}

static bool read_run(const json_t *json, const json_t *whole, struct comparison_run *run,
                     char *reason) {
    const json_t *blocks = json_object_get(json, "blocks");
    for (enum comparison_fact fact = 0; fact < COMPARISON_FACTS; fact++)
        read_fact(json_object_get(fact == COMPARISON_LIBRARY  ? whole
                                  : facts[fact].is_of_machine ? json_object_get(whole, "machine")
                                                              : json,
                                  facts[fact].name),
                  run->fact[fact]);
    run->block_ns = get_number(json, "block_ns", TIME_MAX);
    run->duration_ns = get_number(json, "duration_ns", TIME_MAX);
    run->outage_ns = get_number(json_object_get(json, "outage"), "longest_ns", TIME_MAX);
    if (!*run->fact[COMPARISON_STREAM] || run->duration_ns < 0 || run->block_ns <= 0 ||
        !json_is_array(blocks))
        return refuse(reason, "a run has no stream, duration_ns, block_ns or blocks");
    if (!shmframe_name_is_valid(run->fact[COMPARISON_STREAM]))
        return refuse(reason, "\"%s\" is no name of a stream", run->fact[COMPARISON_STREAM]);
    if (json_array_size(blocks) > RUN_BLOCKS_MAX)
        return refuse(reason, "a run has more than %d blocks", RUN_BLOCKS_MAX);
    run->block = calloc(json_array_size(blocks) + 1, sizeof(*run->block));
    if (!run->block)
        return refuse(reason, "there is no memory for it");
    for (; run->blocks < json_array_size(blocks); run->blocks++) {
        struct run_block *block = &run->block[run->blocks];
        if (!read_block(json_array_get(blocks, run->blocks), run, block, reason)) {
            run->blocks++; /* what it has is freed with the others */
            return false;
        }
        if (run->blocks && block->number <= block[-1].number) {
            run->blocks++;
            return refuse(reason, "its blocks are not in order");
        }
    }
    return true;
}

/* ---- the file ---- */

/* What jansson reads from; it never has more than it asked for in memory. */
struct source {
    FILE *file;
    size_t bytes;
};

static size_t feed(void *buffer, size_t room, void *data) {
    struct source *source = data;
    const size_t bytes = fread(buffer, 1, room, source->file);
    source->bytes += bytes;
    return source->bytes > FILE_BYTES_MAX ? (size_t)-1 : bytes;
}

static bool is_too_long(FILE *file) {
    struct stat there;
    return fstat(fileno(file), &there) == 0 && S_ISREG(there.st_mode) &&
           there.st_size > FILE_BYTES_MAX;
}

static json_t *load(const char *path, char *reason) {
    struct source source = {.file = fopen(path, "re")};
    if (!source.file) {
        refuse(reason, "%s", strerror(errno));
        return NULL;
    }
    json_error_t error = {0};
    if (is_too_long(source.file))
        source.bytes = (size_t)FILE_BYTES_MAX + 1;
    json_t *json =
        source.bytes ? NULL : json_load_callback(feed, &source, JSON_REJECT_DUPLICATES, &error);
    const int failed = ferror(source.file) ? errno : 0;
    char text[160];
    copy_text(text, sizeof(text), error.text);
    if (failed)
        refuse(reason, "%s", strerror(failed));
    else if (source.bytes > FILE_BYTES_MAX)
        refuse(reason, "it has more than %d MiB: no run.json", FILE_BYTES_MAX >> 20);
    else if (!json)
        refuse(reason, "line %d, column %d: %s", error.line, error.column, text);
    fclose(source.file);
    return json;
}

static bool read_runs(const json_t *json, struct comparison_file *file, char *reason) {
    const json_t *type = json_object_get(json, "type");
    const json_t *runs = json_object_get(json, "runs");
    if (!json_is_string(type) || strcmp(json_string_value(type), "shmframe-run") != 0)
        return refuse(reason, "it is no run.json of a report");
    if (get_number(json, "version", COUNT_MAX) != 1)
        return refuse(reason, "its version is not 1: another shmframe wrote it");
    if (!json_is_array(runs) || json_array_size(runs) == 0 || json_array_size(runs) > RUNS_MAX)
        return refuse(reason, "it has no runs, or more than %d", (int)RUNS_MAX);
    file->run = calloc(json_array_size(runs), sizeof(*file->run));
    if (!file->run)
        return refuse(reason, "there is no memory for it");
    while (file->runs < json_array_size(runs)) {
        const size_t i = file->runs++;
        if (!read_run(json_array_get(runs, i), json, &file->run[i], reason))
            return false;
    }
    return true;
}

bool comparison_file_read(const char *path, struct comparison_file *out_file,
                          char reason[COMPARISON_REASON_BYTES]) {
    struct comparison_file file = {.path = path};
    json_t *json = load(path, reason);
    if (!json)
        return false;
    const bool is_right = read_runs(json, &file, reason);
    json_decref(json);
    if (is_right)
        *out_file = file;
    else
        comparison_file_finish(&file);
    return is_right;
}

void comparison_file_finish(struct comparison_file *file) {
    for (size_t i = 0; i < file->runs; i++) {
        for (size_t block = 0; block < file->run[i].blocks; block++)
            for (int hop = 0; hop < RUN_HOPS; hop++)
                free(file->run[i].block[block].hop[hop].value);
        free(file->run[i].block);
    }
    free(file->run);
    *file = (struct comparison_file){0};
}

const struct comparison_run *comparison_file_find(const struct comparison_file *file,
                                                  const char *stream) {
    for (size_t i = 0; i < file->runs; i++)
        if (strcmp(file->run[i].fact[COMPARISON_STREAM], stream) == 0)
            return &file->run[i];
    return NULL;
}

/* As shmframe_format_describe() begins: "640x480 ...", "48000 Hz ...". */
enum comparison_medium comparison_run_medium(const struct comparison_run *run) {
    const char *format = run->fact[COMPARISON_FORMAT];
    const size_t digits = strspn(format, "0123456789");
    if (digits && format[digits] == 'x')
        return COMPARISON_PICTURE;
    return digits && strncmp(format + digits, " Hz ", 4) == 0 ? COMPARISON_SOUND : COMPARISON_OTHER;
}

const struct comparison_run *comparison_file_only(const struct comparison_file *file,
                                                  enum comparison_medium medium) {
    const struct comparison_run *only = NULL;
    for (size_t i = 0; i < file->runs; i++) {
        if (medium != COMPARISON_OTHER && comparison_run_medium(&file->run[i]) != medium)
            continue;
        if (only)
            return NULL;
        only = &file->run[i];
    }
    return only;
}

static bool is_same_block(const struct run_block *one, const struct run_block *other) {
    if (one->number != other->number || one->frames != other->frames ||
        memcmp(one->event, other->event, sizeof(one->event)) != 0)
        return false;
    for (int hop = 0; hop < RUN_HOPS; hop++) {
        const struct run_values *values = &one->hop[hop];
        if (values->count != other->hop[hop].count)
            return false;
        for (size_t i = 0; i < values->count; i++)
            if (values->value[i].value_ns != other->hop[hop].value[i].value_ns ||
                values->value[i].count != other->hop[hop].value[i].count)
                return false;
    }
    return true;
}

bool comparison_run_is_same(const struct comparison_run *one, const struct comparison_run *other) {
    if (one->block_ns != other->block_ns || one->duration_ns != other->duration_ns ||
        one->blocks != other->blocks)
        return false;
    for (size_t i = 0; i < one->blocks; i++)
        if (!is_same_block(&one->block[i], &other->block[i]))
            return false;
    return true;
}
