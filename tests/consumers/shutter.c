/* Which frames become pictures, and what the files are called. */
#include "shutter.h"

#include "shot_name.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shows the frames `from` to `to`, 10 ms apart; writes those that were taken as "1 4 7 ". */
static void show(struct shutter *shutter, uint64_t from, uint64_t to, char taken[64]) {
    for (uint64_t sequence = from; sequence <= to; sequence++)
        if (shutter_is_due(shutter, sequence, (int64_t)sequence * 10000000))
            sprintf(taken + strlen(taken), "%u ", (unsigned)sequence);
}

START_TEST(alone_the_first_or_the_nth_is_taken) {
    char taken[64] = "";
    struct shutter first = {0}, fifth = {.nth = 5};
    show(&first, 100, 120, taken);
    ck_assert_str_eq(taken, "100 ");
    taken[0] = 0;
    show(&fifth, 100, 120, taken);
    ck_assert_str_eq(taken, "104 ");
}
END_TEST

START_TEST(every_nth_is_taken_and_a_loss_moves_none_but_the_lost) {
    char taken[64] = "";
    struct shutter shutter = {0};
    ck_assert_ptr_null(shutter_parse(&shutter, "5"));
    show(&shutter, 1, 10, taken);
    show(&shutter, 13, 20, taken);
    show(&shutter, 38, 42, taken);
    ck_assert_str_eq(taken, "1 6 13 16 38 41 ");
    ck_assert_uint_eq(shutter.late, 2);
}
END_TEST

START_TEST(by_time_one_is_taken_each_so_often) {
    char taken[64] = "";
    struct shutter shutter = {.nth = 3};
    ck_assert_ptr_null(shutter_parse(&shutter, "40ms"));
    show(&shutter, 1, 12, taken);
    show(&shutter, 22, 28, taken); /* the grid stays: 3, 7, 11, 15, 19, 23, 27 */
    ck_assert_str_eq(taken, "3 7 11 22 23 27 ");
}
END_TEST

START_TEST(one_stamp_far_ahead_stops_nothing) {
    struct shutter shutter = {0};
    ck_assert_ptr_null(shutter_parse(&shutter, "40ms"));
    char taken[64] = "";
    show(&shutter, 1, 3, taken);
    ck_assert(shutter_is_due(&shutter, 4, INT64_MAX - 7));
    show(&shutter, 5, 10, taken);
    ck_assert(shutter_is_due(&shutter, 11, INT64_MIN));
    show(&shutter, 12, 12, taken);
    ck_assert_str_eq(taken, "1 5 9 12 ");
    shutter = (struct shutter){.every_ns = INT64_MAX};
    ck_assert(shutter_is_due(&shutter, 1, 5));
    ck_assert(!shutter_is_due(&shutter, 2, 6));
}
END_TEST

START_TEST(what_is_neither_a_number_nor_a_time_is_told) {
    static const char *const wrong[] = {"", "0", "0s", "-1", "often", "5 frames", "99999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct shutter shutter = {0};
        ck_assert_msg(shutter_parse(&shutter, wrong[i]) != NULL, "%s", wrong[i]);
    }
}
END_TEST

static void expect_name(const char *pattern, uint32_t number, const char *wanted) {
    char *name = shot_name_make(pattern, number);
    ck_assert_str_eq(name, wanted);
    free(name);
}

START_TEST(a_name_has_one_place_for_the_number) {
    expect_name("shot-%05d.png", 42, "shot-00042.png");
    expect_name("%d.png", 7, "7.png");
    expect_name("100%-%3d-%d.png", 7, "100%-007-%d.png");
    expect_name("%2d", 12345, "12345");
    expect_name("plain%s%n%.png", 1, "plain%s%n%.png");
    ck_assert(shot_name_is_numbered("a%b/%02d.png"));
    ck_assert(!shot_name_is_numbered("a%b.png"));
    ck_assert(!shot_name_is_numbered("%-5d %"));
    ck_assert(!shot_name_is_numbered("%999999d"));
}
END_TEST

START_TEST(a_default_name_is_the_streams_and_the_times) {
    setenv("TZ", "UTC", 1);
    char *name = shot_name_default("cam", 1000000000, "png", false);
    ck_assert_str_eq(name, "cam-20010909-014640.png");
    free(name);
    name = shot_name_default("cam", 1000000000, "jpg", true);
    ck_assert_str_eq(name, "cam-20010909-014640-%05d.jpg");
    ck_assert(shot_name_is_numbered(name));
    free(name);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("shutter");
    tcase_add_test(tests, alone_the_first_or_the_nth_is_taken);
    tcase_add_test(tests, every_nth_is_taken_and_a_loss_moves_none_but_the_lost);
    tcase_add_test(tests, by_time_one_is_taken_each_so_often);
    tcase_add_test(tests, one_stamp_far_ahead_stops_nothing);
    tcase_add_test(tests, what_is_neither_a_number_nor_a_time_is_told);
    tcase_add_test(tests, a_name_has_one_place_for_the_number);
    tcase_add_test(tests, a_default_name_is_the_streams_and_the_times);
    Suite *suite = suite_create("shutter");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
