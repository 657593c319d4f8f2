#include "compare_result.h"

#include "program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Of each reader and repetition, where many more were measured. */
enum { SAMPLES_KEPT = 4096 };

static int compare_samples(const void *left, const void *right) {
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static int compare_numbers(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

struct spread spread_find(const double *values, uint32_t count) {
    double sorted[RESULT_REPEATS_MAX];
    if (count == 0)
        return (struct spread){0};
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), compare_numbers);
    return (struct spread){.median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2,
                           .least = sorted[0],
                           .most = sorted[count - 1]};
}

struct spread result_spread(const struct result *result, enum result_figure figure) {
    return spread_find(result->figure[figure], result->repeats);
}

static int64_t find_quantile(const uint32_t *sorted, size_t count, double level) {
    const size_t rank = (size_t)(level * (double)count);
    return count ? sorted[rank < count ? rank : count - 1] : 0;
}

int64_t result_quantile_ns(struct result *result, double level) {
    if (!result->is_sorted)
        qsort(result->sample, result->samples, sizeof(*result->sample), compare_samples);
    result->is_sorted = true;
    return find_quantile(result->sample, result->samples, level);
}

bool result_has_quantile(const struct result *result, double level) {
    return (double)result->samples * (1 - level) >= SAMPLES_BEYOND - 1e-6;
}

bool result_is_disturbed(const struct result *result) {
    return result_spread(result, RESULT_OTHERS_SHARE).most > RESULT_DISTURBED;
}

/* ---- adding ---- */

