/* Grade: known light becomes known codes of sRGB. */
#include "grade.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct grade *grade;

static struct shmframe_video_format video(const char *format, const char *range,
                                          const char *transfer, const char *primaries) {
    struct shmframe_video_format video = {.width = 64, .height = 64};
    snprintf(video.pixel_format, sizeof video.pixel_format, "%s", format);
    snprintf(video.color_range, sizeof video.color_range, "%s", range);
    snprintf(video.color_transfer, sizeof video.color_transfer, "%s", transfer);
    snprintf(video.color_primaries, sizeof video.color_primaries, "%s", primaries);
    return video;
}

static void create(const struct shmframe_video_format *format) {
    ck_assert(grade_is_needed(format));
    ck_assert_int_eq(grade_create(format, &grade), 0);
}

static void destroy(void) {
    grade_destroy(grade);
    grade = NULL;
}

/* 10 bits a component in; checks 8 bits a component out, within a level. */
static void expect(uint32_t r, uint32_t g, uint32_t b, int red, int green, int blue) {
    const uint32_t pixel = r << 20 | g << 10 | b;
    uint32_t out;
    grade_run(grade, &pixel, &out, 1);
    const int seen[3] = {(int)(out >> 16 & 255), (int)(out >> 8 & 255), (int)(out & 255)};
    const int wanted[3] = {red, green, blue};
    for (int i = 0; i < 3; i++) {
        ck_assert_msg(abs(seen[i] - wanted[i]) <= 1, "%d %d %d instead of %d %d %d", seen[0],
                      seen[1], seen[2], red, green, blue);
    }
    ck_assert_uint_eq(out >> 24, 255);
}

START_TEST(what_a_window_has_is_not_graded) {
    const struct shmframe_video_format formats[] = {
        video("yuv420p", "tv", "bt709", "bt709"),
        video("rgb24", "pc", "", ""),
        video("yuv420p10le", "tv", "bt2020-10", ""),
        video("yuv420p", "tv", "unknown", "unknown"),
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        ck_assert(!grade_is_needed(&formats[i]));
    }
}
END_TEST

START_TEST(rgb_of_limited_range_becomes_full) {
    const struct shmframe_video_format format = video("rgb24", "tv", "", "");
    create(&format);
    ck_assert_int_eq(grade_input(grade), AV_PIX_FMT_RGB32);
    const uint32_t in[3] = {0x80101010, 0xffebebeb, 0xff007eff};
    uint32_t out[3];
    grade_run(grade, in, out, 3);
    ck_assert_uint_eq(out[0], 0x80000000);
    ck_assert_uint_eq(out[1], 0xffffffff);
    ck_assert_uint_eq(out[2], 0xff0080ff);
    ck_assert_ptr_null(grade_remark(grade));
}
END_TEST

/* PQ's codes for 0, 20.3, 203 and 1000 cd/m2 are 0, 367, 594 and 769. */
START_TEST(pq_is_mapped_to_white_and_peak) {
    const struct shmframe_video_format format = video("p010le", "tv", "smpte2084", "bt2020");
    create(&format);
    ck_assert_int_eq(grade_input(grade), AV_PIX_FMT_X2RGB10);
    expect(0, 0, 0, 0, 0, 0);
    expect(367, 367, 367, 89, 89, 89);    /* a tenth of white: as it is */
    expect(594, 594, 594, 215, 215, 215); /* white: 0.68 of what the screen has */
    expect(769, 769, 769, 255, 255, 255);
    expect(1023, 1023, 1023, 255, 255, 255);
    ck_assert_str_eq(grade_remark(grade), "HDR (PQ), shown by a tone map for a peak of 1000 cd/m2");
}
END_TEST

START_TEST(the_peak_that_the_format_says_is_used) {
    struct shmframe_video_format format = video("p010le", "tv", "smpte2084", "bt2020");
    format.hdr.luminance_max = (struct shmframe_rational){4000, 1};
    format.hdr.content_light_max = 203;
    create(&format);
    expect(594, 594, 594, 255, 255, 255);
}
END_TEST

START_TEST(hlg_is_mapped) {
    const struct shmframe_video_format format = video("p010le", "tv", "arib-std-b67", "");
    create(&format);
    expect(0, 0, 0, 0, 0, 0);
    expect(767, 767, 767, 215, 215, 215); /* BT.2408: three quarters are white */
    expect(1023, 1023, 1023, 255, 255, 255);
}
END_TEST

/* The primaries of BT.709 in light of BT.2020, as BT.2087 has it: 0.6274 0.0691 0.0164. */
START_TEST(red_of_bt709_stays_red) {
    const struct shmframe_video_format format = video("rgb48le", "pc", "bt709", "bt2020");
    create(&format);
    expect(832, 298, 138, 255, 0, 0);
    expect(512, 512, 512, 128, 128, 128);
    expect(0, 1023, 0, 0, 255, 0);
    ck_assert_ptr_null(grade_remark(grade));
}
END_TEST

int main(void) {
    TCase *const tests = tcase_create("grade");
    tcase_add_checked_fixture(tests, NULL, destroy);
    tcase_add_test(tests, what_a_window_has_is_not_graded);
    tcase_add_test(tests, rgb_of_limited_range_becomes_full);
    tcase_add_test(tests, pq_is_mapped_to_white_and_peak);
    tcase_add_test(tests, the_peak_that_the_format_says_is_used);
    tcase_add_test(tests, hlg_is_mapped);
    tcase_add_test(tests, red_of_bt709_stays_red);
    Suite *const suite = suite_create("grade");
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
