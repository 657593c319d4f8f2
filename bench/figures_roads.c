#include "figures_roads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One figure of one road: a value for each repetition. */
struct series {
    double value[SLICES_REPEATS_MAX];
};

struct spread {
    double median, least, most;
};

static int compare(const void *a, const void *b) {
    const double one = *(const double *)a, two = *(const double *)b;
    return (one > two) - (one < two);
}

static struct spread find_spread(const struct series *series, uint32_t count) {
    double sorted[SLICES_REPEATS_MAX];
    memcpy(sorted, series->value, count * sizeof(sorted[0]));
    qsort(sorted, count, sizeof(sorted[0]), compare);
    const double middle = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    return (struct spread){middle, sorted[0], sorted[count - 1]};
}

/* Nanoseconds a frame. */
struct figures {
    struct series moving;    /* all but the work and the writer's clock */
    struct series of_writer; /* the writer's part of it */
    struct series work;
    struct series transport;        /* all that is not there when nothing travels */
    struct series to_copy, to_ring; /* moving, as ratios */
};

static double per_frame(const struct slices *slices, uint32_t repeat, enum slices_road road,
                        double sum) {
    return sum / (double)slices->sent[repeat][road];
}

/* Beside its work, all that the writer does on no road is to wait for its clock. */
static double find_pace(const struct slices *slices, uint32_t repeat) {
    const struct slice *writer = &slices->slice[repeat][SLICES_NONE][SLICES_WRITER];
    return per_frame(slices, repeat, SLICES_NONE, (double)(writer->total_ns - writer->work_ns));
}

static void find_sums(const struct slices *slices, uint32_t repeat, enum slices_road road,
                      double *out_total, double *out_work) {
    int64_t total_ns = 0, work_ns = 0;
    for (uint32_t peer = 0; peer < SLICES_PEERS; peer++) {
        total_ns += slices->slice[repeat][road][peer].total_ns;
        work_ns += slices->slice[repeat][road][peer].work_ns;
    }
    *out_total = per_frame(slices, repeat, road, (double)total_ns);
    *out_work = per_frame(slices, repeat, road, (double)work_ns);
}

static double find_moving(const struct slices *slices, uint32_t repeat, enum slices_road road) {
    double total, work;
    find_sums(slices, repeat, road, &total, &work);
    return total - work - find_pace(slices, repeat);
}

static void fill(const struct slices *slices, enum slices_road road, struct figures *figures) {
    for (uint32_t i = 0; i < slices->plan.repeats; i++) {
        const struct slice *writer = &slices->slice[i][road][SLICES_WRITER];
        double total, work, none_total, none_work;
        find_sums(slices, i, road, &total, &work);
        find_sums(slices, i, SLICES_NONE, &none_total, &none_work);
        const double pace = find_pace(slices, i), moving = find_moving(slices, i, road);
        figures->moving.value[i] = moving;
        figures->of_writer.value[i] =
            per_frame(slices, i, road, (double)(writer->total_ns - writer->work_ns)) - pace;
        figures->work.value[i] = work;
        figures->transport.value[i] = total - none_work - pace;
        figures->to_copy.value[i] = moving / (double)slices->copy_ns[i];
        figures->to_ring.value[i] = moving / find_moving(slices, i, SLICES_RING);
    }
}

static struct shmframe_histogram *add_ages(const struct slices *slices, enum slices_road road) {
    struct shmframe_histogram *sum = calloc(1, sizeof(*sum));
    for (uint32_t reader = 0; sum && reader < SLICES_READERS; reader++) {
        const struct shmframe_histogram *ages = &slices->age[road][reader];
        sum->count += ages->count;
        sum->max_ns = ages->max_ns > sum->max_ns ? ages->max_ns : sum->max_ns;
        for (int i = 0; i < SHMFRAME_HISTOGRAM_BUCKETS; i++)
            sum->bucket[i] += ages->bucket[i];
    }
    return sum;
}

static uint64_t count_copied(const struct slices *slices, enum slices_road road) {
    uint64_t copied = 0, sent = 0;
    for (uint32_t i = 0; i < slices->plan.repeats; i++) {
        sent += slices->sent[i][road];
        for (uint32_t peer = 0; peer < SLICES_PEERS; peer++)
            copied += slices->slice[i][road][peer].copied;
    }
    return copied / sent;
}

static void set_spread(json_t *object, const char *key, const struct series *series,
                       uint32_t count) {
    const struct spread spread = find_spread(series, count);
    json_object_set_new(object, key,
                        json_pack("{s:f, s:f, s:f}", "median", spread.median, "least", spread.least,
                                  "most", spread.most));
}

