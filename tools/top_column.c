/* What stands in the rows of top. */
#include "consumer.h"
#include "top_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CELL(name)                                                                                 \
    static void name(const struct gather *gather, const struct top_row *row,                       \
                     char text[TOP_CELL_BYTES])

CELL(put_name) {
    (void)gather;
    const struct gather_stream *stream = row->stream;
    switch (row->kind) {
    case TOP_NOTHING:
        break;
    case TOP_STREAM:
        snprintf(text, TOP_CELL_BYTES, "%s", stream->info.name);
        break;
    case TOP_WRITER:
        snprintf(text, TOP_CELL_BYTES, "<- %s", stream->info.writer);
        break;
    case TOP_READER:
        snprintf(text, TOP_CELL_BYTES, "-> #%" PRIu32 " %s", row->reader->info.number,
                 row->reader->info.name);
        break;
    case TOP_NODES:
        snprintf(text, TOP_CELL_BYTES, "nodes");
        break;
    case TOP_NODE:
        snprintf(text, TOP_CELL_BYTES, "   %s", row->node->info.name);
        break;
    }
}

static void put_reader_state(const struct gather *gather, const struct gather_reader *reader,
                             char text[TOP_CELL_BYTES]) {
    const char *name = gather_reader_state_name(reader);
    if (reader->record && reader->state.held && strcmp(name, "evicted") && strcmp(name, "stopped"))
        name =
            gather->time_ns - reader->state.held_since_ns > INT64_C(1000000000) ? "HOLDS" : "holds";
    snprintf(text, TOP_CELL_BYTES, "%s", name);
}

CELL(put_state) {
    switch (row->kind) {
    case TOP_STREAM:
        snprintf(text, TOP_CELL_BYTES, "%s", gather_state_name(row->stream->info.state));
        break;
    case TOP_WRITER:
        snprintf(text, TOP_CELL_BYTES, "%s",
                 gather_writing_name(gather_find_writing(gather, row->stream)));
        break;
    case TOP_READER:
        put_reader_state(gather, row->reader, text);
        break;
    case TOP_NOTHING:
    case TOP_NODES:
        break;
    case TOP_NODE:
        snprintf(text, TOP_CELL_BYTES, "%s", row->node->info.state);
        break;
    }
}

CELL(put_rate) {
    (void)gather;
    char rate[GATHER_RATE_BYTES] = "";
    if (row->kind == TOP_WRITER)
        gather_format_rate(row->stream->rate_hz, rate);
    else if (row->kind == TOP_READER)
        gather_format_rate(row->reader->rate_hz, rate);
    snprintf(text, TOP_CELL_BYTES, "%s", rate);
}

/* Every reader of a stream measures how long its writer took, of the frames that it takes. */
static const struct gather_reader *find_measuring(const struct gather_stream *stream,
                                                  enum shmframe_hop hop) {
    for (uint32_t i = 0; i < stream->readers; i++)
        if (stream->reader[i].record && stream->reader[i].span->hop[hop].count)
            return &stream->reader[i];
    return stream->readers ? &stream->reader[0] : NULL;
}

static void put_hop(const struct top_row *row, enum shmframe_hop hop, double quantile,
                    char text[TOP_CELL_BYTES]) {
    const struct gather_reader *reader = row->reader;
    if (row->kind == TOP_WRITER && hop == SHMFRAME_HOP_PRODUCE)
        reader = find_measuring(row->stream, hop);
    if (!reader || !reader->record || (row->kind == TOP_READER && hop == SHMFRAME_HOP_PRODUCE))
        return;
    const struct shmframe_histogram *histogram = &reader->span->hop[hop];
    char time[HOPS_TIME_BYTES];
    hops_format_time(shmframe_histogram_quantile_ns(histogram, quantile), time);
    snprintf(text, TOP_CELL_BYTES, "%s", histogram->count ? time : "-");
}

