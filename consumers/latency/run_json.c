#include "run_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    double quantile;
} quantiles[] = {{"p50_ns", 0.5}, {"p90_ns", 0.9}, {"p99_ns", 0.99}, {"p999_ns", 0.999}};
enum { QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]) };

static void set_integer(json_t *object, const char *name, uint64_t value) {
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

json_t *run_make_text(const char *text) {
    json_t *json = json_string(text);
    char *copy = json ? NULL : strdup(text);
    for (char *next = copy; next && *next; next++)
        if ((unsigned char)*next >= 0x80)
            *next = '?';
    if (copy)
        json = json_string(copy);
    free(copy);
    return json;
}

/* Value and count, value and count ... */
static void append(json_t *list, int64_t value_ns, uint64_t count) {
    json_array_append_new(list, json_integer(value_ns));
    json_array_append_new(list, json_integer((json_int_t)count));
}

static json_t *make_hop(const struct shmframe_histogram *histogram) {
    json_t *object = json_object(), *steps = json_array();
    set_integer(object, "count", histogram->count);
    for (int i = 0; i < QUANTILES; i++)
        json_object_set_new(
            object, quantiles[i].name,
            json_integer(shmframe_histogram_quantile_ns(histogram, quantiles[i].quantile)));
    json_object_set_new(object, "max_ns", json_integer(histogram->max_ns));
    for (uint32_t i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++)
        if (histogram->bucket[i]) {
            const int64_t edge_ns = shmframe_histogram_edge_ns(i);
            append(steps, edge_ns < histogram->max_ns ? edge_ns : histogram->max_ns,
                   histogram->bucket[i]);
        }
    json_object_set_new(object, "steps", steps);
    return object;
}

static json_t *make_block_hop(const struct run_values *values) {
    json_t *object = json_object(), *list = json_array();
    set_integer(object, "count", run_values_total(values));
    json_object_set_new(object, "p50_ns", json_integer(run_values_quantile_ns(values, 0.5)));
    json_object_set_new(object, "p99_ns", json_integer(run_values_quantile_ns(values, 0.99)));
    json_object_set_new(
        object, "max_ns",
        json_integer(values->count ? values->value[values->count - 1].value_ns : 0));
    for (size_t i = 0; i < values->count; i++)
        append(list, values->value[i].value_ns, values->value[i].count);
    json_object_set_new(object, "values", list);
    return object;
}

static json_t *make_block(const struct run_block *block) {
    json_t *object = json_object(), *events = json_object(), *hops = json_object();
    set_integer(object, "number", block->number);
    set_integer(object, "frames", block->frames);
    for (enum run_event event = 0; event < RUN_EVENTS; event++)
        set_integer(events, run_event_name(event), block->event[event]);
    for (enum run_hop hop = 0; hop < RUN_HOPS; hop++)
        if (block->hop[hop].count)
            json_object_set_new(hops, run_hop_name(hop), make_block_hop(&block->hop[hop]));
    json_object_set_new(object, "events", events);
    json_object_set_new(object, "hops", hops);
    return object;
}

static json_t *make_marks(const struct run *run) {
    if (!run->has_marks)
        return json_null();
    json_t *object = json_object();
    set_integer(object, "read", run->marks.read);
    set_integer(object, "missing", run->marks.missing);
    set_integer(object, "lost", run->marks.lost);
    set_integer(object, "repeated", run->marks.repeated);
    set_integer(object, "out_of_order", run->marks.out_of_order);
    set_integer(object, "torn", run->marks.torn);
    set_integer(object, "other_clock", run->marks.other_clock);
    return object;
}

static json_t *make_losses(const struct run *run) {
    json_t *list = json_array();
    for (size_t i = 0; i < run->losses; i++) {
        const struct run_loss *loss = &run->loss[i];
        const char *cause = shmframe_cause_name(loss->cause);
        json_array_append_new(list,
                              json_pack("{s:I, s:I, s:I, s:s}", "first", (json_int_t)loss->first,
                                        "count", (json_int_t)loss->count, "since_ns",
                                        (json_int_t)(loss->time_ns - run->start_ns), "cause",
                                        cause ? cause : "none"));
    }
    return list;
}

static json_t *make_skews(const struct run *run) {
    json_t *list = json_array();
    for (size_t i = 0; i < run->skews; i++)
        json_array_append_new(list, json_pack("{s:I, s:I, s:I}", "since_ns",
                                              (json_int_t)(run->skew[i].time_ns - run->start_ns),
                                              "skew_ns", (json_int_t)run->skew[i].skew_ns,
                                              "bound_ns", (json_int_t)run->skew[i].bound_ns));
    return list;
}

static json_t *make_outage(const struct run *run) {
    if (run->frames_seen == 0)
        return json_null();
    return json_pack("{s:I, s:I}", "longest_ns", (json_int_t)run->outage_ns, "since_ns",
                     (json_int_t)(run->outage_at_ns - run->start_ns));
}

static json_t *make_kept(const struct run *run) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "frames", (json_int_t)run->frames,
                     "frames_seen", (json_int_t)run->frames_seen, "one_plain_of",
                     (json_int_t)run->stride, "one_notable_of", (json_int_t)run->notable_stride,
                     "frames_missed", (json_int_t)run->frames_missed, "losses_seen",
                     (json_int_t)run->losses_seen, "skews_seen", (json_int_t)run->skews_seen);
}

