/* Scaler: colours keep their meaning from one format to another. */
#include "scaler.h"

#include "bars.h"

#include <check.h>
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>

/* A picture of one colour. */
static AVFrame *paint(enum AVPixelFormat format, int height, uint8_t y, uint8_t u, uint8_t v) {
    AVFrame *frame = av_frame_alloc();
    frame->format = format;
    frame->width = 64;
    frame->height = height;
    frame->pts = 42;
    ck_assert_int_eq(av_frame_get_buffer(frame, 0), 0);
    const uint8_t value[] = {y, u, v};
    for (int plane = 0; plane < 3; plane++) {
        const int rows = plane ? height / 2 : height;
        memset(frame->data[plane], value[plane], (size_t)frame->linesize[plane] * (size_t)rows);
    }
    return frame;
}

/* What the middle of `from` looks like as RGB. */
static void expect_rgb(const AVFrame *from, int red, int green, int blue) {
    const struct scaler_params params = {.pixel_format = AV_PIX_FMT_RGB24};
    struct scaler *scaler;
    AVFrame *to;
    ck_assert_int_eq(scaler_create(&params, &scaler), 0);
    ck_assert_int_eq(scaler_run(scaler, from, &to), 0);
    ck_assert_int_eq(to->pts, 42);
    const uint8_t *pixel = to->data[0] + to->height / 2 * to->linesize[0] + 3 * 32;
    const int wanted[] = {red, green, blue};
    for (int i = 0; i < 3; i++)
        ck_assert_msg(abs(pixel[i] - wanted[i]) <= 2, "%d %d %d instead of %d %d %d", pixel[0],
                      pixel[1], pixel[2], red, green, blue);
    av_frame_free(&to);
    scaler_destroy(scaler);
}

/* Red in each matrix and range: Y, Cb, Cr by the formulas of BT.601 and BT.709, rounded. */
START_TEST(the_matrix_and_range_of_the_picture_are_used) {
    AVFrame *sd = paint(AV_PIX_FMT_YUV420P, 64, 81, 90, 240);
    expect_rgb(sd, 255, 0, 0);
    sd->colorspace = AVCOL_SPC_BT470BG;
    expect_rgb(sd, 255, 0, 0);
    av_frame_free(&sd);

    AVFrame *hd = paint(AV_PIX_FMT_YUV420P, 64, 63, 102, 240);
    hd->colorspace = AVCOL_SPC_BT709;
    expect_rgb(hd, 255, 0, 0);
    av_frame_free(&hd);

    AVFrame *large = paint(AV_PIX_FMT_YUV420P, 720, 63, 102, 240); /* says nothing: by its size */
    expect_rgb(large, 255, 0, 0);
    av_frame_free(&large);

    AVFrame *full = paint(AV_PIX_FMT_YUV420P, 64, 76, 85, 255);
    full->color_range = AVCOL_RANGE_JPEG;
    expect_rgb(full, 254, 0, 0);
    av_frame_free(&full);
}
END_TEST

START_TEST(rgb_becomes_yuv_that_says_what_it_is) {
    AVFrame *rgb = av_frame_alloc();
    rgb->format = AV_PIX_FMT_RGB24;
    rgb->width = rgb->height = 64;
    rgb->colorspace = AVCOL_SPC_RGB;
    rgb->color_range = AVCOL_RANGE_JPEG;
    ck_assert_int_eq(av_frame_get_buffer(rgb, 0), 0);
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 64; x++)
            memcpy(rgb->data[0] + y * rgb->linesize[0] + 3 * x, "\xff\0\0", 3);
    const struct scaler_params params = {.pixel_format = AV_PIX_FMT_YUV420P};
    struct scaler *scaler;
    AVFrame *to;
    ck_assert_int_eq(scaler_create(&params, &scaler), 0);
    ck_assert_int_eq(scaler_run(scaler, rgb, &to), 0);
    ck_assert_int_eq(to->colorspace, AVCOL_SPC_SMPTE170M);
    ck_assert_int_eq(to->color_range, AVCOL_RANGE_MPEG);
    ck_assert_int_le(abs(to->data[0][0] - 81), 1);
    ck_assert_int_le(abs(to->data[1][0] - 90), 1);
    ck_assert_int_le(abs(to->data[2][0] - 240), 1);
    av_frame_free(&to);
    scaler_destroy(scaler);
    av_frame_free(&rgb);
}
END_TEST

