/* shmframe info: all that is known of one stream. */
#include "consumer.h"
#include "duration.h"
#include "event_list.h"
#include "event_text.h"
#include "gather_words.h"
#include "report.h"
#include "tool.h"

#include <inttypes.h>
#include <string.h>

enum { EVENTS_SHOWN = 10 };

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
    .name = "shmframe info",
    .purpose = "Tells all of STREAM: format, ring, writer, readers, losses and newest events.",
    .operands = "STREAM",
    .options = options,
};

static void print_item(const char *title, const char *text, ...)
    __attribute__((format(printf, 2, 3)));

static void print_item(const char *title, const char *text, ...) {
    va_list values;
    printf("%-10s", title);
    va_start(values, text);
    vprintf(text, values);
    va_end(values);
    putchar('\n');
}

static double mebi(uint64_t bytes) {
    return (double)bytes / (1024 * 1024);
}

/* ---- stream and writer ---- */

static void print_rate(const struct gather_stream *stream) {
    char rate[GATHER_RATE_BYTES], nominal[GATHER_RATE_BYTES];
    gather_format_rate(stream->rate_hz, rate);
    gather_format_rate(stream->nominal_hz, nominal);
    if (stream->rate_hz < 0 && stream->nominal_hz <= 0)
        print_item("rate", "not known: it has no nominal one, and no reader tells");
    else if (stream->nominal_hz <= 0)
        print_item("rate", "%s frames a second, no nominal one", rate);
    else if (stream->rate_hz < 0)
        print_item("rate", "nominal %s frames a second", nominal);
    else
        print_item("rate", "%s frames a second, nominal %s", rate, nominal);
}

static void print_writing(const struct gather *gather, const struct gather_stream *stream) {
    char text[DURATION_BYTES];
    switch (gather_find_writing(gather, stream)) {
    case GATHER_WRITING_NOTHING:
    case GATHER_WRITING_WELL:
        break;
    case GATHER_WRITING_BLOCKED:
        duration_format(gather->time_ns - stream->info.blocked_ns, text);
        if (stream->blocker)
            print_item("", "for %s kept waiting by %s (reader %" PRIu32 ", pid %" PRId32 ")", text,
                       stream->blocker->info.name, stream->blocker->info.number,
                       stream->blocker->info.pid);
        else
            print_item("", "for %s without a free slot: it has them on loan or pinned itself",
                       text);
        break;
    case GATHER_WRITING_STALLED:
        duration_format(gather->time_ns - stream->info.publish_ns, text);
        print_item("", "has published nothing for %s", text);
        break;
    }
}

static void print_process(const struct gather_process *process) {
    if (!process || !process->is_known)
        return;
    char age[DURATION_BYTES], cpu[DURATION_BYTES];
    duration_format(process->age_ns, age);
    duration_format(process->cpu_ns, cpu);
    print_item("",
               "process: %s old, %s of processor time, %.1f MiB of its own, %" PRIu32 " thread%s%s",
               age, cpu, mebi((uint64_t)process->private_bytes), process->threads,
               process->threads == 1 ? "" : "s", process->state == 'T' ? ", stopped" : "");
}

static void print_writer(const struct gather *gather, const struct gather_stream *stream) {
    const struct shmframe_stream_info *info = &stream->info;
    if (info->state != SHMFRAME_STREAM_LIVE) {
        print_item("writer", "none%s%s", *info->writer ? "; the last one was " : "", info->writer);
        return;
    }
    print_item("writer", "%s (pid %" PRId32 ", user %" PRIu32 ")", info->writer, info->writer_pid,
               info->writer_uid);
    print_item("",
               "published %" PRIu64 ", abandoned %" PRIu64 ", refused a slot %" PRIu64
               ", waited for readers %" PRIu64,
               info->published, info->abandoned, info->refused, info->waits);
    print_item("", "missing: as it was late %" PRIu64 ", dropped by the device %" PRIu64,
               info->late, info->device_dropped);
    print_writing(gather, stream);
    print_process(stream->process);
}

static void print_stream(const struct gather *gather, const struct gather_stream *stream) {
    const struct shmframe_stream_info *info = &stream->info;
    print_item("stream", "%s, %s%s%s", info->name, gather_state_name(info->state),
               *info->group ? ", of group " : "", info->group);
    print_item("format", "%s: %s", gather_kind_name(info->kind),
               *info->format ? info->format : "none yet");
    print_rate(stream);
    print_item("frames", "newest %" PRIu64 ", generation %" PRIu32, info->head, info->generation);
    print_item("ring",
               "%" PRIu32 " of %" PRIu32 " slots have memory, %.2f MiB each; %.1f MiB in all",
               info->slots, info->slots_max, mebi(info->slot_bytes), mebi(info->memory_bytes));
    print_writer(gather, stream);
}

