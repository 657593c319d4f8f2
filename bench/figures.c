#include "figures.h"

#include "place.h"
#include "program.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* What is aimed at. */
#define SLEEPING_RATIO_MAX 1.15 /* p50 of transit to that of the raw futexes */
#define SPINNING_RATIO_MAX 2.0  /* ... to that of the cache line */
#define SIZES_RATIO_MAX    1.10 /* slowest to quickest size, payload untouched */
#define CALLS_FEW_NS       100.0
#define CALLS_MANY_NS      250.0
#define RATE_SINGLE        5e6 /* frames a second, at least */
#define RATE_BATCHED       15e6
enum { CALLS_FEW_LINKS = 1 };

static const double levels[] = {0.5, 0.9, 0.99, 0.999, 1.0};
static const char *const level_names[] = {"p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"};
enum { LEVELS = sizeof(levels) / sizeof(levels[0]) };
static const char *const measure_names[BOARD_MEASURES] = {
    [BOARD_TRANSIT] = "transit", [BOARD_WHOLE] = "whole", [BOARD_READ] = "read",
    [BOARD_PUBLISH] = "publish", [BOARD_FILL] = "fill",
};

static bool is_json_wanted;
static json_t *all, *scenes, *calls, *rates, *aims;

struct quantiles {
    uint64_t count;
    int64_t at_ns[LEVELS];
};

/* One number of several repetitions. */
struct spread {
    double median, least, most;
};

/* ---- arithmetic ---- */