START_TEST(another_range_can_be_asked_for) {
    AVFrame *grey = paint(AV_PIX_FMT_YUV420P, 64, 235, 128, 128);
    const struct scaler_params params = {.pixel_format = AV_PIX_FMT_YUV444P,
                                         .color_range = AVCOL_RANGE_JPEG,
                                         .width = 32,
                                         .height = 16};
    struct scaler *scaler;
    AVFrame *to;
    ck_assert_int_eq(scaler_create(&params, &scaler), 0);
    ck_assert_int_eq(scaler_run(scaler, grey, &to), 0);
    ck_assert_int_eq(to->width, 32);
    ck_assert_int_eq(to->height, 16);
    ck_assert_int_eq(to->color_range, AVCOL_RANGE_JPEG);
    ck_assert_int_ge(to->data[0][0], 254);
    av_frame_free(&to);
    scaler_destroy(scaler);
    av_frame_free(&grey);
}
END_TEST

/* White of a limited range in formats of all kinds, through libswscale's different paths. */
static AVFrame *paint_white(enum AVPixelFormat format, enum AVColorRange range) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    AVFrame *frame = av_frame_alloc();
    frame->format = format;
    frame->width = frame->height = 64;
    frame->color_range = range;
    frame->pts = 42;
    ck_assert_int_eq(av_frame_get_buffer(frame, 0), 0);
    for (int plane = 0; plane < descriptor->nb_components; plane++) {
        const int depth = descriptor->comp[plane].depth;
        const bool is_half = plane && plane < 3 && descriptor->log2_chroma_h;
        const int bytes = frame->linesize[plane] * (is_half ? 32 : 64);
        for (int i = 0; i<bytes; i += depth> 8 ? 2 : 1) {
            const uint16_t value = (uint16_t)((plane ? 128 : 235) << (depth - 8));
            memcpy(frame->data[plane] + i, &value, depth > 8 ? 2 : 1);
        }
    }
    return frame;
}

static void expect_luma(enum AVPixelFormat from, enum AVPixelFormat to, double wanted) {
    AVFrame *white = paint_white(from, AVCOL_RANGE_MPEG), *picture;
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(to);
    const struct scaler_params params = {.pixel_format = to, .color_range = AVCOL_RANGE_JPEG};
    struct scaler *scaler;
    ck_assert_int_eq(scaler_create(&params, &scaler), 0);
    ck_assert_int_eq(scaler_run(scaler, white, &picture), 0);
    ck_assert_int_eq(picture->color_range, AVCOL_RANGE_JPEG);
    uint16_t line[64];
    av_read_image_line(line, (const uint8_t **)picture->data, picture->linesize, descriptor, 0, 32,
                       0, 64, 0);
    const double value = line[32] / (double)((1 << descriptor->comp[0].depth) - 1);
    ck_assert_msg(value > wanted - 0.005 && value < wanted + 0.005, "%s to %s: %f",
                  av_get_pix_fmt_name(from), descriptor->name, value);
    av_frame_free(&picture);
    scaler_destroy(scaler);
    av_frame_free(&white);
}

START_TEST(a_range_becomes_another_on_every_path) {
    expect_luma(AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV420P, 1);
    expect_luma(AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV420P, 1);
    expect_luma(AV_PIX_FMT_YUV420P10, AV_PIX_FMT_YUV420P10, 1);
    expect_luma(AV_PIX_FMT_YUV420P10, AV_PIX_FMT_RGB48, 1);
    expect_luma(AV_PIX_FMT_YUV420P, AV_PIX_FMT_GRAY8, 1);
}
END_TEST

START_TEST(grey_of_limited_range_is_known_as_such) {
    expect_luma(AV_PIX_FMT_GRAY8, AV_PIX_FMT_RGB24, 1);
    expect_luma(AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY8, 1);
    expect_luma(AV_PIX_FMT_GRAY8, AV_PIX_FMT_YUV420P, 1);
    expect_luma(AV_PIX_FMT_GRAY10, AV_PIX_FMT_GRAY16BE, 1);
    expect_luma(AV_PIX_FMT_GRAY16, AV_PIX_FMT_YUV444P, 1);
}
END_TEST

START_TEST(grey_that_says_nothing_is_of_full_range) {
    AVFrame *grey = paint_white(AV_PIX_FMT_GRAY8, AVCOL_RANGE_UNSPECIFIED);
    expect_rgb(grey, 235, 235, 235);
    av_frame_free(&grey);
}
END_TEST

