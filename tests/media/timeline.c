/* Times of packets that jump in the middle. */
#include "timeline.h"

#include <check.h>
#include <libavutil/avutil.h>
#include <stdlib.h>

static const AVRational ms = {1, 1000};
static struct timeline timeline;

static void set_up(void) {
    timeline_reset(&timeline, true);
}

/* Adds a packet of 40 ms and returns its mended pts. */
static int64_t add(int track, int64_t pts) {
    AVPacket packet = {.pts = pts, .dts = pts, .duration = 40};
    timeline_add(&timeline, track, &packet, ms, pts);
    ck_assert_int_eq(packet.dts, packet.pts);
    return packet.pts;
}

START_TEST(times_go_on_where_they_jump) {
    static const int64_t to[] = {0, 500, 100000, 95443717};
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(add(0, 1000 + 40 * i), 1000 + 40 * i);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(add(0, to[_i] + 40 * i), 5000 + 40 * i);
    bool is_jump;
    ck_assert_ptr_nonnull(timeline_find(&timeline, 0, 5000, &is_jump));
    ck_assert(is_jump);
    timeline_find(&timeline, 0, 5000, &is_jump);
    ck_assert(!is_jump);
    timeline_find(&timeline, 0, 5040, &is_jump);
    ck_assert(!is_jump);
}
END_TEST

START_TEST(a_second_track_follows_by_the_same) {
    for (int i = 0; i < 100; i++) {
        add(0, 90000 + 40 * i);
        add(1, 90300 + 40 * i);
    }
    ck_assert_int_eq(add(0, 0), 94000);
    ck_assert_int_eq(add(1, 94300), 94300); /* has not jumped yet */
    ck_assert_int_eq(add(0, 40), 94040);
    ck_assert_int_eq(add(1, 300), 94300); /* the sound of the picture at 0, not 40 ms behind */
    ck_assert_int_eq(add(1, 340), 94340);
}
END_TEST

START_TEST(gaps_are_left_alone) {
    add(0, 0);
    ck_assert_int_eq(add(0, 9000), 9000);
    ck_assert_int_eq(add(0, 8900), 8900);
    timeline_reset(&timeline, false);
    add(0, 90000);
    ck_assert_int_eq(add(0, 0), 0);
}
END_TEST

START_TEST(times_that_do_not_fit_are_none) {
    ck_assert_int_eq(add(0, INT64_C(9300000000000)), AV_NOPTS_VALUE);
    ck_assert_int_eq(add(0, INT64_C(-9300000000000)), AV_NOPTS_VALUE);
    ck_assert_int_eq(add(0, INT64_MAX), AV_NOPTS_VALUE);
    ck_assert_int_eq(add(0, 0), 0);
    ck_assert_int_eq(add(0, 40), 40);
}
END_TEST

START_TEST(packets_without_times_have_none) {
    add(0, 100000);
    ck_assert_int_eq(add(0, AV_NOPTS_VALUE), AV_NOPTS_VALUE);
    ck_assert_int_eq(add(0, 0), 100040);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("media-timeline");
    TCase *tests = tcase_create("timeline");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_loop_test(tests, times_go_on_where_they_jump, 0, 4);
    tcase_add_test(tests, a_second_track_follows_by_the_same);
    tcase_add_test(tests, gaps_are_left_alone);
    tcase_add_test(tests, times_that_do_not_fit_are_none);
    tcase_add_test(tests, packets_without_times_have_none);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
