/* Picture measures as the program sees them: values by name, events, time, references. */
#include "picture_measures.h"

#include "runner.h"

#include <errno.h>
#include <libavutil/pixdesc.h>

enum { WIDTH = 32, HEIGHT = 16, RATE = 25 };

static struct picture_measures *measures;
static struct picture_settings settings;
static uint64_t sequence[2];

static void begin(void) {
    settings = picture_settings_default;
    settings.pairing.key = PAIRING_BY_PTS;
    settings.pairing.tolerance_ns = 0;
    measures = NULL;
    sequence[0] = sequence[1] = 0;
}

static void end(void) {
    picture_measures_destroy(measures);
}

static void set_format(enum pairing_side side, enum AVPixelFormat pixel_format) {
    struct shmframe_format format;
    ck_assert_int_eq(
        shmframe_format_video(&format, av_get_pix_fmt_name(pixel_format), WIDTH, HEIGHT), 0);
    format.time_base = (struct shmframe_rational){1, RATE};
    ck_assert_int_eq(picture_measures_set_format(measures, side, &format), 0);
}

static void open_measures(bool has_reference) {
    settings.pairing.stream[PAIRING_MAIN] = "main";
    settings.pairing.stream[PAIRING_REFERENCE] = has_reference ? "reference" : NULL;
    ck_assert_int_eq(picture_measures_create(&settings, &measures), 0);
    set_format(PAIRING_MAIN, AV_PIX_FMT_GRAY8);
    if (has_reference)
        set_format(PAIRING_REFERENCE, AV_PIX_FMT_GRAY8);
}

/* Takes the picture. */
static void add_at(enum pairing_side side, AVFrame *picture, int64_t pts, uint32_t flags) {
    const struct shmframe_frame stamps = {
        .sequence = ++sequence[side], .pts = pts, .duration = 1, .flags = flags};
    ck_assert_int_eq(picture_measures_add(measures, side, picture, &stamps), 0);
    av_frame_free(&picture);
}

static void add(enum pairing_side side, AVFrame *picture) {
    add_at(side, picture, (int64_t)sequence[side], 0);
}

static json_t *make_total(void) {
    json_t *total = json_object();
    picture_measures_report_total(measures, total);
    return total;
}

static double total(const char *name) {
    json_t *object = make_total();
    const json_t *value = json_object_get(object, name);
    ck_assert_msg(json_is_number(value), "no %s", name);
    const double result = json_number_value(value);
    json_decref(object);
    return result;
}

static void expect_event(const char *name, double begin_s, double end_s) {
    json_t *event = picture_measures_next_event(measures);
    ck_assert_msg(event, "no %s", name);
    ck_assert_str_eq(json_string_value(json_object_get(event, "event")), name);
    ck_assert_double_eq_tol(json_number_value(json_object_get(event, "begin_s")), begin_s, 1e-9);
    if (end_s > 0)
        ck_assert_double_eq_tol(json_number_value(json_object_get(event, "end_s")), end_s, 1e-9);
    json_decref(event);
}

START_TEST(black_is_told_once_it_is_long_and_when_it_ends) {
    settings.measures = PICTURE_BLACK;
    settings.black_ns = 200000000;
    open_measures(false);
    for (int i = 0; i < 5; i++)
        add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 16));
    ck_assert_ptr_null(picture_measures_next_event(measures));
    add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 16)); /* at 0.2 s */
    expect_event("black_began", 0, 0);
    add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 200));
    expect_event("black_ended", 0, 0.24);
    ck_assert_ptr_null(picture_measures_next_event(measures));
    ck_assert_double_eq_tol(total("black_s"), 0.24, 1e-9);
    ck_assert_double_eq(total("black_spells"), 1);
}
END_TEST

START_TEST(black_at_the_end_lasts_as_long_as_its_last_picture) {
    settings.measures = PICTURE_BLACK;
    settings.black_ns = 200000000;
    open_measures(false);
    for (int i = 0; i < 5; i++)
        add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 16));
    picture_measures_end(measures, PAIRING_MAIN);
    expect_event("black_began", 0, 0);
    expect_event("black_ended", 0, 0.2);
}
END_TEST

