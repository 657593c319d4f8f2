/* Stretch: when frames begin and end, whatever their stamps say. */
#include "stretch.h"

#include "runner.h"

static const int64_t MS = 1000000, DAY_NS = INT64_C(86400000000000);

static struct shmframe_format format;

static void begin(void) {
    ck_assert_int_eq(shmframe_format_video(&format, "gray", 8, 8), 0);
    format.time_base = (struct shmframe_rational){1, 25};
}

static struct stretch of(int64_t pts, int64_t duration) {
    return stretch_of(
        &format, &(struct shmframe_frame){.pts = pts, .duration = duration, .capture_ns = 7 * MS});
}

START_TEST(pts_come_before_captures) {
    ck_assert_int_eq(of(2, 1).start_ns, 80 * MS);
    ck_assert_int_eq(of(2, 1).end_ns, 120 * MS);
    ck_assert_int_eq(of(SHMFRAME_NO_PTS, 1).start_ns, 7 * MS);
}
END_TEST

START_TEST(without_a_duration_the_rate_says_it) {
    ck_assert_int_eq(of(0, 0).end_ns, 0);
    format.video.frame_rate = (struct shmframe_rational){50, 1};
    ck_assert_int_eq(of(0, 0).end_ns, 20 * MS);
    ck_assert_int_eq(of(0, -5).end_ns, 20 * MS);
}
END_TEST

START_TEST(sums_of_any_stamps_fit) {
    static const int64_t wild[] = {INT64_MIN + 1, INT64_MIN / 2, -1, 0, INT64_MAX / 2, INT64_MAX};
    enum { WILD = sizeof(wild) / sizeof(wild[0]) };
    static const struct shmframe_rational units[] = {{1, 1000000000}, {INT32_MAX, 1}, {0, 0}};
    for (int unit = 0; unit < 3; unit++) {
        format.time_base = units[unit];
        for (int i = 0; i < WILD * WILD; i++) {
            const struct stretch stretch = of(wild[i % WILD], wild[i / WILD]);
            ck_assert_int_le(stretch.start_ns, INT64_C(1) << 61);
            ck_assert_int_ge(stretch.start_ns, -(INT64_C(1) << 61));
            ck_assert_int_ge(stretch.end_ns, stretch.start_ns);
            ck_assert_int_le(stretch.end_ns - stretch.start_ns, DAY_NS);
        }
    }
    ck_assert_int_eq(stretch_add_ns(INT64_MAX - 1, 5), INT64_MAX);
}
END_TEST

START_TEST(an_hour_is_a_pause_more_is_a_jump) {
    ck_assert(!stretch_is_jump(0, DAY_NS / 24));
    ck_assert(stretch_is_jump(0, DAY_NS / 24 + 1));
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("stretch");
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, pts_come_before_captures);
    tcase_add_test(tests, without_a_duration_the_rate_says_it);
    tcase_add_test(tests, sums_of_any_stamps_fit);
    tcase_add_test(tests, an_hour_is_a_pause_more_is_a_jump);
    return run_tests(tests, "stretch");
}
