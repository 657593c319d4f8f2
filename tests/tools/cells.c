/* Text in a terminal's cells: it is as wide as is wished, and cut between characters. */
#include "cells.h"

#include <check.h>
#include <locale.h>

/* U+4E2D takes two cells, U+0301 none. */
static const struct {
    const char *text;
    int cells;
    bool is_right;
    const char *fitted;
} texts[] = {
    {"cam", 5, false, "cam  "},
    {"cam", 5, true, "  cam"},
    {"camera", 5, false, "came~"},
    {"1234567", 6, true, "12345~"},
    {"camera", 6, false, "camera"},
    {"k\u00fcche", 6, false, "k\u00fcche "},
    {"k\u00fcche", 5, false, "k\u00fcche"},
    {"k\u00fcche", 3, false, "k\u00fc~"},
    {"\u4e2d\u4e2d", 5, true, " \u4e2d\u4e2d"},
    {"\u4e2d\u4e2d", 3, false, "\u4e2d~"},
    {"\u4e2d\u4e2d", 2, false, "~ "},
    {"e\u0301e\u0301", 3, false, "e\u0301e\u0301 "},
    {"e\u0301e\u0301", 1, false, "~"},
    /* Latin-1, half a character, and what would move the cursor. */
    {"caf\xe9", 5, false, "caf? "},
    {"caf\xc3", 5, false, "caf? "},
    {"\033[2Jx", 6, false, "?[2Jx "},
    {"", 2, false, "  "},
    {"cam", 0, false, ""},
};

START_TEST(a_text_is_as_wide_as_is_wished) {
    char fitted[64];
    cells_fit(texts[_i].text, texts[_i].cells, texts[_i].is_right, fitted, sizeof(fitted));
    ck_assert_str_eq(fitted, texts[_i].fitted);
}
END_TEST

START_TEST(a_copy_has_whole_characters) {
    char copy[8];
    ck_assert_int_eq(cells_copy("\u4e2d\u4e2d\u4e2d", 5, copy, sizeof(copy)), 4);
    ck_assert_str_eq(copy, "\u4e2d\u4e2d");
    /* No room for more bytes. */
    ck_assert_int_eq(cells_copy("\u4e2d\u4e2d\u4e2d", 80, copy, sizeof(copy)), 4);
    ck_assert_str_eq(copy, "\u4e2d\u4e2d");
}
END_TEST

int main(void) {
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 77; /* no such locale: skipped */
    TCase *cases = tcase_create("cells");
    tcase_add_loop_test(cases, a_text_is_as_wide_as_is_wished, 0, sizeof(texts) / sizeof(texts[0]));
    tcase_add_test(cases, a_copy_has_whole_characters);
    Suite *suite = suite_create("cells");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
