/* shmframe doctor --self-test: known delays and faults through shmframe-delay, read back.
 *
 *   shmframe-pattern --- shmframe-delay --- this process, and shmframe-latency --marks
 *          \___________________________________/
 */
#include "self_test.h"

#include "program.h"
#include "progress.h"
#include "self_test_reading.h"
#include "self_test_report.h"
#include "self_test_stage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
#define END_NS    (20 * SECOND_NS)
/* What waking up takes here is shown beside: each kind is measured for so long. */
#define WAKES_NS (SECOND_NS / 10)

enum { RATE = 60, FRAMES_MIN = 20, MARKED_FRAMES = 30, TEXT_BYTES = 32 };
static const char source[] = "self-test", faulty[] = "self-test.faulty";

static const int64_t delays_ns[SELF_TEST_DELAYS] = {500000,    1000000,  2000000,  5000000,
                                                    10000000,  20000000, 50000000, 100000000,
                                                    200000000, 500000000};

static struct self_test_results results;

static const json_t *find(const json_t *object, const char *key, const char *inner) {
    return json_object_get(json_object_get(object, key), inner);
}

static uint64_t find_count(const json_t *object, const char *key) {
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static int64_t find_p50(const json_t *said, const char *hop) {
    return json_integer_value(json_object_get(find(said, "hops", hop), "p50_ns"));
}

/* What this process could not read; a signal is no failure of the test. */
static void tell_failure(const char *stream, int result) {
    if (result < 0 && !program_is_stopping())
        program_warn("%s cannot be read: %s", stream,
                     result == -ENODATA ? "it ended" : shmframe_last_error());
}

/* ---- delays ---- */

static void read_ages(struct self_test_delay *delay, const json_t *said) {
    delay->has_marks = find_count(find(said, "hops", "mark_age"), "count") > 0;
    delay->mark_age_ns = find_p50(said, "mark_age");
    delay->told_produce_ns = find_p50(said, "produce");
    delay->told_transit_ns = find_p50(said, "transit");
}

static void test_delay(const struct self_test_stage *stage, struct self_test_delay *delay) {
    char delayed[TEXT_BYTES], time[TEXT_BYTES], frames[TEXT_BYTES], log[PATH_MAX + TEXT_BYTES];
    /* A name of its own: what comes next is not to be taken for this one's next writer. */
    snprintf(delayed, sizeof(delayed), "%s.%" PRId64 "us", source, delay->delay_ns / 1000);
    snprintf(time, sizeof(time), "%" PRId64 "us", delay->delay_ns / 1000);
    snprintf(frames, sizeof(frames), "%d", MARKED_FRAMES);
    snprintf(log, sizeof(log), "%s/log", stage->folder.path);
    struct self_test_actor filter, latency;
    self_test_stage_start(stage, &filter,
                          (char *const[]){"shmframe-delay", (char *)source, delayed, "--delay",
                                          time, "--log", log, "--format", "json", NULL});
    tell_failure(delayed, self_test_read_delay(stage->session, source, delayed, delay));
    /* Not at the same time: finding marks is work, and would make both readers wait. */
    self_test_stage_start(stage, &latency,
                          (char *const[]){"shmframe-latency", delayed, "--marks", "--policy",
                                          "in-order", "--frames", frames, "--deadline", "10",
                                          "--interval", "0", "--format", "json", NULL});
    json_t *said = self_test_stage_end(&latency, 0, END_NS);
    read_ages(delay, said);
    json_decref(said);
    json_decref(self_test_stage_end(&filter, SIGINT, END_NS));
    if (!self_test_read_log(log, delay) && !program_is_stopping())
        program_warn("%s left no log: %m", delayed);
}

static void test_delays(const struct self_test_stage *stage, int64_t duration_ns, int64_t only_ns) {
    struct self_test_actor pattern;
    char rate[TEXT_BYTES];
    snprintf(rate, sizeof(rate), "%d", RATE);
    self_test_stage_start(stage, &pattern,
                          (char *const[]){"shmframe-pattern", "--stream", (char *)source, "--size",
                                          "320x180", "--rate", rate, "--no-sound", "--marks",
                                          "--format", "json", NULL});
    const uint32_t count = only_ns ? 1 : SELF_TEST_DELAYS;
    for (uint32_t i = 0; i < count && !program_is_stopping(); i++) {
        const int64_t frames = duration_ns * RATE / SECOND_NS;
        struct self_test_delay *delay = &results.delay[results.delays];
        *delay = (struct self_test_delay){
            .delay_ns = only_ns ? only_ns : delays_ns[i],
            .period_ns = SECOND_NS / RATE,
            .wake_ns = shmframe_histogram_quantile_ns(&results.wakes.halted, 0.99),
            .wanted = (uint32_t)(frames < FRAMES_MIN             ? FRAMES_MIN
                                 : frames > SELF_TEST_FRAMES_MAX ? SELF_TEST_FRAMES_MAX
                                                                 : frames),
        };
        progress_update("self-test: delay %u of %u, %g ms", i + 1, count,
                        (double)delay->delay_ns / 1e6);
        test_delay(stage, delay);
        results.delays++;
    }
    json_decref(self_test_stage_end(&pattern, SIGINT, END_NS));
}

/* ---- faults ---- */

static void read_made(struct self_test_counts *made, const json_t *said) {
    const json_t *stream = json_array_get(json_object_get(said, "streams"), 0);
    *made = (struct self_test_counts){
        .lost = find_count(stream, "dropped"),
        .repeated = find_count(stream, "repeated"),
        .swapped = find_count(stream, "swapped"),
    };
}

static void read_marks(struct self_test_faults *faults, const json_t *said) {
    const json_t *marks = json_object_get(said, "marks");
    faults->has_marks = find_count(marks, "frames") > 0;
    faults->by_marks = (struct self_test_counts){
        .lost = find_count(marks, "lost"),
        .repeated = find_count(marks, "repeated"),
        .swapped = find_count(marks, "out_of_order"),
    };
}

/* Everyone waits for everyone here, so that nothing is lost but on purpose. The last frames are let
 * through: what is missing after the last one cannot be seen. */
static void test_faults(const struct self_test_stage *stage) {
    static const char beginning[] = "self-test.flow";
    struct self_test_faults *faults = &results.faults;
    struct self_test_actor pattern, filter, latency;
    progress_update("self-test: drops, repeats and swaps");
    self_test_stage_start(stage, &pattern,
                          (char *const[]){"shmframe-pattern", "--stream", (char *)beginning,
                                          "--size", "320x180", "--no-sound", "--marks", "--unpaced",
                                          "--frames", "401", "--wait-readers", "1", "--format",
                                          "json", NULL});
    self_test_stage_start(stage, &filter,
                          (char *const[]){"shmframe-delay", (char *)beginning, (char *)faulty,
                                          "--drop", "every=10", "--repeat", "every=7", "--swap",
                                          "every=9", "--wait-readers", "2", "--format", "json",
                                          NULL});
    self_test_stage_start(stage, &latency,
                          (char *const[]){"shmframe-latency", (char *)faulty, "--marks", "--policy",
                                          "lossless", "--deadline", "10", "--interval", "0",
                                          "--format", "json", NULL});
    const int result = self_test_read_faults(stage->session, faulty, &faults->by_stamps);
    tell_failure(faulty, result);
    json_t *said = self_test_stage_end(&filter, 0, END_NS);
    read_made(&faults->made, said);
    json_decref(said);
    said = self_test_stage_end(&latency, 0, END_NS);
    read_marks(faults, said);
    json_decref(said);
    json_decref(self_test_stage_end(&pattern, 0, END_NS));
    results.has_faults = true;
}

int self_test_run(enum report_format format, int64_t duration_ns, int64_t only_ns) {
    progress_update("self-test: measuring wake-ups");
    const int code = doctor_measure_wakes(&results.wakes, WAKES_NS);
    if (code < 0)
        program_fail("wake-ups cannot be measured: %s", strerror(-code));
    struct self_test_stage stage;
    self_test_stage_open(&stage);
    test_delays(&stage, duration_ns, only_ns);
    if (!program_is_stopping())
        test_faults(&stage);
    const bool was_stopped = program_is_stopping();
    self_test_stage_close(&stage);
    progress_clear();
    if (was_stopped)
        program_fail("the test was interrupted");
    return self_test_report(&results, format) ? EXIT_DONE : EXIT_FAILED;
}
