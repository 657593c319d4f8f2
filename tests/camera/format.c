#include "camera_format.h"

#include <check.h>
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>

static struct camera_layout layout;
static char why[CAMERA_WHY_BYTES];

static void lay_out(const struct camera_picture *picture) {
    const int result = camera_format_lay_out(picture, &layout, why);
    ck_assert_msg(result == 0, "%s", why);
}

static void expect_plane(uint32_t i, uint64_t offset, uint32_t line_bytes, uint32_t rows) {
    ck_assert_uint_eq(layout.format.plane[i].offset, offset);
    ck_assert_uint_eq(layout.format.plane[i].line_bytes, line_bytes);
    ck_assert_uint_eq(layout.format.plane[i].rows, rows);
}

START_TEST(a_packed_picture_has_the_drivers_lines) {
    lay_out(&(struct camera_picture){.fourcc = V4L2_PIX_FMT_YUYV,
                                     .width = 640,
                                     .height = 480,
                                     .pieces = 1,
                                     .line_bytes = {1536},
                                     .size_bytes = {1536 * 480}});
    ck_assert_str_eq(layout.format.video.pixel_format, "yuyv422");
    expect_plane(0, 0, 1536, 480);
    ck_assert_uint_eq(layout.bytes[0], 1536 * 480);
    ck_assert_uint_eq(layout.needed[0], 1536 * 479 + 1280);
    ck_assert_uint_ge(layout.format.slot_bytes, layout.bytes[0] + SHMFRAME_TAIL_BYTES);
}
END_TEST

START_TEST(planes_in_one_piece_follow_each_other) {
    lay_out(&(struct camera_picture){.fourcc = V4L2_PIX_FMT_YUV420,
                                     .width = 318,
                                     .height = 178,
                                     .pieces = 1,
                                     .line_bytes = {320},
                                     .size_bytes = {320 * 178 * 3 / 2}});
    expect_plane(0, 0, 320, 178);
    expect_plane(1, 320 * 178, 160, 89);
    expect_plane(2, 320 * 178 + 160 * 89, 160, 89);
    ck_assert_uint_eq(layout.needed[0], 320 * 178 + 160 * 89 + 160 * 88 + 159);
}
END_TEST

START_TEST(swapped_planes_are_found_where_they_are) {
    lay_out(&(struct camera_picture){.fourcc = V4L2_PIX_FMT_YVU420,
                                     .width = 320,
                                     .height = 180,
                                     .pieces = 1,
                                     .line_bytes = {320},
                                     .size_bytes = {320 * 180 * 3 / 2}});
    ck_assert_str_eq(layout.format.video.pixel_format, "yuv420p");
    expect_plane(2, 320 * 180, 160, 90);
    expect_plane(1, 320 * 180 + 160 * 90, 160, 90);
}
END_TEST

START_TEST(chroma_lines_keep_the_proportion_of_the_format) {
    static const struct {
        uint32_t fourcc, line_bytes;
    } cases[] = {{V4L2_PIX_FMT_NV12, 256},    {V4L2_PIX_FMT_NV16, 256},
                 {V4L2_PIX_FMT_NV24, 512},    {V4L2_PIX_FMT_YUV410, 64},
                 {V4L2_PIX_FMT_YUV422P, 128}, {V4L2_PIX_FMT_YUV411P, 64}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lay_out(&(struct camera_picture){.fourcc = cases[i].fourcc,
                                         .width = 192,
                                         .height = 16,
                                         .pieces = 1,
                                         .line_bytes = {256},
                                         .size_bytes = {256 * 16 * 3}});
        ck_assert_uint_eq(layout.format.plane[1].line_bytes, cases[i].line_bytes);
    }
}
END_TEST

START_TEST(pieces_begin_pages_of_their_own) {
    lay_out(&(struct camera_picture){.fourcc = V4L2_PIX_FMT_NV12M,
                                     .width = 320,
                                     .height = 180,
                                     .pieces = 2,
                                     .line_bytes = {384, 448},
                                     .size_bytes = {384 * 180, 448 * 90}});
    const uint64_t second = (384 * 180 + 4095) / 4096 * 4096;
    ck_assert_uint_eq(layout.offset[1], second);
    expect_plane(0, 0, 384, 180);
    expect_plane(1, second, 448, 90);
    ck_assert_uint_eq(layout.bytes[0], second);
    ck_assert_uint_eq(layout.needed[1], 448 * 89 + 320);
}
END_TEST

