#include "hops.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *title;
    const char *json_name;
    double quantile;
} columns[] = {
    {"p50", "p50_ns", 0.5},
    {"p90", "p90_ns", 0.9},
    {"p99", "p99_ns", 0.99},
    {"p99.9", "p999_ns", 0.999},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

/* Every counter once: what is subtracted and what JSON calls it. */
static const struct {
    const char *json_name;
    size_t offset;
} counter_fields[] = {
    {"delivered", offsetof(struct shmframe_reader_counters, delivered)},
    {"lost_late", offsetof(struct shmframe_reader_counters, lost_late)},
    {"lost_restart", offsetof(struct shmframe_reader_counters, lost_restart)},
    {"late_woken", offsetof(struct shmframe_reader_counters, late_woken)},
    {"late_held", offsetof(struct shmframe_reader_counters, late_held)},
    {"late_away", offsetof(struct shmframe_reader_counters, late_away)},
    {"skipped", offsetof(struct shmframe_reader_counters, skipped)},
    {"device_dropped", offsetof(struct shmframe_reader_counters, device_dropped)},
    {"stale", offsetof(struct shmframe_reader_counters, stale)},
    {"restarts", offsetof(struct shmframe_reader_counters, restarts)},
    {"formats", offsetof(struct shmframe_reader_counters, formats)},
    {"sleeps", offsetof(struct shmframe_reader_counters, sleeps)},
    {"spurious", offsetof(struct shmframe_reader_counters, spurious)},
    {"retries", offsetof(struct shmframe_reader_counters, retries)},
};
enum { COUNTERS = sizeof(counter_fields) / sizeof(counter_fields[0]) };
static_assert(sizeof(struct shmframe_reader_counters) == COUNTERS * sizeof(uint64_t),
              "counter_fields lists every counter");

static uint64_t get_counter(const struct hops *hops, unsigned field) {
    uint64_t value;
    memcpy(&value, (const char *)&hops->counters + counter_fields[field].offset, sizeof(value));
    return value;
}

static void set_counter(struct hops *hops, unsigned field, uint64_t value) {
    memcpy((char *)&hops->counters + counter_fields[field].offset, &value, sizeof(value));
}

void hops_read(struct hops *out_hops, const struct shmframe_reader *reader) {
    memset(out_hops, 0, sizeof(*out_hops));
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++)
        shmframe_reader_histogram(reader, (enum shmframe_hop)hop, &out_hops->hop[hop]);
    shmframe_reader_counters(reader, &out_hops->counters);
}

void hops_read_record(struct hops *out_hops, const struct shmframe_record *record) {
    memset(out_hops, 0, sizeof(*out_hops));
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++)
        shmframe_record_histogram(record, (enum shmframe_hop)hop, &out_hops->hop[hop]);
    shmframe_record_counters(record, &out_hops->counters);
}

void hops_subtract(struct hops *hops, const struct hops *earlier) {
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++)
        shmframe_histogram_subtract(&hops->hop[hop], &earlier->hop[hop]);
    for (unsigned i = 0; i < COUNTERS; i++)
        set_counter(hops, i, get_counter(hops, i) - get_counter(earlier, i));
}

void hops_format_time(int64_t value_ns, char text[HOPS_TIME_BYTES]) {
    duration_format(value_ns, text);
}

static void print_time(FILE *file, const struct shmframe_histogram *histogram, int64_t value_ns) {
    char text[HOPS_TIME_BYTES] = "-";
    if (histogram->count)
        hops_format_time(value_ns, text);
    fprintf(file, " %9s", text);
}

static void print_counters(FILE *file, const struct shmframe_reader_counters *counters) {
    fprintf(file,
            "delivered %" PRIu64 ", lost %" PRIu64 " (late %" PRIu64 ", restart %" PRIu64
            "), skipped %" PRIu64,
            counters->delivered, counters->lost_late + counters->lost_restart, counters->lost_late,
            counters->lost_restart, counters->skipped);
    if (counters->device_dropped)
        fprintf(file, ", dropped at the source %" PRIu64, counters->device_dropped);
    if (counters->stale)
        fprintf(file, ", overwritten while read %" PRIu64, counters->stale);
    if (counters->restarts)
        fprintf(file, ", restarts %" PRIu64, counters->restarts);
    if (counters->formats)
        fprintf(file, ", new formats %" PRIu64, counters->formats);
    fputc('\n', file);
}

void hops_print(FILE *file, const struct hops *hops) {
    fprintf(file, "%-8s %9s", "hop", "count");
    for (unsigned i = 0; i < COLUMNS; i++)
        fprintf(file, " %9s", columns[i].title);
    fprintf(file, " %9s\n", "max");

    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++) {
        const struct shmframe_histogram *histogram = &hops->hop[hop];
        /* Only programs that show frames tell when. */
        if (hop == SHMFRAME_HOP_DISPLAY && histogram->count == 0)
            continue;
        fprintf(file, "%-8s %9" PRIu64, shmframe_hop_name(hop), histogram->count);
        for (unsigned i = 0; i < COLUMNS; i++)
            print_time(file, histogram,
                       shmframe_histogram_quantile_ns(histogram, columns[i].quantile));
        print_time(file, histogram, histogram->max_ns);
        fputc('\n', file);
    }
    print_counters(file, &hops->counters);
}

static json_t *make_hop_json(const struct shmframe_histogram *histogram) {
    json_t *object = json_object();
    json_object_set_new(object, "count", json_integer((json_int_t)histogram->count));
    for (unsigned i = 0; i < COLUMNS; i++)
        json_object_set_new(
            object, columns[i].json_name,
            json_integer(shmframe_histogram_quantile_ns(histogram, columns[i].quantile)));
    json_object_set_new(object, "max_ns", json_integer(histogram->max_ns));
    return object;
}

void hops_add_json(json_t *object, const struct hops *hops) {
    json_t *by_hop = json_object();
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++)
        json_object_set_new(by_hop, shmframe_hop_name(hop), make_hop_json(&hops->hop[hop]));
    json_object_set_new(object, "hops", by_hop);

    json_t *counters = json_object();
    for (unsigned i = 0; i < COUNTERS; i++)
        json_object_set_new(counters, counter_fields[i].json_name,
                            json_integer((json_int_t)get_counter(hops, i)));
    json_object_set_new(object, "counters", counters);
}
