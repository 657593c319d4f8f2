/* Merge: packets of several streams, put in one order. */
#include "merge.h"

#include <check.h>
#include <stdlib.h>

enum { PICTURE = 0, SOUND = 1 };

static struct merge *merge;

/* A picture's stamps in frames of 1/25 s, a sound's in milliseconds. */
static void make_merge(void) {
    static AVCodecParameters picture = {.codec_type = AVMEDIA_TYPE_VIDEO},
                             sound = {.codec_type = AVMEDIA_TYPE_AUDIO};
    const struct recording_stream streams[] = {
        {.parameters = &picture, .time_base = {1, 25}},
        {.parameters = &sound, .time_base = {1, 1000}},
    };
    merge = merge_create(streams, 2);
    ck_assert_ptr_nonnull(merge);
}

static void drop_merge(void) {
    merge_destroy(merge);
}

static void push(int stream, int64_t pts, int64_t dts, int flags) {
    AVPacket *packet = av_packet_alloc();
    ck_assert_int_eq(av_new_packet(packet, 1000), 0);
    packet->stream_index = stream;
    packet->pts = pts;
    packet->dts = dts;
    packet->flags = flags;
    ck_assert_int_eq(merge_push(merge, packet), 0);
    av_packet_free(&packet);
}

static void expect(int stream, int64_t pts, bool is_ending) {
    AVPacket *packet = av_packet_alloc();
    int64_t ns;
    ck_assert_msg(merge_pop(merge, is_ending, packet, &ns), "nothing instead of %lld",
                  (long long)pts);
    ck_assert_int_eq(packet->stream_index, stream);
    ck_assert_int_eq(packet->pts, pts);
    av_packet_free(&packet);
}

static void expect_nothing(bool is_ending) {
    AVPacket *packet = av_packet_alloc();
    int64_t ns;
    ck_assert(!merge_pop(merge, is_ending, packet, &ns));
    av_packet_free(&packet);
}

START_TEST(packets_come_in_the_order_of_their_times) {
    push(PICTURE, 0, 0, AV_PKT_FLAG_KEY);
    expect_nothing(false);
    push(SOUND, 0, 0, AV_PKT_FLAG_KEY);
    push(SOUND, 20, 20, AV_PKT_FLAG_KEY);
    push(SOUND, 45, 45, AV_PKT_FLAG_KEY);
    expect(PICTURE, 0, false);
    expect_nothing(false);
    push(PICTURE, 1, 1, 0);
    expect(SOUND, 0, false);
    expect(SOUND, 20, false);
    expect(PICTURE, 1, false);
    expect_nothing(false);
    expect(SOUND, 45, true);
    expect_nothing(true);
}
END_TEST

/* A picture that is decoded two frames early still divides the sound where it is shown. */
START_TEST(a_key_frame_stands_where_it_is_shown) {
    push(PICTURE, 0, -2, AV_PKT_FLAG_KEY);
    push(PICTURE, 3, -1, 0);
    push(PICTURE, 1, 0, 0);
    push(PICTURE, 4, 2, AV_PKT_FLAG_KEY);
    for (int ms = 0; ms < 200; ms += 40)
        push(SOUND, ms, ms, AV_PKT_FLAG_KEY);
    expect(PICTURE, 0, false);
    expect(SOUND, 0, false);
    expect(PICTURE, 3, false);
    expect(SOUND, 40, false);
    expect(PICTURE, 1, false);
    expect(SOUND, 80, false);
    expect(SOUND, 120, false);
    expect(PICTURE, 4, false);
    expect_nothing(false);
    expect(SOUND, 160, true);
}
END_TEST

START_TEST(a_silent_stream_is_not_waited_for_longer_than_two_seconds) {
    for (int i = 0; i < 50; i++)
        push(PICTURE, i, i, AV_PKT_FLAG_KEY);
    expect_nothing(false);
    push(PICTURE, 50, 50, AV_PKT_FLAG_KEY);
    expect(PICTURE, 0, false);
    /* Whoever was silent for so long may stay so: the others are not held up for it. */
    for (int i = 1; i <= 47; i++)
        expect(PICTURE, i, false);
    expect_nothing(false);
    push(SOUND, 1950, 1950, AV_PKT_FLAG_KEY);
    expect(PICTURE, 48, false);
    expect(SOUND, 1950, false);
    push(PICTURE, 60, 60, AV_PKT_FLAG_KEY);
    expect_nothing(false);
}
END_TEST

/* Sound a day ahead of the picture says nothing of a target that is slow. */
START_TEST(a_gap_is_no_backlog) {
    enum { DAY_MS = 24 * 3600 * 1000 };
    push(PICTURE, 0, 0, AV_PKT_FLAG_KEY);
    push(SOUND, 0, 0, AV_PKT_FLAG_KEY);
    push(SOUND, DAY_MS, DAY_MS, AV_PKT_FLAG_KEY);
    ck_assert_int_le(merge_span_ns(merge), 1000000000);
    expect(PICTURE, 0, false);
    expect(SOUND, 0, false);
    for (int i = 1; i < 2000; i++) {
        push(PICTURE, i, i, AV_PKT_FLAG_KEY);
        push(SOUND, DAY_MS + 40 * i, DAY_MS + 40 * i, AV_PKT_FLAG_KEY);
        AVPacket *packet = av_packet_alloc();
        int64_t ns;
        while (merge_pop(merge, false, packet, &ns))
            av_packet_unref(packet);
        av_packet_free(&packet);
        ck_assert_int_le(merge_span_ns(merge), 3000000000);
    }
}
END_TEST

/* What was ahead is gone: later packets are waited for as before it. */
START_TEST(one_stamp_ahead_counts_as_long_as_it_waits) {
    push(SOUND, 60000, 60000, AV_PKT_FLAG_KEY);
    push(PICTURE, 0, 0, AV_PKT_FLAG_KEY);
    expect(PICTURE, 0, false);
    expect(SOUND, 60000, true);
    push(PICTURE, 1, 1, AV_PKT_FLAG_KEY);
    ck_assert_int_eq(merge_newest_ns(merge), 40000000);
    expect_nothing(false);
}
END_TEST

START_TEST(what_is_cleared_is_counted_and_gone) {
    push(PICTURE, 0, 0, AV_PKT_FLAG_KEY);
    push(SOUND, 5, 5, AV_PKT_FLAG_KEY);
    ck_assert_uint_eq(merge_bytes(merge), 2000);
    push(SOUND, 25, 25, AV_PKT_FLAG_KEY);
    ck_assert_int_eq(merge_span_ns(merge), 20000000);
    ck_assert_uint_eq(merge_clear(merge), 3);
    ck_assert_int_eq(merge_span_ns(merge), 0);
    ck_assert_uint_eq(merge_bytes(merge), 0);
    expect_nothing(true);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("merge");
    TCase *tests = tcase_create("merge");
    tcase_add_checked_fixture(tests, make_merge, drop_merge);
    tcase_add_test(tests, packets_come_in_the_order_of_their_times);
    tcase_add_test(tests, a_key_frame_stands_where_it_is_shown);
    tcase_add_test(tests, a_silent_stream_is_not_waited_for_longer_than_two_seconds);
    tcase_add_test(tests, a_gap_is_no_backlog);
    tcase_add_test(tests, one_stamp_ahead_counts_as_long_as_it_waits);
    tcase_add_test(tests, what_is_cleared_is_counted_and_gone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
