/* What the readings of a self-test mean: one that is off is found. */
#include "self_test.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define US INT64_C(1000)
#define MS INT64_C(1000000)

static char why[SELF_TEST_WORDS];

/* Held for 20.1 ms, read to the microsecond. */
static struct self_test_delay right(void) {
    return (struct self_test_delay){
        .delay_ns = 20 * MS,
        .period_ns = 16 * MS,
        .wanted = 90,
        .frames = 90,
        .held_ns = 20 * MS + 100 * US,
        .read_ns = 20 * MS + 110 * US,
        .off_ns = 10 * US,
        .off_p99_ns = 900 * US,
        .age_ns = 2 * MS,
        .has_marks = true,
        .transit_min_ns = 5 * US,
        .wake_ns = 30 * US,
        .mark_age_ns = 24 * MS + 200 * US,
        .told_produce_ns = 22 * MS + 150 * US,
        .told_transit_ns = 2 * MS,
    };
}

static void expect_off(const struct self_test_delay *delay, const char *words) {
    ck_assert(!self_test_judge_delay(delay, why));
    ck_assert_msg(strstr(why, words) != NULL, "\"%s\" does not say \"%s\"", why, words);
}

START_TEST(what_was_held_is_what_is_read) {
    struct self_test_delay delay = right();
    ck_assert_msg(self_test_judge_delay(&delay, why), "%s", why);
    ck_assert_str_eq(why, "");
    delay.off_ns = -SELF_TEST_STAMPS_NS;
    ck_assert(self_test_judge_delay(&delay, why));
    delay.off_ns = SELF_TEST_STAMPS_NS;
    ck_assert(self_test_judge_delay(&delay, why));
}
END_TEST

START_TEST(stamps_that_are_off_either_way_are_found) {
    struct self_test_delay delay = right();
    delay.off_ns = SELF_TEST_STAMPS_NS + 1;
    expect_off(&delay, "by stamps");
    delay.off_ns = -SELF_TEST_STAMPS_NS - 1;
    expect_off(&delay, "by stamps");
    delay = right();
    delay.off_p99_ns = delay.period_ns + 1; /* some frames, of which the p50 knows nothing */
    expect_off(&delay, "by stamps it is off by p99");
    delay = right();
    delay.told_produce_ns = delay.age_ns + delay.read_ns - delay.period_ns - 1;
    expect_off(&delay, "shmframe-latency is off");
    delay = right();
    delay.changed = 1;
    expect_off(&delay, "capture time");
}
END_TEST

/* The clock of the reader says whether publishing was stamped when it was: no frame is read before,
 * and of many some are at once. */
START_TEST(a_stamp_of_publishing_that_the_readers_clock_contradicts_is_found) {
    struct self_test_delay delay = right();
    delay.transit_min_ns = -1;
    expect_off(&delay, "before its stamp of publishing");
    delay.transit_min_ns = delay.wake_ns + SELF_TEST_STAMPS_NS;
    ck_assert(self_test_judge_delay(&delay, why));
    delay.transit_min_ns++;
    expect_off(&delay, "no frame was read within 80.0 us");
}
END_TEST

START_TEST(how_soon_a_reader_wakes_is_no_matter) {
    struct self_test_delay delay = right();
    delay.transit_p50_ns = 3 * MS;
    delay.transit_p99_ns = 90 * MS;
    delay.told_transit_ns += 50 * MS;
    delay.mark_age_ns += 50 * MS;
    ck_assert_msg(self_test_judge_delay(&delay, why), "%s", why);
}
END_TEST

START_TEST(marks_may_be_off_by_a_frame_but_not_more) {
    struct self_test_delay delay = right();
    const int64_t exact_ns = delay.age_ns + delay.read_ns + delay.told_transit_ns;
    delay.mark_age_ns = exact_ns + delay.period_ns;
    ck_assert(self_test_judge_delay(&delay, why));
    delay.mark_age_ns++;
    expect_off(&delay, "by marks");
    delay.mark_age_ns = exact_ns - delay.period_ns - 1;
    expect_off(&delay, "by marks");
    delay = right();
    delay.has_marks = false;
    expect_off(&delay, "no marks");
}
END_TEST

START_TEST(a_filter_that_does_something_else_is_found) {
    struct self_test_delay delay = right();
    delay.read_ns = delay.delay_ns - 1;
    expect_off(&delay, "less than it was to");
    delay = right();
    delay.read_ns = delay.delay_ns + delay.period_ns + 1;
    delay.told_produce_ns = delay.age_ns + delay.read_ns;
    expect_off(&delay, "more than it was to");
    delay = right();
    delay.untold = 1;
    expect_off(&delay, "nobody told");
}
END_TEST

