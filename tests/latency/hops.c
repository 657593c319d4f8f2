/* The table of hops: times with their units, columns, what is left out; the same as JSON. */
#include "hops.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct hops hops;

static char *print(void) {
    char *text;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    hops_print(file, &hops);
    fclose(file);
    return text;
}

static void clear(void) {
    hops = (struct hops){0};
}

static const struct {
    int64_t value_ns;
    const char *text;
} times[] = {
    {0, "0 ns"},
    {1, "1 ns"},
    {999, "999 ns"},
    {1000, "1.00 us"},
    {1234, "1.23 us"},
    {9994, "9.99 us"},
    {9996, "10.0 us"},
    {99940, "99.9 us"},
    {99960, "100 us"},
    {999400, "999 us"},
    {999600, "1.00 ms"},
    {12345678, "12.3 ms"},
    {999600000, "1.00 s"},
    {INT64_C(123456789000), "123 s"},
    {INT64_C(12345678900000), "12346 s"},
};

START_TEST(a_time_has_three_digits_and_its_unit) {
    char text[HOPS_TIME_BYTES];
    hops_format_time(times[_i].value_ns, text);
    ck_assert_str_eq(text, times[_i].text);
}
END_TEST

START_TEST(the_table_has_a_line_for_each_hop) {
    shmframe_histogram_add(&hops.hop[SHMFRAME_HOP_AGE], 20);
    hops.counters = (struct shmframe_reader_counters){
        .delivered = 1, .lost_late = 2, .lost_restart = 3, .skipped = 4};
    char *text = print();
    ck_assert_str_eq(text, "hop          count       p50       p90       p99     p99.9       max\n"
                           "produce          0         -         -         -         -         -\n"
                           "wake             0         -         -         -         -         -\n"
                           "transit          0         -         -         -         -         -\n"
                           "hold             0         -         -         -         -         -\n"
                           "age              1     20 ns     20 ns     20 ns     20 ns     20 ns\n"
                           "delivered 1, lost 5 (late 2, restart 3), skipped 4\n");
    free(text);
}
END_TEST

START_TEST(display_is_shown_where_it_was_told) {
    shmframe_histogram_add(&hops.hop[SHMFRAME_HOP_DISPLAY], 20);
    char *text = print();
    ck_assert_ptr_nonnull(strstr(text, "\ndisplay          1 "));
    free(text);
}
END_TEST

START_TEST(lines_are_equally_long_whatever_is_in_them) {
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++)
        for (int64_t value_ns = 1; value_ns < INT64_C(1) << 40; value_ns *= 3)
            shmframe_histogram_add(&hops.hop[hop], value_ns);
    char *text = print();
    const size_t width = strcspn(text, "\n");
    char *line = strtok(text, "\n");
    for (unsigned i = 0; i <= SHMFRAME_HOPS; i++, line = strtok(NULL, "\n"))
        ck_assert_uint_eq(strlen(line), width);
    free(text);
}
END_TEST

START_TEST(what_went_wrong_is_only_named_if_it_did) {
    hops.counters = (struct shmframe_reader_counters){
        .stale = 1, .restarts = 2, .formats = 3, .device_dropped = 4};
    char *text = print();
    ck_assert_ptr_nonnull(strstr(text, ", dropped at the source 4, overwritten while read 1, "
                                       "restarts 2, new formats 3\n"));
    free(text);
}
END_TEST

START_TEST(an_interval_is_the_difference_of_two_snapshots) {
    static struct hops earlier;
    shmframe_histogram_add(&hops.hop[SHMFRAME_HOP_HOLD], 1000000);
    hops.counters = (struct shmframe_reader_counters){.delivered = 7, .retries = 1};
    earlier = hops;
    shmframe_histogram_add(&hops.hop[SHMFRAME_HOP_HOLD], 10);
    hops.counters.delivered = 9;
    hops_subtract(&hops, &earlier);
    ck_assert_uint_eq(hops.hop[SHMFRAME_HOP_HOLD].count, 1);
    ck_assert_int_eq(hops.hop[SHMFRAME_HOP_HOLD].max_ns, 10);
    ck_assert_uint_eq(hops.counters.delivered, 2);
    ck_assert_uint_eq(hops.counters.retries, 0);
}
END_TEST

START_TEST(json_has_nanoseconds_and_every_counter) {
    shmframe_histogram_add(&hops.hop[SHMFRAME_HOP_WAKE], 25);
    hops.counters.sleeps = 5;
    json_t *object = json_object();
    hops_add_json(object, &hops);
    int p50 = 0, p999 = 0, max = 0, count = 0, sleeps = 0, lost_late = -1;
    const int result =
        json_unpack(object, "{s:{s:{s:i, s:i, s:i, s:i}}, s:{s:i, s:i}}", "hops", "wake", "count",
                    &count, "p50_ns", &p50, "p999_ns", &p999, "max_ns", &max, "counters", "sleeps",
                    &sleeps, "lost_late", &lost_late);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(count, 1);
    ck_assert_int_eq(p50, 25);
    ck_assert_int_eq(p999, 25);
    ck_assert_int_eq(max, 25);
    ck_assert_int_eq(sleeps, 5);
    ck_assert_int_eq(lost_late, 0);
    ck_assert_uint_eq(json_object_size(json_object_get(object, "hops")), SHMFRAME_HOPS);
    json_decref(object);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("hops");
    tcase_add_checked_fixture(tests, clear, NULL);
    tcase_add_loop_test(tests, a_time_has_three_digits_and_its_unit, 0,
                        sizeof(times) / sizeof(times[0]));
    tcase_add_test(tests, the_table_has_a_line_for_each_hop);
    tcase_add_test(tests, display_is_shown_where_it_was_told);
    tcase_add_test(tests, lines_are_equally_long_whatever_is_in_them);
    tcase_add_test(tests, what_went_wrong_is_only_named_if_it_did);
    tcase_add_test(tests, an_interval_is_the_difference_of_two_snapshots);
    tcase_add_test(tests, json_has_nanoseconds_and_every_counter);
    Suite *suite = suite_create("hops");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
