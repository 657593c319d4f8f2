#include "camera_clock.h"

#include <check.h>
#include <linux/videodev2.h>
#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)
#define UPTIME_NS (5000 * SECOND_NS)
#define TODAY_NS  (INT64_C(1700000000) * SECOND_NS)

static const struct camera_instant now = {
    .monotonic_ns = UPTIME_NS, .realtime_ns = TODAY_NS, .error_ns = 200};

static int64_t convert(struct camera_clock *clock, uint32_t flags, int64_t stamp_ns) {
    return camera_clock_convert(clock, flags, stamp_ns, &now, SECOND_NS / 30);
}

START_TEST(a_monotonic_stamp_is_taken_as_it_is) {
    struct camera_clock clock = {0};
    const uint32_t flags =
        V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | V4L2_BUF_FLAG_TSTAMP_SRC_SOE | V4L2_BUF_FLAG_DONE;
    ck_assert_int_eq(convert(&clock, flags, UPTIME_NS - 12345000), UPTIME_NS - 12345000);
    ck_assert_int_eq(clock.error_ns, 0);
}
END_TEST

START_TEST(a_monotonic_stamp_may_be_old) {
    struct camera_clock clock = {0};
    ck_assert_int_eq(convert(&clock, V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC, 60 * SECOND_NS),
                     60 * SECOND_NS);
    ck_assert_int_eq(clock.error_ns, 0);
}
END_TEST

START_TEST(a_stamp_of_the_wall_clock_is_converted_with_its_error) {
    static const uint32_t flags[] = {V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN,
                                     V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct camera_clock clock = {0};
        ck_assert_int_eq(convert(&clock, flags[i], TODAY_NS - 20000000), UPTIME_NS - 20000000);
        ck_assert_int_eq(clock.error_ns, 1200);
    }
}
END_TEST

START_TEST(a_stamp_of_no_clock_is_the_instant_it_was_taken_at) {
    static const int64_t stamps[] = {0, -1, 7 * SECOND_NS, TODAY_NS - 3600 * SECOND_NS};
    for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
        struct camera_clock clock = {0};
        ck_assert_int_eq(convert(&clock, V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN, stamps[i]), UPTIME_NS);
        ck_assert_int_eq(clock.error_ns, SECOND_NS / 30);
    }
}
END_TEST

START_TEST(a_stamp_ahead_of_now_is_brought_back) {
    struct camera_clock clock = {0};
    const uint32_t flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    ck_assert_int_eq(convert(&clock, flags, UPTIME_NS + 30000000), UPTIME_NS);
    ck_assert_int_eq(clock.error_ns, 30000000);
    /* The largest error counts. */
    ck_assert_int_eq(convert(&clock, flags, UPTIME_NS + 1000000), UPTIME_NS);
    ck_assert_int_eq(clock.error_ns, 30000000);
}
END_TEST

START_TEST(both_clocks_are_read_at_one_instant) {
    const struct camera_instant before = camera_clock_now(), after = camera_clock_now();
    ck_assert_int_ge(before.error_ns, 0);
    ck_assert_int_gt(before.monotonic_ns, 0);
    ck_assert_int_ge(after.monotonic_ns - after.error_ns, before.monotonic_ns);
}
END_TEST

START_TEST(a_gap_is_what_is_missing_between_two_numbers) {
    struct camera_clock clock = {0};
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 17), 0); /* the first tells nothing */
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 18), 0);
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 21), 2);
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 22), 0);
}
END_TEST

START_TEST(numbers_wrap_stand_still_and_go_back) {
    struct camera_clock clock = {0};
    camera_clock_count_gap(&clock, UINT32_MAX - 1);
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 1), 2);
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 1), 0);
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 0), 0);
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 1), 0);
}
END_TEST

START_TEST(a_restart_begins_a_new_count) {
    struct camera_clock clock = {0};
    camera_clock_count_gap(&clock, 5);
    camera_clock_restart(&clock);
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 100), 0);
    ck_assert_uint_eq(camera_clock_count_gap(&clock, 102), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("camera-clock");
    TCase *run = tcase_create("run");
    tcase_add_test(run, a_monotonic_stamp_is_taken_as_it_is);
    tcase_add_test(run, a_monotonic_stamp_may_be_old);
    tcase_add_test(run, a_stamp_of_the_wall_clock_is_converted_with_its_error);
    tcase_add_test(run, a_stamp_of_no_clock_is_the_instant_it_was_taken_at);
    tcase_add_test(run, a_stamp_ahead_of_now_is_brought_back);
    tcase_add_test(run, both_clocks_are_read_at_one_instant);
    tcase_add_test(run, a_gap_is_what_is_missing_between_two_numbers);
    tcase_add_test(run, numbers_wrap_stand_still_and_go_back);
    tcase_add_test(run, a_restart_begins_a_new_count);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