START_TEST(what_a_piece_begins_with_may_be_skipped) {
    lay_out(&(struct camera_picture){.fourcc = V4L2_PIX_FMT_YVU420M,
                                     .width = 64,
                                     .height = 16,
                                     .pieces = 3,
                                     .line_bytes = {64, 32, 32},
                                     .size_bytes = {64 * 16 + 128, 32 * 8 + 64, 32 * 8},
                                     .skip_bytes = {128, 64, 0}});
    expect_plane(0, 128, 64, 16);
    expect_plane(2, 4096 + 64, 32, 8);
    expect_plane(1, 8192, 32, 8);
    ck_assert_uint_eq(layout.needed[0], 128 + 64 * 16);
    ck_assert_uint_eq(layout.needed[1], 64 + 32 * 8);
}
END_TEST

START_TEST(a_driver_that_tells_nonsense_is_told_so) {
    struct camera_picture picture = {.fourcc = V4L2_PIX_FMT_YUYV,
                                     .width = 640,
                                     .height = 480,
                                     .pieces = 1,
                                     .line_bytes = {640},
                                     .size_bytes = {640 * 480 * 2}};
    ck_assert_int_eq(camera_format_lay_out(&picture, &layout, why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "line_bytes"));
    picture.line_bytes[0] = 0x80000000;
    ck_assert_int_lt(camera_format_lay_out(&picture, &layout, why), 0);
    picture.line_bytes[0] = 1280;
    picture.width = 0;
    ck_assert_int_eq(camera_format_lay_out(&picture, &layout, why), -EINVAL);
    picture.width = 640;
    picture.pieces = 2;
    ck_assert_int_eq(camera_format_lay_out(&picture, &layout, why), -ENOTSUP);
    picture.pieces = 1;
    picture.fourcc = v4l2_fourcc('Y', '0', '4', ' ');
    ck_assert_int_eq(camera_format_lay_out(&picture, &layout, why), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(why, "Y04"));
}
END_TEST

START_TEST(a_picture_that_is_said_to_be_too_small_gets_the_room_it_needs) {
    lay_out(&(struct camera_picture){.fourcc = V4L2_PIX_FMT_GREY,
                                     .width = 64,
                                     .height = 100,
                                     .pieces = 1,
                                     .line_bytes = {64},
                                     .size_bytes = {10}});
    ck_assert_uint_eq(layout.bytes[0], 8192);
}
END_TEST

START_TEST(what_libavutil_names_has_its_bits) {
    /* As many bits a pixel in both worlds: what V4L2's pages say, against libavutil's. */
    static const struct {
        uint32_t fourcc;
        int bits;
    } cases[] = {
        {V4L2_PIX_FMT_YUYV, 16},   {V4L2_PIX_FMT_NV12, 12},    {V4L2_PIX_FMT_YUV420, 12},
        {V4L2_PIX_FMT_YUV410, 9},  {V4L2_PIX_FMT_RGB24, 24},   {V4L2_PIX_FMT_XBGR32, 32},
        {V4L2_PIX_FMT_RGB565, 16}, {V4L2_PIX_FMT_GREY, 8},     {V4L2_PIX_FMT_Y10, 16},
        {V4L2_PIX_FMT_Y16_BE, 16}, {V4L2_PIX_FMT_SBGGR8, 8},   {V4L2_PIX_FMT_SRGGB16, 16},
        {V4L2_PIX_FMT_P010, 24},   {V4L2_PIX_FMT_XRGB444, 16},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct camera_pixels *pixels = camera_pixels_find(cases[i].fourcc);
        ck_assert_ptr_nonnull(pixels);
        const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(av_get_pix_fmt(pixels->name));
        ck_assert_int_eq(av_get_padded_bits_per_pixel(descriptor), cases[i].bits);
    }
    ck_assert_ptr_null(camera_pixels_find(v4l2_fourcc('p', 'B', 'A', 'A')));
    /* libavutil's has two bits of red and three of blue, V4L2's three and two. */
    ck_assert_ptr_null(camera_pixels_find(V4L2_PIX_FMT_RGB332));
    ck_assert(camera_pixels_is_name("mjpeg"));
    ck_assert(!camera_pixels_is_name("vaapi"));
}
END_TEST