#define HOP_CELL(name, hop, quantile)                                                              \
    CELL(name) {                                                                                   \
        (void)gather;                                                                              \
        put_hop(row, hop, quantile, text);                                                         \
    }
HOP_CELL(put_produce, SHMFRAME_HOP_PRODUCE, 0.99)
HOP_CELL(put_wake_50, SHMFRAME_HOP_WAKE, 0.5)
HOP_CELL(put_wake_99, SHMFRAME_HOP_WAKE, 0.99)
HOP_CELL(put_transit_50, SHMFRAME_HOP_TRANSIT, 0.5)
HOP_CELL(put_transit_99, SHMFRAME_HOP_TRANSIT, 0.99)
HOP_CELL(put_hold_50, SHMFRAME_HOP_HOLD, 0.5)
HOP_CELL(put_hold_99, SHMFRAME_HOP_HOLD, 0.99)
HOP_CELL(put_age_50, SHMFRAME_HOP_AGE, 0.5)
HOP_CELL(put_age_99, SHMFRAME_HOP_AGE, 0.99)

static uint64_t count_missing(const struct shmframe_stream_info *info) {
    return info->late + info->device_dropped;
}

CELL(put_lost) {
    (void)gather;
    if (row->kind == TOP_WRITER)
        snprintf(text, TOP_CELL_BYTES, "%" PRIu64, count_missing(&row->stream->info));
    else if (row->kind == TOP_READER && row->reader->record)
        snprintf(text, TOP_CELL_BYTES, "%" PRIu64, gather_count_lost(&row->reader->all->counters));
}

CELL(put_lost_now) {
    (void)gather;
    const uint64_t lost = row->kind == TOP_WRITER ? count_missing(&row->stream->span)
                          : row->kind == TOP_READER && row->reader->record
                              ? gather_count_lost(&row->reader->span->counters)
                              : 0;
    if (lost)
        snprintf(text, TOP_CELL_BYTES, "+%" PRIu64, lost);
}

CELL(put_held) {
    (void)gather;
    if (row->kind == TOP_READER && row->reader->record)
        snprintf(text, TOP_CELL_BYTES, "%" PRIu32 "/%" PRIu32, row->reader->state.held,
                 row->reader->info.leases);
    else if (row->kind == TOP_STREAM)
        snprintf(text, TOP_CELL_BYTES, "%" PRIu32, row->stream->info.slots);
}

static const struct gather_process *find_process(const struct top_row *row) {
    const struct gather_process *process = row->kind == TOP_WRITER   ? row->stream->process
                                           : row->kind == TOP_READER ? row->reader->process
                                           : row->kind == TOP_NODE   ? row->node->process
                                                                     : NULL;
    return process && process->is_known ? process : NULL;
}

CELL(put_processor) {
    (void)gather;
    const struct gather_process *process = find_process(row);
    if (process && process->cpu_percent >= 0)
        snprintf(text, TOP_CELL_BYTES, "%.1f", process->cpu_percent);
}

CELL(put_memory) {
    (void)gather;
    const struct gather_process *process = find_process(row);
    if (row->kind == TOP_STREAM)
        snprintf(text, TOP_CELL_BYTES, "%.0fM", (double)row->stream->info.memory_bytes / 1048576);
    else if (process)
        snprintf(text, TOP_CELL_BYTES, "%.0fM", (double)process->resident_bytes / 1048576);
}

CELL(put_pid) {
    (void)gather;
    const int32_t pid = row->kind == TOP_WRITER && row->stream->process
                            ? row->stream->info.writer_pid
                        : row->kind == TOP_READER ? row->reader->info.pid
                        : row->kind == TOP_NODE   ? row->node->info.pid
                                                  : 0;
    if (pid)
        snprintf(text, TOP_CELL_BYTES, "%" PRId32, pid);
}