START_TEST(a_reading_without_frames_is_none) {
    struct self_test_delay delay = right();
    delay.frames = 45;
    ck_assert(self_test_judge_delay(&delay, why));
    delay.frames = 44;
    expect_off(&delay, "only 44 of 90");
    delay = (struct self_test_delay){.wanted = 1, .has_marks = true};
    expect_off(&delay, "only 0 of 1");
}
END_TEST

static struct self_test_counts count(const uint64_t *numbers) {
    struct self_test_tally tally = {0};
    for (; *numbers; numbers++)
        self_test_tally_add(&tally, *numbers);
    return tally.counts;
}
#define COUNT(...) count((const uint64_t[]){__VA_ARGS__, 0})

static void expect_counts(struct self_test_counts counts, uint64_t lost, uint64_t repeated,
                          uint64_t swapped) {
    ck_assert_uint_eq(counts.lost, lost);
    ck_assert_uint_eq(counts.repeated, repeated);
    ck_assert_uint_eq(counts.swapped, swapped);
}

START_TEST(numbers_tell_what_is_lost_repeated_and_swapped) {
    expect_counts(COUNT(1, 2, 3, 4), 0, 0, 0);
    expect_counts(COUNT(1, 2, 4, 7), 3, 0, 0);
    expect_counts(COUNT(2, 3), 1, 0, 0);
    expect_counts(COUNT(1, 2, 2, 3, 3, 3), 0, 3, 0);
    expect_counts(COUNT(1, 3, 2, 4), 0, 0, 1);
    expect_counts(COUNT(1, 4, 3, 3, 5, 5), 1, 2, 1);
}
END_TEST

START_TEST(counts_that_differ_are_found) {
    static const struct self_test_counts made = {.lost = 40, .repeated = 50, .swapped = 30};
    const struct self_test_faults right = {
        .made = made, .by_stamps = made, .by_marks = made, .has_marks = true};
    ck_assert(self_test_judge_faults(&right, why));
    ck_assert_str_eq(why, "");
    struct self_test_faults faults = right;
    faults.by_stamps.lost++;
    ck_assert(!self_test_judge_faults(&faults, why));
    ck_assert_ptr_nonnull(strstr(why, "by stamps 41 are lost"));
    faults = right;
    faults.by_marks.repeated--;
    ck_assert(!self_test_judge_faults(&faults, why));
    ck_assert_ptr_nonnull(strstr(why, "by marks 40 are lost, 49 repeated"));
    faults = right;
    faults.by_marks.swapped++;
    ck_assert(!self_test_judge_faults(&faults, why));
    faults = right;
    faults.has_marks = false;
    ck_assert(!self_test_judge_faults(&faults, why));
}
END_TEST

START_TEST(a_filter_that_did_nothing_proves_nothing) {
    const struct self_test_counts made = {.lost = 40, .repeated = 50};
    const struct self_test_faults faults = {
        .made = made, .by_stamps = made, .by_marks = made, .has_marks = true};
    ck_assert(!self_test_judge_faults(&faults, why));
}
END_TEST

START_TEST(a_quantile_is_one_of_the_values) {
    int64_t values[] = {5, 1, 4, 2, 3};
    ck_assert_int_eq(self_test_quantile_ns(values, 5, 0.5), 3);
    ck_assert_int_eq(self_test_quantile_ns(values, 5, 0), 1);
    ck_assert_int_eq(self_test_quantile_ns(values, 5, 1), 5);
    ck_assert_int_eq(self_test_quantile_ns(values, 0, 0.5), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("self_test");
    TCase *tests = tcase_create("self_test");
    tcase_add_test(tests, what_was_held_is_what_is_read);
    tcase_add_test(tests, stamps_that_are_off_either_way_are_found);
    tcase_add_test(tests, a_stamp_of_publishing_that_the_readers_clock_contradicts_is_found);
    tcase_add_test(tests, how_soon_a_reader_wakes_is_no_matter);
    tcase_add_test(tests, marks_may_be_off_by_a_frame_but_not_more);
    tcase_add_test(tests, a_filter_that_does_something_else_is_found);
    tcase_add_test(tests, a_reading_without_frames_is_none);
    tcase_add_test(tests, numbers_tell_what_is_lost_repeated_and_swapped);
    tcase_add_test(tests, counts_that_differ_are_found);
    tcase_add_test(tests, a_filter_that_did_nothing_proves_nothing);
    tcase_add_test(tests, a_quantile_is_one_of_the_values);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
