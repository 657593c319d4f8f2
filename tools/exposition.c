#include "exposition.h"
#include "gather_words.h"

#include <inttypes.h>
#include <string.h>

#define LABELS(...)                                                                                \
    (const struct openmetrics_label[]) {                                                           \
        __VA_ARGS__, {                                                                             \
            0                                                                                      \
        }                                                                                          \
    }

struct number {
    char text[16];
};

static struct number number_text(uint32_t value) {
    struct number number;
    snprintf(number.text, sizeof(number.text), "%" PRIu32, value);
    return number;
}

static double seconds(int64_t ns) {
    return (double)ns / 1e9;
}

/* ---- streams and their writers ---- */

/* One number of each stream; false: this one has none. */
typedef bool stream_value(const struct gather *gather, const struct gather_stream *stream,
                          double *out_value);

static bool get_live(const struct gather *gather, const struct gather_stream *stream,
                     double *out_value) {
    (void)gather;
    *out_value = stream->info.state == SHMFRAME_STREAM_LIVE;
    return true;
}

static bool get_generation(const struct gather *gather, const struct gather_stream *stream,
                           double *out_value) {
    (void)gather;
    *out_value = stream->info.generation;
    return true;
}

static bool get_readers(const struct gather *gather, const struct gather_stream *stream,
                        double *out_value) {
    (void)gather;
    *out_value = stream->info.readers;
    return true;
}

static bool get_slots(const struct gather *gather, const struct gather_stream *stream,
                      double *out_value) {
    (void)gather;
    *out_value = stream->info.slots;
    return stream->info.state == SHMFRAME_STREAM_LIVE;
}

static bool get_memory(const struct gather *gather, const struct gather_stream *stream,
                       double *out_value) {
    (void)gather;
    *out_value = (double)stream->info.memory_bytes;
    return true;
}

static bool get_period(const struct gather *gather, const struct gather_stream *stream,
                       double *out_value) {
    (void)gather;
    *out_value = seconds(stream->info.period_ns);
    return stream->info.period_ns > 0;
}

static bool get_idle(const struct gather *gather, const struct gather_stream *stream,
                     double *out_value) {
    *out_value = seconds(gather->time_ns - stream->info.publish_ns);
    return stream->info.publish_ns != 0;
}

static bool get_blocked(const struct gather *gather, const struct gather_stream *stream,
                        double *out_value) {
    const int64_t since_ns = stream->info.blocked_ns;
    *out_value = since_ns ? seconds(gather->time_ns - since_ns) : 0;
    return stream->info.state == SHMFRAME_STREAM_LIVE;
}

static const struct {
    const char *name, *unit, *help;
    stream_value *get;
} stream_gauges[] = {
    {"shmframe_stream_live", NULL, "Whether it has a writer.", get_live},
    {"shmframe_stream_generation", NULL, "Rings that there were so far.", get_generation},
    {"shmframe_stream_readers", NULL, "Readers that it has.", get_readers},
    {"shmframe_stream_slots", NULL, "Slots of its ring that have memory.", get_slots},
    {"shmframe_stream_memory_bytes", "bytes", "Memory of its rings.", get_memory},
    {"shmframe_stream_period_seconds", "seconds", "Time between frames, as the format has it.",
     get_period},
    {"shmframe_stream_idle_seconds", "seconds", "Time since the newest frame was published.",
     get_idle},
    {"shmframe_writer_blocked_seconds", "seconds",
     "How long the writer has been kept waiting by readers, or refused slots; 0: it is not.",
     get_blocked},
};

static const struct {
    const char *name, *help;
    size_t offset;
} writer_counters[] = {
    {"shmframe_writer_published_frames", "Frames that this writer published.",
     offsetof(struct shmframe_stream_info, published)},
    {"shmframe_writer_abandoned_loans", "Slots that it took on loan and gave back unpublished.",
     offsetof(struct shmframe_stream_info, abandoned)},
    {"shmframe_writer_refused_loans", "Loans that found no slot.",
     offsetof(struct shmframe_stream_info, refused)},
    {"shmframe_writer_waits", "Times that it had to wait for a lossless reader.",
     offsetof(struct shmframe_stream_info, waits)},
};