/* ---- readers ---- */

static void print_losses(const struct shmframe_reader_counters *counters) {
    const struct {
        enum shmframe_cause cause;
        uint64_t count;
    } losses[] = {
        {SHMFRAME_CAUSE_WOKEN_LATE, counters->late_woken},
        {SHMFRAME_CAUSE_HELD, counters->late_held},
        {SHMFRAME_CAUSE_AWAY, counters->late_away},
        {SHMFRAME_CAUSE_RESTART, counters->lost_restart},
    };
    if (gather_count_lost(counters) == 0)
        return;
    fputs("lost by cause:", stdout);
    for (unsigned i = 0; i < sizeof(losses) / sizeof(losses[0]); i++)
        if (losses[i].count)
            printf(" %s %" PRIu64, shmframe_cause_name(losses[i].cause), losses[i].count);
    putchar('\n');
}

static void print_reader(const struct gather *gather, const struct gather_reader *reader) {
    const struct shmframe_reader_info *info = &reader->info;
    printf("\nreader %" PRIu32 ": %s (pid %" PRId32 ", user %" PRIu32 "), %s", info->number,
           info->name, info->pid, info->uid, consumer_policy_name(info->policy));
    if (info->policy == SHMFRAME_IN_ORDER)
        printf(", depth %" PRIu32, info->depth);
    puts(info->is_evicted ? ", evicted" : info->generation == 0 ? ", not linked" : "");
    print_process(reader->process);
    if (!reader->record) {
        print_item("", "its record is not shown to this user");
        return;
    }
    char since[DURATION_BYTES], held[DURATION_BYTES];
    duration_format(gather->time_ns - reader->state.since_ns, since);
    duration_format(gather->time_ns - reader->state.held_since_ns, held);
    print_item("", "%s for %s, holds %" PRIu32 " of %" PRIu32 "%s%s",
               gather_doing_name(reader->state.doing), since, reader->state.held, info->leases,
               reader->state.held ? ", the oldest for " : "", reader->state.held ? held : "");
    hops_print(stdout, reader->all);
    print_losses(&reader->all->counters);
}

/* ---- events ---- */

static bool is_of_stream(void *user, const struct shmframe_event *event) {
    return strcmp(event->stream, user) == 0;
}

static void print_events(const struct event_list *list) {
    if (list->count)
        puts("\nnewest events:");
    for (uint32_t i = 0; i < list->count; i++) {
        char time[EVENT_TIME_BYTES], text[EVENT_TEXT_BYTES];
        event_format_time(&list->event[i], true, time);
        event_describe(&list->event[i], text);
        printf("%s %s\n", time, text);
    }
}

/* ---- all ---- */

static void print_text(const struct gather *gather, const struct gather_stream *stream,
                       const struct event_list *events) {
    print_stream(gather, stream);
    for (uint32_t i = 0; i < stream->readers; i++)
        print_reader(gather, &stream->reader[i]);
    print_events(events);
    report_flush();
}

static void print_json(const struct gather *gather, const struct gather_stream *stream,
                       const struct event_list *list) {
    json_t *readers = json_array(), *events = json_array();
    for (uint32_t i = 0; i < stream->readers; i++)
        json_array_append_new(readers, gather_make_reader_json(gather, &stream->reader[i]));
    for (uint32_t i = 0; i < list->count; i++)
        json_array_append_new(events, gather_make_event_json(&list->event[i]));
    report_print_json(json_pack("{s:o, s:o, s:o}", "stream",
                                gather_make_stream_json(gather, stream), "readers", readers,
                                "events", events));
}

int tool_info(int argc, char **argv) {
    const int operand = program_start(&program, argc, argv);
    if (argc - operand != 1)
        program_fail_usage("one stream is to be named");
    char *name = argv[operand];
    const enum report_format format = report_format_parse(format_text);
    struct shmframe_session *session = program_open_session();
    struct gather *gather = gather_open(session);
    if (gather_update(gather, name, shmframe_deadline_ns(GATHER_ANSWER_NS)) < 0)
        program_fail_call("the stream cannot be looked at");
    const struct gather_stream *stream = gather_find_stream(gather, name);
    if (!stream)
        program_fail("no stream '%s'; 'shmframe ls' lists what there is", name);
    struct event_list events;
    if (event_list_take(&events, session, is_of_stream, name, EVENTS_SHOWN) < 0)
        program_fail_call("the events cannot be read");
    (format == REPORT_JSON ? print_json : print_text)(gather, stream, &events);
    event_list_finish(&events);
    gather_close(gather);
    program_close_session(session);
    return EXIT_DONE;
}
