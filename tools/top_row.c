#include "top_row.h"

#include "program.h"

#include <stdlib.h>
#include <string.h>

const char *top_sort_name(unsigned sort) {
    static const char *const names[TOP_SORTS] = {
        [TOP_SORT_NAME] = "name",     [TOP_SORT_LOST] = "lost", [TOP_SORT_AGE] = "age",
        [TOP_SORT_HOLD] = "hold",     [TOP_SORT_RATE] = "rate", [TOP_SORT_PROCESSOR] = "cpu",
        [TOP_SORT_MEMORY] = "memory",
    };
    return sort < TOP_SORTS ? names[sort] : NULL;
}

/* ---- order ---- */

static double find_p99(const struct gather_reader *reader, enum shmframe_hop hop) {
    return reader->record ? (double)shmframe_histogram_quantile_ns(&reader->span->hop[hop], 0.99)
                          : -1;
}

static double weigh_process(const struct gather_process *process, enum top_sort sort) {
    if (!process || !process->is_known)
        return -1;
    return sort == TOP_SORT_MEMORY ? (double)process->resident_bytes : process->cpu_percent;
}

static double weigh_reader(const struct gather_reader *reader, enum top_sort sort) {
    switch (sort) {
    case TOP_SORT_NAME:
    case TOP_SORTS:
        break;
    case TOP_SORT_LOST:
        return reader->record ? (double)gather_count_lost(&reader->all->counters) : -1;
    case TOP_SORT_AGE:
        return find_p99(reader, SHMFRAME_HOP_AGE);
    case TOP_SORT_HOLD:
        return find_p99(reader, SHMFRAME_HOP_HOLD);
    case TOP_SORT_RATE:
        return reader->rate_hz;
    case TOP_SORT_PROCESSOR:
    case TOP_SORT_MEMORY:
        return weigh_process(reader->process, sort);
    }
    return 0;
}

/* A stream weighs as much as the heaviest in it. */
static double weigh_stream(const struct gather_stream *stream, enum top_sort sort) {
    double weight = sort == TOP_SORT_RATE   ? stream->rate_hz
                    : sort == TOP_SORT_LOST ? (double)stream->lost
                                            : weigh_process(stream->process, sort);
    for (uint32_t i = 0; i < stream->readers; i++) {
        const double reader = weigh_reader(&stream->reader[i], sort);
        weight = reader > weight ? reader : weight;
    }
    return weight;
}

/* qsort() has no place for this. */
static enum top_sort sort_by;
static bool is_sort_reversed;

static int order(double left, double right, int otherwise) {
    const int by_weight = (left < right) - (left > right); /* the heaviest first */
    const int result = by_weight ? by_weight : otherwise;
    return is_sort_reversed ? -result : result;
}

static int compare_streams(const void *left, const void *right) {
    const struct gather_stream *const *a = left, *const *b = right;
    const int by_name = strcmp((*a)->info.name, (*b)->info.name);
    if (sort_by == TOP_SORT_NAME)
        return is_sort_reversed ? -by_name : by_name;
    return order(weigh_stream(*a, sort_by), weigh_stream(*b, sort_by), by_name);
}

static int compare_readers(const void *left, const void *right) {
    const struct gather_reader *const *a = left, *const *b = right;
    const int by_number =
        ((*a)->info.number > (*b)->info.number) - ((*a)->info.number < (*b)->info.number);
    if (sort_by == TOP_SORT_NAME)
        return is_sort_reversed ? -by_number : by_number;
    return order(weigh_reader(*a, sort_by), weigh_reader(*b, sort_by), by_number);
}

/* ---- listing ---- */

static void add(struct top_rows *rows, struct top_row row) {
    if (rows->rows == rows->room) {
        rows->room = rows->room ? 2 * rows->room : 64;
        rows->row = realloc(rows->row, rows->room * sizeof(*rows->row));
        if (!rows->row)
            program_fail("no memory for %u rows", rows->room);
    }
    rows->row[rows->rows++] = row;
}

static bool matches(const struct top_rows *rows, const char *name) {
    return strstr(name, rows->filter);
}

static void *list_pointers(uint32_t count) {
    void *list = calloc(count ? count : 1, sizeof(void *));
    if (!list)
        program_fail("no memory for a list of %u", count);
    return list;
}

static void add_readers(struct top_rows *rows, const struct gather_stream *stream, bool is_whole) {
    const struct gather_reader **list = list_pointers(stream->readers);
    uint32_t count = 0;
    for (uint32_t i = 0; i < stream->readers; i++)
        if (is_whole || matches(rows, stream->reader[i].info.name))
            list[count++] = &stream->reader[i];
    qsort(list, count, sizeof(*list), compare_readers);
    for (uint32_t i = 0; i < count; i++)
        add(rows, (struct top_row){.kind = TOP_READER, .stream = stream, .reader = list[i]});
    free(list);
}

