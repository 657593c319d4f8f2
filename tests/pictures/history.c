/* History and scope: what a chart is painted from, in bounded memory. */
#include "picture_history.h"

#include "runner.h"

static const int64_t FRAME_NS = 40000000;

static struct picture_history *history;

static void begin(void) {
    history = picture_history_create();
    ck_assert_ptr_nonnull(history);
}

static void end(void) {
    picture_history_destroy(history);
}

static void add(bool is_black, uint8_t value) {
    struct picture_tally tally = {.pictures = 1, .span_ns = FRAME_NS};
    struct levels *luma = &tally.levels[PICTURE_LUMA];
    *luma = (struct levels){.samples = 4, .sum = 4.0 * 256 * value, .depth = 8};
    luma->histogram[value] = 4;
    picture_history_add(history, &tally, is_black, false);
}

START_TEST(a_long_time_takes_no_more_room_and_loses_nothing) {
    enum { PICTURES = 90000 }; /* an hour */
    uint32_t pictures = 0, black = 0;
    float shares = 0;
    for (uint32_t i = 0; i < PICTURES; i++)
        add(i % 100 == 0, 77);
    ck_assert_uint_le(history->count, PICTURE_COLUMNS);
    ck_assert_uint_gt(history->count, PICTURE_COLUMNS / 2);
    for (uint32_t i = 0; i < history->count; i++) {
        pictures += history->column[i].pictures;
        black += history->column[i].black;
        shares += history->column[i].luma[77];
    }
    ck_assert_uint_eq(pictures, PICTURES);
    ck_assert_uint_eq(black, PICTURES / 100);
    ck_assert_float_eq_tol(shares, PICTURES, 1);
    ck_assert_int_ge(history->column_ns * history->count, history->elapsed_ns);
}
END_TEST

START_TEST(time_stands_where_it_was) {
    for (int i = 0; i < 50; i++)
        add(false, 10);
    add(true, 20);
    const uint32_t index = (uint32_t)(history->elapsed_ns / history->column_ns);
    ck_assert_uint_eq(history->count, index + 1);
    ck_assert_uint_eq(history->column[index].black, 1);
    ck_assert_float_eq(history->column[index].luma_mean, 20);
}
END_TEST

static AVFrame *paint(enum AVPixelFormat format, const int values[3], enum AVColorSpace space) {
    AVFrame *picture = make_picture(format, 64, 64);
    picture->colorspace = space;
    for (int i = 0; i < 3; i++)
        memset(picture->data[i], values[i], (size_t)picture->linesize[i] * 64);
    return picture;
}

static void add_to_scope(AVFrame *picture) {
    struct components components;
    components_read(picture, &components);
    scope_add(&history->scope, picture, &components);
    av_frame_free(&picture);
}

START_TEST(a_scope_knows_where_luma_and_chroma_are) {
    add_to_scope(paint(AV_PIX_FMT_YUV444P, (const int[]){126, 90, 200}, AVCOL_SPC_BT709));
    const struct scope *scope = &history->scope;
    ck_assert_uint_eq(scope->chroma[200][90], 64 * 64);
    ck_assert_uint_eq(scope->luma[0][126], 64);
    ck_assert_uint_eq(scope->luma[SCOPE_COLUMNS - SCOPE_COLUMNS / 64][126], 64);
    ck_assert(!scope->is_full && scope->has_chroma);
}
END_TEST

/* 13 minutes of black at 60 pictures a second. */
START_TEST(a_scope_counts_beyond_32_bits) {
    history->scope.chroma[128][128] = history->scope.luma[0][16] = UINT32_MAX;
    add_to_scope(paint(AV_PIX_FMT_YUV444P, (const int[]){16, 128, 128}, AVCOL_SPC_BT709));
    ck_assert_uint_gt(history->scope.chroma[128][128], UINT32_MAX);
    ck_assert_uint_gt(history->scope.luma[0][16], UINT32_MAX);
}
END_TEST

/* Red has Cr 0.5 in any matrix, and in BT.709 Cb -0.1146 and luma 0.2126. */
START_TEST(rgb_is_shown_as_the_chroma_it_has) {
    add_to_scope(paint(AV_PIX_FMT_GBRP, (const int[]){0, 0, 255}, AVCOL_SPC_RGB));
    const struct scope *scope = &history->scope;
    ck_assert_uint_eq(scope->chroma[255][128 - 29], 64 * 64);
    ck_assert_uint_eq(scope->luma[0][54], 64);
    ck_assert(scope->is_full);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("history");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_long_time_takes_no_more_room_and_loses_nothing);
    tcase_add_test(tests, time_stands_where_it_was);
    tcase_add_test(tests, a_scope_knows_where_luma_and_chroma_are);
    tcase_add_test(tests, a_scope_counts_beyond_32_bits);
    tcase_add_test(tests, rgb_is_shown_as_the_chroma_it_has);
    return run_tests(tests, "history");
}
