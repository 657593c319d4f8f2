/* Fit: aspect ratio and rotation kept, nothing outside the window. */
#include "fit.h"

#include <check.h>
#include <stdlib.h>

static struct shmframe_video_format video(uint32_t width, uint32_t height) {
    return (struct shmframe_video_format){.width = width, .height = height};
}

static struct fit_rectangle fit(struct shmframe_video_format format, int width, int height) {
    return fit_picture(&format, (struct fit_size){width, height});
}

#define EXPECT(rectangle, left, top, wide, high)                                                   \
    do {                                                                                           \
        const struct fit_rectangle got = rectangle;                                                \
        ck_assert_int_eq(got.x, left);                                                             \
        ck_assert_int_eq(got.y, top);                                                              \
        ck_assert_int_eq(got.width, wide);                                                         \
        ck_assert_int_eq(got.height, high);                                                        \
    } while (0)

START_TEST(a_picture_fills_a_window_of_its_shape) {
    EXPECT(fit(video(1920, 1080), 1920, 1080), 0, 0, 1920, 1080);
    EXPECT(fit(video(1920, 1080), 640, 360), 0, 0, 640, 360);
    EXPECT(fit(video(1, 1), 77, 77), 0, 0, 77, 77);
}
END_TEST

START_TEST(bars_are_left_where_shapes_differ) {
    EXPECT(fit(video(1920, 1080), 1920, 1200), 0, 60, 1920, 1080);
    EXPECT(fit(video(640, 480), 1280, 480), 320, 0, 640, 480);
    EXPECT(fit(video(640, 480), 333, 777), 0, 263, 333, 250);
}
END_TEST

START_TEST(pixels_that_are_not_square_are_drawn_wider_or_higher) {
    struct shmframe_video_format wide = video(720, 576);
    wide.sample_aspect = (struct shmframe_rational){64, 45};
    EXPECT(fit(wide, 1024, 576), 0, 0, 1024, 576);
    ck_assert_int_eq(fit_natural_size(&wide).width, 1024);
    ck_assert_int_eq(fit_natural_size(&wide).height, 576);
    struct shmframe_video_format high = video(1000, 500);
    high.sample_aspect = (struct shmframe_rational){1, 2};
    EXPECT(fit(high, 1000, 1000), 0, 0, 1000, 1000);
    ck_assert_int_eq(fit_natural_size(&high).height, 1000);
}
END_TEST

START_TEST(an_unknown_or_broken_aspect_is_square) {
    struct shmframe_video_format format = video(300, 200);
    format.sample_aspect = (struct shmframe_rational){0, 1};
    EXPECT(fit(format, 300, 200), 0, 0, 300, 200);
    format.sample_aspect = (struct shmframe_rational){-4, 3};
    EXPECT(fit(format, 300, 200), 0, 0, 300, 200);
    format.sample_aspect = (struct shmframe_rational){4, 0};
    EXPECT(fit(format, 300, 200), 0, 0, 300, 200);
}
END_TEST

START_TEST(a_quarter_turn_swaps_the_sides) {
    struct shmframe_video_format format = video(400, 200);
    format.rotation_degrees = 90;
    ck_assert_int_eq(fit_natural_size(&format).width, 200);
    ck_assert_int_eq(fit_natural_size(&format).height, 400);
    /* The rectangle is the unturned one, about the same centre. */
    EXPECT(fit(format, 200, 400), -100, 100, 400, 200);
    ck_assert_int_eq(fit(format, 200, 400).rotation_degrees, 90);
    format.rotation_degrees = 180;
    EXPECT(fit(format, 400, 200), 0, 0, 400, 200);
    ck_assert_int_eq(fit(format, 200, 400).rotation_degrees, 180);
}
END_TEST

START_TEST(nothing_vanishes_and_nothing_leaves_the_window) {
    for (uint32_t width = 1; width <= 16384; width = width * 3 + 1) {
        for (uint32_t height = 1; height <= 16384; height = height * 5 + 2) {
            for (int side = 1; side < 4000; side = side * 2 + 1) {
                const struct fit_rectangle got = fit(video(width, height), side, 333);
                ck_assert_int_ge(got.width, 1);
                ck_assert_int_ge(got.height, 1);
                ck_assert_int_le(got.width, side);
                ck_assert_int_le(got.height, 333);
                ck_assert_int_ge(got.x, 0);
                ck_assert_int_ge(got.y, 0);
            }
        }
    }
}
END_TEST

START_TEST(shrinking_keeps_the_shape_and_never_enlarges) {
    const struct fit_size screen = {1280, 720};
    ck_assert_int_eq(fit_within((struct fit_size){3840, 2160}, screen).width, 1280);
    ck_assert_int_eq(fit_within((struct fit_size){3840, 2160}, screen).height, 720);
    ck_assert_int_eq(fit_within((struct fit_size){100, 50}, screen).width, 100);
    ck_assert_int_eq(fit_within((struct fit_size){16384, 1}, screen).height, 1);
}
END_TEST

int main(void) {
    TCase *const tests = tcase_create("fit");
    tcase_add_test(tests, a_picture_fills_a_window_of_its_shape);
    tcase_add_test(tests, bars_are_left_where_shapes_differ);
    tcase_add_test(tests, pixels_that_are_not_square_are_drawn_wider_or_higher);
    tcase_add_test(tests, an_unknown_or_broken_aspect_is_square);
    tcase_add_test(tests, a_quarter_turn_swaps_the_sides);
    tcase_add_test(tests, nothing_vanishes_and_nothing_leaves_the_window);
    tcase_add_test(tests, shrinking_keeps_the_shape_and_never_enlarges);
    Suite *const suite = suite_create("fit");
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
