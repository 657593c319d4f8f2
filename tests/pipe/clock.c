/* The times of a pipe: from captures, or from a file's own numbers. */
#include "pipe_clock.h"

#include <check.h>
#include <stdlib.h>

#define MS_NS INT64_C(1000000)

static struct pipe_clock pipe_clock;
static struct shmframe_format pictures, sound;

static void begin(void) {
    pipe_clock = (struct pipe_clock){0};
    ck_assert_int_eq(shmframe_format_video(&pictures, "gray", 16, 16), 0);
    pictures.time_base = (struct shmframe_rational){1001, 30000};
    pictures.video.frame_rate = (struct shmframe_rational){30000, 1001};
    ck_assert_int_eq(shmframe_format_audio(&sound, "s16", 1, 48000, 480), 0);
    sound.time_base = (struct shmframe_rational){1, 48000};
}

static int64_t find(uint32_t stream, int64_t pts, int64_t capture_ns, uint32_t flags) {
    const struct shmframe_lease lease = {
        .format = stream ? &sound : &pictures,
        .frame = {.pts = pts, .capture_ns = capture_ns, .samples = 480, .flags = flags},
    };
    return pipe_clock_time_ns(&pipe_clock, stream, &lease);
}

START_TEST(live_frames_are_at_their_captures) {
    ck_assert_int_eq(find(1, 4, 1000 * MS_NS, 0), 0);
    ck_assert_int_eq(find(0, 77, 1005 * MS_NS, 0), 5 * MS_NS);
    ck_assert_int_eq(find(1, 5, 1000 * MS_NS, 0), 0);
    ck_assert_int_eq(find(1, 5, 990 * MS_NS, 0), -10 * MS_NS);
    ck_assert_int_eq(find(0, 0, 9000 * MS_NS, SHMFRAME_DISCONTINUITY), 8000 * MS_NS);
}
END_TEST

START_TEST(a_file_is_at_its_own_numbers) {
    pipe_clock.is_by_pts = true;
    ck_assert_int_eq(find(0, 0, 1, 0), 0);
    ck_assert_int_eq(find(0, 30000, 2, 0), 1001 * 1000 * MS_NS);
    ck_assert_int_eq(find(1, 48000, 3, 0), 1000 * MS_NS);
}
END_TEST

START_TEST(without_numbers_a_file_is_at_its_captures) {
    pipe_clock.is_by_pts = true;
    ck_assert_int_eq(find(0, SHMFRAME_NO_PTS, 1000 * MS_NS, 0), 0);
    ck_assert_int_eq(find(0, SHMFRAME_NO_PTS, 1040 * MS_NS, 0), 40 * MS_NS);
    ck_assert_int_eq(find(1, 480, 1040 * MS_NS, 0), 40 * MS_NS);
}
END_TEST

START_TEST(a_frame_without_a_number_follows_the_one_before) {
    pipe_clock.is_by_pts = true;
    find(1, 0, 0, 0);
    ck_assert_int_eq(find(1, SHMFRAME_NO_PTS, 77, 0), 10 * MS_NS);
    ck_assert_int_eq(find(1, 960, 0, 0), 20 * MS_NS);
}
END_TEST

START_TEST(where_a_file_begins_again_all_streams_go_on) {
    pipe_clock.is_by_pts = true;
    int64_t last_ns = 0;
    for (int64_t i = 0; i < 300; i++)
        last_ns = find(0, i, 0, 0);
    for (int64_t i = 0; i < 1000; i++)
        find(1, i * 480, 0, 0);
    const int64_t end_ns =
        last_ns + pipe_clock_duration_ns(&(struct shmframe_lease){.format = &pictures});
    const int64_t again_ns = find(0, 0, 0, SHMFRAME_DISCONTINUITY);
    ck_assert_int_ge(again_ns, end_ns);
    ck_assert_int_le(again_ns, end_ns + 20 * MS_NS);
    ck_assert_int_eq(find(1, 0, 0, SHMFRAME_DISCONTINUITY), again_ns);
}
END_TEST

START_TEST(stamps_of_no_sense_are_bounded) {
    pipe_clock.is_by_pts = true;
    ck_assert_int_eq(find(0, INT64_MAX, 0, 0), STAMPS_MAX_NS);
    const int64_t again_ns = find(0, INT64_MIN + 1, 0, SHMFRAME_DISCONTINUITY);
    ck_assert_int_ge(again_ns, STAMPS_MAX_NS);
    ck_assert_int_le(again_ns, STAMPS_MAX_NS + 40 * MS_NS);
    const int64_t strange_ns = find(1, INT64_MAX, INT64_MIN, 0);
    ck_assert_int_ge(strange_ns, again_ns);
    ck_assert_int_le(strange_ns, again_ns + 40 * MS_NS);
    pipe_clock = (struct pipe_clock){0};
    ck_assert_int_eq(find(0, 0, INT64_MIN, 0), 0);
    ck_assert_int_eq(find(0, 0, INT64_MAX, 0), 2 * STAMPS_MAX_NS);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("clock");
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, live_frames_are_at_their_captures);
    tcase_add_test(tests, a_file_is_at_its_own_numbers);
    tcase_add_test(tests, without_numbers_a_file_is_at_its_captures);
    tcase_add_test(tests, a_frame_without_a_number_follows_the_one_before);
    tcase_add_test(tests, where_a_file_begins_again_all_streams_go_on);
    tcase_add_test(tests, stamps_of_no_sense_are_bounded);
    Suite *suite = suite_create("clock");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
