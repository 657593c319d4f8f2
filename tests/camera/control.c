#include "camera_control.h"
#include "camera_setting.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct camera_control number = {
    .type = V4L2_CTRL_TYPE_INTEGER, .name = "gain", .min = -8, .max = 20, .step = 4};
static const struct camera_control menu_control = {
    .type = V4L2_CTRL_TYPE_MENU, .name = "exposure", .min = 0, .max = 3};
static const struct camera_menu menu = {.item = {{1, "Manual Mode"}, {3, "Aperture Priority Mode"}},
                                        .count = 2};
static const struct camera_menu none;

static char why[CAMERA_WHY_BYTES];

static int64_t parse(const struct camera_control *control, const char *text) {
    int64_t value = INT64_MIN;
    const int result =
        camera_control_parse(control, control == &menu_control ? &menu : &none, text, &value, why);
    ck_assert_msg(result == 0, "%s: %s", text, why);
    return value;
}

static void refuse(const struct camera_control *control, const char *text, const char *reason) {
    int64_t value = 77;
    const int result =
        camera_control_parse(control, control == &menu_control ? &menu : &none, text, &value, why);
    ck_assert_int_eq(result, -EINVAL);
    ck_assert_int_eq(value, 77);
    ck_assert_msg(strstr(why, reason), "%s", why);
}

