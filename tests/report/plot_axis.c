/* Axes of plots: round limits, ticks that can be read, places of values. */
#include "plot_axis.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is added, and the labels of about six ticks. */
static const struct {
    struct plot_axis axis;
    double low, high;
    const char *labels;
} axes[] = {
    {{"", PLOT_NUMBER, PLOT_LINEAR, 0, 0}, 0, 10, "0 2 4 6 8 10"},
    {{"", PLOT_NUMBER, PLOT_LINEAR, 0, 0}, 3, 4, "0 1 2 3 4"},
    {{"", PLOT_NUMBER, PLOT_LINEAR, 0, 0}, -1, 1, "-1 -0.5 0 0.5 1"},
    {{"", PLOT_NUMBER, PLOT_LINEAR, 0, 0}, 7, 7, "0 2 4 6 8"},
    {{"", PLOT_NS, PLOT_LINEAR, 0, 0}, 0, 1.4e6, "0|500 us|1 ms|1.5 ms"},
    {{"", PLOT_BYTES, PLOT_LINEAR, 0, 0}, 0, 900 << 20, "0|256 MiB|512 MiB|768 MiB|1 GiB"},
    {{"", PLOT_PERCENT, PLOT_LINEAR, 0, 0}, 0, 95, "0 %|20 %|40 %|60 %|80 %|100 %"},
    {{"", PLOT_SECONDS, PLOT_LINEAR, 0, 300}, 5, 6, "0|1:00|2:00|3:00|4:00|5:00"},
    {{"", PLOT_SECONDS, PLOT_LINEAR, 0, 10800}, 5, 6, "0|30:00|60:00|90:00|2:00 h|2:30 h|3:00 h"},
    {{"", PLOT_NS, PLOT_LOG, 0, 0}, 1200, 84000, "1 us|2 us|5 us|10 us|20 us|50 us|100 us"},
    {{"", PLOT_NS, PLOT_LOG, 0, 0}, 1, 9e9, "1 ns|100 ns|10 us|1 ms|100 ms|10 s"},
    {{"", PLOT_RATE, PLOT_LOG, 0, 0}, 1000, 1e6, "1 k/s|10 k/s|100 k/s|1 M/s"},
    {{"", PLOT_BYTES, PLOT_LOG, 0, 0}, 64, 1 << 20, "64 B|512 B|4 KiB|32 KiB|256 KiB"},
    {{"", PLOT_NUMBER, PLOT_LOG, 0, 0}, 0, -1, "1 2 5 10"},
    {{"", PLOT_NUMBER, PLOT_PERCENTILE, 0, 0}, 0, 0.99995, "0 %|50 %|90 %|99 %|99.9 %|99.99 %"},
};

START_TEST(ticks_are_round_and_bear_their_unit) {
    struct plot_range range;
    struct plot_tick ticks[PLOT_TICKS];
    plot_range_init(&range, &axes[_i].axis);
    plot_range_add(&range, axes[_i].low);
    plot_range_add(&range, axes[_i].high);
    plot_range_fit(&range, &axes[_i].axis, true);
    const int count = plot_range_ticks(&range, 6, ticks);
    char labels[1024] = "";
    const char *between = strchr(axes[_i].labels, '|') ? "|" : " ";
    for (int i = 0; i < count; i++)
        if (*ticks[i].label) {
            if (*labels)
                strcat(labels, between);
            strcat(labels, ticks[i].label);
        }
    ck_assert_str_eq(labels, axes[_i].labels);
}
END_TEST

START_TEST(a_value_stands_between_the_edges) {
    struct plot_range range;
    plot_range_init(&range, &axes[_i].axis);
    plot_range_add(&range, axes[_i].low);
    plot_range_add(&range, axes[_i].high);
    plot_range_fit(&range, &axes[_i].axis, true);
    range.first = 100;
    range.last = 200;
    ck_assert_double_lt(range.min, range.max);
    ck_assert_double_eq_tol(plot_range_place(&range, range.min), 100, 1e-9);
    ck_assert_double_eq_tol(plot_range_place(&range, range.max), 200, 1e-9);
    ck_assert_double_eq_tol(plot_range_place(&range, -1e300), 100, 1e-9);
    ck_assert_double_eq_tol(plot_range_place(&range, 1e300), 200, 1e-9);
}
END_TEST

START_TEST(each_nine_of_a_percentile_is_as_wide) {
    const struct plot_axis axis = {"", PLOT_NUMBER, PLOT_PERCENTILE, 0, 0.9999};
    struct plot_range range;
    plot_range_init(&range, &axis);
    plot_range_fit(&range, &axis, true);
    range.first = 0;
    range.last = 400;
    ck_assert_double_eq_tol(plot_range_place(&range, 0.9), 100, 1e-6);
    ck_assert_double_eq_tol(plot_range_place(&range, 0.99), 200, 1e-6);
    ck_assert_double_eq_tol(plot_range_place(&range, 0.999), 300, 1e-6);
}
END_TEST

int main(void) {
    enum { AXES = sizeof(axes) / sizeof(axes[0]) };
    TCase *cases = tcase_create("axis");
    tcase_add_loop_test(cases, ticks_are_round_and_bear_their_unit, 0, AXES);
    tcase_add_loop_test(cases, a_value_stands_between_the_edges, 0, AXES);
    tcase_add_test(cases, each_nine_of_a_percentile_is_as_wide);
    Suite *suite = suite_create("plot_axis");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
