/* Which device is which, and what its texts become. */
#include "camera_device.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct camera_identity wanted = {
    .driver = "uvcvideo", .card = "C270", .bus = "usb-1.2", .serial = "200901010001", .node = 0};

START_TEST(a_serial_number_finds_it_elsewhere_but_its_place_counts_more) {
    struct camera_identity seen = wanted;
    ck_assert_int_eq(camera_identity_compare(&wanted, &seen), CAMERA_SAME);
    strcpy(seen.bus, "usb-1.3");
    ck_assert_int_eq(camera_identity_compare(&wanted, &seen), CAMERA_SAME_SERIAL);
    ck_assert_int_lt(CAMERA_SAME_SERIAL, CAMERA_SAME);
}
END_TEST

START_TEST(without_a_serial_number_another_place_is_a_guess) {
    struct camera_identity one = wanted, seen;
    one.serial[0] = 0;
    seen = one;
    ck_assert_int_eq(camera_identity_compare(&one, &seen), CAMERA_SAME);
    strcpy(seen.bus, "usb-1.3");
    ck_assert_int_eq(camera_identity_compare(&one, &seen), CAMERA_SAME_MODEL);
}
END_TEST

START_TEST(another_serial_number_node_or_model_is_another_device) {
    struct camera_identity seen = wanted;
    strcpy(seen.serial, "2");
    ck_assert_int_eq(camera_identity_compare(&wanted, &seen), CAMERA_OTHER);
    seen = wanted;
    seen.node = 1;
    ck_assert_int_eq(camera_identity_compare(&wanted, &seen), CAMERA_OTHER);
    seen = wanted;
    strcpy(seen.card, "C920");
    ck_assert_int_eq(camera_identity_compare(&wanted, &seen), CAMERA_OTHER);
}
END_TEST

START_TEST(texts_become_utf8_that_can_be_printed) {
    static const char *const texts[][2] = {
        {"HD Webcam", "HD Webcam"}, {"Caf\xc3\xa9", "Caf\xc3\xa9"},
        {"a\xff z", "a? z"},        {"a\x1b[2J\n", "a?[2J?"},
        {"cut \xe2\x82", "cut ??"}, {"\xc2\x9b", "??"},
        {"\xed\xa0\x80", "???"},    {"", ""},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[32];
        camera_text_copy(text, sizeof(text), texts[i][0], strlen(texts[i][0]));
        /* How many marks stand for a character is of no account. */
        ck_assert_msg(strcmp(text, texts[i][1]) == 0 || strspn(text, "?") == strlen(text),
                      "%zu: %s", i, text);
    }
    char text[4];
    camera_text_copy(text, sizeof(text), "ab\xc3\xa9", 4);
    ck_assert_str_eq(text, "ab");
    strcpy(text, "a\x01");
    camera_text_copy(text, sizeof(text), text, sizeof(text));
    ck_assert_str_eq(text, "a?");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("camera-device");
    TCase *run = tcase_create("run");
    tcase_add_test(run, a_serial_number_finds_it_elsewhere_but_its_place_counts_more);
    tcase_add_test(run, without_a_serial_number_another_place_is_a_guess);
    tcase_add_test(run, another_serial_number_node_or_model_is_another_device);
    tcase_add_test(run, texts_become_utf8_that_can_be_printed);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
