/* shmframe stats: what readers and writers count and measure, once or again and again. */
#include "exposition.h"
#include "gather_words.h"
#include "report.h"
#include "table.h"
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *format;
    int64_t interval_ns;
    uint32_t count;
} settings = {.format = "text"};

static const struct option_spec options[] = {
    {.name = "interval",
     .kind = OPTION_POSITIVE_DURATION,
     .out = &settings.interval_ns,
     .argument = "TIME",
     .help = "print again and again, each time what came in so long (otherwise once, of all time)"},
    {.name = "count",
     .kind = OPTION_POSITIVE_COUNT,
     .out = &settings.count,
     .argument = "N",
     .help = "with --interval, end after so many"},
    {.name = "format",
     .kind = OPTION_TEXT,
     .out = &settings.format,
     .argument = "FORMAT",
     .help = "text, json: one object a line, or openmetrics: always of all time"},
    {0},
};

static const struct program program = {
    .name = "shmframe stats",
    .purpose = "Prints what readers and writers count and measure, of all streams or of STREAM...",
    .operands = "[STREAM...]",
    .options = options,
};

static int look(struct gather *gather, char *const *names) {
    uint32_t count = 0;
    while (names[count])
        count++;
    return gather_update_some(gather, (const char *const *)names, count,
                              shmframe_deadline_ns(GATHER_ANSWER_NS));
}

/* ---- text ---- */

static void add_quantile(struct table *table, const struct shmframe_histogram *histogram,
                         double quantile) {
    char text[HOPS_TIME_BYTES];
    hops_format_time(shmframe_histogram_quantile_ns(histogram, quantile), text);
    table_add(table, "%s", histogram->count ? text : "-");
}

static void add_cpu(struct table *table, const struct gather_process *process) {
    if (!process || !process->is_known)
        table_add(table, "-");
    else if (process->cpu_percent < 0)
        table_add(table, "%.1f s", (double)process->cpu_ns / 1e9);
    else
        table_add(table, "%.1f %%", process->cpu_percent);
}

static void add_stream(struct table *table, const struct gather_stream *stream, bool is_span) {
    const struct shmframe_stream_info *info = is_span ? &stream->span : &stream->info;
    const bool has_writer = info->state == SHMFRAME_STREAM_LIVE;
    char rate[GATHER_RATE_BYTES];
    gather_format_rate(stream->rate_hz, rate);
    table_add(table, "%s", info->name);
    table_add(table, "%s", has_writer ? info->writer : gather_state_name(info->state));
    table_add(table, "%s", rate);
    table_add(table, "%" PRIu64, has_writer && info->published ? info->published : info->head);
    table_add(table, "%" PRIu64, info->late + info->device_dropped);
    add_cpu(table, stream->process);
    for (unsigned i = 0; i < 6; i++)
        table_add(table, "-");
}

static void add_reader(struct table *table, const struct gather_reader *reader, bool is_span) {
    const struct hops *hops = is_span ? reader->span : reader->all;
    char rate[GATHER_RATE_BYTES];
    gather_format_rate(reader->rate_hz, rate);
    table_add(table, "  reader %" PRIu32, reader->info.number);
    table_add(table, "%s", reader->info.name);
    table_add(table, "%s", rate);
    if (reader->record) {
        table_add(table, "%" PRIu64, hops->counters.delivered);
        table_add(table, "%" PRIu64, gather_count_lost(&hops->counters));
    } else {
        table_add(table, "-");
        table_add(table, "-");
    }
    add_cpu(table, reader->process);
    static const enum shmframe_hop shown[] = {SHMFRAME_HOP_TRANSIT, SHMFRAME_HOP_HOLD,
                                              SHMFRAME_HOP_AGE};
    for (unsigned i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        add_quantile(table, &hops->hop[shown[i]], 0.5);
        add_quantile(table, &hops->hop[shown[i]], 0.99);
    }
}

static void print_text(const struct gather *gather, bool is_span) {
    static const char *const titles[] = {"STREAM",   "WHO",          ">RATE", ">FRAMES",   ">LOST",
                                         ">CPU",     ">TRANSIT p50", ">p99",  ">HOLD p50", ">p99",
                                         ">AGE p50", ">p99",         NULL};
    struct table table;
    table_init(&table, titles);
    for (uint32_t i = 0; i < gather->streams; i++) {
        const struct gather_stream *stream = &gather->stream[i];
        add_stream(&table, stream, is_span);
        for (uint32_t j = 0; j < stream->readers; j++)
            add_reader(&table, &stream->reader[j], is_span);
    }
    table_print(&table, stdout);
    table_finish(&table);
    if (is_span)
        putchar('\n');
}

