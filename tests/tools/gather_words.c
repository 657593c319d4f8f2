/* What a picture shows: which state a writer is in, rates, names in JSON. */
#include "gather_words.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)

static const struct gather gather = {.time_ns = 100 * SECOND};

static const struct {
    enum gather_writing writing;
    struct shmframe_stream_info info;
} writers[] = {
    {GATHER_WRITING_NOTHING, {.state = SHMFRAME_STREAM_WAITED_FOR}},
    {GATHER_WRITING_NOTHING, {.state = SHMFRAME_STREAM_ENDED, .blocked_ns = SECOND}},
    {GATHER_WRITING_WELL, {.state = SHMFRAME_STREAM_LIVE}},
    /* Fast: a second counts. */
    {GATHER_WRITING_WELL,
     {.state = SHMFRAME_STREAM_LIVE, .publish_ns = 99 * SECOND, .period_ns = SECOND / 60}},
    {GATHER_WRITING_STALLED,
     {.state = SHMFRAME_STREAM_LIVE, .publish_ns = 99 * SECOND - 1, .period_ns = SECOND / 60}},
    /* Slow: ten periods do. */
    {GATHER_WRITING_WELL,
     {.state = SHMFRAME_STREAM_LIVE, .publish_ns = 80 * SECOND, .period_ns = 2 * SECOND}},
    {GATHER_WRITING_STALLED,
     {.state = SHMFRAME_STREAM_LIVE, .publish_ns = 80 * SECOND - 1, .period_ns = 2 * SECOND}},
    /* No period: nothing is due. Nor before the first frame. */
    {GATHER_WRITING_WELL, {.state = SHMFRAME_STREAM_LIVE, .publish_ns = 1}},
    {GATHER_WRITING_WELL, {.state = SHMFRAME_STREAM_LIVE, .period_ns = SECOND / 60}},
    {GATHER_WRITING_BLOCKED,
     {.state = SHMFRAME_STREAM_LIVE, .publish_ns = 1, .period_ns = SECOND, .blocked_ns = 1}},
    /* A peer's number. */
    {GATHER_WRITING_STALLED,
     {.state = SHMFRAME_STREAM_LIVE, .publish_ns = 98 * SECOND, .period_ns = INT64_MAX}},
};

START_TEST(a_writer_s_state_follows_from_what_it_counts) {
    const struct gather_stream stream = {.info = writers[_i].info};
    ck_assert_int_eq(gather_find_writing(&gather, &stream), writers[_i].writing);
}
END_TEST

START_TEST(a_reader_of_a_stopped_process_is_stopped) {
    static max_align_t there; /* what is in the record does not count */
    struct gather_process process = {.is_known = true, .state = 'T'};
    struct gather_reader reader = {.process = &process, .record = (void *)&there};
    ck_assert_str_eq(gather_reader_state_name(&reader), "stopped");
    process.state = 'S';
    ck_assert_str_eq(gather_reader_state_name(&reader), "away");
    process.is_known = false;
    reader.state.doing = SHMFRAME_DOING_ASLEEP;
    ck_assert_str_eq(gather_reader_state_name(&reader), "asleep");
    reader.record = NULL;
    ck_assert_str_eq(gather_reader_state_name(&reader), "-");
    reader.info.is_evicted = true;
    ck_assert_str_eq(gather_reader_state_name(&reader), "evicted");
}
END_TEST

START_TEST(a_rate_has_as_many_digits_as_count) {
    char text[GATHER_RATE_BYTES];
    static const struct {
        double rate_hz;
        const char *text;
    } rates[] = {{-1, "-"}, {0, "0.00"}, {29.97, "29.97"}, {100.04, "100.0"}, {48000.4, "48000"}};
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        gather_format_rate(rates[i].rate_hz, text);
        ck_assert_str_eq(text, rates[i].text);
    }
}
END_TEST

START_TEST(a_name_that_is_no_utf8_is_still_told) {
    const struct shmframe_event event = {
        .type = SHMFRAME_JOURNAL_READER_LEFT, .name = "caf\xe9", .text = "\xff"};
    json_t *object = gather_make_event_json(&event);
    ck_assert_str_eq(json_string_value(json_object_get(object, "name")), "caf?");
    ck_assert_str_eq(json_string_value(json_object_get(object, "text")), "?");
    ck_assert_str_eq(json_string_value(json_object_get(object, "words")), "caf? left: ?");
    json_decref(object);
}
END_TEST

START_TEST(an_exit_is_a_status_or_a_signal_or_unknown) {
    static const struct {
        int32_t exit_status;
        json_int_t status, signal; /* -1: null */
    } exits[] = {{0, 0, -1}, {3, 3, -1}, {-11, -1, 11}, {INT32_MIN, -1, -1}};
    for (unsigned i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
        const struct gather_node node = {.info = {.exit_status = exits[i].exit_status}};
        json_t *object = gather_make_node_json(&gather, &node);
        const json_t *status = json_object_get(object, "exit_status");
        const json_t *signal = json_object_get(object, "exit_signal");
        ck_assert_int_eq(json_is_null(status) ? -1 : json_integer_value(status), exits[i].status);
        ck_assert_int_eq(json_is_null(signal) ? -1 : json_integer_value(signal), exits[i].signal);
        json_decref(object);
    }
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("gather_words");
    tcase_add_loop_test(cases, a_writer_s_state_follows_from_what_it_counts, 0,
                        sizeof(writers) / sizeof(writers[0]));
    tcase_add_test(cases, a_reader_of_a_stopped_process_is_stopped);
    tcase_add_test(cases, a_rate_has_as_many_digits_as_count);
    tcase_add_test(cases, a_name_that_is_no_utf8_is_still_told);
    tcase_add_test(cases, an_exit_is_a_status_or_a_signal_or_unknown);
    Suite *suite = suite_create("gather_words");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
