/* Texture: which formats SDL takes as they are, and when colours make it impossible. */
#include "texture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct shmframe_video_format video(const char *pixel_format, uint32_t height,
                                          const char *space, const char *range) {
    struct shmframe_video_format format = {.width = 640, .height = height};
    snprintf(format.pixel_format, sizeof format.pixel_format, "%s", pixel_format);
    snprintf(format.color_space, sizeof format.color_space, "%s", space);
    snprintf(format.color_range, sizeof format.color_range, "%s", range);
    return format;
}

static struct texture_choice choose(const char *pixel_format, uint32_t height, const char *space,
                                    const char *range) {
    const struct shmframe_video_format format = video(pixel_format, height, space, range);
    return texture_choose(&format);
}

START_TEST(yuv_goes_as_it_is) {
    ck_assert_int_eq(choose("yuv420p", 480, "", "").layout, TEXTURE_YUV);
    ck_assert_uint_eq(choose("yuv420p", 480, "", "").sdl_format, SDL_PIXELFORMAT_IYUV);
    ck_assert_int_eq(choose("nv12", 480, "", "").layout, TEXTURE_NV);
    ck_assert_uint_eq(choose("nv21", 480, "", "").sdl_format, SDL_PIXELFORMAT_NV21);
    ck_assert_uint_eq(choose("uyvy422", 480, "", "").sdl_format, SDL_PIXELFORMAT_UYVY);
}
END_TEST

START_TEST(matrix_and_range_choose_the_mode) {
    ck_assert_int_eq(choose("yuv420p", 1080, "smpte170m", "tv").yuv_mode, SDL_YUV_CONVERSION_BT601);
    ck_assert_int_eq(choose("yuv420p", 480, "bt709", "tv").yuv_mode, SDL_YUV_CONVERSION_BT709);
    ck_assert_int_eq(choose("yuv420p", 480, "bt470bg", "pc").yuv_mode, SDL_YUV_CONVERSION_JPEG);
    ck_assert_int_eq(choose("yuvj420p", 480, "", "").yuv_mode, SDL_YUV_CONVERSION_JPEG);
}
END_TEST

START_TEST(unknown_colours_go_by_the_size) {
    ck_assert_int_eq(choose("nv12", 576, "", "").yuv_mode, SDL_YUV_CONVERSION_BT601);
    ck_assert_int_eq(choose("nv12", 720, "unknown", "").yuv_mode, SDL_YUV_CONVERSION_BT709);
}
END_TEST

START_TEST(colours_that_sdl_does_not_have_are_converted) {
    ck_assert_int_eq(choose("yuv420p", 1080, "bt709", "pc").layout, TEXTURE_CONVERTED);
    ck_assert_int_eq(choose("yuvj420p", 1080, "", "").layout, TEXTURE_CONVERTED);
    ck_assert_int_eq(choose("yuv420p", 2160, "bt2020nc", "tv").layout, TEXTURE_CONVERTED);
    ck_assert_int_eq(choose("rgb24", 480, "gbr", "tv").layout, TEXTURE_CONVERTED);
}
END_TEST

START_TEST(formats_that_sdl_does_not_have_are_converted) {
    static const char *const formats[] = {"yuv420p10le", "yuv444p", "gray",    "gbrp",
                                          "p010le",      "pal8",    "rgb48le", "nonsense"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const struct texture_choice choice = choose(formats[i], 480, "", "");
        ck_assert_int_eq(choice.layout, TEXTURE_CONVERTED);
        ck_assert_uint_eq(choice.sdl_format, SDL_PIXELFORMAT_ARGB8888);
    }
}
END_TEST

/* libavutil names bytes in memory, SDL the 32 bit word for some: both must mean the same red. */
START_TEST(rgb_names_mean_the_same_bytes) {
    static const struct {
        const char *format;
        uint8_t pixel[4];
    } reds[] = {
        {"rgb24", {200, 10, 20}},     {"bgr24", {20, 10, 200}},     {"rgba", {200, 10, 20, 255}},
        {"bgra", {20, 10, 200, 255}}, {"argb", {255, 200, 10, 20}}, {"abgr", {255, 20, 10, 200}},
        {"rgb0", {200, 10, 20, 0}},   {"bgr0", {20, 10, 200, 0}},   {"0rgb", {0, 200, 10, 20}},
        {"0bgr", {0, 20, 10, 200}},
    };
    for (size_t i = 0; i < sizeof reds / sizeof reds[0]; i++) {
        const struct texture_choice choice = choose(reds[i].format, 480, "", "pc");
        ck_assert_int_eq(choice.layout, TEXTURE_PACKED);
        uint8_t rgb[3] = {0};
        ck_assert_int_eq(SDL_ConvertPixels(1, 1, choice.sdl_format, reds[i].pixel, 4,
                                           SDL_PIXELFORMAT_RGB24, rgb, 4),
                         0);
        ck_assert_msg(rgb[0] == 200 && rgb[1] == 10 && rgb[2] == 20, "%s: %d %d %d", reds[i].format,
                      rgb[0], rgb[1], rgb[2]);
    }
}
END_TEST

int main(void) {
    TCase *const tests = tcase_create("texture");
    tcase_add_test(tests, yuv_goes_as_it_is);
    tcase_add_test(tests, matrix_and_range_choose_the_mode);
    tcase_add_test(tests, unknown_colours_go_by_the_size);
    tcase_add_test(tests, colours_that_sdl_does_not_have_are_converted);
    tcase_add_test(tests, formats_that_sdl_does_not_have_are_converted);
    tcase_add_test(tests, rgb_names_mean_the_same_bytes);
    Suite *const suite = suite_create("texture");
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
