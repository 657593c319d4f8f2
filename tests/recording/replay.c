/* Replay: the last so many seconds, from a key frame on. */
#include "replay.h"

#include <check.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)

enum { PAYLOAD_BYTES = 1000, PACKET_BYTES = PAYLOAD_BYTES + REPLAY_PACKET_BYTES };

static void add(struct replay *replay, int64_t ns, bool is_start) {
    AVPacket *packet = av_packet_alloc();
    ck_assert_int_eq(av_new_packet(packet, PAYLOAD_BYTES), 0);
    ck_assert_int_eq(replay_add(replay, packet, ns, is_start), 0);
    ck_assert_ptr_null(packet->data);
    av_packet_free(&packet);
}

static int64_t first_ns(const struct replay *replay) {
    int64_t ns = -1;
    return replay_packet(replay, 0, &ns) ? ns : -1;
}

/* Ten packets a second, a key frame every second. */
static void fill(struct replay *replay, int seconds) {
    for (int i = 0; i <= seconds * 10; i++)
        add(replay, i * SECOND_NS / 10, i % 10 == 0);
}

START_TEST(at_least_what_was_asked_for_is_kept_and_at_most_a_part_more) {
    struct replay *replay = replay_create(5 * SECOND_NS / 2, 1 << 30);
    fill(replay, 20);
    ck_assert_int_eq(first_ns(replay), 17 * SECOND_NS);
    ck_assert_int_eq(replay_span_ns(replay), 3 * SECOND_NS);
    ck_assert_uint_eq(replay_count(replay), 31);
    ck_assert_uint_eq(replay_bytes(replay), 31 * PACKET_BYTES);
    replay_destroy(replay);
}
END_TEST

START_TEST(nothing_is_kept_before_the_first_key_frame) {
    struct replay *replay = replay_create(10 * SECOND_NS, 1 << 30);
    add(replay, 0, false);
    add(replay, 1, false);
    ck_assert_uint_eq(replay_count(replay), 0);
    add(replay, 2, true);
    add(replay, 3, false);
    ck_assert_uint_eq(replay_count(replay), 2);
    ck_assert_int_eq(first_ns(replay), 2);
    replay_destroy(replay);
}
END_TEST

START_TEST(memory_is_bounded_and_what_stays_begins_with_a_key_frame) {
    struct replay *replay = replay_create(3600 * SECOND_NS, 25 * PACKET_BYTES);
    fill(replay, 20);
    ck_assert_int_eq(first_ns(replay) % SECOND_NS, 0);
    ck_assert_uint_le(replay_bytes(replay), 25 * PACKET_BYTES);
    ck_assert_uint_ge(replay_bytes(replay), 15 * PACKET_BYTES);
    ck_assert(!replay_is_too_small(replay));
    replay_destroy(replay);
}
END_TEST

START_TEST(one_part_that_is_too_large_is_given_up) {
    struct replay *replay = replay_create(3600 * SECOND_NS, 5 * PACKET_BYTES);
    for (int i = 0; i < 8; i++)
        add(replay, i, i == 0);
    ck_assert_uint_eq(replay_count(replay), 0);
    ck_assert(replay_is_too_small(replay));
    add(replay, 9, true);
    ck_assert_uint_eq(replay_count(replay), 1);
    replay_destroy(replay);
}
END_TEST

START_TEST(one_time_far_ahead_does_not_shorten_what_is_kept_later) {
    struct replay *replay = replay_create(3 * SECOND_NS, 1 << 30);
    fill(replay, 5);
    add(replay, 3600 * SECOND_NS, false);
    fill(replay, 10);
    ck_assert_int_eq(replay_span_ns(replay), 3 * SECOND_NS);
    replay_destroy(replay);
}
END_TEST

START_TEST(cleared_it_begins_anew) {
    struct replay *replay = replay_create(3 * SECOND_NS, 1 << 30);
    fill(replay, 20);
    replay_clear(replay);
    ck_assert_uint_eq(replay_bytes(replay), 0);
    add(replay, 1, false);
    ck_assert_uint_eq(replay_count(replay), 0);
    fill(replay, 5);
    ck_assert_int_eq(first_ns(replay), 2 * SECOND_NS);
    replay_destroy(replay);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("replay");
    TCase *tests = tcase_create("replay");
    tcase_add_test(tests, at_least_what_was_asked_for_is_kept_and_at_most_a_part_more);
    tcase_add_test(tests, nothing_is_kept_before_the_first_key_frame);
    tcase_add_test(tests, memory_is_bounded_and_what_stays_begins_with_a_key_frame);
    tcase_add_test(tests, one_part_that_is_too_large_is_given_up);
    tcase_add_test(tests, one_time_far_ahead_does_not_shorten_what_is_kept_later);
    tcase_add_test(tests, cleared_it_begins_anew);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