static uint64_t counter_at(const void *counters, size_t offset) {
    uint64_t value;
    memcpy(&value, (const char *)counters + offset, sizeof(value));
    return value;
}

static uint32_t count_streams(const struct gather *gather) {
    return gather->streams < EXPOSITION_STREAMS_MAX ? gather->streams : EXPOSITION_STREAMS_MAX;
}

static void write_stream_info(struct openmetrics *metrics, const struct gather *gather) {
    openmetrics_family(metrics, OPENMETRICS_GAUGE, "shmframe_stream_info", NULL,
                       "What the stream is; always 1.");
    for (uint32_t i = 0; i < count_streams(gather); i++) {
        const struct shmframe_stream_info *info = &gather->stream[i].info;
        openmetrics_count(metrics,
                          LABELS({"stream", info->name}, {"group", info->group},
                                 {"kind", gather_kind_name(info->kind)}, {"format", info->format},
                                 {"writer", info->writer}),
                          1);
    }
}

static void write_stream_gauges(struct openmetrics *metrics, const struct gather *gather) {
    for (unsigned k = 0; k < sizeof(stream_gauges) / sizeof(stream_gauges[0]); k++) {
        openmetrics_family(metrics, OPENMETRICS_GAUGE, stream_gauges[k].name, stream_gauges[k].unit,
                           stream_gauges[k].help);
        for (uint32_t i = 0; i < count_streams(gather); i++) {
            double value;
            if (stream_gauges[k].get(gather, &gather->stream[i], &value))
                openmetrics_value(metrics, LABELS({"stream", gather->stream[i].info.name}), value);
        }
    }
}

static void write_writer_counters(struct openmetrics *metrics, const struct gather *gather) {
    openmetrics_family(metrics, OPENMETRICS_COUNTER, "shmframe_stream_frames", NULL,
                       "Sequence of the newest frame: it goes on over writers and formats.");
    for (uint32_t i = 0; i < count_streams(gather); i++)
        openmetrics_count(metrics, LABELS({"stream", gather->stream[i].info.name}),
                          gather->stream[i].info.head);
    for (unsigned k = 0; k < sizeof(writer_counters) / sizeof(writer_counters[0]); k++) {
        openmetrics_family(metrics, OPENMETRICS_COUNTER, writer_counters[k].name, NULL,
                           writer_counters[k].help);
        for (uint32_t i = 0; i < count_streams(gather); i++) {
            const struct shmframe_stream_info *info = &gather->stream[i].info;
            openmetrics_count(metrics, LABELS({"stream", info->name}, {"writer", info->writer}),
                              counter_at(info, writer_counters[k].offset));
        }
    }
    openmetrics_family(metrics, OPENMETRICS_COUNTER, "shmframe_writer_missing_frames", NULL,
                       "Frames that did not come to be, by cause.");
    for (uint32_t i = 0; i < count_streams(gather); i++) {
        const struct shmframe_stream_info *info = &gather->stream[i].info;
        openmetrics_count(metrics,
                          LABELS({"stream", info->name}, {"writer", info->writer},
                                 {"cause", shmframe_cause_name(SHMFRAME_CAUSE_WRITER_LATE)}),
                          info->late);
        openmetrics_count(metrics,
                          LABELS({"stream", info->name}, {"writer", info->writer},
                                 {"cause", shmframe_cause_name(SHMFRAME_CAUSE_DEVICE)}),
                          info->device_dropped);
    }
}

/* ---- readers ---- */

struct shown_reader {
    const struct gather_stream *stream;
    const struct gather_reader *reader;
    struct number number;
};

struct shown {
    struct shown_reader reader[EXPOSITION_READERS_MAX];
    uint32_t readers;
    uint32_t left_out;
};