CELL(put_policy) {
    (void)gather;
    if (row->kind == TOP_NODE && row->node->info.restarts)
        snprintf(text, TOP_CELL_BYTES, "%" PRIu32 " restarts", row->node->info.restarts);
    if (row->kind != TOP_READER)
        return;
    const struct shmframe_reader_info *info = &row->reader->info;
    if (info->policy == SHMFRAME_LATEST)
        snprintf(text, TOP_CELL_BYTES, "latest");
    else
        snprintf(text, TOP_CELL_BYTES, "%s %" PRIu32, consumer_policy_name(info->policy),
                 info->depth);
}

CELL(put_generation) {
    (void)gather;
    if (row->kind == TOP_STREAM)
        snprintf(text, TOP_CELL_BYTES, "%" PRIu32, row->stream->info.generation);
    else if (row->kind == TOP_READER)
        snprintf(text, TOP_CELL_BYTES, "%" PRIu32, row->reader->info.generation);
}

CELL(put_up) {
    (void)gather;
    const struct gather_process *process = find_process(row);
    if (!process)
        return;
    const int64_t seconds = process->age_ns / 1000000000;
    if (seconds < 60)
        snprintf(text, TOP_CELL_BYTES, "%" PRId64 "s", seconds);
    else if (seconds < 3600)
        snprintf(text, TOP_CELL_BYTES, "%" PRId64 "m%02" PRId64, seconds / 60, seconds % 60);
    else if (seconds < 86400)
        snprintf(text, TOP_CELL_BYTES, "%" PRId64 "h%02" PRId64, seconds / 3600, seconds / 60 % 60);
    else
        snprintf(text, TOP_CELL_BYTES, "%" PRId64 "d%02" PRId64, seconds / 86400,
                 seconds / 3600 % 24);
}

/* In the order of the screen; `rank`: in which order they are given room. */
static const struct {
    struct top_column column;
    int rank;
} all_columns[] = {
    {{"NAME", 22, false, put_name}, 0},
    {{"STATE", 11, false, put_state}, 1},
    {{"FPS", 6, true, put_rate}, 2},
    {{"PRODUCE", 8, true, put_produce}, 14},
    {{"WAKE p50", 8, true, put_wake_50}, 16},
    {{"WAKE p99", 8, true, put_wake_99}, 12},
    {{"TRANS p50", 9, true, put_transit_50}, 15},
    {{"TRANS p99", 9, true, put_transit_99}, 8},
    {{"HOLD p50", 8, true, put_hold_50}, 17},
    {{"HOLD p99", 8, true, put_hold_99}, 6},
    {{"AGE p50", 8, true, put_age_50}, 13},
    {{"AGE p99", 8, true, put_age_99}, 5},
    {{"LOST", 6, true, put_lost}, 3},
    {{"NOW", 5, true, put_lost_now}, 7},
    {{"HELD", 5, true, put_held}, 9},
    {{"CPU%", 5, true, put_processor}, 4},
    {{"MEM", 6, true, put_memory}, 10},
    {{"PID", 7, true, put_pid}, 11},
    {{"POLICY", 12, false, put_policy}, 18},
    {{"GEN", 4, true, put_generation}, 19},
    {{"UP", 6, true, put_up}, 20},
};
enum { COLUMNS = sizeof(all_columns) / sizeof(all_columns[0]) };

int top_columns_choose(int width, struct top_column out_columns[TOP_COLUMNS_MAX]) {
    bool is_chosen[COLUMNS] = {true};
    int left = width - all_columns[0].column.width - 1;
    for (int rank = 1; rank < COLUMNS; rank++)
        for (int i = 0; i < COLUMNS; i++) {
            if (all_columns[i].rank != rank || all_columns[i].column.width + 1 > left)
                continue;
            is_chosen[i] = true;
            left -= all_columns[i].column.width + 1;
        }
    int count = 0;
    for (int i = 0; i < COLUMNS; i++)
        if (is_chosen[i])
            out_columns[count++] = all_columns[i].column;
    enum { NAME_MOST = 40 };
    if (left > 0)
        out_columns[0].width +=
            left < NAME_MOST - out_columns[0].width ? left : NAME_MOST - out_columns[0].width;
    return count;
}