static json_t *describe_road(const struct slices *slices, enum slices_road road) {
    struct figures *figures = calloc(1, sizeof(*figures));
    struct shmframe_histogram *ages = add_ages(slices, road);
    json_t *object = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "road", slices_road_name(road),
                               "kernel_bytes", (json_int_t)slices->kernel_bytes[road],
                               "copied_bytes", (json_int_t)count_copied(slices, road), "dropped",
                               (json_int_t)slices->dropped[road], "lost",
                               (json_int_t)slices->lost[road], "received", (json_int_t)ages->count);
    fill(slices, road, figures);
    const uint32_t count = slices->plan.repeats;
    set_spread(object, "work_ns", &figures->work, count);
    if (road != SLICES_NONE) {
        set_spread(object, "moving_ns", &figures->moving, count);
        set_spread(object, "moving_of_writer_ns", &figures->of_writer, count);
        set_spread(object, "transport_ns", &figures->transport, count);
        set_spread(object, "to_copy", &figures->to_copy, count);
        set_spread(object, "to_ring", &figures->to_ring, count);
        json_object_set_new(object, "age",
                            json_pack("{s:I, s:I, s:I}", "p50_ns",
                                      (json_int_t)shmframe_histogram_quantile_ns(ages, 0.5),
                                      "p99_ns",
                                      (json_int_t)shmframe_histogram_quantile_ns(ages, 0.99),
                                      "max_ns", (json_int_t)ages->max_ns));
    }
    free(ages);
    free(figures);
    return object;
}

/* ---- words ---- */

static double find_number(const json_t *object, const char *key, const char *part) {
    return json_number_value(json_object_get(json_object_get(object, key), part));
}

static void print_road(const json_t *road) {
    const double us = 1e-3;
    printf(
        "%-7s %8.0f (%5.0f to %5.0f) %8.0f %7.2f %7.1f %9.0f %9.0f %8.1f %7.0f %7.0f %5.0f %5.0f\n",
        json_string_value(json_object_get(road, "road")),
        find_number(road, "moving_ns", "median") * us, find_number(road, "moving_ns", "least") * us,
        find_number(road, "moving_ns", "most") * us,
        find_number(road, "moving_of_writer_ns", "median") * us,
        find_number(road, "to_copy", "median"), find_number(road, "to_ring", "median"),
        find_number(road, "work_ns", "median") * us,
        find_number(road, "transport_ns", "median") * us,
        json_number_value(json_object_get(road, "copied_bytes")) / 1e6,
        find_number(road, "age", "p50_ns") * us, find_number(road, "age", "p99_ns") * us,
        json_number_value(json_object_get(road, "dropped")),
        json_number_value(json_object_get(road, "lost")));
}

static bool has_losses(const json_t *road) {
    return json_integer_value(json_object_get(road, "dropped")) ||
           json_integer_value(json_object_get(road, "lost"));
}

static void print_table(const json_t *result) {
    size_t index;
    json_t *road;
    printf(
        "%ux%u yuv420p, %.2f a second, to view, encode, analyze, latency; us of processor time a "
        "picture, medians of %d slices\n",
        (unsigned)json_integer_value(json_object_get(result, "width")),
        (unsigned)json_integer_value(json_object_get(result, "height")),
        json_number_value(json_object_get(result, "rate")),
        (int)json_integer_value(json_object_get(result, "repeats")));
    printf("copying a picture once: %.0f us\n\n", find_number(result, "copy_ns", "median") * 1e-3);
    printf("%-7s %8s %16s %8s %7s %7s %9s %9s %8s %7s %7s %5s %5s\n", "road", "moving", "",
           "writer's", "x copy", "x ring", "work", "transport", "MB moved", "age p50", "p99",
           "drop", "lost");
    json_array_foreach(json_object_get(result, "roads"), index, road) print_road(road);
    json_array_foreach(json_object_get(result, "roads"), index, road) if (has_losses(road))
        printf("%s: frames are missing: its figures are of fewer than the others moved\n",
               json_string_value(json_object_get(road, "road")));
    report_flush();
}

json_t *figures_roads(const struct slices *slices, enum report_format format) {
    const struct slices_plan *plan = &slices->plan;
    struct series copies;
    for (uint32_t i = 0; i < plan->repeats; i++)
        copies.value[i] = (double)slices->copy_ns[i];
    json_t *results = json_array();
    for (enum slices_road road = SLICES_NONE; road < SLICES_ROADS; road++)
        json_array_append_new(results, describe_road(slices, road));
    json_t *result =
        json_pack("{s:I, s:I, s:f, s:I, s:I, s:I, s:o}", "width", (json_int_t)plan->width, "height",
                  (json_int_t)plan->height, "rate", 1e9 / (double)plan->period_ns, "frames",
                  (json_int_t)plan->frames, "repeats", (json_int_t)plan->repeats, "frame_bytes",
                  (json_int_t)slices->frame_bytes, "roads", results);
    set_spread(result, "copy_ns", &copies, plan->repeats);
    if (format == REPORT_TEXT)
        print_table(result);
    return result;
}

void figures_print_programs(const json_t *programs) {
    size_t index;
    json_t *program;
    printf("\n%-18s %9s %10s %9s %6s %8s\n", "program", "processor", "us a frame", "delivered",
           "lost", "skipped");
    json_array_foreach(programs, index, program) {
        printf("%-18s ", json_string_value(json_object_get(program, "program")));
        if (json_is_null(json_object_get(program, "share"))) {
            puts("not built");
            continue;
        }
        printf("%8.1f%% %10.0f", 100 * json_number_value(json_object_get(program, "share")),
               json_number_value(json_object_get(program, "ns_a_frame")) * 1e-3);
        if (json_object_get(program, "delivered"))
            printf(" %9.0f %6.0f %8.0f", json_number_value(json_object_get(program, "delivered")),
                   json_number_value(json_object_get(program, "lost")),
                   json_number_value(json_object_get(program, "skipped")));
        putchar('\n');
    }
    report_flush();
}
