#include "camera_mode.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct camera_modes modes;
static struct camera_choice choice;
static char why[CAMERA_WHY_BYTES];

static void add(uint32_t fourcc, uint32_t width, uint32_t height, int32_t rate) {
    const struct camera_mode mode = {
        .fourcc = fourcc,
        .width = width,
        .height = height,
        .width_max = width,
        .height_max = height,
        .rate = {rate, 1},
        .rate_max = {rate, 1},
    };
    camera_modes_add(&modes, &mode);
}

/* What a usual webcam offers. */
static void set_up(void) {
    add(V4L2_PIX_FMT_MJPEG, 1920, 1080, 30);
    add(V4L2_PIX_FMT_MJPEG, 640, 480, 60);
    add(V4L2_PIX_FMT_MJPEG, 640, 480, 30);
    add(V4L2_PIX_FMT_YUYV, 1920, 1080, 5);
    add(V4L2_PIX_FMT_YUYV, 1280, 720, 10);
    add(V4L2_PIX_FMT_YUYV, 640, 480, 30);
    add(V4L2_PIX_FMT_YUYV, 640, 480, 15);
    add(v4l2_fourcc('?', '?', '?', '?'), 4000, 3000, 30);
}

static void tear_down(void) {
    camera_modes_free(&modes);
}

static void choose(struct camera_wish wish) {
    const int result = camera_mode_choose(&modes, &wish, &choice, why);
    ck_assert_msg(result == 0, "%s", why);
}

#define CHOOSE(...) choose((struct camera_wish){__VA_ARGS__})

static void expect(uint32_t fourcc, uint32_t width, uint32_t height, int32_t rate) {
    ck_assert_str_eq(camera_fourcc_text(choice.fourcc).text, camera_fourcc_text(fourcc).text);
    ck_assert_uint_eq(choice.width, width);
    ck_assert_uint_eq(choice.height, height);
    ck_assert_int_eq(choice.rate.num, rate);
}

#define REFUSE(reason, ...)                                                                        \
    do {                                                                                           \
        const struct camera_wish wish = {__VA_ARGS__};                                             \
        ck_assert_int_eq(camera_mode_choose(&modes, &wish, &choice, why), -ENOTSUP);               \
        ck_assert_str_eq(why, reason);                                                             \
    } while (0)

START_TEST(the_largest_that_moves_smoothly_is_taken) {
    CHOOSE(0);
    expect(V4L2_PIX_FMT_MJPEG, 1920, 1080, 30);
}
END_TEST

START_TEST(of_one_size_raw_is_taken_and_no_faster_than_needed) {
    CHOOSE(.width = 640, .height = 480);
    expect(V4L2_PIX_FMT_YUYV, 640, 480, 30);
}
END_TEST

START_TEST(of_one_format_the_smooth_size_is_taken) {
    CHOOSE(.pixel_format = "yuyv422");
    expect(V4L2_PIX_FMT_YUYV, 640, 480, 30);
}
END_TEST

START_TEST(a_slow_size_is_taken_as_fast_as_it_goes) {
    CHOOSE(.pixel_format = "yuyv422", .width = 1280, .height = 720);
    expect(V4L2_PIX_FMT_YUYV, 1280, 720, 10);
}
END_TEST

START_TEST(a_rate_decides_which_formats_come_into_question) {
    CHOOSE(.rate = {60, 1});
    expect(V4L2_PIX_FMT_MJPEG, 640, 480, 60);
    CHOOSE(.rate = {15, 1});
    expect(V4L2_PIX_FMT_YUYV, 640, 480, 15);
}
END_TEST

START_TEST(thirty_is_near_enough_to_what_television_has) {
    ck_assert(camera_rate_is_near((struct shmframe_rational){30, 1},
                                  (struct shmframe_rational){30000, 1001}));
    ck_assert(
        !camera_rate_is_near((struct shmframe_rational){25, 1}, (struct shmframe_rational){24, 1}));
    ck_assert(
        !camera_rate_is_near((struct shmframe_rational){30, 1}, (struct shmframe_rational){0, 1}));
}
END_TEST

START_TEST(a_refusal_says_what_there_is_instead) {
    REFUSE("--pixel-format nv12 is not offered, but: mjpeg, yuyv422", .pixel_format = "nv12");
    REFUSE("--size 800x600 is not offered in yuyv422, but: 1920x1080, 1280x720, 640x480",
           .pixel_format = "yuyv422", .width = 800, .height = 600);
    REFUSE("--rate 25 is not offered with that size and format, but: 60, 30, 15", .width = 640,
           .height = 480, .rate = {25, 1});
}
END_TEST

