/* Budgets: what is read, what is refused, and the verdict. */
#include "budget.h"

#include <check.h>
#include <stdlib.h>

static struct budget parse(const char *text) {
    struct budget budget;
    const char *wanted = budget_parse(text, &budget);
    ck_assert_msg(!wanted, "%s should be %s", text, wanted);
    return budget;
}

static struct shmframe_histogram histogram;

/* `count` values of 1, 2 ... microseconds. */
static void fill(int count) {
    histogram = (struct shmframe_histogram){0};
    for (int i = 1; i <= count; i++)
        shmframe_histogram_add(&histogram, i * INT64_C(1000));
}

START_TEST(a_budget_names_hop_limit_and_quantile) {
    const struct budget age = parse("age=5ms@p99");
    ck_assert_int_eq(age.hop, SHMFRAME_HOP_AGE);
    ck_assert_int_eq(age.limit_ns, 5000000);
    ck_assert_double_eq_tol(age.quantile, 0.99, 1e-12);
    const struct budget transit = parse("transit=50us@p99.9");
    ck_assert_int_eq(transit.hop, SHMFRAME_HOP_TRANSIT);
    ck_assert_int_eq(transit.limit_ns, 50000);
    ck_assert_double_eq_tol(transit.quantile, 0.999, 1e-12);
    ck_assert_double_eq(parse("hold=1.5s@max").quantile, 1);
    ck_assert_int_eq(parse("hold=1.5s@p100").limit_ns, 1500000000);
}
END_TEST

START_TEST(every_hop_can_have_a_budget) {
    for (unsigned hop = 0; hop < MARKED_END; hop++) {
        char text[64];
        snprintf(text, sizeof(text), "%s=1ms@p50", marked_hop_name(hop));
        ck_assert_uint_eq(parse(text).hop, hop);
    }
}
END_TEST

static const char *const mistakes[] = {
    "",
    "age",
    "age=5ms",
    "age@p99",
    "=5ms@p99",
    "old=5ms@p99",
    "age=@p99",
    "age=5 ms@p99",
    "age=5lb@p99",
    "age=-5ms@p99",
    "age=5ms@",
    "age=5ms@99",
    "age=5ms@p0",
    "age=5ms@p101",
    "age=5ms@p99x",
    "age=5ms@p-1",
    "age=5ms@pnan",
    "age=5ms@median",
    "AGE=5ms@p99",
    "age=000000000000000000000000000000000005ms@p99",
};

START_TEST(a_mistake_is_told_and_changes_nothing) {
    struct budget budget = {.limit_ns = 42};
    ck_assert_msg(budget_parse(mistakes[_i], &budget), "\"%s\" was taken", mistakes[_i]);
    ck_assert_int_eq(budget.limit_ns, 42);
}
END_TEST

START_TEST(a_budget_is_met_up_to_its_limit) {
    fill(100);
    const struct budget maximum = parse("age=100us@max");
    const struct budget_verdict met = budget_judge(&maximum, &histogram);
    ck_assert(met.is_met && met.is_measured);
    ck_assert_int_eq(met.measured_ns, 100000);

    const struct budget tight = parse("age=99us@max");
    ck_assert(!budget_judge(&tight, &histogram).is_met);
}
END_TEST

START_TEST(the_quantile_decides_which_value_counts) {
    fill(100);
    /* Steps are 1/32 wide, so leave that much room. */
    const struct budget median = parse("hold=53us@p50");
    ck_assert(budget_judge(&median, &histogram).is_met);
    const struct budget high = parse("hold=53us@p99");
    ck_assert(!budget_judge(&high, &histogram).is_met);
}
END_TEST

START_TEST(a_hop_without_frames_does_not_meet_its_budget) {
    fill(0);
    const struct budget display = parse("display=1s@p50");
    const struct budget_verdict verdict = budget_judge(&display, &histogram);
    ck_assert(!verdict.is_met && !verdict.is_measured);
    char line[BUDGET_LINE_BYTES];
    budget_describe(&display, &verdict, line);
    ck_assert_str_eq(line, "budget display=1s@p50 not met: no frame was measured on this hop");
}
END_TEST

START_TEST(an_exceeded_budget_is_said_in_one_line) {
    fill(1);
    const struct budget budget = parse("age=500ns@max");
    const struct budget_verdict verdict = budget_judge(&budget, &histogram);
    char line[BUDGET_LINE_BYTES];
    budget_describe(&budget, &verdict, line);
    ck_assert_str_eq(line, "budget age=500ns@max exceeded: age is 1.00 us, the limit 500 ns");
    const struct budget skew = parse("skew=500ns@max");
    budget_describe(&skew, &verdict, line);
    ck_assert_str_eq(
        line, "budget skew=500ns@max exceeded: the size of skew is 1.00 us, the limit 500 ns");
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("budget");
    tcase_add_test(tests, a_budget_names_hop_limit_and_quantile);
    tcase_add_test(tests, every_hop_can_have_a_budget);
    tcase_add_loop_test(tests, a_mistake_is_told_and_changes_nothing, 0,
                        sizeof(mistakes) / sizeof(mistakes[0]));
    tcase_add_test(tests, a_budget_is_met_up_to_its_limit);
    tcase_add_test(tests, the_quantile_decides_which_value_counts);
    tcase_add_test(tests, a_hop_without_frames_does_not_meet_its_budget);
    tcase_add_test(tests, an_exceeded_budget_is_said_in_one_line);
    Suite *suite = suite_create("budget");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
