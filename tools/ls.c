/* shmframe ls: the streams, or the readers of one. */
#include "consumer.h"
#include "report.h"
#include "table.h"
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *format_text = "text";

static const struct option_spec options[] = {
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &format_text,
     .argument = "FORMAT",
     .help = "text or json"},
    {0},
};

static const struct program program = {
    .name = "shmframe ls",
    .purpose = "Lists the streams, or the readers of STREAM.",
    .operands = "[STREAM]",
    .options = options,
};

static const char *name_kind(uint32_t kind) {
    static const char *const names[] = {
        [SHMFRAME_NONE] = "none",
        [SHMFRAME_VIDEO] = "video",
        [SHMFRAME_AUDIO] = "audio",
        [SHMFRAME_DATA] = "data",
    };
    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

static const char *name_state(uint32_t state) {
    static const char *const names[] = {
        [SHMFRAME_STREAM_WAITED_FOR] = "waited for",
        [SHMFRAME_STREAM_LIVE] = "live",
        [SHMFRAME_STREAM_ENDED] = "ended",
        [SHMFRAME_STREAM_WRITER_GONE] = "writer gone",
    };
    return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

static int64_t answer_deadline_ns(void) {
    return shmframe_deadline_ns(INT64_C(5000000000));
}

/* Room for one more look at a list that had `count` entries and may have grown since. */
static void *grow(void *list, size_t entry_bytes, uint32_t count) {
    void *grown = realloc(list, entry_bytes * count);
    if (!grown)
        program_fail("no memory for a list of %u entries", count);
    return grown;
}

/* Streams. */

static uint32_t list_streams(struct shmframe_session *session,
                             struct shmframe_stream_info **out_streams) {
    struct shmframe_stream_info *streams = NULL;
    uint32_t room = 64;
    for (;;) {
        streams = grow(streams, sizeof(*streams), room);
        const int count = shmframe_session_streams(session, answer_deadline_ns(), streams, room);
        if (count < 0)
            program_fail_call("the streams cannot be listed");
        if ((uint32_t)count <= room) {
            *out_streams = streams;
            return (uint32_t)count;
        }
        room = (uint32_t)count + 16;
    }
}

static json_t *make_stream_json(const struct shmframe_stream_info *stream) {
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(stream->name));
    json_object_set_new(object, "group", json_string(stream->group));
    json_object_set_new(object, "kind", json_string(name_kind(stream->kind)));
    json_object_set_new(object, "format", json_string(stream->format));
    json_object_set_new(object, "generation", json_integer(stream->generation));
    json_object_set_new(object, "state", json_string(name_state(stream->state)));
    json_object_set_new(object, "writer", json_string(stream->writer));
    json_object_set_new(object, "writer_pid", json_integer(stream->writer_pid));
    json_object_set_new(object, "writer_uid", json_integer(stream->writer_uid));
    json_object_set_new(object, "readers", json_integer(stream->readers));
    json_object_set_new(object, "head", json_integer((json_int_t)stream->head));
    json_object_set_new(object, "memory_bytes", json_integer((json_int_t)stream->memory_bytes));
    return object;
}

static void add_stream_row(struct table *table, const struct shmframe_stream_info *stream) {
    const bool has_writer = stream->state == SHMFRAME_STREAM_LIVE;
    table_add(table, "%s", stream->name);
    table_add(table, "%s", *stream->group ? stream->group : "-");
    table_add(table, "%s", *stream->format ? stream->format : "-");
    table_add(table, "%u", stream->generation);
    table_add(table, "%s", name_state(stream->state));
    table_add(table, "%s", *stream->writer ? stream->writer : "-");
    if (has_writer)
        table_add(table, "%d", stream->writer_pid);
    else
        table_add(table, "-");
    table_add(table, "%u", stream->readers);
    table_add(table, "%" PRIu64, stream->head);
    table_add(table, "%.1f MiB", (double)stream->memory_bytes / (1024 * 1024));
}

static void print_streams(struct shmframe_session *session, enum report_format format) {
    static const char *const titles[] = {"STREAM", "GROUP",   "FORMAT", ">GEN",
                                         "STATE",  "WRITER",  ">PID",   ">READERS",
                                         ">HEAD",  ">MEMORY", NULL};
    struct shmframe_stream_info *streams;
    const uint32_t count = list_streams(session, &streams);
    if (format == REPORT_JSON) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(list, make_stream_json(&streams[i]));
        report_print_json(json_pack("{s:o}", "streams", list));
    } else {
        struct table table;
        table_init(&table, titles);
        for (uint32_t i = 0; i < count; i++)
            add_stream_row(&table, &streams[i]);
        table_print(&table, stdout);
        table_finish(&table);
    }
    free(streams);
}