START_TEST(a_long_refusal_is_cut) {
    for (uint32_t i = 0; i < 200; i++)
        add(V4L2_PIX_FMT_NV12, 1000 + i, 1000, 30);
    const struct camera_wish wish = {.pixel_format = "nv12", .width = 1, .height = 1};
    ck_assert_int_eq(camera_mode_choose(&modes, &wish, &choice, why), -ENOTSUP);
    ck_assert_uint_lt(strlen(why), CAMERA_WHY_BYTES);
    ck_assert_str_eq(why + strlen(why) - 4, " ...");
}
END_TEST

START_TEST(ranges_give_their_largest_or_what_is_asked_on_a_step) {
    const struct camera_mode range = {
        .fourcc = V4L2_PIX_FMT_NV12,
        .width = 16,
        .height = 16,
        .width_max = 4096,
        .height_max = 2160,
        .width_step = 8,
        .height_step = 2,
        .rate = {1, 1},
        .rate_max = {120, 1},
    };
    camera_modes_free(&modes);
    camera_modes_add(&modes, &range);
    CHOOSE(0);
    expect(V4L2_PIX_FMT_NV12, 4096, 2160, 30);
    modes.width_now = 1280; /* the device need not scale */
    modes.height_now = 720;
    CHOOSE(0);
    expect(V4L2_PIX_FMT_NV12, 1280, 720, 30);
    modes.height_now = 719; /* none that it has */
    CHOOSE(0);
    expect(V4L2_PIX_FMT_NV12, 4096, 2160, 30);
    CHOOSE(.width = 1000, .height = 750, .rate = {50, 1});
    expect(V4L2_PIX_FMT_NV12, 1000, 750, 50);
    REFUSE("--size 1001x750 is not offered in any format, but: 16x16 to 4096x2160 in steps of 8x2",
           .width = 1001, .height = 750);
    REFUSE("--rate 121 is not offered with that size and format, but: 1 to 120", .rate = {121, 1});
}
END_TEST

START_TEST(a_slow_range_runs_as_fast_as_it_can) {
    const struct camera_mode range = {.fourcc = V4L2_PIX_FMT_NV12,
                                      .width = 16,
                                      .height = 16,
                                      .width_max = 16,
                                      .height_max = 16,
                                      .rate = {1, 1},
                                      .rate_max = {9, 1}};
    camera_modes_free(&modes);
    camera_modes_add(&modes, &range);
    CHOOSE(0);
    expect(V4L2_PIX_FMT_NV12, 16, 16, 9);
}
END_TEST

START_TEST(a_device_that_tells_no_sizes_decides_itself) {
    const struct camera_mode mode = {
        .fourcc = V4L2_PIX_FMT_UYVY, .rate = {0, 1}, .rate_max = {0, 1}};
    camera_modes_free(&modes);
    camera_modes_add(&modes, &mode);
    CHOOSE(0);
    expect(V4L2_PIX_FMT_UYVY, 0, 0, 0);
    CHOOSE(.width = 720, .height = 576, .rate = {25, 1});
    expect(V4L2_PIX_FMT_UYVY, 720, 576, 25);
}
END_TEST

START_TEST(a_device_without_a_known_format_is_refused) {
    camera_modes_free(&modes);
    add(v4l2_fourcc('?', '?', '?', '?'), 640, 480, 30);
    const struct camera_wish wish = {0};
    ck_assert_int_eq(camera_mode_choose(&modes, &wish, &choice, why), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(why, "none of its formats is known here"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("camera-mode");
    TCase *run = tcase_create("run");
    tcase_add_checked_fixture(run, set_up, tear_down);
    tcase_add_test(run, the_largest_that_moves_smoothly_is_taken);
    tcase_add_test(run, of_one_size_raw_is_taken_and_no_faster_than_needed);
    tcase_add_test(run, of_one_format_the_smooth_size_is_taken);
    tcase_add_test(run, a_slow_size_is_taken_as_fast_as_it_goes);
    tcase_add_test(run, a_rate_decides_which_formats_come_into_question);
    tcase_add_test(run, thirty_is_near_enough_to_what_television_has);
    tcase_add_test(run, a_refusal_says_what_there_is_instead);
    tcase_add_test(run, a_long_refusal_is_cut);
    tcase_add_test(run, ranges_give_their_largest_or_what_is_asked_on_a_step);
    tcase_add_test(run, a_slow_range_runs_as_fast_as_it_can);
    tcase_add_test(run, a_device_that_tells_no_sizes_decides_itself);
    tcase_add_test(run, a_device_without_a_known_format_is_refused);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
