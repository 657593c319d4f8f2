#include "compare_table.h"

#include "compare_result.h"
#include "report.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static double find_number(const json_t *object, const char *key, const char *part) {
    const json_t *value = json_object_get(object, key);
    return json_number_value(part ? json_object_get(value, part) : value);
}

static const char *find_text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static void print_head(const json_t *cell) {
    printf("\n%s   (memcpy() of it: %.1f us)\n", find_text(cell, "cell"),
           find_number(cell, "copy_ns", "median") / 1e3);
    printf("  %-31s %9s %9s %9s %9s %9s  %-20s %10s %11s %11s %17s %9s %6s %8s\n",
           "latency, us:", "p50", "p90", "p99", "p99.9", "max", "x floor", "messages/s",
           "calls w, r", "MB copied", "processor us w, r", "MB memory", "lost", "others %");
}

/* As counted; or, in a library, by its nature. */
static void print_work(const json_t *cell, const json_t *road) {
    const json_t *calls = json_object_get(road, "calls");
    const bool is_counted = json_is_number(json_object_get(road, "copied_bytes"));
    char text[32] = "?";
    if (json_is_object(calls))
        snprintf(text, sizeof(text), "%.2f %.2f%s", find_number(calls, "writer", NULL),
                 find_number(calls, "reader", NULL), is_counted ? "" : "*");
    const double copied =
        is_counted ? find_number(road, "copied_bytes", NULL)
                   : find_number(road, "copies", NULL) * find_number(cell, "bytes", NULL);
    printf(" %11s %10.4g%s", text, copied / 1e6, is_counted ? " " : "*");
    snprintf(text, sizeof(text), "%.2f %.2f",
             (find_number(road, "writer_processor_ns", "median") +
              find_number(road, "daemons_processor_ns", "median")) /
                 1e3,
             find_number(road, "reader_processor_ns", "median") / 1e3);
    printf(" %17s", text);
}

static void print_road(const json_t *cell, const json_t *road) {
    static const struct {
        const char *name;
        double beyond; /* this part of the samples */
    } levels[] = {
        {"p50_ns", 0.5}, {"p90_ns", 0.1}, {"p99_ns", 0.01}, {"p999_ns", 0.001}, {"max_ns", 1}};
    const double samples = find_number(json_object_get(road, "latency"), "count", NULL);
    const char *why_not = find_text(road, "not_run");
    printf("  %-31s", find_text(road, "title"));
    if (why_not) {
        printf(" not run: %s\n", why_not);
        return;
    }
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (samples * levels[i].beyond >= SAMPLES_BEYOND - 1e-6)
            printf(" %9.1f", find_number(road, "latency", levels[i].name) / 1e3);
        else
            printf(" %9s", "-");
    char text[32] = "";
    if (json_is_object(json_object_get(road, "to_floor")))
        snprintf(text, sizeof(text), "%.2f (%.2f to %.2f)", find_number(road, "to_floor", "median"),
                 find_number(road, "to_floor", "least"), find_number(road, "to_floor", "most"));
    printf("  %-20s %10.0f", text, find_number(road, "messages_per_s", NULL));
    print_work(cell, road);
    printf(" %9.1f %6.0f %8.1f\n", find_number(road, "memory_bytes", NULL) / 1e6,
           find_number(road, "lost", NULL), 100 * find_number(road, "others_share", "most"));
}

static void print_cell(const json_t *cell) {
    size_t index;
    json_t *road;
    print_head(cell);
    json_array_foreach(json_object_get(cell, "floors"), index,
                       road) if (!find_text(road, "not_run")) print_road(cell, road);
    json_array_foreach(json_object_get(cell, "roads"), index, road) print_road(cell, road);
}

static void print_aims(const json_t *aims) {
    size_t index;
    json_t *aim;
    unsigned met = 0, judged = 0;
    printf("\nAims: median of the repetitions (least to most)\n");
    json_array_foreach(aims, index, aim) {
        const bool is_met = json_is_true(json_object_get(aim, "is_met"));
        const bool is_judged = !json_is_true(json_object_get(aim, "is_disturbed"));
        met += is_met;
        judged += is_judged;
        printf("  %-11s %.4g (%.4g to %.4g), at %s %.4g: %s\n",
               !is_judged ? "NOT JUDGED"
               : is_met   ? "pass"
                          : "FALLS SHORT",
               find_number(aim, "value", NULL), find_number(aim, "least", NULL),
               find_number(aim, "most", NULL),
               json_is_true(json_object_get(aim, "is_at_least")) ? "least" : "most",
               find_number(aim, "limit", NULL), find_text(aim, "what"));
    }
    printf("%u of %u aims are met.\n", met, judged);
    if (judged < json_array_size(aims))
        printf("%zu are not judged: others took more than %.0f %% of the processors in a run.\n",
               json_array_size(aims) - judged, 100 * RESULT_DISTURBED);
}

void table_print(const json_t *report) {
    size_t index;
    json_t *cell;
    json_array_foreach(json_object_get(report, "cells"), index, cell) print_cell(cell);
    printf("\nw, r: the writer (with daemons), each reader. *: system calls counted by strace in a "
           "run apart, copies told by the road's nature.\n"
           "-: fewer than 10 samples are beyond it. others: of the processors' time, what others "
           "took in the worst run: above 5 the row is disturbed. Saturated "
           "latency is that of the queue.\n");
    print_aims(json_object_get(report, "aims"));
    report_flush();
}