START_TEST(names_are_lower_case_with_underscores) {
    static const char *const names[][2] = {
        {"Brightness", "brightness"},
        {"White Balance, Automatic", "white_balance_automatic"},
        {"  Gain (dB) ", "gain_db"},
        {"brightness", "brightness"},
        {"White_Balance-automatic", "white_balance_automatic"},
        {"An Extremely Long Name Of A Cont", "an_extremely_long_name_of_a_con"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[32];
        camera_control_name(names[i][0], name);
        ck_assert_str_eq(name, names[i][1]);
    }
}
END_TEST

START_TEST(numbers_are_in_range_and_on_a_step) {
    ck_assert_int_eq(parse(&number, "-8"), -8);
    ck_assert_int_eq(parse(&number, "0x10"), 16);
    ck_assert_int_eq(parse(&number, "20"), 20);
    static const char range[] = "-8 to 20 in steps of 4";
    static const char *const bad[] = {"-12", "24", "1", "", "4x", "four", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(&number, bad[i], range);
}
END_TEST

START_TEST(numbers_of_64_bits_keep_all_of_them) {
    const struct camera_control wide = {.type = V4L2_CTRL_TYPE_INTEGER64,
                                        .name = "rate",
                                        .min = INT64_MIN,
                                        .max = INT64_MAX,
                                        .step = 1};
    ck_assert_int_eq(parse(&wide, "-9223372036854775808"), INT64_MIN);
    ck_assert_int_eq(parse(&wide, "9223372036854775807"), INT64_MAX);
}
END_TEST

START_TEST(menus_take_an_item_by_name_or_number) {
    ck_assert_int_eq(parse(&menu_control, "1"), 1);
    ck_assert_int_eq(parse(&menu_control, "manual mode"), 1);
    ck_assert_int_eq(parse(&menu_control, "Aperture Priority Mode"), 3);
    static const char items[] = "1: Manual Mode, 3: Aperture Priority Mode";
    refuse(&menu_control, "2", items);
    refuse(&menu_control, "Auto", items);
}
END_TEST

START_TEST(menus_of_numbers_take_the_number) {
    const struct camera_control frequencies = {
        .type = V4L2_CTRL_TYPE_INTEGER_MENU, .name = "frequency", .min = 0, .max = 2};
    const struct camera_menu items = {.item = {{0, "2"}, {1, "50"}, {2, "60"}}, .count = 3};
    int64_t value;
    ck_assert_int_eq(camera_control_parse(&frequencies, &items, "50", &value, why), 0);
    ck_assert_int_eq(value, 1);
    /* A number that the menu holds is meant before the place of one. */
    ck_assert_int_eq(camera_control_parse(&frequencies, &items, "2", &value, why), 0);
    ck_assert_int_eq(value, 0);
}
END_TEST

START_TEST(switches_are_words_or_digits) {
    const struct camera_control control = {
        .type = V4L2_CTRL_TYPE_BOOLEAN, .name = "flip", .max = 1, .step = 1};
    ck_assert_int_eq(parse(&control, "on"), 1);
    ck_assert_int_eq(parse(&control, "0"), 0);
    ck_assert_int_eq(parse(&control, "False"), 0);
    ck_assert_int_eq(parse(&control, "yes"), 1);
    refuse(&control, "2", "off or on");
}
END_TEST

START_TEST(bits_are_those_that_there_are) {
    const struct camera_control control = {
        .type = V4L2_CTRL_TYPE_BITMASK, .name = "bits", .max = 0x80000005};
    ck_assert_int_eq(parse(&control, "0x80000001"), 0x80000001);
    refuse(&control, "2", "0x80000005");
}
END_TEST

START_TEST(buttons_are_pressed) {
    const struct camera_control control = {.type = V4L2_CTRL_TYPE_BUTTON, .name = "focus"};
    ck_assert_int_eq(parse(&control, "now"), 1);
}
END_TEST

START_TEST(what_is_read_only_says_so) {
    struct camera_control control = number;
    int64_t value;
    control.flags = V4L2_CTRL_FLAG_READ_ONLY;
    ck_assert_int_eq(camera_control_parse(&control, &none, "4", &value, why), -EACCES);
    ck_assert_ptr_nonnull(strstr(why, "gain can only be read"));
}
END_TEST

START_TEST(what_acts_when_it_is_set_is_no_state) {
    struct camera_control control = number;
    ck_assert(camera_control_is_state(&control));
    control.flags = V4L2_CTRL_FLAG_WRITE_ONLY;
    ck_assert(!camera_control_is_state(&control));
    control.flags = V4L2_CTRL_FLAG_EXECUTE_ON_WRITE;
    ck_assert(!camera_control_is_state(&control));
    control = (struct camera_control){.type = V4L2_CTRL_TYPE_BUTTON};
    ck_assert(!camera_control_is_state(&control));
}
END_TEST

/* An exposure that was set before it was made automatic would be refused the other way round. */
START_TEST(the_last_setting_of_a_control_is_kept_behind_all_others) {
    static struct camera_settings settings;
    camera_settings_keep(&settings, "Brightness", "1");
    camera_settings_keep(&settings, "gain", "2");
    camera_settings_keep(&settings, "brightness", "3");
    ck_assert_uint_eq(settings.count, 2);
    ck_assert_str_eq(settings.setting[0].control, "gain");
    ck_assert_str_eq(settings.setting[1].control, "brightness");
    ck_assert_str_eq(settings.setting[1].value, "3");
}
END_TEST

START_TEST(requests_while_the_camera_is_away_say_so) {
    static struct camera_settings settings;
    char answer[SHMFRAME_ARGUMENT_BYTES];
    ck_assert_int_eq(camera_setting_run_set(&settings, &camera_device_none, "gain 4", answer),
                     -ENODEV);
    ck_assert_str_eq(answer, "the camera is not there now");
    ck_assert_uint_eq(settings.count, 0);
    ck_assert_int_eq(camera_setting_run_get(&camera_device_none, "gain", answer), -ENODEV);
    ck_assert_int_eq(camera_setting_run_controls(&camera_device_none, "", answer), -ENODEV);
    ck_assert_int_eq(camera_setting_run_set(&settings, &camera_device_none, "gain", answer),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(answer, "CONTROL VALUE"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("camera-control");
    TCase *run = tcase_create("run");
    tcase_add_test(run, names_are_lower_case_with_underscores);
    tcase_add_test(run, numbers_are_in_range_and_on_a_step);
    tcase_add_test(run, numbers_of_64_bits_keep_all_of_them);
    tcase_add_test(run, menus_take_an_item_by_name_or_number);
    tcase_add_test(run, menus_of_numbers_take_the_number);
    tcase_add_test(run, switches_are_words_or_digits);
    tcase_add_test(run, bits_are_those_that_there_are);
    tcase_add_test(run, buttons_are_pressed);
    tcase_add_test(run, what_is_read_only_says_so);
    tcase_add_test(run, what_acts_when_it_is_set_is_no_state);
    tcase_add_test(run, the_last_setting_of_a_control_is_kept_behind_all_others);
    tcase_add_test(run, requests_while_the_camera_is_away_say_so);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