/* How far the bars of a format are from what they should be. */
static int find_error(struct scaler *scaler, enum AVPixelFormat format, enum AVColorSpace space,
                      bool is_full) {
    AVFrame *from = av_frame_alloc(), *to;
    from->format = format;
    from->width = 320;
    from->height = 16;
    from->colorspace = space;
    from->color_range = is_full ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    ck_assert_int_eq(av_frame_get_buffer(from, 0), 0);
    bars_paint(from, space, is_full);
    const int result = scaler_run(scaler, from, &to);
    ck_assert_msg(result == 0, "%s: %d", av_get_pix_fmt_name(format), result);
    int worst = 0;
    for (int bar = 0; bar < BARS; bar++) {
        const uint8_t *pixel = to->data[0] + 8 * to->linesize[0] + 4 * (bar * 40 + 20);
        int wanted[3];
        bars_rgb(format, space, bar, wanted);
        for (int i = 0; i < 3; i++)
            worst = abs(pixel[2 - i] - wanted[i]) > worst ? abs(pixel[2 - i] - wanted[i]) : worst;
    }
    av_frame_free(&to);
    av_frame_free(&from);
    return worst;
}

static const char *const formats[] = {
    "yuv420p",     "yuv422p",     "yuv444p",     "yuv410p",     "yuva420p",     "nv12",
    "nv16",        "nv20le",      "nv21",        "nv24",        "yuyv422",      "uyvy422",
    "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv420p16le", "yuva444p10le", "p010le",
    "p016le",      "p210le",      "y210le",      "gray",        "gray10le",     "gray12le",
    "gray16le",    "ya8",         "rgb24",       "bgra",        "gbrp",         "gbrp10le",
    "gbrap12le",   "gbrp16le",    "rgb48le",     "rgba64le",    "x2rgb10le",    "yuv420p10be",
    "rgb48be",
};
static const enum AVColorSpace spaces[] = {AVCOL_SPC_SMPTE170M, AVCOL_SPC_BT709,
                                           AVCOL_SPC_BT2020_NCL};

static void expect_bars(bool is_quick, int tolerance) {
    const struct scaler_params params = {.pixel_format = AV_PIX_FMT_BGRA, .is_quick = is_quick};
    struct scaler *scaler;
    ck_assert_int_eq(scaler_create(&params, &scaler), 0);
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        const enum AVPixelFormat format = av_get_pix_fmt(formats[i]);
        ck_assert_msg(format != AV_PIX_FMT_NONE, "%s", formats[i]);
        const bool is_rgb = av_pix_fmt_desc_get(format)->flags & AV_PIX_FMT_FLAG_RGB;
        for (size_t j = 0; j < sizeof(spaces) / sizeof(spaces[0]); j++)
            for (int is_full = is_rgb; is_full < 2; is_full++) {
                const int error = find_error(scaler, format, spaces[j], is_full);
                ck_assert_msg(error <= tolerance, "%s %s %s: %d off\n", formats[i],
                              av_color_space_name(spaces[j]), is_full ? "full" : "limited", error);
            }
    }
    scaler_destroy(scaler);
}

START_TEST(bars_are_right_in_every_format_matrix_and_range) {
    expect_bars(false, 1);
}
END_TEST

START_TEST(bars_are_nearly_right_in_a_hurry) {
    expect_bars(true, 3);
}
END_TEST

/* A step in chroma, half a pixel further to the left where chroma sits on the left. */
START_TEST(chroma_is_where_the_picture_says) {
    const enum AVChromaLocation locations[] = {AVCHROMA_LOC_LEFT, AVCHROMA_LOC_CENTER};
    int seen[2];
    for (int i = 0; i < 2; i++) {
        AVFrame *from = paint(AV_PIX_FMT_YUV420P, 64, 128, 128, 128), *to;
        for (int y = 0; y < 32; y++)
            memset(from->data[2] + y * from->linesize[2] + 16, 200, 16);
        from->chroma_location = locations[i];
        const struct scaler_params params = {.pixel_format = AV_PIX_FMT_YUV444P};
        struct scaler *scaler;
        ck_assert_int_eq(scaler_create(&params, &scaler), 0);
        ck_assert_int_eq(scaler_run(scaler, from, &to), 0);
        seen[i] = to->data[2][32 * to->linesize[2] + 31];
        av_frame_free(&to);
        av_frame_free(&from);
        scaler_destroy(scaler);
    }
    /* Pixel 31 is in the middle between the samples at 30 and 32, or a quarter from that at 30.5.
     */
    ck_assert_int_le(abs(seen[0] - 164), 3);
    ck_assert_int_le(abs(seen[1] - 143), 6);
}
END_TEST

