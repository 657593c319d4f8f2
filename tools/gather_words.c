#include "gather_words.h"
#include "consumer.h"
#include "event_text.h"

#include <signal.h>
#include <time.h>

/* ---- names ---- */

static const char *name_of(const char *const *names, size_t count, uint32_t value) {
    return value < count ? names[value] : "?";
}
#define NAME_OF(names, value) name_of(names, sizeof(names) / sizeof((names)[0]), value)

const char *gather_kind_name(uint32_t kind) {
    static const char *const names[] = {
        [SHMFRAME_NONE] = "none",
        [SHMFRAME_VIDEO] = "video",
        [SHMFRAME_AUDIO] = "audio",
        [SHMFRAME_DATA] = "data",
    };
    return NAME_OF(names, kind);
}

const char *gather_state_name(uint32_t state) {
    static const char *const names[] = {
        [SHMFRAME_STREAM_WAITED_FOR] = "waited for",
        [SHMFRAME_STREAM_LIVE] = "live",
        [SHMFRAME_STREAM_ENDED] = "ended",
        [SHMFRAME_STREAM_WRITER_GONE] = "writer gone",
    };
    return NAME_OF(names, state);
}

const char *gather_doing_name(uint32_t doing) {
    static const char *const names[] = {
        [SHMFRAME_DOING_AWAY] = "away",
        [SHMFRAME_DOING_ASLEEP] = "asleep",
        [SHMFRAME_DOING_POLLING] = "polling",
    };
    return NAME_OF(names, doing);
}

const char *gather_reader_state_name(const struct gather_reader *reader) {
    const struct gather_process *process = reader->process;
    if (reader->info.is_evicted)
        return "evicted";
    if (process && process->is_known && process->state == 'T')
        return "stopped";
    return reader->record ? gather_doing_name(reader->state.doing) : "-";
}

enum gather_writing gather_find_writing(const struct gather *gather,
                                        const struct gather_stream *stream) {
    const struct shmframe_stream_info *info = &stream->info;
    if (info->state != SHMFRAME_STREAM_LIVE)
        return GATHER_WRITING_NOTHING;
    if (info->blocked_ns)
        return GATHER_WRITING_BLOCKED;
    const int64_t second_ns = INT64_C(1000000000);
    const int64_t periods_ns = 10 * (info->period_ns < second_ns * 3600 ? info->period_ns : 0);
    const int64_t limit_ns = periods_ns > second_ns ? periods_ns : second_ns;
    const bool is_stalled =
        info->period_ns && info->publish_ns && gather->time_ns - info->publish_ns > limit_ns;
    return is_stalled ? GATHER_WRITING_STALLED : GATHER_WRITING_WELL;
}

const char *gather_writing_name(enum gather_writing writing) {
    static const char *const names[] = {
        [GATHER_WRITING_NOTHING] = "none",
        [GATHER_WRITING_WELL] = "publishing",
        [GATHER_WRITING_BLOCKED] = "blocked",
        [GATHER_WRITING_STALLED] = "stalled",
    };
    return NAME_OF(names, writing);
}

void gather_format_rate(double rate_hz, char text[GATHER_RATE_BYTES]) {
    if (rate_hz < 0)
        snprintf(text, GATHER_RATE_BYTES, "-");
    else
        snprintf(text, GATHER_RATE_BYTES, "%.*f",
                 rate_hz < 100    ? 2
                 : rate_hz < 1000 ? 1
                                  : 0,
                 rate_hz);
}

/* ---- JSON ---- */

static void set(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value);
}