static void choose_readers(struct shown *shown, const struct gather *gather) {
    shown->readers = shown->left_out = 0;
    for (uint32_t i = 0; i < gather->streams; i++)
        for (uint32_t j = 0; j < gather->stream[i].readers; j++) {
            const struct gather_reader *reader = &gather->stream[i].reader[j];
            if (!reader->record || shown->readers == EXPOSITION_READERS_MAX)
                shown->left_out++;
            else
                shown->reader[shown->readers++] = (struct shown_reader){
                    &gather->stream[i], reader, number_text(reader->info.number)};
        }
}

#define READER_LABELS(shown, ...)                                                                  \
    LABELS({"stream", (shown)->stream->info.name}, {"reader", (shown)->reader->info.name},         \
           {"number", (shown)->number.text}, ##__VA_ARGS__)

static const struct {
    const char *name, *help;
    size_t offset;
} reader_counters[] = {
    {"shmframe_reader_frames", "Frames that the reader took.",
     offsetof(struct shmframe_reader_counters, delivered)},
    {"shmframe_reader_skipped_frames", "Frames that it passed over as its policy says.",
     offsetof(struct shmframe_reader_counters, skipped)},
    {"shmframe_reader_torn_frames", "Frames that were overwritten while it held them.",
     offsetof(struct shmframe_reader_counters, stale)},
    {"shmframe_reader_sleeps", "Times that it went to sleep for a frame.",
     offsetof(struct shmframe_reader_counters, sleeps)},
    {"shmframe_reader_spurious_wakeups", "Times that it was woken without a frame.",
     offsetof(struct shmframe_reader_counters, spurious)},
};

static const struct {
    enum shmframe_cause cause;
    size_t offset;
} losses[] = {
    {SHMFRAME_CAUSE_WOKEN_LATE, offsetof(struct shmframe_reader_counters, late_woken)},
    {SHMFRAME_CAUSE_HELD, offsetof(struct shmframe_reader_counters, late_held)},
    {SHMFRAME_CAUSE_AWAY, offsetof(struct shmframe_reader_counters, late_away)},
    {SHMFRAME_CAUSE_RESTART, offsetof(struct shmframe_reader_counters, lost_restart)},
};

static void write_reader_counters(struct openmetrics *metrics, const struct shown *shown) {
    for (unsigned k = 0; k < sizeof(reader_counters) / sizeof(reader_counters[0]); k++) {
        openmetrics_family(metrics, OPENMETRICS_COUNTER, reader_counters[k].name, NULL,
                           reader_counters[k].help);
        for (uint32_t i = 0; i < shown->readers; i++) {
            const struct shown_reader *one = &shown->reader[i];
            openmetrics_count(metrics, READER_LABELS(one),
                              counter_at(&one->reader->all->counters, reader_counters[k].offset));
        }
    }
    openmetrics_family(metrics, OPENMETRICS_COUNTER, "shmframe_reader_lost_frames", NULL,
                       "Frames that it was to get and did not, by cause.");
    for (uint32_t i = 0; i < shown->readers; i++)
        for (unsigned k = 0; k < sizeof(losses) / sizeof(losses[0]); k++) {
            const struct shown_reader *one = &shown->reader[i];
            openmetrics_count(metrics,
                              READER_LABELS(one, {"cause", shmframe_cause_name(losses[k].cause)}),
                              counter_at(&one->reader->all->counters, losses[k].offset));
        }
}

static void write_reader_state(struct openmetrics *metrics, const struct gather *gather,
                               const struct shown *shown) {
    openmetrics_family(metrics, OPENMETRICS_GAUGE, "shmframe_reader_held_leases", NULL,
                       "Frames that it holds.");
    for (uint32_t i = 0; i < shown->readers; i++)
        openmetrics_count(metrics, READER_LABELS(&shown->reader[i]),
                          shown->reader[i].reader->state.held);
    openmetrics_family(metrics, OPENMETRICS_GAUGE, "shmframe_reader_held_seconds", "seconds",
                       "For how long it has held the oldest of them; 0: it holds none.");
    for (uint32_t i = 0; i < shown->readers; i++) {
        const struct shmframe_reader_state *state = &shown->reader[i].reader->state;
        openmetrics_value(metrics, READER_LABELS(&shown->reader[i]),
                          state->held ? seconds(gather->time_ns - state->held_since_ns) : 0);
    }
}

static void write_hops(struct openmetrics *metrics, const struct shown *shown) {
    openmetrics_family(metrics, OPENMETRICS_HISTOGRAM, "shmframe_reader_hop_seconds", "seconds",
                       "How long frames took: produce, wake, transit, hold; age and display are "
                       "totals.");
    for (uint32_t i = 0; i < shown->readers; i++)
        for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++) {
            const struct shown_reader *one = &shown->reader[i];
            /* Few programs show frames. */
            if (hop == SHMFRAME_HOP_DISPLAY && one->reader->all->hop[hop].count == 0)
                continue;
            openmetrics_histogram(metrics, READER_LABELS(one, {"hop", shmframe_hop_name(hop)}),
                                  &one->reader->all->hop[hop]);
        }
}