static AVFrame *make_deep(enum AVPixelFormat format, uint16_t value, uint16_t above) {
    AVFrame *picture = make_picture(format, WIDTH, HEIGHT);
    for (int plane = 0; plane < 3 && picture->data[plane]; plane++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                ((uint16_t *)(void *)(picture->data[plane] + y * picture->linesize[plane]))[x] =
                    (uint16_t)(value | above);
    return picture;
}

static const enum AVPixelFormat deep[] = {AV_PIX_FMT_GRAY10LE, AV_PIX_FMT_GRAY12LE,
                                          AV_PIX_FMT_GRAY14LE, AV_PIX_FMT_GBRP10LE};

START_TEST(bits_above_the_depth_are_no_difference) {
    const enum AVPixelFormat format = deep[_i];
    const uint16_t above = (uint16_t)(0xffff << av_pix_fmt_desc_get(format)->comp[0].depth);
    settings.frozen_ns = 0;
    open_measures(true);
    set_format(PAIRING_MAIN, format);
    set_format(PAIRING_REFERENCE, format);
    for (int i = 0; i < 2; i++) {
        add(PAIRING_MAIN, make_deep(format, 700, i ? above : 0));
        add(PAIRING_REFERENCE, make_deep(format, 700, i ? 0 : above));
    }
    ck_assert_double_eq(total("pairs_equal"), 2);
    ck_assert_double_eq_tol(total("ssim_all"), 1, 1e-9);
    ck_assert_double_eq(total("scene_score_max"), 0);
    ck_assert_double_eq(total("luma_max"), 700);
    ck_assert_double_eq(total("luma_min"), 700);
}
END_TEST

/* A film that begins anew: no spell goes across, no time is counted that did not pass. */
START_TEST(time_that_goes_back_ends_spells) {
    settings.measures = PICTURE_BLACK | PICTURE_CHANGES;
    settings.black_ns = 100000000;
    settings.frozen_ns = 100000000;
    open_measures(false);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5; i++)
            add_at(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 16), i, 0);
    picture_measures_end(measures, PAIRING_MAIN);
    ck_assert_double_eq(total("black_spells"), 2);
    ck_assert_double_eq_tol(total("black_s"), 0.4, 1e-9);
    ck_assert_double_eq(total("frozen_spells"), 2);
    ck_assert_double_eq_tol(total("picture_rate_hz"), RATE, 1e-9);
}
END_TEST

START_TEST(a_discontinuity_ends_spells) {
    settings.measures = PICTURE_BLACK;
    settings.black_ns = 200000000;
    open_measures(false);
    for (int i = 0; i < 4; i++)
        add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 16));
    add_at(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 16), 100, SHMFRAME_DISCONTINUITY);
    ck_assert_ptr_null(picture_measures_next_event(measures));
    ck_assert_double_eq(total("black_s"), 0);
}
END_TEST

/* A tenth of the range: 16 + 0.1 * 219 is 37.9, 0.1 * 255 is 25.5. */
START_TEST(black_is_the_lowest_tenth_of_the_range) {
    static const struct {
        enum AVPixelFormat format;
        int value;
        double share;
    } cases[] = {{AV_PIX_FMT_YUV444P, 37, 1}, {AV_PIX_FMT_YUV444P, 38, 0},
                 {AV_PIX_FMT_GRAY8, 25, 1},   {AV_PIX_FMT_GRAY8, 26, 0},
                 {AV_PIX_FMT_GBRP, 25, 1},    {AV_PIX_FMT_GBRP, 26, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_measures(false);
        set_format(PAIRING_MAIN, cases[i].format);
        AVFrame *picture = make_picture(cases[i].format, WIDTH, HEIGHT);
        for (int plane = 0; plane < 3 && picture->data[plane]; plane++)
            memset(picture->data[plane], cases[i].value, (size_t)picture->linesize[plane] * HEIGHT);
        add(PAIRING_MAIN, picture);
        ck_assert_double_eq(total("black_pixel_share"), cases[i].share);
        end();
        measures = NULL;
    }
}
END_TEST

START_TEST(an_interval_has_what_came_since_the_last_one) {
    open_measures(false);
    add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 10));
    json_t *object = json_object();
    picture_measures_report_interval(measures, object);
    json_decref(object);
    add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 200));
    object = json_object();
    picture_measures_report_interval(measures, object);
    ck_assert_int_eq(json_integer_value(json_object_get(object, "pictures")), 1);
    ck_assert_double_eq(json_number_value(json_object_get(object, "luma_min")), 200);
    json_decref(object);
    ck_assert_double_eq(total("luma_min"), 10);
    ck_assert_double_eq(total("pictures"), 2);
}
END_TEST