static int compare_ns(const void *left, const void *right) {
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int compare_numbers(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Over the repetitions [first, end), all readers' samples together. */
static struct quantiles find_quantiles(const struct board *board, uint32_t lane,
                                       enum board_measure measure, uint32_t first, uint32_t end) {
    struct quantiles out = {0};
    for (uint32_t repeat = first; repeat < end; repeat++)
        for (uint32_t peer = 0; peer < BOARD_READERS_MAX; peer++)
            out.count += board->series[lane][repeat][measure][peer].count;
    if (out.count == 0)
        return out;
    int64_t *samples = calloc(out.count, sizeof(*samples));
    if (!samples)
        program_fail("no memory for a copy of the samples");
    uint64_t copied = 0;
    for (uint32_t repeat = first; repeat < end; repeat++)
        for (uint32_t peer = 0; peer < BOARD_READERS_MAX; peer++) {
            const struct board_series *series = &board->series[lane][repeat][measure][peer];
            memcpy(samples + copied, board->sample + series->first,
                   series->count * sizeof(*samples));
            copied += series->count;
        }
    qsort(samples, out.count, sizeof(*samples), compare_ns);
    for (unsigned i = 0; i < LEVELS; i++) {
        const uint64_t rank = (uint64_t)(levels[i] * (double)out.count);
        out.at_ns[i] = samples[rank < out.count ? rank : out.count - 1];
    }
    free(samples);
    return out;
}

static struct spread find_spread(const double *values, uint32_t count) {
    double sorted[BOARD_REPEATS_MAX];
    memcpy(sorted, values, count * sizeof(*values));
    qsort(sorted, count, sizeof(*sorted), compare_numbers);
    const double upper = sorted[count / 2], lower = sorted[(count - 1) / 2];
    return (struct spread){
        .median = (lower + upper) / 2, .least = sorted[0], .most = sorted[count - 1]};
}

static double find_p50(const struct board *board, uint32_t lane, enum board_measure measure,
                       uint32_t repeat) {
    return (double)find_quantiles(board, lane, measure, repeat, repeat + 1).at_ns[0];
}

/* ---- aims ---- */

/* Notes whether `value`, at most `limit`, was reached; returns the words for it. */
static const char *judge(const char *what, struct spread value, double limit) {
    const bool is_met = value.median <= limit;
    json_array_append_new(aims, json_pack("{s:s, s:f, s:f, s:f, s:f, s:b}", "what", what, "value",
                                          value.median, "least", value.least, "most", value.most,
                                          "limit", limit, "is_met", is_met));
    return is_met ? "pass" : "FALLS SHORT";
}

static uint32_t find_floor(const struct board *board, uint32_t lane) {
    for (uint32_t i = 0; i < board->lanes; i++)
        if (board->lane[i].is_floor && (!board->lane[i].is_touched ||
                                        strcmp(board->lane[i].name, board->lane[lane].name) == 0))
            return i;
    program_fail("lane %u has no floor", lane);
}

static struct spread find_ratio(const struct board *board, uint32_t lane,
                                enum board_measure measure) {
    const uint32_t floor = find_floor(board, lane);
    double ratio[BOARD_REPEATS_MAX];
    for (uint32_t repeat = 0; repeat < board->repeats; repeat++) {
        const double floor_ns = find_p50(board, floor, measure, repeat);
        ratio[repeat] = floor_ns > 0 ? find_p50(board, lane, measure, repeat) / floor_ns : 0;
    }
    return find_spread(ratio, board->repeats);
}

static const char *name_mode(const struct board *board) {
    return board->is_spinning ? "spinning" : "sleeping";
}

static void judge_lane(const struct board *board, uint32_t lane) {
    char what[128];
    snprintf(what, sizeof(what), "transit p50 / floor p50: %u %s, %s, %s", board->readers,
             name_mode(board), board->lane[lane].name,
             board->lane[lane].is_touched ? "touched" : "untouched");
    const struct spread ratio = find_ratio(board, lane, BOARD_TRANSIT);
    const struct spread whole = find_ratio(board, lane, BOARD_WHOLE);
    const double limit = board->is_spinning ? SPINNING_RATIO_MAX : SLEEPING_RATIO_MAX;
    const char *verdict = judge(what, ratio, limit);
    if (!is_json_wanted)
        printf("    to the floor: transit %.2f x (%.2f to %.2f; at most %.2f: %s), whole %.2f x "
               "(%.2f to %.2f)\n",
               ratio.median, ratio.least, ratio.most, limit, verdict, whole.median, whole.least,
               whole.most);
}

/* The untouched payload makes no difference. Each repetition had all sizes within the same second.
 */
static void judge_sizes(const struct board *board) {
    double ratio[BOARD_REPEATS_MAX];
    for (uint32_t repeat = 0; repeat < board->repeats; repeat++) {
        double least = 0, most = 0;
        for (uint32_t lane = 0; lane < board->lanes; lane++) {
            if (board->lane[lane].is_floor)
                continue;
            const double p50_ns = find_p50(board, lane, BOARD_TRANSIT, repeat);
            least = least == 0 || p50_ns < least ? p50_ns : least;
            most = p50_ns > most ? p50_ns : most;
        }
        ratio[repeat] = least > 0 ? most / least : 0;
    }
    char what[128];
    snprintf(what, sizeof(what), "slowest / quickest size, untouched: %u %s", board->readers,
             name_mode(board));
    const struct spread spread = find_spread(ratio, board->repeats);
    const char *verdict = judge(what, spread, SIZES_RATIO_MAX);
    if (!is_json_wanted)
        printf("  slowest / quickest size: %.2f x (%.2f to %.2f; at most %.2f: %s)\n",
               spread.median, spread.least, spread.most, SIZES_RATIO_MAX, verdict);
}

/* ---- scenes ---- */

static void print_quantiles(const char *lane, const char *measure, const struct quantiles *q) {
    printf("  %-18s %-8s", lane, measure);
    for (unsigned i = 0; i < LEVELS; i++)
        printf(" %10.3f", (double)q->at_ns[i] / 1e3);
    printf(" %9llu\n", (unsigned long long)q->count);
}

static json_t *pack_quantiles(const struct quantiles *q) {
    json_t *object = json_pack("{s:I}", "count", (json_int_t)q->count);
    for (unsigned i = 0; i < LEVELS; i++)
        json_object_set_new(object, level_names[i], json_integer(q->at_ns[i]));
    return object;
}

static json_t *add_lane(const struct board *board, uint32_t lane) {
    const struct board_lane *plan = &board->lane[lane];
    uint64_t missed = 0;
    for (uint32_t i = 0; i < board->readers; i++)
        missed += board->reader[i].missed[lane];
    json_t *object =
        json_pack("{s:s, s:b, s:b, s:I, s:I, s:I}", "size", plan->name, "is_floor", plan->is_floor,
                  "is_touched", plan->is_touched, "bytes", (json_int_t)plan->format.slot_bytes,
                  "pace_ns", (json_int_t)plan->pace_ns, "missed", (json_int_t)missed);
    char name[64];
    snprintf(name, sizeof(name), "%s%s", plan->is_floor ? "floor " : "",
             plan->is_floor && !plan->is_touched ? "" : plan->name);
    for (unsigned measure = 0; measure < BOARD_MEASURES; measure++) {
        const struct quantiles q = find_quantiles(board, lane, measure, 0, board->repeats);
        json_object_set_new(object, measure_names[measure], pack_quantiles(&q));
        if (!is_json_wanted && q.count && !(plan->is_floor && measure == BOARD_WHOLE))
            print_quantiles(name, measure_names[measure], &q);
    }
    if (missed && !is_json_wanted)
        printf("    %llu frames found a reader that was not %s, and are not counted\n",
               (unsigned long long)missed, board->is_spinning ? "spinning" : "asleep");
    return object;
}

void figures_add_scene(const struct board *board) {
    const bool is_touched = board->lane[0].is_touched;
    if (!is_json_wanted) {
        printf("\n%u reader%s, %s, payload %s: microseconds\n", board->readers,
               board->readers == 1 ? "" : "s", name_mode(board),
               is_touched ? "written and read" : "untouched");
        printf("  %-18s %-8s %10s %10s %10s %10s %10s %9s\n", "", "", "p50", "p90", "p99", "p99.9",
               "max", "samples");
    }
    json_t *lanes = json_array();
    for (uint32_t lane = 0; lane < board->lanes; lane++) {
        json_array_append_new(lanes, add_lane(board, lane));
        if (!board->lane[lane].is_floor)
            judge_lane(board, lane);
    }
    if (!is_touched)
        judge_sizes(board);
    json_array_append_new(scenes, json_pack("{s:i, s:s, s:b, s:i, s:o}", "readers", board->readers,
                                            "mode", name_mode(board), "is_touched", is_touched,
                                            "repeats", board->repeats, "lanes", lanes));
    fflush(stdout);
}

void figures_skip_scene(uint32_t readers, bool is_spinning, const char *reason) {
    if (!is_json_wanted)
        printf("\n%u readers, %s: not run: %s\n", readers, is_spinning ? "spinning" : "sleeping",
               reason);
    json_array_append_new(scenes,
                          json_pack("{s:i, s:s, s:s}", "readers", readers, "mode",
                                    is_spinning ? "spinning" : "sleeping", "not_run", reason));
}

/* ---- calls ---- */

static void add_call(json_t *object, const char *name, const double *medians, uint32_t repeats,
                     const char *what, double limit) {
    const struct spread spread = find_spread(medians, repeats);
    /* The least: what the calls cost while nothing else took the processor away. */
    const struct spread least = {spread.least, spread.least, spread.most};
    json_object_set_new(object, name,
                        json_pack("{s:f, s:f, s:f}", "ns", spread.least, "median_ns", spread.median,
                                  "most_ns", spread.most));
    const char *verdict = limit > 0 ? judge(what, least, limit) : NULL;
    if (is_json_wanted)
        return;
    printf("  %-18s %8.1f %8.1f %8.1f", name, spread.least, spread.median, spread.most);
    if (verdict)
        printf("   at most %.0f: %s", limit, verdict);
    printf("\n");
}

void figures_add_calls(uint32_t links, bool is_apart, uint32_t repeats,
                       const struct calls_result *result) {
    static const char *const names[CALLS_KINDS] = {
        [CALLS_CLOCK] = "clock read",
        [CALLS_PUBLISH] = "loan + publish",
        [CALLS_ACQUIRE] = "acquire + release",
    };
    const char *place = is_apart ? "another processor" : "the same processor";
    if (!is_json_wanted) {
        printf("\nA call with nobody asleep, %u link%s, frames published on %s: nanoseconds\n",
               links, links == 1 ? "" : "s", place);
        printf("  %-18s %8s %8s %8s\n", "", "least", "median", "most");
    }
    json_t *object = json_pack("{s:i, s:b}", "links", links, "is_apart", is_apart);
    for (unsigned kind = 0; kind < CALLS_KINDS; kind++) {
        char what[128];
        snprintf(what, sizeof(what), "%s, %u link%s, frames from %s", names[kind], links,
                 links == 1 ? "" : "s", place);
        const double limit = kind == CALLS_CLOCK        ? 0
                             : links <= CALLS_FEW_LINKS ? CALLS_FEW_NS
                                                        : CALLS_MANY_NS;
        add_call(object, names[kind], result->median_ns[kind], repeats, what, limit);
    }
    json_array_append_new(calls, object);
    fflush(stdout);
}

/* ---- rates ---- */

void figures_add_rate(const struct rate_plan *plan, uint32_t repeats,
                      const struct rate_result *result) {
    const struct spread spread = find_spread(result->per_second, repeats);
    /* The most: what goes through while nothing else took a processor away. As time a frame, of
     * which less is better. */
    const struct spread ns = {1e9 / spread.most, 1e9 / spread.most, 1e9 / spread.least};
    const double wanted = plan->loans == 1 ? RATE_SINGLE : RATE_BATCHED;
    char what[128];
    snprintf(what, sizeof(what), "nanoseconds a frame of 128 B, saturated, lossless, %s",
             plan->name);
    const char *verdict = judge(what, ns, 1e9 / wanted);
    json_array_append_new(
        rates, json_pack("{s:s, s:i, s:i, s:b, s:I, s:f, s:f, s:f, s:I, s:I, s:I}", "name",
                         plan->name, "loans", plan->loans, "leases", plan->leases, "is_touched",
                         plan->is_touched, "spin_ns", (json_int_t)plan->spin_ns, "per_second",
                         spread.most, "median_per_second", spread.median, "least_per_second",
                         spread.least, "frames", (json_int_t)result->frames, "writer_waits",
                         (json_int_t)result->waits, "reader_sleeps", (json_int_t)result->sleeps));
    if (is_json_wanted)
        return;
    static bool has_heading;
    if (!has_heading)
        printf("\nFrames of 128 B to one lossless reader, saturated: millions a second\n"
               "  %-24s %8s %8s %8s %14s %14s\n",
               "", "most", "median", "least", "waits / 1000", "sleeps / 1000");
    has_heading = true;
    printf("  %-24s %8.2f %8.2f %8.2f %14.3f %14.3f   at least %.0f: %s\n", plan->name,
           spread.most / 1e6, spread.median / 1e6, spread.least / 1e6,
           (double)result->waits * 1e3 / (double)result->frames,
           (double)result->sleeps * 1e3 / (double)result->frames, wanted / 1e6, verdict);
    fflush(stdout);
}

/* ---- begin and end ---- */

void figures_start(bool is_json, bool is_quick) {
    struct utsname system;
    uname(&system);
    is_json_wanted = is_json;
    scenes = json_array();
    calls = json_array();
    rates = json_array();
    aims = json_array();
    json_t *cpus = json_array();
    for (unsigned i = 0; i < place_count(); i++)
        json_array_append_new(cpus, json_integer(place_cpu(i)));
    all = json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "kernel", system.release, "machine",
                    system.machine, "is_quick", is_quick, "processors", cpus, "scenes", scenes,
                    "calls", calls, "rates", rates, "aims", aims);
    if (is_json)
        return;
    printf("Linux %s %s, %u processors: the writer on %d, readers on the other%s in turn.\n",
           system.release, system.machine, place_count(), place_cpu(0),
           place_count() > 2 ? "s" : "");
    if (is_quick)
        printf("A quick run: too few samples for its high quantiles to mean much.\n");
}

void figures_finish(void) {
    if (is_json_wanted) {
        report_print_json(all);
        return;
    }
    size_t i, met = 0;
    json_t *aim;
    json_array_foreach(aims, i, aim) met += json_is_true(json_object_get(aim, "is_met"));
    printf("\n%zu of %zu aims are met.\n", met, json_array_size(aims));
    json_array_foreach(aims, i, aim) if (!json_is_true(json_object_get(aim, "is_met")))
        printf("  falls short: %s: %.2f (%.2f to %.2f), at most %.2f\n",
               json_string_value(json_object_get(aim, "what")),
               json_real_value(json_object_get(aim, "value")),
               json_real_value(json_object_get(aim, "least")),
               json_real_value(json_object_get(aim, "most")),
               json_real_value(json_object_get(aim, "limit")));
    json_decref(all);
}
