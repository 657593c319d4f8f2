#include "self_test_report.h"

#include "duration.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- JSON ---- */

static json_t *describe_wakes(const struct doctor_wakes *wakes) {
    return json_pack("{s:I, s:I}", "p50_ns",
                     (json_int_t)shmframe_histogram_quantile_ns(&wakes->halted, 0.5), "p99_ns",
                     (json_int_t)shmframe_histogram_quantile_ns(&wakes->halted, 0.99));
}

static json_t *describe_delay(const struct self_test_delay *delay) {
    char why[SELF_TEST_WORDS];
    const bool is_right = self_test_judge_delay(delay, why);
    json_t *object = json_pack(
        "{s:I, s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s}", "delay_ns",
        (json_int_t)delay->delay_ns, "period_ns", (json_int_t)delay->period_ns, "wanted",
        (int)delay->wanted, "frames", (int)delay->frames, "held_ns", (json_int_t)delay->held_ns,
        "stamps_ns", (json_int_t)delay->read_ns, "off_ns", (json_int_t)delay->off_ns, "off_p99_ns",
        (json_int_t)delay->off_p99_ns, "off_max_ns", (json_int_t)delay->off_max_ns,
        "transit_min_ns", (json_int_t)delay->transit_min_ns, "transit_p50_ns",
        (json_int_t)delay->transit_p50_ns, "transit_p99_ns", (json_int_t)delay->transit_p99_ns,
        "is_right", is_right, "why", why);
    json_object_set_new(object, "marks_ns",
                        delay->has_marks ? json_integer(self_test_marks_ns(delay)) : json_null());
    return object;
}

static json_t *describe_counts(const struct self_test_counts *counts) {
    return json_pack("{s:I, s:I, s:I}", "lost", (json_int_t)counts->lost, "repeated",
                     (json_int_t)counts->repeated, "swapped", (json_int_t)counts->swapped);
}

static json_t *describe_faults(const struct self_test_faults *faults) {
    char why[SELF_TEST_WORDS];
    const bool is_right = self_test_judge_faults(faults, why);
    return json_pack("{s:o, s:o, s:o, s:b, s:s}", "made", describe_counts(&faults->made),
                     "by_stamps", describe_counts(&faults->by_stamps), "by_marks",
                     faults->has_marks ? describe_counts(&faults->by_marks) : json_null(),
                     "is_right", is_right, "why", why);
}

/* ---- words ---- */

static void print_time(int64_t time_ns) {
    char text[DURATION_BYTES], signed_text[DURATION_BYTES + 1];
    duration_format(time_ns < 0 ? -time_ns : time_ns, text);
    snprintf(signed_text, sizeof(signed_text), "%s%s", time_ns < 0 ? "-" : "", text);
    printf("  %9s", signed_text);
}

/* What is longer has digits that three do not show. */
static void print_long_time(int64_t time_ns) {
    printf("  %8.3f ms", (double)time_ns / 1e6);
}

static void print_delay(const struct self_test_delay *delay) {
    char why[SELF_TEST_WORDS];
    const bool is_right = self_test_judge_delay(delay, why);
    printf("%6g ms", (double)delay->delay_ns / 1e6);
    print_long_time(delay->held_ns);
    print_long_time(delay->read_ns);
    print_time(delay->off_ns);
    print_time(delay->off_p99_ns);
    print_time(delay->transit_p50_ns);
    if (delay->has_marks)
        print_long_time(self_test_marks_ns(delay));
    else
        printf("  %11s", "-");
    printf("  %6u  %s%s\n", delay->frames, is_right ? "ok" : "OFF: ", why);
}

static void print_counts(const char *title, const struct self_test_counts *counts) {
    printf("%-10s  %5" PRIu64 "  %8" PRIu64 "  %7" PRIu64 "\n", title, counts->lost,
           counts->repeated, counts->swapped);
}

static void print_faults(const struct self_test_faults *faults) {
    char why[SELF_TEST_WORDS];
    const bool is_right = self_test_judge_faults(faults, why);
    printf("\n%-10s  %5s  %8s  %7s\n", "frames", "lost", "repeated", "swapped");
    print_counts("made", &faults->made);
    print_counts("by stamps", &faults->by_stamps);
    if (faults->has_marks)
        print_counts("by marks", &faults->by_marks);
    printf("%s%s\n", is_right ? "ok" : "OFF: ", why);
}

static void print_all(const struct self_test_results *results) {
    char p50[DURATION_BYTES], p99[DURATION_BYTES];
    duration_format(shmframe_histogram_quantile_ns(&results->wakes.halted, 0.5), p50);
    duration_format(shmframe_histogram_quantile_ns(&results->wakes.halted, 0.99), p99);
    printf("A process that sleeps wakes within p50 %s, p99 %s on this machine now.\n\n", p50, p99);
    printf("%9s  %11s  %11s  %9s  %9s  %9s  %11s  %6s\n", "delay", "held p50", "by stamps", "off",
           "off p99", "transit", "by marks", "frames");
    for (uint32_t i = 0; i < results->delays; i++)
        print_delay(&results->delay[i]);
    if (results->has_faults)
        print_faults(&results->faults);
}

bool self_test_report(const struct self_test_results *results, enum report_format format) {
    char why[SELF_TEST_WORDS];
    bool is_right = results->delays > 0;
    json_t *delays = json_array();
    for (uint32_t i = 0; i < results->delays; i++) {
        is_right = self_test_judge_delay(&results->delay[i], why) && is_right;
        json_array_append_new(delays, describe_delay(&results->delay[i]));
    }
    if (results->has_faults)
        is_right = self_test_judge_faults(&results->faults, why) && is_right;
    if (format == REPORT_JSON)
        report_print_json(
            json_pack("{s:b, s:o, s:O, s:o}", "is_right", is_right, "wake",
                      describe_wakes(&results->wakes), "delays", delays, "faults",
                      results->has_faults ? describe_faults(&results->faults) : json_null()));
    else
        print_all(results);
    json_decref(delays);
    report_flush();
    return is_right;
}