START_TEST(equal_pictures_have_numbers_too) {
    open_measures(true);
    for (int i = 0; i < 3; i++) {
        add(PAIRING_REFERENCE, make_grey(WIDTH, HEIGHT, (uint8_t)(i * 50)));
        add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, (uint8_t)(i * 50)));
    }
    ck_assert_double_eq(total("psnr_avg_db"), 999);
    ck_assert_double_eq(total("ssim_all"), 1);
    ck_assert_double_eq(total("pairs_equal"), 3);
    ck_assert_double_eq(total("unmatched"), 0);
}
END_TEST

/* 10 log10(255^2 / d^2): 48.13 dB for a difference of 1; means are of squares, not of dB. */
START_TEST(psnr_is_of_the_mean_square) {
    settings.measures = PICTURE_PSNR;
    open_measures(true);
    add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 100));
    add(PAIRING_REFERENCE, make_grey(WIDTH, HEIGHT, 101));
    ck_assert_double_eq_tol(total("psnr_y_db"), 48.1308, 1e-4);
    add(PAIRING_MAIN, make_grey(WIDTH, HEIGHT, 100));
    add(PAIRING_REFERENCE, make_grey(WIDTH, HEIGHT, 103));
    ck_assert_double_eq_tol(total("psnr_y_db"), 41.1411, 1e-4);
    ck_assert_double_eq_tol(total("psnr_min_db"), 38.5884, 1e-4);
}
END_TEST

static AVFrame *make_yuv(enum AVPixelFormat format, int width, int height) {
    AVFrame *picture = make_picture(format, width, height);
    for (int plane = 0; plane < 3 && picture->data[plane]; plane++)
        memset(picture->data[plane], 60,
               (size_t)picture->linesize[plane] * (size_t)(plane ? height / 2 : height));
    return picture;
}

START_TEST(layouts_of_the_same_samples_are_compared_in_place) {
    open_measures(true);
    set_format(PAIRING_MAIN, AV_PIX_FMT_YUV420P);
    set_format(PAIRING_REFERENCE, AV_PIX_FMT_NV12);
    add(PAIRING_MAIN, make_yuv(AV_PIX_FMT_YUV420P, WIDTH, HEIGHT));
    add(PAIRING_REFERENCE, make_yuv(AV_PIX_FMT_NV12, WIDTH, HEIGHT));
    ck_assert_double_eq(total("pairs_equal"), 1);
    ck_assert_double_eq(total("pairs_converted"), 0);
}
END_TEST

/* Grey is of full range: 51 there is the 60 of limited range. */
START_TEST(a_reference_of_another_size_or_format_is_converted_and_counted) {
    open_measures(true);
    set_format(PAIRING_MAIN, AV_PIX_FMT_YUV420P);
    add(PAIRING_MAIN, make_yuv(AV_PIX_FMT_YUV420P, WIDTH, HEIGHT));
    add(PAIRING_REFERENCE, make_grey(2 * WIDTH, 2 * HEIGHT, 51));
    ck_assert_double_eq(total("pairs_converted"), 1);
    ck_assert_double_gt(total("psnr_y_db"), 40);
}
END_TEST

/* What cannot be read in place is converted, and has the values that it means. */
START_TEST(a_picture_of_big_endian_words_is_converted_and_counted) {
    open_measures(false);
    set_format(PAIRING_MAIN, AV_PIX_FMT_GRAY16BE);
    AVFrame *picture = make_picture(AV_PIX_FMT_GRAY16BE, WIDTH, HEIGHT);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            memcpy(picture->data[0] + y * picture->linesize[0] + 2 * x, "\x12\x34", 2);
    add(PAIRING_MAIN, picture);
    ck_assert_double_eq(total("luma_max"), 0x1234);
    ck_assert_double_eq(total("pictures_converted"), 1);
}
END_TEST