static struct shmframe_video_format describe(uint32_t fourcc, uint32_t colorspace,
                                             uint32_t encoding, uint32_t quantization) {
    lay_out(&(struct camera_picture){.fourcc = fourcc,
                                     .width = 64,
                                     .height = 16,
                                     .pieces = 1,
                                     .colorspace = colorspace,
                                     .ycbcr_enc = encoding,
                                     .quantization = quantization,
                                     .frame_rate = {30000, 1001},
                                     .sample_aspect = {10, 11}});
    return layout.format.video;
}

START_TEST(colours_are_named_with_v4l2s_defaults) {
    struct shmframe_video_format video = describe(V4L2_PIX_FMT_YUYV, V4L2_COLORSPACE_SRGB, 0, 0);
    ck_assert_str_eq(video.color_primaries, "bt709");
    ck_assert_str_eq(video.color_transfer, "iec61966-2-1");
    ck_assert_str_eq(video.color_space, "smpte170m");
    ck_assert_str_eq(video.color_range, "tv");
    ck_assert_int_eq(video.frame_rate.num, 30000);
    ck_assert_int_eq(video.sample_aspect.den, 11);
    video = describe(V4L2_PIX_FMT_RGB24, V4L2_COLORSPACE_SRGB, 0, 0);
    ck_assert_str_eq(video.color_space, "gbr");
    ck_assert_str_eq(video.color_range, "pc");
    video = describe(V4L2_PIX_FMT_NV12, V4L2_COLORSPACE_REC709, 0, V4L2_QUANTIZATION_FULL_RANGE);
    ck_assert_str_eq(video.color_space, "bt709");
    ck_assert_str_eq(video.color_transfer, "bt709");
    ck_assert_str_eq(video.color_range, "pc");
    video = describe(V4L2_PIX_FMT_NV12, V4L2_COLORSPACE_BT2020, V4L2_YCBCR_ENC_601, 0);
    ck_assert_str_eq(video.color_primaries, "bt2020");
    ck_assert_str_eq(video.color_space, "smpte170m");
    video = describe(V4L2_PIX_FMT_GREY, V4L2_COLORSPACE_JPEG, 0, 0);
    ck_assert_str_eq(video.color_range, "pc");
    video = describe(V4L2_PIX_FMT_GREY, V4L2_COLORSPACE_SRGB, 0, 0);
    ck_assert_str_eq(video.color_range, "pc");
    ck_assert_str_eq(video.color_space, "");
    video = describe(V4L2_PIX_FMT_NV12, V4L2_COLORSPACE_DEFAULT, 0, 0);
    ck_assert_str_eq(video.color_range, "");
}
END_TEST

START_TEST(field_orders_follow_the_signal) {
    static const struct {
        uint32_t field;
        bool is_625;
        int order;
    } cases[] = {
        {V4L2_FIELD_NONE, false, SHMFRAME_PROGRESSIVE},
        {V4L2_FIELD_INTERLACED, false, SHMFRAME_BOTTOM_FIRST},
        {V4L2_FIELD_INTERLACED, true, SHMFRAME_TOP_FIRST},
        {V4L2_FIELD_INTERLACED_TB, false, SHMFRAME_TOP_FIRST},
        {V4L2_FIELD_INTERLACED_BT, true, SHMFRAME_BOTTOM_FIRST},
        {V4L2_FIELD_SEQ_TB, true, -ENOTSUP},
        {V4L2_FIELD_ALTERNATE, true, -ENOTSUP},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct camera_picture picture = {.field = cases[i].field, .is_625 = cases[i].is_625};
        ck_assert_int_eq(camera_format_field_order(&picture), cases[i].order);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("camera-format");
    TCase *run = tcase_create("run");
    tcase_add_test(run, a_packed_picture_has_the_drivers_lines);
    tcase_add_test(run, planes_in_one_piece_follow_each_other);
    tcase_add_test(run, swapped_planes_are_found_where_they_are);
    tcase_add_test(run, chroma_lines_keep_the_proportion_of_the_format);
    tcase_add_test(run, pieces_begin_pages_of_their_own);
    tcase_add_test(run, what_a_piece_begins_with_may_be_skipped);
    tcase_add_test(run, a_driver_that_tells_nonsense_is_told_so);
    tcase_add_test(run, a_picture_that_is_said_to_be_too_small_gets_the_room_it_needs);
    tcase_add_test(run, what_libavutil_names_has_its_bits);
    tcase_add_test(run, colours_are_named_with_v4l2s_defaults);
    tcase_add_test(run, field_orders_follow_the_signal);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
