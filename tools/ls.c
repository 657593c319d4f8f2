/* shmframe ls: the streams, or the readers of one. */
#include "consumer.h"
#include "gather_words.h"
#include "report.h"
#include "table.h"
#include "tool.h"

#include <inttypes.h>

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
    .notes =
        "RATE is what was measured lately, where a reader may be looked at; with \"~\" it is what\n"
        "the format promises. LOST is what the readers lost, all together. GEN counts\n"
        "the stream's rings: a new writer or format begins one. HEAD is the newest frame's number.",
    .options = options,
};

/* Streams. */

static void add_rate(struct table *table, const struct gather_stream *stream) {
    char text[GATHER_RATE_BYTES];
    const bool is_promise =
        stream->rate_hz < 0 && stream->nominal_hz > 0 && stream->info.state == SHMFRAME_STREAM_LIVE;
    gather_format_rate(is_promise ? stream->nominal_hz : stream->rate_hz, text);
    table_add(table, "%s%s", is_promise ? "~" : "", text);
}

static void add_state(struct table *table, const struct gather *gather,
                      const struct gather_stream *stream) {
    switch (gather_find_writing(gather, stream)) {
    case GATHER_WRITING_NOTHING:
    case GATHER_WRITING_WELL:
        table_add(table, "%s", gather_state_name(stream->info.state));
        break;
    case GATHER_WRITING_BLOCKED:
        if (stream->blocker)
            table_add(table, "blocked by %" PRIu32, stream->info.blocker);
        else
            table_add(table, "blocked");
        break;
    case GATHER_WRITING_STALLED:
        table_add(table, "stalled");
        break;
    }
}

static void add_stream_row(struct table *table, const struct gather *gather,
                           const struct gather_stream *stream) {
    const struct shmframe_stream_info *info = &stream->info;
    table_add(table, "%s", info->name);
    table_add(table, "%s", *info->group ? info->group : "-");
    table_add(table, "%s", *info->format ? info->format : "-");
    table_add(table, "%" PRIu32, info->generation);
    add_state(table, gather, stream);
    add_rate(table, stream);
    table_add(table, "%s", *info->writer ? info->writer : "-");
    if (info->state == SHMFRAME_STREAM_LIVE)
        table_add(table, "%" PRId32, info->writer_pid);
    else
        table_add(table, "-");
    table_add(table, "%" PRIu32, info->readers);
    table_add(table, "%" PRIu64, stream->lost);
    table_add(table, "%" PRIu64, info->head);
    table_add(table, "%.1f MiB", (double)info->memory_bytes / (1024 * 1024));
}

static void print_streams(const struct gather *gather, enum report_format format) {
    static const char *const titles[] = {"STREAM", "GROUP",   "FORMAT", ">GEN",     "STATE",
                                         ">RATE",  "WRITER",  ">PID",   ">READERS", ">LOST",
                                         ">HEAD",  ">MEMORY", NULL};
    if (format == REPORT_JSON) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < gather->streams; i++)
            json_array_append_new(list, gather_make_stream_json(gather, &gather->stream[i]));
        report_print_json(json_pack("{s:o}", "streams", list));
        return;
    }
    struct table table;
    table_init(&table, titles);
    for (uint32_t i = 0; i < gather->streams; i++)
        add_stream_row(&table, gather, &gather->stream[i]);
    table_print(&table, stdout);
    table_finish(&table);
}

/* Readers of a stream. */

static void add_measured(struct table *table, const struct gather_reader *reader) {
    const struct shmframe_histogram *age = &reader->all->hop[SHMFRAME_HOP_AGE];
    const bool is_measured = reader->record && age->count;
    char text[HOPS_TIME_BYTES];
    gather_format_rate(reader->rate_hz, text);
    table_add(table, "%s", text);
    if (reader->record) {
        table_add(table, "%" PRIu32 "/%" PRIu32, reader->state.held, reader->info.leases);
        table_add(table, "%" PRIu64, gather_count_lost(&reader->all->counters));
    } else {
        table_add(table, "-/%" PRIu32, reader->info.leases);
        table_add(table, "-");
    }
    static const double quantiles[] = {0.5, 0.99};
    for (unsigned i = 0; i < 2; i++) {
        hops_format_time(shmframe_histogram_quantile_ns(age, quantiles[i]), text);
        table_add(table, "%s", is_measured ? text : "-");
    }
}

static void add_reader_row(struct table *table, const struct gather_reader *reader) {
    const struct shmframe_reader_info *info = &reader->info;
    table_add(table, "%" PRIu32, info->number);
    table_add(table, "%s", info->name);
    table_add(table, "%" PRId32, info->pid);
    if (info->policy == SHMFRAME_IN_ORDER)
        table_add(table, "%s %" PRIu32, consumer_policy_name(info->policy), info->depth);
    else
        table_add(table, "%s", consumer_policy_name(info->policy));
    if (info->generation)
        table_add(table, "%" PRIu32, info->generation);
    else
        table_add(table, "none");
    table_add(table, "%s", gather_reader_state_name(reader));
    add_measured(table, reader);
}

static void print_readers(const struct gather *gather, const char *name,
                          enum report_format format) {
    static const char *const titles[] = {">READER", "NAME",     ">PID",     "POLICY",
                                         ">GEN",    "STATE",    ">RATE",    ">HELD",
                                         ">LOST",   ">AGE p50", ">AGE p99", NULL};
    const struct gather_stream *stream = gather_find_stream(gather, name);
    if (!stream)
        program_fail("no stream '%s'; 'shmframe ls' lists what there is", name);
    if (format == REPORT_JSON) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < stream->readers; i++)
            json_array_append_new(list, gather_make_reader_json(gather, &stream->reader[i]));
        report_print_json(json_pack("{s:s, s:o}", "stream", name, "readers", list));
        return;
    }
    struct table table;
    table_init(&table, titles);
    for (uint32_t i = 0; i < stream->readers; i++)
        add_reader_row(&table, &stream->reader[i]);
    table_print(&table, stdout);
    table_finish(&table);
}

int tool_ls(int argc, char **argv) {
    const int operand = program_start(&program, argc, argv);
    if (argc - operand > 1)
        program_fail_usage("at most one stream can be named");
    const enum report_format format = report_format_parse(format_text);
    const char *stream = operand < argc ? argv[operand] : NULL;
    struct shmframe_session *session = program_open_session();
    struct gather *gather = gather_open(session);
    if (gather_update(gather, stream, shmframe_deadline_ns(GATHER_ANSWER_NS)) < 0)
        program_fail_call("what runs cannot be listed");
    if (stream)
        print_readers(gather, stream, format);
    else
        print_streams(gather, format);
    gather_close(gather);
    program_close_session(session);
    report_flush();
    return EXIT_DONE;
}