/* Memory that the processes of later runs do not get: it would count as theirs. */
static void *map_own(void *memory, size_t bytes, size_t more_bytes) {
    void *larger =
        memory ? mremap(memory, bytes, more_bytes, MREMAP_MAYMOVE)
               : mmap(NULL, more_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (larger == MAP_FAILED || madvise(larger, more_bytes, MADV_DONTFORK) < 0)
        program_fail("no %zu bytes for results: %m", more_bytes);
    return larger;
}

struct result *result_table_create(size_t count) {
    return map_own(NULL, 0, count * sizeof(struct result));
}

void result_table_destroy(struct result *table, size_t count) {
    for (size_t i = 0; table && i < count; i++)
        if (table[i].sample)
            munmap(table[i].sample, table[i].samples_room * sizeof(*table[i].sample));
    if (table)
        munmap(table, count * sizeof(*table));
}

static void grow(struct result *result, size_t more) {
    const size_t room = (result->samples + more) * 2, item = sizeof(*result->sample);
    if (result->samples + more <= result->samples_room)
        return;
    result->sample = map_own(result->sample, result->samples_room * item, room * item);
    result->samples_room = room;
}

/* Keeps those of this repetition, and notes its quantiles. */
static void add_samples(struct result *result, const struct cell_run *run) {
    const size_t first = result->samples;
    for (uint32_t i = 0; i < run->cell.plan.readers; i++) {
        const struct cell_samples *samples = &run->samples[i];
        const uint32_t step = run->cell.period_ns ? 1 : samples->count / SAMPLES_KEPT + 1;
        grow(result, samples->count);
        for (uint32_t k = 0; k < samples->count; k += step)
            result->sample[result->samples++] = samples->latency_ns[k];
    }
    const size_t count = result->samples - first;
    uint32_t *newest = result->sample + first;
    qsort(newest, count, sizeof(*newest), compare_samples);
    result->is_sorted = false;
    result->figure[RESULT_P50][result->repeats] = (double)find_quantile(newest, count, 0.5);
    result->figure[RESULT_P99][result->repeats] = (double)find_quantile(newest, count, 0.99);
}

static double find_waited_share(const struct cell_side *side) {
    return (double)side->waited_ns / (double)side->elapsed_ns;
}

/* At a pace there is one message more than there are periods. */
static double find_message_ns(const struct cell_run *run, int64_t elapsed_ns) {
    const struct cell_side *writer = &run->side[CELL_WRITER];
    if (run->cell.period_ns && writer->messages > 1)
        return (double)(elapsed_ns - writer->ahead_ns) / (double)(writer->messages - 1);
    return (double)elapsed_ns / (double)writer->messages;
}

void result_add(struct result *result, const struct cell_run *run) {
    const uint32_t readers = run->cell.plan.readers, repeat = result->repeats;
    const struct cell_side *writer = &run->side[CELL_WRITER];
    int64_t elapsed_ns = writer->elapsed_ns, readers_ns = 0;
    uint64_t received = 0;
    double waited_share = find_waited_share(writer);
    for (uint32_t i = 0; i < readers; i++) {
        const struct cell_side *reader = &run->side[i];
        elapsed_ns = reader->elapsed_ns > elapsed_ns ? reader->elapsed_ns : elapsed_ns;
        readers_ns += reader->user_ns + reader->system_ns;
        received += reader->messages;
        waited_share = fmax(waited_share, find_waited_share(reader));
        result->lost += reader->lost;
        result->calls[1] += reader->count.calls;
        result->copied += reader->count.copied;
    }
    add_samples(result, run);
    const double sent = (double)writer->messages,
                 writer_ns = (double)(writer->user_ns + writer->system_ns);
    result->figure[RESULT_MESSAGE_NS][repeat] = find_message_ns(run, elapsed_ns);
    result->figure[RESULT_WAITED_SHARE][repeat] = waited_share;
    result->figure[RESULT_OTHERS_SHARE][repeat] = run->others_share;
    result->figure[RESULT_WRITER_NS][repeat] = writer_ns / sent;
    result->figure[RESULT_READER_NS][repeat] = (double)readers_ns / (double)received;
    result->figure[RESULT_DAEMONS_NS][repeat] = (double)run->daemons_ns / sent;
    result->figure[RESULT_WRITER_SHARE][repeat] = writer_ns / (double)elapsed_ns;
    result->figure[RESULT_READER_SHARE][repeat] = (double)readers_ns / (double)elapsed_ns / readers;
    result->sent += writer->messages;
    result->received += received;
    result->late += writer->late;
    result->calls[0] += writer->count.calls;
    result->copied += writer->count.copied;
    if (run->memory_bytes > result->memory_bytes)
        result->memory_bytes = run->memory_bytes;
    result->kernel_bytes = run->kernel_bytes;
    result->repeats++;
}

void result_add_ratio(struct result *result, const struct result *floor) {
    const uint32_t repeat = result->repeats - 1;
    result->has_floor = result->has_p99_floor = true;
    result->figure[RESULT_TO_FLOOR][repeat] =
        result->figure[RESULT_P50][repeat] / floor->figure[RESULT_P50][repeat];
    result->figure[RESULT_P99_TO_FLOOR][repeat] =
        result->figure[RESULT_P99][repeat] / floor->figure[RESULT_P99][repeat];
}

void result_add_floor_ns(struct result *result, double floor_ns) {
    const uint32_t repeat = result->repeats - 1;
    result->has_floor = true;
    result->figure[RESULT_TO_FLOOR][repeat] = result->figure[RESULT_MESSAGE_NS][repeat] / floor_ns;
}

void result_add_trace(struct result *result, const struct cell_run *run) {
    const struct cell_side *writer = &run->side[CELL_WRITER];
    double calls = 0;
    uint64_t messages = 0;
    for (uint32_t i = 0; i < run->cell.plan.readers; i++) {
        if (run->side[i].traced_calls < 0 || writer->traced_calls < 0)
            return;
        calls += run->side[i].traced_calls;
        messages += run->side[i].messages;
    }
    result->traced_calls[0] = writer->traced_calls / (double)writer->messages;
    result->traced_calls[1] = calls / (double)messages;
}

/* ---- telling ---- */

static json_t *pack_spread(struct spread spread) {
    return json_pack("{s:f, s:f, s:f}", "median", spread.median, "least", spread.least, "most",
                     spread.most);
}

static json_t *pack_latency(struct result *result) {
    static const struct {
        const char *name;
        double level;
    } levels[] = {{"p50_ns", 0.5},  {"p90_ns", 0.9},    {"p95_ns", 0.95},
                  {"p99_ns", 0.99}, {"p999_ns", 0.999}, {"max_ns", 1}};
    static const double percents[] = {0,  1,  5,  10,   20, 30,   40,    50,   60,    70,    75, 80,
                                      85, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 100};
    json_t *latency = json_pack("{s:I}", "count", (json_int_t)result->samples);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        json_object_set_new(latency, levels[i].name,
                            json_integer(result_quantile_ns(result, levels[i].level)));
    json_t *curve = json_array();
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
        json_array_append_new(curve,
                              json_pack("[f, I]", percents[i],
                                        (json_int_t)result_quantile_ns(result, percents[i] / 100)));
    json_object_set_new(latency, "curve", curve);
    return latency;
}

/* A message, on the writer's side and on one reader's. */
static json_t *pack_calls(const struct result *result) {
    const struct road *road = result->road;
    if (road->is_counted)
        return json_pack("{s:s, s:f, s:f}", "by", "count", "writer",
                         (double)result->calls[0] / (double)result->sent, "reader",
                         (double)result->calls[1] / (double)result->received);
    if (result->traced_calls[0] < 0)
        return json_null();
    return json_pack("{s:s, s:f, s:f}", "by", "strace", "writer", result->traced_calls[0], "reader",
                     result->traced_calls[1]);
}

json_t *result_describe(struct result *result, uint32_t readers) {
    static const char *const names[] = {
        [RESULT_P50] = "p50_ns",
        [RESULT_P99] = "p99_ns",
        [RESULT_MESSAGE_NS] = "message_ns",
        [RESULT_WRITER_NS] = "writer_processor_ns",
        [RESULT_READER_NS] = "reader_processor_ns",
        [RESULT_DAEMONS_NS] = "daemons_processor_ns",
        [RESULT_WRITER_SHARE] = "writer_processor_share",
        [RESULT_READER_SHARE] = "reader_processor_share",
        [RESULT_WAITED_SHARE] = "waited_share",
        [RESULT_OTHERS_SHARE] = "others_share",
        [RESULT_TO_FLOOR] = "to_floor",
        [RESULT_P99_TO_FLOOR] = "p99_to_floor",
    };
    const struct road *road = result->road;
    json_t *object = json_pack("{s:s, s:s}", "road", road->name, "title", road->title);
    if (result->why_not) {
        json_object_set_new(object, "not_run", json_string(result->why_not));
        return object;
    }
    json_object_set_new(object, "latency", pack_latency(result));
    for (int i = 0; i < RESULT_FIGURES; i++)
        json_object_set_new(object, names[i],
                            (i == RESULT_TO_FLOOR && !result->has_floor) ||
                                    (i == RESULT_P99_TO_FLOOR && !result->has_p99_floor)
                                ? json_null()
                                : pack_spread(result_spread(result, (enum result_figure)i)));
    json_object_set_new(object, "messages_per_s",
                        json_real(1e9 / result_spread(result, RESULT_MESSAGE_NS).median));
    json_object_set_new(object, "sent", json_integer((json_int_t)result->sent));
    json_object_set_new(object, "received", json_integer((json_int_t)result->received));
    json_object_set_new(object, "lost", json_integer((json_int_t)result->lost));
    json_object_set_new(object, "late", json_integer((json_int_t)result->late));
    json_object_set_new(object, "calls", pack_calls(result));
    json_object_set_new(object, "copied_bytes",
                        road->is_counted ? json_real((double)result->copied / (double)result->sent)
                                         : json_null());
    json_object_set_new(object, "copies",
                        json_integer(road->copies_once + road->copies_each * readers));
    json_object_set_new(object, "memory_bytes", json_integer((json_int_t)result->memory_bytes));
    json_object_set_new(object, "kernel_bytes", json_integer((json_int_t)result->kernel_bytes));
    return object;
}
