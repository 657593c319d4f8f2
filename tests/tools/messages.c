/* What is said behind a picture: the newest lines are kept, and shown for a while. */
#include "messages.h"

#include <shmframe/shmframe.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void expect_newest(int64_t now_ns, const char *wanted) {
    const char *line;
    const int length = messages_newest(now_ns, &line);
    ck_assert_int_eq(length, (int)strlen(wanted));
    ck_assert_mem_eq(line, wanted, (size_t)length);
}

/* What is printed in the end; to be freed. */
static char *close_messages(void) {
    char *text;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    messages_close(to);
    fclose(to);
    return text;
}

START_TEST(the_newest_line_is_shown_for_a_while) {
    FILE *file = messages_open();
    expect_newest(shmframe_now_ns(), "");
    fputs("one\ntwo", file);
    fputs(" words\n", file);
    const int64_t now_ns = shmframe_now_ns();
    expect_newest(now_ns, "two words");
    expect_newest(now_ns + MESSAGES_SHOWN_NS, "");
    char *text = close_messages();
    ck_assert_str_eq(text, "one\ntwo words\n");
    free(text);
}
END_TEST

START_TEST(the_newest_lines_are_kept) {
    enum { LINES = 100000 };
    FILE *file = messages_open();
    for (int i = 0; i < LINES; i++)
        fprintf(file, "line %d\n", i);
    expect_newest(shmframe_now_ns(), "line 99999");
    char *text = close_messages();
    ck_assert_uint_le(strlen(text), MESSAGES_BYTES + 64);
    /* What was dropped and what was kept is all. */
    char *rest;
    const long dropped = strtol(text + 1, &rest, 10);
    int line;
    ck_assert_int_eq(sscanf(rest, " earlier lines are not kept)\nline %d\n", &line), 1);
    ck_assert_int_eq(line, dropped);
    static const char end[] = "\nline 99999\n";
    ck_assert_str_eq(text + strlen(text) - strlen(end), end);
    free(text);
}
END_TEST

START_TEST(a_line_that_is_too_long_keeps_its_end) {
    FILE *file = messages_open();
    for (int i = 0; i < 4 * MESSAGES_BYTES; i++)
        fputc('x', file);
    fputs("end\n", file);
    const char *line;
    const int length = messages_newest(shmframe_now_ns(), &line);
    ck_assert_int_ge(length, 3);
    ck_assert_int_le(length, MESSAGES_BYTES);
    ck_assert_mem_eq(line + length - 3, "end", 3);
    free(close_messages());
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("messages");
    tcase_add_test(cases, the_newest_line_is_shown_for_a_while);
    tcase_add_test(cases, the_newest_lines_are_kept);
    tcase_add_test(cases, a_line_that_is_too_long_keeps_its_end);
    Suite *suite = suite_create("messages");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