/* ---- JSON ---- */

static void print_json(const struct gather *gather, bool is_span) {
    json_t *streams = json_array(), *nodes = json_array();
    for (uint32_t i = 0; i < gather->streams; i++) {
        const struct gather_stream *stream = &gather->stream[i];
        json_t *readers = json_array();
        for (uint32_t j = 0; j < stream->readers; j++)
            json_array_append_new(readers,
                                  is_span ? gather_make_span_json(gather, &stream->reader[j])
                                          : gather_make_reader_json(gather, &stream->reader[j]));
        json_array_append_new(streams, json_pack("{s:o, s:o}", "stream",
                                                 gather_make_stream_json(gather, stream), "readers",
                                                 readers));
    }
    for (uint32_t i = 0; i < gather->nodes; i++)
        json_array_append_new(nodes, gather_make_node_json(gather, &gather->node[i]));
    report_print_json(json_pack("{s:I, s:I, s:o, s:o}", "monotonic_ns", (json_int_t)gather->time_ns,
                                "span_ns", (json_int_t)gather->span_ns, "streams", streams, "nodes",
                                nodes));
}

/* ---- once, and again ---- */

static void print(const struct gather *gather, bool is_span) {
    if (strcmp(settings.format, "openmetrics") == 0)
        exposition_write(stdout, OPENMETRICS_1_0, gather, NULL);
    else if (report_format_parse(settings.format) == REPORT_JSON)
        print_json(gather, is_span);
    else
        print_text(gather, is_span);
    report_flush();
}

static void need_streams(const struct gather *gather, char *const *names) {
    for (; *names; names++)
        if (!gather_find_stream(gather, *names))
            program_fail("no stream '%s'; 'shmframe ls' lists what there is", *names);
}

/* Waits until `deadline_ns`; false: it is to end. */
static bool wait_until(struct shmframe_session *session, int64_t deadline_ns) {
    int64_t left_ns;
    while (!program_is_stopping() && (left_ns = deadline_ns - shmframe_now_ns()) > 0) {
        struct pollfd waits[] = {{.fd = program_stop_fd(), .events = POLLIN},
                                 {.fd = shmframe_session_fd(session), .events = POLLIN}};
        poll(waits, 2, (int)(left_ns < 1000000000 ? left_ns / 1000000 + 1 : 1000));
        shmframe_session_dispatch(session);
    }
    return !program_is_stopping();
}

static void print_again(struct gather *gather, char *const *names) {
    int64_t next_ns = gather->time_ns;
    for (uint32_t i = 0; !settings.count || i < settings.count;) {
        /* From now, if a supervisor was away meanwhile: a stopped program does not catch up. */
        next_ns += settings.interval_ns;
        if (next_ns < shmframe_now_ns())
            next_ns = shmframe_deadline_ns(settings.interval_ns);
        if (!wait_until(gather->session, next_ns))
            return;
        const int code = look(gather, names);
        if (code == -EINTR)
            return;
        if (code < 0) {
            program_warn("%s", shmframe_last_error());
            continue;
        }
        print(gather, strcmp(settings.format, "openmetrics") != 0);
        i++;
    }
}

int tool_stats(int argc, char **argv) {
    char **names = argv + program_start(&program, argc, argv);
    if (strcmp(settings.format, "text") != 0 && strcmp(settings.format, "json") != 0 &&
        strcmp(settings.format, "openmetrics") != 0)
        program_fail_usage("--format: \"%s\" should be text, json or openmetrics", settings.format);
    if (settings.count && !settings.interval_ns)
        program_fail_usage("--count goes with --interval");
    struct shmframe_session *session = program_open_session();
    program_stop_on_signals(session);
    struct gather *gather = gather_open(session);
    if (look(gather, names) < 0)
        program_fail_call("what runs cannot be looked at");
    need_streams(gather, names);
    if (settings.interval_ns)
        print_again(gather, names);
    else
        print(gather, false);
    gather_close(gather);
    program_close_session(session);
    return EXIT_DONE;
}