/* ---- processes ---- */

struct shown_process {
    const struct gather_process *process;
    const char *name;
    struct number pid;
};

struct shown_processes {
    struct shown_process process[EXPOSITION_READERS_MAX + EXPOSITION_STREAMS_MAX];
    uint32_t count;
};

/* A process may read and write several streams, and is shown once. */
static void add_process(struct shown_processes *shown, const struct gather_process *process,
                        const char *name) {
    if (!process || !process->is_known)
        return;
    for (uint32_t i = 0; i < shown->count; i++)
        if (shown->process[i].process == process)
            return;
    if (shown->count < sizeof(shown->process) / sizeof(shown->process[0]))
        shown->process[shown->count++] =
            (struct shown_process){process, name, number_text((uint32_t)process->pid)};
}

static void choose_processes(struct shown_processes *shown, const struct gather *gather,
                             const struct shown *readers) {
    shown->count = 0;
    for (uint32_t i = 0; i < gather->nodes; i++)
        add_process(shown, gather->node[i].process, gather->node[i].info.name);
    for (uint32_t i = 0; i < count_streams(gather); i++)
        add_process(shown, gather->stream[i].process, gather->stream[i].info.writer);
    for (uint32_t i = 0; i < readers->readers; i++)
        add_process(shown, readers->reader[i].reader->process,
                    readers->reader[i].reader->info.name);
}

static void write_processes(struct openmetrics *metrics, const struct shown_processes *shown) {
    openmetrics_family(metrics, OPENMETRICS_COUNTER, "shmframe_process_cpu_seconds", "seconds",
                       "User and system time of who writes, reads, or is a node.");
    for (uint32_t i = 0; i < shown->count; i++)
        openmetrics_value(
            metrics,
            LABELS({"process", shown->process[i].name}, {"pid", shown->process[i].pid.text}),
            seconds(shown->process[i].process->cpu_ns));
    openmetrics_family(metrics, OPENMETRICS_GAUGE, "shmframe_process_resident_memory_bytes",
                       "bytes", "Its resident memory, rings included.");
    for (uint32_t i = 0; i < shown->count; i++)
        openmetrics_value(
            metrics,
            LABELS({"process", shown->process[i].name}, {"pid", shown->process[i].pid.text}),
            (double)shown->process[i].process->resident_bytes);
}

/* ---- nodes ---- */

static const char *const node_states[] = {"stopped",  "waiting", "starting", "running",
                                          "stopping", "killing", "back-off", "failed"};
enum { NODE_STATES = sizeof(node_states) / sizeof(node_states[0]) };

static void write_nodes(struct openmetrics *metrics, const struct gather *gather) {
    openmetrics_family(metrics, OPENMETRICS_GAUGE, "shmframe_node_state", NULL,
                       "1 for the state that the node is in, 0 for the others.");
    for (uint32_t i = 0; i < gather->nodes; i++)
        for (unsigned k = 0; k < NODE_STATES; k++) {
            const struct shmframe_node_info *info = &gather->node[i].info;
            openmetrics_count(metrics, LABELS({"node", info->name}, {"state", node_states[k]}),
                              strcmp(info->state, node_states[k]) == 0);
        }
    openmetrics_family(metrics, OPENMETRICS_COUNTER, "shmframe_node_starts", NULL,
                       "How often it was started.");
    for (uint32_t i = 0; i < gather->nodes; i++)
        openmetrics_count(metrics, LABELS({"node", gather->node[i].info.name}),
                          gather->node[i].info.starts);
    openmetrics_family(metrics, OPENMETRICS_COUNTER, "shmframe_node_restarts", NULL,
                       "How often of these the supervisor did it by itself.");
    for (uint32_t i = 0; i < gather->nodes; i++)
        openmetrics_count(metrics, LABELS({"node", gather->node[i].info.name}),
                          gather->node[i].info.restarts);
}