static json_t *make_head(const struct run *run) {
    struct hops hops = {.counters = run->counters};
    json_t *object = json_object(), *by_hop = json_object();
    if (!object)
        return NULL;
    json_object_set_new(object, "stream", run_make_text(run->stream));
    json_object_set_new(object, "format", run_make_text(run->format));
    json_object_set_new(object, "start_ns", json_integer(run->start_ns));
    json_object_set_new(object, "duration_ns", json_integer(run->end_ns - run->start_ns));
    json_object_set_new(object, "kept", make_kept(run));
    hops_add_json(object, &hops); /* its counters; hops come with more below */
    for (enum run_hop hop = 0; hop < RUN_HOPS; hop++)
        if (run->hop[hop].count)
            json_object_set_new(by_hop, run_hop_name(hop), make_hop(&run->hop[hop]));
    json_object_set_new(object, "hops", by_hop);
    json_object_set_new(object, "marks", make_marks(run));
    json_object_set_new(object, "outage", make_outage(run));
    json_object_set_new(object, "losses", make_losses(run));
    json_object_set_new(object, "skews", make_skews(run));
    json_object_set_new(object, "block_ns", json_integer(run->blocks.block_ns));
    return object;
}

/* JSON_REAL_PRECISION: figures that are no whole numbers are loads and shares. */
enum { FLAGS = JSON_COMPACT | JSON_REAL_PRECISION(12) };

static int write_and_free(json_t *json, FILE *file) {
    const int result = json && json_dumpf(json, file, FLAGS) == 0 ? 0 : -ENOMEM;
    json_decref(json);
    return result;
}

int run_json_begin(json_t *object, const char *list, FILE *file) {
    char *text = object ? json_dumps(object, FLAGS) : NULL;
    json_decref(object);
    if (!text)
        return -ENOMEM;
    /* All but what ends it: the list is its last member. */
    fprintf(file, "%.*s,\"%s\":[", (int)strlen(text) - 1, text, list);
    free(text);
    return 0;
}

void run_json_end(FILE *file) {
    fputs("]}", file);
}

int run_json_write(const struct run *run, FILE *file) {
    int result = run_json_begin(make_head(run), "blocks", file);
    for (size_t i = 0; i < run->blocks.count && result == 0; i++) {
        if (i)
            fputc(',', file);
        result = write_and_free(make_block(&run->blocks.block[i]), file);
    }
    run_json_end(file);
    return result;
}
