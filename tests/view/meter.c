/* Meter: rate, quantiles and curve of the last seconds. */
#include "meter.h"

#include <check.h>
#include <stdlib.h>

#define MS        INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)

static struct meter meter;

static void clear(void) {
    meter = (struct meter){0};
}

START_TEST(nothing_measured_is_all_zero) {
    const struct meter_summary got = meter_summarize(&meter, 5 * SECOND_NS, SECOND_NS);
    ck_assert_uint_eq(got.count, 0);
    ck_assert_double_eq(got.rate_hz, 0);
    ck_assert_int_eq(got.max_ns, 0);
}
END_TEST

START_TEST(quantiles_are_values_that_occurred) {
    for (int i = 1; i <= 100; i++) {
        meter_add(&meter, i * MS, (101 - i) * 1000);
    }
    const struct meter_summary got = meter_summarize(&meter, 100 * MS, SECOND_NS);
    ck_assert_uint_eq(got.count, 100);
    ck_assert_int_eq(got.min_ns, 1000);
    ck_assert_int_eq(got.p50_ns, 50000);
    ck_assert_int_eq(got.p99_ns, 99000);
    ck_assert_int_eq(got.max_ns, 100000);
}
END_TEST

START_TEST(one_value_is_every_quantile) {
    meter_add(&meter, MS, -7);
    const struct meter_summary got = meter_summarize(&meter, MS, SECOND_NS);
    ck_assert_int_eq(got.min_ns, -7);
    ck_assert_int_eq(got.p50_ns, -7);
    ck_assert_int_eq(got.p99_ns, -7);
    ck_assert_int_eq(got.max_ns, -7);
    ck_assert_double_eq(got.rate_hz, 0);
}
END_TEST

START_TEST(the_rate_counts_intervals) {
    for (int i = 0; i < 600; i++) {
        meter_add(&meter, i * SECOND_NS / 60, 0);
    }
    const struct meter_summary got = meter_summarize(&meter, 599 * SECOND_NS / 60, 2 * SECOND_NS);
    ck_assert_double_eq_tol(got.rate_hz, 60, 1e-6);
}
END_TEST

START_TEST(old_values_leave_the_span) {
    meter_add(&meter, 0, 1000 * MS);
    meter_add(&meter, 10 * SECOND_NS, 1);
    const struct meter_summary got = meter_summarize(&meter, 11 * SECOND_NS, 5 * SECOND_NS);
    ck_assert_uint_eq(got.count, 1);
    ck_assert_int_eq(got.max_ns, 1);
}
END_TEST

START_TEST(only_the_newest_are_kept) {
    for (int i = 0; i < 3 * METER_VALUES; i++) {
        meter_add(&meter, i, i);
    }
    const struct meter_summary got = meter_summarize(&meter, 3 * METER_VALUES, SECOND_NS);
    ck_assert_uint_eq(got.count, METER_VALUES);
    ck_assert_int_eq(got.min_ns, 2 * METER_VALUES);
    ck_assert_int_eq(got.max_ns, 3 * METER_VALUES - 1);
}
END_TEST

START_TEST(the_curve_shows_the_worst_of_each_part) {
    int64_t curve[5];
    meter_add(&meter, 500 * MS, 1);
    meter_add(&meter, 1500 * MS, 5);
    meter_add(&meter, 1600 * MS, 3);
    meter_add(&meter, 5000 * MS, 9);
    meter_curve(&meter, 5 * SECOND_NS, 5 * SECOND_NS, curve, 5);
    ck_assert_int_eq(curve[0], 1);
    ck_assert_int_eq(curve[1], 5);
    ck_assert_int_eq(curve[2], INT64_MIN);
    ck_assert_int_eq(curve[3], INT64_MIN);
    ck_assert_int_eq(curve[4], 9);
}
END_TEST

int main(void) {
    TCase *const tests = tcase_create("meter");
    tcase_add_checked_fixture(tests, clear, NULL);
    tcase_add_test(tests, nothing_measured_is_all_zero);
    tcase_add_test(tests, quantiles_are_values_that_occurred);
    tcase_add_test(tests, one_value_is_every_quantile);
    tcase_add_test(tests, the_rate_counts_intervals);
    tcase_add_test(tests, old_values_leave_the_span);
    tcase_add_test(tests, only_the_newest_are_kept);
    tcase_add_test(tests, the_curve_shows_the_worst_of_each_part);
    Suite *const suite = suite_create("meter");
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
