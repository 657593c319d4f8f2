/* Match: which pictures of two streams belong together. */
#include "match.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

enum { INTERVAL_NS = 40000000 };

static struct shmframe_lease picture(const char *stream, uint64_t sequence, int64_t capture_ns) {
    return (struct shmframe_lease){.stream = stream,
                                   .frame = {.sequence = sequence, .capture_ns = capture_ns}};
}

static struct shmframe_lease made_of(const char *stream, uint64_t sequence, const char *origin,
                                     uint64_t number) {
    struct shmframe_lease lease = picture(stream, sequence, 0);
    lease.frame.flags = SHMFRAME_HAS_ORIGIN;
    lease.frame.origin.sequence = number;
    snprintf(lease.frame.origin.stream, sizeof lease.frame.origin.stream, "%s", origin);
    return lease;
}

static enum match judge(struct shmframe_lease a, struct shmframe_lease b) {
    return match_judge(&a, &b, INTERVAL_NS);
}

START_TEST(what_is_made_of_a_picture_belongs_to_it) {
    ck_assert_int_eq(judge(picture("cam", 7, 0), made_of("soft", 3, "cam", 7)), MATCH_SAME);
    ck_assert_int_eq(judge(picture("cam", 6, 0), made_of("soft", 3, "cam", 7)),
                     MATCH_FIRST_IS_ALONE);
    ck_assert_int_eq(judge(picture("cam", 8, 0), made_of("soft", 3, "cam", 7)),
                     MATCH_SECOND_IS_ALONE);
    ck_assert_int_eq(judge(made_of("soft", 9, "cam", 7), picture("cam", 7, 0)), MATCH_SAME);
}
END_TEST

START_TEST(two_that_are_made_of_a_third_belong_together) {
    ck_assert_int_eq(judge(made_of("a", 1, "cam", 7), made_of("b", 90, "cam", 7)), MATCH_SAME);
    ck_assert_int_eq(judge(made_of("a", 1, "cam", 5), made_of("b", 90, "cam", 7)),
                     MATCH_FIRST_IS_ALONE);
}
END_TEST

START_TEST(a_stream_belongs_to_itself) {
    ck_assert_int_eq(judge(picture("cam", 7, 1), picture("cam", 7, 1)), MATCH_SAME);
    ck_assert_int_eq(judge(picture("cam", 7, 1), picture("cam", 9, 1)), MATCH_FIRST_IS_ALONE);
}
END_TEST

START_TEST(others_go_by_the_time_of_capture) {
    const int64_t half_ns = INTERVAL_NS / 2, start_ns = 5000000000;
    ck_assert_int_eq(judge(picture("a", 1, start_ns), picture("b", 50, start_ns + half_ns)),
                     MATCH_SAME);
    ck_assert_int_eq(judge(picture("a", 1, start_ns), picture("b", 50, start_ns + half_ns + 1)),
                     MATCH_FIRST_IS_ALONE);
    ck_assert_int_eq(judge(picture("a", 1, start_ns + half_ns), picture("b", 50, start_ns)),
                     MATCH_SAME);
    ck_assert_int_eq(judge(picture("a", 1, start_ns + half_ns + 1), picture("b", 50, start_ns)),
                     MATCH_SECOND_IS_ALONE);
}
END_TEST

START_TEST(stamps_of_any_size_are_judged) {
    ck_assert_int_eq(judge(picture("a", 1, INT64_MIN), picture("b", 1, INT64_MAX)),
                     MATCH_FIRST_IS_ALONE);
    ck_assert_int_eq(judge(picture("a", 1, INT64_MAX), picture("b", 1, INT64_MIN)),
                     MATCH_SECOND_IS_ALONE);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("match");
    TCase *cases = tcase_create("match");
    tcase_add_test(cases, what_is_made_of_a_picture_belongs_to_it);
    tcase_add_test(cases, two_that_are_made_of_a_third_belong_together);
    tcase_add_test(cases, a_stream_belongs_to_itself);
    tcase_add_test(cases, others_go_by_the_time_of_capture);
    tcase_add_test(cases, stamps_of_any_size_are_judged);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