/* Readers of a stream. */

static uint32_t list_readers(struct shmframe_session *session, const char *stream,
                             struct shmframe_reader_info **out_readers) {
    struct shmframe_reader_info *readers = NULL;
    uint32_t room = 64;
    for (;;) {
        readers = grow(readers, sizeof(*readers), room);
        const int count =
            shmframe_session_readers(session, stream, answer_deadline_ns(), readers, room);
        if (count == -ENOENT)
            program_fail("there is no stream %s; \"shmframe ls\" lists those that there are",
                         stream);
        if (count < 0)
            program_fail_call("the readers cannot be listed");
        if ((uint32_t)count <= room) {
            *out_readers = readers;
            return (uint32_t)count;
        }
        room = (uint32_t)count + 16;
    }
}

static json_t *make_reader_json(const struct shmframe_reader_info *reader) {
    json_t *object = json_object();
    json_object_set_new(object, "number", json_integer(reader->number));
    json_object_set_new(object, "name", json_string(reader->name));
    json_object_set_new(object, "pid", json_integer(reader->pid));
    json_object_set_new(object, "policy", json_string(consumer_policy_name(reader->policy)));
    json_object_set_new(object, "depth", json_integer(reader->depth));
    json_object_set_new(object, "leases", json_integer(reader->leases));
    json_object_set_new(object, "generation", json_integer(reader->generation));
    return object;
}

static void add_reader_row(struct table *table, const struct shmframe_reader_info *reader) {
    table_add(table, "%u", reader->number);
    table_add(table, "%s", reader->name);
    table_add(table, "%d", reader->pid);
    table_add(table, "%s", consumer_policy_name(reader->policy));
    table_add(table, "%u", reader->depth);
    table_add(table, "%u", reader->leases);
    if (reader->generation)
        table_add(table, "%u", reader->generation);
    else
        table_add(table, "not linked");
}

static void print_readers(struct shmframe_session *session, const char *stream,
                          enum report_format format) {
    static const char *const titles[] = {">READER", "NAME",    ">PID", "POLICY",
                                         ">DEPTH",  ">LEASES", "GEN",  NULL};
    struct shmframe_reader_info *readers;
    const uint32_t count = list_readers(session, stream, &readers);
    if (format == REPORT_JSON) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(list, make_reader_json(&readers[i]));
        report_print_json(json_pack("{s:s, s:o}", "stream", stream, "readers", list));
    } else {
        struct table table;
        table_init(&table, titles);
        for (uint32_t i = 0; i < count; i++)
            add_reader_row(&table, &readers[i]);
        table_print(&table, stdout);
        table_finish(&table);
    }
    free(readers);
}

int tool_ls(int argc, char **argv) {
    const int operand = program_start(&program, argc, argv);
    if (argc - operand > 1)
        program_fail_usage("at most one stream can be named");
    const enum report_format format = report_format_parse(format_text);
    struct shmframe_session *session = program_open_session();
    if (operand < argc)
        print_readers(session, argv[operand], format);
    else
        print_streams(session, format);
    program_close_session(session);
    report_flush();
    return EXIT_DONE;
}
