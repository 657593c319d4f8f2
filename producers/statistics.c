#include "statistics.h"

#include "report.h"

#include <inttypes.h>
#include <stdio.h>

static bool has_dropped_side_data(const struct producer_stream *stream) {
    return stream->side_data_dropped && stream->side_data_dropped->what;
}

static json_t *describe_side_data(const struct producer_stream *stream) {
    json_t *kinds = json_object();
    for (const struct producer_count *kind = stream->side_data_dropped; kind->what; kind++)
        json_object_set_new(kinds, kind->what, json_integer((json_int_t)kind->count));
    return kinds;
}

static json_t *describe_stream(const struct producer_stream *stream,
                               const struct shmframe_writer_counters *counters) {
    json_t *object = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i}", "stream", stream->name, "frames",
        (json_int_t)counters->published, "in_place", (json_int_t)stream->in_place, "copied",
        (json_int_t)stream->copied, "overdue", (json_int_t)stream->overdue, "dropped",
        (json_int_t)(counters->device_dropped + stream->dropped), "device_dropped",
        (json_int_t)stream->device_dropped, "cold_loans", (json_int_t)counters->loans_cold,
        "refused_loans", (json_int_t)stream->refused, "wakeups", (json_int_t)counters->bells_rung,
        "generation", (int)counters->generation);
    if (object && stream->copied && stream->copied_why)
        json_object_set_new(object, "copied_why", json_string(stream->copied_why));
    if (object && stream->clock_error_ns)
        json_object_set_new(object, "clock_error_us", json_real(stream->clock_error_ns / 1e3));
    if (object && has_dropped_side_data(stream))
        json_object_set_new(object, "side_data_dropped", describe_side_data(stream));
    return object;
}

static void print_json(const struct producer *producer,
                       const struct shmframe_writer_counters *counters, double seconds) {
    json_t *streams = json_array();
    for (uint32_t i = 0; i < producer->streams; i++)
        json_array_append_new(streams, describe_stream(&producer->stream[i], &counters[i]));
    report_print_json(json_pack("{s:f, s:o}", "seconds", seconds, "streams", streams));
}

static void print_text(const struct producer_stream *stream,
                       const struct shmframe_writer_counters *counters, double seconds) {
    const double rate = seconds > 0 ? (double)counters->published / seconds : 0;
    printf("%s: %" PRIu64 " frames in %.1f s (%.2f a second): %" PRIu64 " in place, %" PRIu64
           " copied",
           stream->name, counters->published, seconds, rate, stream->in_place, stream->copied);
    if (stream->copied && stream->copied_why)
        printf(" (%s)", stream->copied_why);
    printf("; %" PRIu64 " overdue, %" PRIu64 " dropped", stream->overdue,
           counters->device_dropped + stream->dropped);
    if (stream->device_dropped)
        printf(" (%" PRIu64 " by the device)", stream->device_dropped);
    printf("; loans: %" PRIu64 " cold, %" PRIu64 " refused", counters->loans_cold, stream->refused);
    if (stream->clock_error_ns)
        printf("; capture times within %.1f us", (double)stream->clock_error_ns / 1e3);
    putchar('\n');
    if (!has_dropped_side_data(stream))
        return;
    printf("%s: side data not carried: ", stream->name);
    for (const struct producer_count *kind = stream->side_data_dropped; kind->what; kind++)
        printf("%s%" PRIu64 " x %s", kind == stream->side_data_dropped ? "" : ", ", kind->count,
               kind->what);
    putchar('\n');
}

void statistics_print(const struct producer *producer,
                      const struct shmframe_writer_counters *counters, double seconds) {
    if (report_format_parse(producer_options.format) == REPORT_JSON)
        print_json(producer, counters, seconds);
    else
        for (uint32_t i = 0; i < producer->streams; i++)
            print_text(&producer->stream[i], &counters[i], seconds);
    report_flush();
}