/* ---- what the journal told ---- */

static void write_tally(struct openmetrics *metrics, const struct event_tally *tally) {
    openmetrics_family(metrics, OPENMETRICS_COUNTER, "shmframe_events", NULL,
                       "Lines of the journal since this program began.");
    for (uint32_t i = 0; i < tally->streams; i++)
        for (unsigned type = 1; type < SHMFRAME_JOURNAL_TYPES; type++)
            for (unsigned cause = 0; cause < SHMFRAME_CAUSES; cause++)
                if (tally->stream[i].events[type][cause])
                    openmetrics_count(metrics,
                                      LABELS({"type", shmframe_event_type_name(type)},
                                             {"cause", shmframe_cause_name(cause)},
                                             {"stream", tally->stream[i].name}),
                                      tally->stream[i].events[type][cause]);
    openmetrics_family(metrics, OPENMETRICS_COUNTER, "shmframe_lost_frames", NULL,
                       "Frames lost, as the journal told since this program began.");
    for (uint32_t i = 0; i < tally->streams; i++)
        for (unsigned cause = 1; cause < SHMFRAME_CAUSES; cause++)
            if (tally->stream[i].name[0] || tally->stream[i].lost[cause])
                openmetrics_count(metrics,
                                  LABELS({"stream", tally->stream[i].name},
                                         {"cause", shmframe_cause_name(cause)}),
                                  tally->stream[i].lost[cause]);
}

/* ---- all ---- */

static void write_picture(struct openmetrics *metrics, const struct gather *gather) {
    static struct shown readers;
    static struct shown_processes processes;
    choose_readers(&readers, gather);
    choose_processes(&processes, gather, &readers);
    write_stream_info(metrics, gather);
    write_stream_gauges(metrics, gather);
    write_writer_counters(metrics, gather);
    openmetrics_family(metrics, OPENMETRICS_GAUGE, "shmframe_readers_left_out", NULL,
                       "Readers without metrics: other users', or too many.");
    openmetrics_count(metrics, NULL, readers.left_out);
    openmetrics_family(metrics, OPENMETRICS_GAUGE, "shmframe_streams_left_out", NULL,
                       "Streams without metrics, as they would be too many.");
    openmetrics_count(metrics, NULL, gather->streams - count_streams(gather));
    write_reader_counters(metrics, &readers);
    write_reader_state(metrics, gather, &readers);
    write_hops(metrics, &readers);
    write_processes(metrics, &processes);
    write_nodes(metrics, gather);
}

void exposition_write(FILE *file, enum openmetrics_dialect dialect, const struct gather *gather,
                      struct event_tally *tally) {
    struct openmetrics metrics;
    openmetrics_begin(&metrics, file, dialect);
    openmetrics_family(&metrics, OPENMETRICS_GAUGE, "shmframe_up", NULL,
                       "Whether the supervisor answers.");
    openmetrics_count(&metrics, NULL, gather != NULL);
    openmetrics_family(&metrics, OPENMETRICS_GAUGE, "shmframe_build_info", NULL,
                       "The version of the program that tells this; always 1.");
    openmetrics_count(&metrics, LABELS({"version", SHMFRAME_VERSION}), 1);
    if (gather)
        write_picture(&metrics, gather);
    /* A stream's counts are 0 before its first loss, so that this can be seen to rise. */
    for (uint32_t i = 0; gather && tally && i < count_streams(gather); i++)
        event_tally_stream(tally, gather->stream[i].info.name);
    if (tally)
        write_tally(&metrics, tally);
    openmetrics_end(&metrics);
}
