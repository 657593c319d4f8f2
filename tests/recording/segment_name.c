/* Segment names: from what the user wrote. */
#include "segment_name.h"

#include "fault.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOTHING SEGMENT_NAME_NOTHING
#define NUMBER  SEGMENT_NAME_NUMBER
#define TIME    SEGMENT_NAME_TIME

static const struct {
    const char *pattern;
    enum segment_name_addition addition;
    uint32_t number;
    const char *name;
} table[] = {
    {"out.mkv", NOTHING, 1, "out.mkv"},
    {"out.mkv", NUMBER, 1, "out-001.mkv"},
    {"out.mkv", NUMBER, 1234, "out-1234.mkv"},
    {"a.b/out", NUMBER, 2, "a.b/out-002"},
    {"a.b/.out", NUMBER, 2, "a.b/.out-002"},
    {"out-%d.mkv", NUMBER, 7, "out-7.mkv"},
    {"out-%05d.mkv", NUMBER, 7, "out-00007.mkv"},
    {"out-%05d.mkv", TIME, 7, "out-00007.mkv"},
    {"100%%-%02d.ts", NUMBER, 3, "100%-03.ts"},
    {"100%%.ts", NOTHING, 1, "100%.ts"},
    {"%Y/%m-%e %H%M%S.mp4", NUMBER, 1, "2026/11- 1 093005.mp4"},
    {"cam-%F-%H.mp4", NUMBER, 2, "cam-2026-11-01-09-2.mp4"},
    {"%F-%03d.mp4", NUMBER, 2, "2026-11-01-002.mp4"},
    {"cam-%Y%m%d-%H%M%S.mkv", NUMBER, 1, "cam-20261101-093005.mkv"},
    {"cam-%Y%m%d-%H%M%S.mkv", NUMBER, 2, "cam-20261101-093005-2.mkv"},
    {"%d/%02d-%b.mkv", NUMBER, 3, "01/03-Nov.mkv"},
    {"%d%%m.mkv", NUMBER, 7, "7%m.mkv"},
    {"out.mkv", TIME, 1, "out-20261101-093005.mkv"},
    {"out.mkv", TIME, 2, "out-20261101-093005-2.mkv"},
    {"%H.mkv", TIME, 1, "09.mkv"},
    {"%H.mkv", TIME, 2, "09-2.mkv"},
};

static const time_t instant = 1793525405; /* 2026-11-01 09:30:05 UTC */

START_TEST(a_pattern_becomes_a_name) {
    char name[RECORDING_PATH_BYTES];
    ck_assert_int_eq(
        segment_name_make(table[_i].pattern, table[_i].addition, table[_i].number, instant, name),
        0);
    ck_assert_str_eq(name, table[_i].name);
}
END_TEST

START_TEST(what_is_no_pattern_is_told) {
    static const char *const wrong[] = {"50%.mkv", "a%", "%5d.mkv", "%Q.mkv"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        char name[RECORDING_PATH_BYTES];
        ck_assert_msg(segment_name_make(wrong[i], NOTHING, 1, instant, name) == -EINVAL, "%s",
                      wrong[i]);
        ck_assert_ptr_nonnull(strstr(fault_text(), wrong[i]));
    }
}
END_TEST

START_TEST(a_name_that_is_too_long_is_refused) {
    char pattern[RECORDING_PATH_BYTES + 8], name[RECORDING_PATH_BYTES];
    memset(pattern, 'x', sizeof(pattern));
    pattern[RECORDING_PATH_BYTES - 1] = '\0';
    ck_assert_int_eq(segment_name_make(pattern, NOTHING, 1, instant, name), 0);
    ck_assert_int_eq(segment_name_make(pattern, NUMBER, 1, instant, name), -EINVAL);
}
END_TEST

int main(void) {
    setenv("TZ", "UTC", 1);
    Suite *suite = suite_create("segment names");
    TCase *tests = tcase_create("names");
    tcase_add_loop_test(tests, a_pattern_becomes_a_name, 0, sizeof(table) / sizeof(*table));
    tcase_add_test(tests, what_is_no_pattern_is_told);
    tcase_add_test(tests, a_name_that_is_too_long_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