START_TEST(a_picture_smaller_than_a_window_has_no_ssim) {
    open_measures(true);
    add(PAIRING_MAIN, make_grey(7, 5, 1));
    add(PAIRING_REFERENCE, make_grey(7, 5, 2));
    json_t *object = make_total();
    ck_assert_ptr_null(json_object_get(object, "ssim_all"));
    ck_assert_ptr_nonnull(json_object_get(object, "psnr_y_db"));
    json_decref(object);
}
END_TEST

static void mark_names(bool *is_seen) {
    const char *const *names = picture_measures_names();
    json_t *object = make_total();
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        size_t i = 0;
        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        ck_assert_msg(names[i] || !json_is_number(value), "%s is not in the list", key);
        if (names[i])
            is_seen[i] = true;
    }
    json_decref(object);
}

/* The list is what --expect is checked against: no number is missing there, none is made up. */
START_TEST(the_list_of_names_is_that_of_the_total) {
    static const enum AVPixelFormat formats[] = {AV_PIX_FMT_YUV420P, AV_PIX_FMT_GBRP};
    bool is_seen[100] = {0};
    for (int f = 0; f < 2; f++) {
        begin();
        open_measures(true);
        for (int i = 0; i < 3; i++) {
            for (enum pairing_side side = 0; side < 2; side++) {
                set_format(side, formats[f]);
                AVFrame *picture = make_picture(formats[f], WIDTH, HEIGHT);
                for (int plane = 0; plane < 3; plane++)
                    memset(picture->data[plane], 50 + i,
                           (size_t)picture->linesize[plane] * (HEIGHT / 2));
                add(side, picture);
            }
        }
        mark_names(is_seen);
        end();
        measures = NULL;
    }
    const char *const *names = picture_measures_names();
    for (size_t i = 0; names[i]; i++) {
        ck_assert_msg(is_seen[i], "%s is never told", names[i]);
        ck_assert(i == 0 || strcmp(names[i - 1], names[i]) < 0);
    }
}
END_TEST

START_TEST(settings_out_of_range_are_refused) {
    struct picture_settings wrong = picture_settings_default;
    wrong.black_pixel_level = 1.5;
    ck_assert_int_eq(picture_measures_create(&wrong, &measures), -EINVAL);
    wrong = picture_settings_default;
    wrong.histogram_bins = 1;
    ck_assert_int_eq(picture_measures_create(&wrong, &measures), -EINVAL);
    struct shmframe_format sound;
    ck_assert_int_eq(shmframe_format_audio(&sound, "flt", 2, 48000, 480), 0);
    ck_assert_int_eq(picture_measures_create(&picture_settings_default, &measures), 0);
    ck_assert_int_eq(picture_measures_set_format(measures, PAIRING_MAIN, &sound), -EINVAL);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("measures");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, black_is_told_once_it_is_long_and_when_it_ends);
    tcase_add_test(tests, black_at_the_end_lasts_as_long_as_its_last_picture);
    tcase_add_loop_test(tests, bits_above_the_depth_are_no_difference, 0,
                        sizeof(deep) / sizeof(deep[0]));
    tcase_add_test(tests, time_that_goes_back_ends_spells);
    tcase_add_test(tests, a_discontinuity_ends_spells);
    tcase_add_test(tests, black_is_the_lowest_tenth_of_the_range);
    tcase_add_test(tests, an_interval_has_what_came_since_the_last_one);
    tcase_add_test(tests, equal_pictures_have_numbers_too);
    tcase_add_test(tests, psnr_is_of_the_mean_square);
    tcase_add_test(tests, layouts_of_the_same_samples_are_compared_in_place);
    tcase_add_test(tests, a_reference_of_another_size_or_format_is_converted_and_counted);
    tcase_add_test(tests, a_picture_of_big_endian_words_is_converted_and_counted);
    tcase_add_test(tests, a_picture_smaller_than_a_window_has_no_ssim);
    tcase_add_test(tests, the_list_of_names_is_that_of_the_total);
    tcase_add_test(tests, settings_out_of_range_are_refused);
    return run_tests(tests, "measures");
}