/* Names come from processes: JSON takes UTF-8 alone. */
static json_t *make_text(const char *text) {
    json_t *string = json_string(text);
    if (string)
        return string;
    char plain[EVENT_TEXT_BYTES];
    snprintf(plain, sizeof(plain), "%s", text);
    for (char *c = plain; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(plain);
}

static json_t *make_count(uint64_t count) {
    return json_integer((json_int_t)count);
}

static json_t *make_known(bool is_known, json_int_t value) {
    return is_known ? json_integer(value) : json_null();
}

static json_t *make_rate(double rate, bool is_known) {
    return is_known ? json_real(rate) : json_null();
}

static json_t *make_process(const struct gather_process *process) {
    if (!process || !process->is_known)
        return json_null();
    json_t *object = json_object();
    const char state[2] = {process->state, 0};
    set(object, "pid", json_integer(process->pid));
    set(object, "state", json_string(state));
    set(object, "threads", json_integer(process->threads));
    set(object, "age_ns", json_integer(process->age_ns));
    set(object, "cpu_ns", json_integer(process->cpu_ns));
    set(object, "cpu_percent", make_rate(process->cpu_percent, process->cpu_percent >= 0));
    set(object, "resident_bytes", json_integer(process->resident_bytes));
    set(object, "private_bytes", json_integer(process->private_bytes));
    return object;
}

static json_t *make_writer_counters(const struct shmframe_stream_info *info) {
    json_t *object = json_object();
    set(object, "published", make_count(info->published));
    set(object, "abandoned", make_count(info->abandoned));
    set(object, "refused", make_count(info->refused));
    set(object, "late", make_count(info->late));
    set(object, "device_dropped", make_count(info->device_dropped));
    set(object, "waits", make_count(info->waits));
    return object;
}

json_t *gather_make_stream_json(const struct gather *gather, const struct gather_stream *stream) {
    const struct shmframe_stream_info *info = &stream->info;
    json_t *object = json_object();
    set(object, "name", make_text(info->name));
    set(object, "group", make_text(info->group));
    set(object, "kind", json_string(gather_kind_name(info->kind)));
    set(object, "format", make_text(info->format));
    set(object, "generation", json_integer(info->generation));
    set(object, "state", json_string(gather_state_name(info->state)));
    set(object, "writer", make_text(info->writer));
    set(object, "writer_pid", json_integer(info->writer_pid));
    set(object, "writer_uid", json_integer(info->writer_uid));
    set(object, "writer_state",
        json_string(gather_writing_name(gather_find_writing(gather, stream))));
    set(object, "writer_process", make_process(stream->process));
    set(object, "readers", json_integer(info->readers));
    set(object, "head", make_count(info->head));
    set(object, "rate_hz", make_rate(stream->rate_hz, stream->rate_hz >= 0));
    set(object, "nominal_hz", make_rate(stream->nominal_hz, stream->nominal_hz > 0));
    set(object, "idle_ns", make_known(info->publish_ns != 0, gather->time_ns - info->publish_ns));
    set(object, "blocked_ns",
        make_known(info->blocked_ns != 0, gather->time_ns - info->blocked_ns));
    set(object, "blocker", make_known(stream->blocker != NULL, info->blocker));
    set(object, "lost", make_count(stream->lost));
    set(object, "slots", json_integer(info->slots));
    set(object, "slot_bytes", make_count(info->slot_bytes));
    set(object, "slots_max", json_integer(info->slots_max));
    set(object, "memory_bytes", make_count(info->memory_bytes));
    set(object, "counters", make_writer_counters(info));
    return object;
}

json_t *gather_make_stream_span_json(const struct gather *gather,
                                     const struct gather_stream *stream) {
    json_t *object = gather_make_stream_json(gather, stream), *span = json_object();
    set(span, "counters", make_writer_counters(&stream->span));
    set(object, "span", span);
    return object;
}

json_t *gather_make_reader_json(const struct gather *gather, const struct gather_reader *reader) {
    const struct shmframe_reader_info *info = &reader->info;
    const bool is_known = reader->record != NULL;
    json_t *object = json_object();
    set(object, "number", json_integer(info->number));
    set(object, "name", make_text(info->name));
    set(object, "pid", json_integer(info->pid));
    set(object, "uid", json_integer(info->uid));
    set(object, "policy", json_string(consumer_policy_name(info->policy)));
    set(object, "depth", json_integer(info->depth));
    set(object, "leases", json_integer(info->leases));
    set(object, "generation", json_integer(info->generation));
    set(object, "is_evicted", json_boolean(info->is_evicted));
    set(object, "process", make_process(reader->process));
    set(object, "is_measured", json_boolean(is_known));
    set(object, "state",
        is_known ? json_string(gather_doing_name(reader->state.doing)) : json_null());
    set(object, "state_ns", make_known(is_known, gather->time_ns - reader->state.since_ns));
    set(object, "held", make_known(is_known, reader->state.held));
    set(object, "held_ns",
        make_known(reader->state.held > 0, gather->time_ns - reader->state.held_since_ns));
    set(object, "rate_hz", make_rate(reader->rate_hz, reader->rate_hz >= 0));
    set(object, "lost",
        make_known(is_known, (json_int_t)gather_count_lost(&reader->all->counters)));
    hops_add_json(object, reader->all);
    return object;
}

json_t *gather_make_span_json(const struct gather *gather, const struct gather_reader *reader) {
    json_t *object = gather_make_reader_json(gather, reader), *span = json_object();
    hops_add_json(span, reader->span);
    set(object, "span", span);
    return object;
}

json_t *gather_make_node_json(const struct gather *gather, const struct gather_node *node) {
    const struct shmframe_node_info *info = &node->info;
    const int32_t exit = info->exit_status;
    const bool has_status = exit >= 0, has_signal = exit < 0 && exit != INT32_MIN;
    json_t *object = json_object();
    set(object, "name", make_text(info->name));
    set(object, "kind", json_string(info->kind));
    set(object, "state", json_string(info->state));
    set(object, "state_ns", make_known(info->since_ns != 0, gather->time_ns - info->since_ns));
    set(object, "pid", make_known(info->pid != 0, info->pid));
    set(object, "starts", json_integer(info->starts));
    set(object, "restarts", json_integer(info->restarts));
    set(object, "exit_status", make_known(has_status, exit));
    set(object, "exit_signal", make_known(has_signal, has_signal ? -(json_int_t)exit : 0));
    set(object, "next_ns", make_known(info->next_ns != 0, info->next_ns - gather->time_ns));
    set(object, "reason", make_text(info->reason));
    set(object, "process", make_process(node->process));
    return object;
}

static json_t *make_instant(int64_t wall_ns) {
    const time_t seconds = wall_ns / 1000000000;
    struct tm utc;
    char clock[32], text[48];
    if (wall_ns < 0 || !gmtime_r(&seconds, &utc) ||
        strftime(clock, sizeof(clock), "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return json_null();
    snprintf(text, sizeof(text), "%s.%03dZ", clock, (int)(wall_ns / 1000000 % 1000));
    return json_string(text);
}

json_t *gather_make_event_json(const struct shmframe_event *event) {
    const char *type = shmframe_event_type_name(event->type);
    const char *cause = shmframe_cause_name(event->cause);
    char words[EVENT_TEXT_BYTES];
    event_describe(event, words);
    json_t *object = json_object();
    set(object, "id", make_count(event->id));
    set(object, "time", make_instant(event->wall_ns));
    set(object, "wall_ns", json_integer(event->wall_ns));
    set(object, "monotonic_ns", json_integer(event->time_ns));
    set(object, "type", json_string(type ? type : "?"));
    set(object, "stream", json_string(event->stream));
    set(object, "name", make_text(event->name));
    set(object, "pid", json_integer(event->pid));
    set(object, "reader", json_integer(event->reader));
    set(object, "cause", json_string(cause ? cause : "?"));
    set(object, "culprit", make_text(event->culprit));
    set(object, "culprit_pid", json_integer(event->culprit_pid));
    set(object, "culprit_reader", json_integer(event->culprit_reader));
    set(object, "first", make_count(event->first));
    set(object, "count", make_count(event->count));
    set(object, "duration_ns", json_integer(event->duration_ns));
    set(object, "limit_ns", json_integer(event->limit_ns));
    set(object, "generation", json_integer(event->generation));
    set(object, "leases", json_integer(event->leases));
    set(object, "text", make_text(event->text));
    set(object, "words", make_text(words));
    return object;
}