/* Of 65535. */
static void expect_deep(enum AVPixelFormat from, enum AVColorRange range, enum AVPixelFormat to) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(from);
    const int depth = descriptor->comp[0].depth, most = (1 << depth) - 1;
    const bool is_limited = range == AVCOL_RANGE_MPEG;
    const int black = is_limited ? 16 << (depth - 8) : 0;
    const int white = is_limited ? 235 << (depth - 8) : most;
    for (int step = 0; step <= 8; step++) {
        const int luma = black + (white - black) * step / 8;
        const double wanted = 65535. * (luma - black) / (white - black);
        AVFrame *grey = paint_white(from, range), *picture;
        for (int plane = 0; plane < descriptor->nb_components; plane += 3) {
            const uint16_t value = (uint16_t)(plane ? most : luma);
            for (int i = 0; i < grey->linesize[plane] * 64; i += 2)
                memcpy(grey->data[plane] + i, &value, 2);
        }
        const struct scaler_params params = {.pixel_format = to, .color_range = AVCOL_RANGE_JPEG};
        struct scaler *scaler;
        ck_assert_int_eq(scaler_create(&params, &scaler), 0);
        ck_assert_int_eq(scaler_run(scaler, grey, &picture), 0);
        const AVPixFmtDescriptor *wide = av_pix_fmt_desc_get(to);
        for (int c = 0; c < wide->nb_components; c++) {
            uint16_t value;
            av_read_image_line(&value, (const uint8_t **)picture->data, picture->linesize, wide, 32,
                               32, c, 1, 0);
            const double error = value - (c == 3 ? 65535 : wanted);
            ck_assert_msg(error > -6 && error < 6, "%s to %s, component %d: %g off %g",
                          descriptor->name, wide->name, c, error, wanted);
        }
        av_frame_free(&picture);
        scaler_destroy(scaler);
        av_frame_free(&grey);
    }
}

START_TEST(sixteen_bits_reach_from_black_to_white) {
    expect_deep(AV_PIX_FMT_YUV420P10, AVCOL_RANGE_MPEG, AV_PIX_FMT_RGB48BE);
    expect_deep(AV_PIX_FMT_YUV420P10, AVCOL_RANGE_JPEG, AV_PIX_FMT_RGB48LE);
    expect_deep(AV_PIX_FMT_YUV444P16, AVCOL_RANGE_JPEG, AV_PIX_FMT_RGB48BE);
    expect_deep(AV_PIX_FMT_YUVA444P10, AVCOL_RANGE_MPEG, AV_PIX_FMT_RGBA64BE);
    expect_deep(AV_PIX_FMT_YUV420P10, AVCOL_RANGE_MPEG, AV_PIX_FMT_GRAY16BE);
    expect_deep(AV_PIX_FMT_YUV420P10, AVCOL_RANGE_JPEG, AV_PIX_FMT_GRAY16BE);
    expect_deep(AV_PIX_FMT_GRAY12, AVCOL_RANGE_MPEG, AV_PIX_FMT_RGB48BE);
    expect_deep(AV_PIX_FMT_GRAY12, AVCOL_RANGE_JPEG, AV_PIX_FMT_RGB48BE);
    expect_deep(AV_PIX_FMT_GRAY10, AVCOL_RANGE_MPEG, AV_PIX_FMT_GRAY16LE);
}
END_TEST

START_TEST(what_cannot_be_written_is_refused) {
    const struct scaler_params params = {.pixel_format = AV_PIX_FMT_VAAPI};
    struct scaler *scaler;
    ck_assert_int_eq(scaler_create(&params, &scaler), -ENOTSUP);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("scaler");
    tcase_add_test(tests, the_matrix_and_range_of_the_picture_are_used);
    tcase_add_test(tests, rgb_becomes_yuv_that_says_what_it_is);
    tcase_add_test(tests, another_range_can_be_asked_for);
    tcase_add_test(tests, a_range_becomes_another_on_every_path);
    tcase_add_test(tests, grey_of_limited_range_is_known_as_such);
    tcase_add_test(tests, grey_that_says_nothing_is_of_full_range);
    tcase_add_test(tests, bars_are_right_in_every_format_matrix_and_range);
    tcase_add_test(tests, bars_are_nearly_right_in_a_hurry);
    tcase_add_test(tests, chroma_is_where_the_picture_says);
    tcase_add_test(tests, sixteen_bits_reach_from_black_to_white);
    tcase_add_test(tests, what_cannot_be_written_is_refused);
    Suite *suite = suite_create("scaler");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