static bool has_match(const struct top_rows *rows, const struct gather_stream *stream) {
    if (matches(rows, stream->info.name) || matches(rows, stream->info.writer))
        return true;
    for (uint32_t i = 0; i < stream->readers; i++)
        if (matches(rows, stream->reader[i].info.name))
            return true;
    return false;
}

static void add_stream(struct top_rows *rows, const struct gather_stream *stream) {
    if (!has_match(rows, stream))
        return;
    const bool is_whole = matches(rows, stream->info.name) || matches(rows, stream->info.writer);
    add(rows, (struct top_row){.kind = TOP_STREAM, .stream = stream});
    if (*stream->info.writer)
        add(rows, (struct top_row){.kind = TOP_WRITER, .stream = stream});
    add_readers(rows, stream, is_whole);
    rows->row[rows->rows - 1].is_last = true;
}

static void add_nodes(struct top_rows *rows, const struct gather *gather) {
    bool has_title = false;
    for (uint32_t i = 0; i < gather->nodes; i++) {
        if (!matches(rows, gather->node[i].info.name))
            continue;
        if (!has_title)
            add(rows, (struct top_row){.kind = TOP_NODES});
        has_title = true;
        add(rows, (struct top_row){.kind = TOP_NODE, .node = &gather->node[i]});
    }
    if (has_title)
        rows->row[rows->rows - 1].is_last = true;
}

void top_rows_list(struct top_rows *rows, const struct gather *gather) {
    rows->rows = 0;
    sort_by = rows->sort;
    is_sort_reversed = rows->is_reversed;
    const struct gather_stream **list = list_pointers(gather->streams);
    for (uint32_t i = 0; i < gather->streams; i++)
        list[i] = &gather->stream[i];
    qsort(list, gather->streams, sizeof(*list), compare_streams);
    for (uint32_t i = 0; i < gather->streams; i++)
        add_stream(rows, list[i]);
    free(list);
    add_nodes(rows, gather);
}

void top_rows_finish(struct top_rows *rows) {
    free(rows->row);
    *rows = (struct top_rows){0};
}

/* ---- what a row is ---- */

struct top_mark top_row_mark(const struct top_row *row) {
    struct top_mark mark = {.kind = row->kind,
                            .reader = row->reader ? row->reader->info.number : 0};
    const char *name = row->stream ? row->stream->info.name : row->node ? row->node->info.name : "";
    memccpy(mark.name, name, '\0', sizeof(mark.name));
    return mark;
}

bool top_row_is_marked(const struct top_row *row, const struct top_mark *mark) {
    const struct top_mark own = top_row_mark(row);
    return own.kind == mark->kind && own.reader == mark->reader &&
           strcmp(own.name, mark->name) == 0;
}

static enum top_care reader_care(const struct gather *gather, const struct gather_reader *reader) {
    enum { LONG_HOLD_NS = 1000000000 };
    if (reader->info.is_evicted ||
        (reader->process && reader->process->is_known && reader->process->state == 'T'))
        return TOP_TROUBLE;
    if (!reader->record)
        return TOP_WELL;
    const struct shmframe_reader_state *state = &reader->state;
    if (gather_count_lost(&reader->span->counters) ||
        (state->held && gather->time_ns - state->held_since_ns > LONG_HOLD_NS))
        return TOP_TROUBLE;
    return gather_count_lost(&reader->all->counters) ? TOP_WARNING : TOP_WELL;
}

static enum top_care writer_care(const struct gather *gather, const struct gather_stream *stream) {
    const enum gather_writing writing = gather_find_writing(gather, stream);
    if (writing == GATHER_WRITING_BLOCKED || writing == GATHER_WRITING_STALLED ||
        stream->span.late || stream->span.refused || stream->span.device_dropped)
        return TOP_TROUBLE;
    return stream->info.late || stream->info.refused || stream->info.device_dropped ? TOP_WARNING
                                                                                    : TOP_WELL;
}

static enum top_care node_care(const struct shmframe_node_info *node) {
    if (strcmp(node->state, "failed") == 0 || strcmp(node->state, "back-off") == 0 ||
        strcmp(node->state, "killing") == 0)
        return TOP_TROUBLE;
    return node->restarts ? TOP_WARNING : TOP_WELL;
}

enum top_care top_row_care(const struct gather *gather, const struct top_row *row) {
    switch (row->kind) {
    case TOP_STREAM:
        return row->stream->info.state == SHMFRAME_STREAM_WRITER_GONE ? TOP_TROUBLE : TOP_WELL;
    case TOP_WRITER:
        return writer_care(gather, row->stream);
    case TOP_READER:
        return reader_care(gather, row->reader);
    case TOP_NOTHING:
    case TOP_NODES:
        break;
    case TOP_NODE:
        return node_care(&row->node->info);
    }
    return TOP_WELL;
}
