/* A distribution of times that may be negative. */
#include "spread.h"

#include <check.h>
#include <stdlib.h>

static struct spread spread, earlier;

static void clear(void) {
    spread = earlier = (struct spread){0};
}

START_TEST(nothing_is_0) {
    ck_assert_uint_eq(spread_count(&spread), 0);
    ck_assert_int_eq(spread_quantile_ns(&spread, 0.5), 0);
    ck_assert_int_eq(spread_max_ns(&spread), 0);
    ck_assert_int_eq(spread_min_ns(&spread), 0);
}
END_TEST

START_TEST(quantiles_go_from_the_lowest_to_the_highest) {
    for (int64_t value_ns = -10; value_ns <= 9; value_ns++) /* sizes below 32 are exact */
        spread_add(&spread, value_ns);
    ck_assert_uint_eq(spread_count(&spread), 20);
    for (int rank = 1; rank <= 20; rank++)
        ck_assert_int_eq(spread_quantile_ns(&spread, rank / 20.0), rank - 11);
    ck_assert_int_eq(spread_quantile_ns(&spread, 0), -10);
    ck_assert_int_eq(spread_quantile_ns(&spread, 0.51), 0);
    ck_assert_int_eq(spread_max_ns(&spread), 9);
    ck_assert_int_eq(spread_min_ns(&spread), -10);
}
END_TEST

START_TEST(rounding_makes_no_rank_the_next) {
    for (int64_t value_ns = -50; value_ns < 50; value_ns++)
        spread_add(&spread, value_ns);
    for (int percent = 1; percent <= 100; percent++)
        ck_assert_int_eq(spread_quantile_ns(&spread, percent / 100.0), percent - 51);
}
END_TEST

START_TEST(one_side_alone_has_its_quantiles) {
    for (int64_t value_ns = 1; value_ns <= 10; value_ns++)
        spread_add(&spread, -value_ns);
    ck_assert_int_eq(spread_quantile_ns(&spread, 0.9), -2);
    ck_assert_int_eq(spread_max_ns(&spread), -1);
    ck_assert_int_eq(spread_min_ns(&spread), -10);
    clear();
    for (int64_t value_ns = 1; value_ns <= 10; value_ns++)
        spread_add(&spread, value_ns);
    ck_assert_int_eq(spread_quantile_ns(&spread, 0.9), 9);
    ck_assert_int_eq(spread_max_ns(&spread), 10);
    ck_assert_int_eq(spread_min_ns(&spread), 1);
}
END_TEST

START_TEST(sizes_have_no_sign) {
    struct shmframe_histogram sizes;
    spread_add(&spread, -20);
    spread_add(&spread, 10);
    spread_sizes(&spread, &sizes);
    ck_assert_uint_eq(sizes.count, 2);
    ck_assert_int_eq(sizes.max_ns, 20);
    ck_assert_int_eq(shmframe_histogram_quantile_ns(&sizes, 0.5), 10);
}
END_TEST

START_TEST(an_interval_is_the_difference_of_two_snapshots) {
    spread_add(&spread, -20);
    spread_add(&spread, 20);
    earlier = spread;
    spread_add(&spread, -3);
    spread_add(&spread, 5);
    spread_subtract(&spread, &earlier);
    ck_assert_uint_eq(spread_count(&spread), 2);
    ck_assert_int_eq(spread_quantile_ns(&spread, 0.5), -3);
    ck_assert_int_eq(spread_max_ns(&spread), 5);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("spread");
    tcase_add_checked_fixture(all, clear, NULL);
    tcase_add_test(all, nothing_is_0);
    tcase_add_test(all, quantiles_go_from_the_lowest_to_the_highest);
    tcase_add_test(all, rounding_makes_no_rank_the_next);
    tcase_add_test(all, one_side_alone_has_its_quantiles);
    tcase_add_test(all, sizes_have_no_sign);
    tcase_add_test(all, an_interval_is_the_difference_of_two_snapshots);
    Suite *suite = suite_create("spread");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
