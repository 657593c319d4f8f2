/* Pairing: pictures of two streams find each other, hold few leases, and none is forgotten. */
#include "pairing.h"

#include "runner.h"

#include <errno.h>

static struct pairing *pairing;

static void open_pairing(enum pairing_key key, uint32_t held_max, uint32_t waiting_max) {
    const struct pairing_settings settings = {.stream = {"filtered", "cam"},
                                              .key = key,
                                              .tolerance_ns = 1000,
                                              .held_max = held_max,
                                              .waiting_max = waiting_max};
    ck_assert_int_eq(pairing_create(&settings, &pairing), 0);
}

static void end(void) {
    pairing_destroy(pairing);
    pairing = NULL;
}

static struct shmframe_frame from_origin(const char *stream, uint64_t sequence, uint64_t own) {
    struct shmframe_frame stamps = {
        .sequence = own, .flags = SHMFRAME_HAS_ORIGIN, .pts = SHMFRAME_NO_PTS};
    stamps.origin.sequence = sequence;
    snprintf(stamps.origin.stream, sizeof(stamps.origin.stream), "%s", stream);
    return stamps;
}

static struct shmframe_frame with_pts(int64_t pts) {
    return (struct shmframe_frame){.sequence = 1, .pts = pts};
}

/* Adds a picture whose partner should have that value; -1: it should wait. Returns whether the
 * pairing keeps a reference to it. */
static bool add(enum pairing_side side, const struct shmframe_frame *stamps, uint8_t value,
                int partner_value) {
    AVFrame *picture = make_grey(8, 8, value), *partner = NULL;
    AVBufferRef *buffer = av_buffer_ref(picture->buf[0]);
    ck_assert_int_eq(pairing_add(pairing, side, picture, stamps, &partner), partner_value >= 0);
    if (partner)
        ck_assert_int_eq(partner->data[0][0], partner_value);
    av_frame_free(&partner);
    av_frame_free(&picture);
    const bool is_held = av_buffer_get_ref_count(buffer) > 1;
    av_buffer_unref(&buffer);
    return is_held;
}

static struct pairing_counters counters(void) {
    struct pairing_counters now;
    pairing_read_counters(pairing, &now);
    return now;
}

static bool has_room(enum pairing_side side) {
    return pairing_find_room(pairing, side) == PAIRING_HAS_ROOM;
}

START_TEST(the_origin_is_the_reference_frame_itself) {
    open_pairing(PAIRING_BY_ORIGIN, 2, 8);
    const struct shmframe_frame source = {.sequence = 7, .pts = SHMFRAME_NO_PTS};
    const struct shmframe_frame filtered = from_origin("cam", 7, 3);
    ck_assert(add(PAIRING_REFERENCE, &source, 50, -1));
    add(PAIRING_MAIN, &filtered, 60, 50);
    ck_assert_uint_eq(counters().pairs, 1);
}
END_TEST

START_TEST(numbers_of_different_origins_are_not_the_same) {
    open_pairing(PAIRING_BY_ORIGIN, 2, 8);
    const struct shmframe_frame a = from_origin("one", 7, 1), b = from_origin("two", 7, 1);
    add(PAIRING_MAIN, &a, 1, -1);
    add(PAIRING_REFERENCE, &b, 2, -1);
    ck_assert_uint_eq(counters().pairs, 0);
}
END_TEST

START_TEST(a_match_gives_up_what_came_before_it) {
    open_pairing(PAIRING_BY_PTS, 4, 8);
    const struct shmframe_rational none = {0, 1};
    pairing_set_times(pairing, PAIRING_MAIN, (struct shmframe_rational){1, 25}, none);
    pairing_set_times(pairing, PAIRING_REFERENCE, (struct shmframe_rational){1, 1000}, none);
    for (int i = 0; i < 4; i++) {
        const struct shmframe_frame stamps = with_pts(i);
        add(PAIRING_MAIN, &stamps, (uint8_t)i, -1);
    }
    const struct shmframe_frame stamps = with_pts(80); /* 2 / 25 s */
    add(PAIRING_REFERENCE, &stamps, 9, 2);
    ck_assert_uint_eq(counters().unmatched[PAIRING_MAIN], 2);
    ck_assert_uint_eq(counters().unmatched[PAIRING_REFERENCE], 0);
    const struct shmframe_frame next = with_pts(120);
    add(PAIRING_REFERENCE, &next, 9, 3);
}
END_TEST

/* One file rounds to milliseconds, and begins 7 ms later since its sound is ahead. */
START_TEST(pts_are_the_same_within_half_a_frame) {
    open_pairing(PAIRING_BY_PTS, 4, 8);
    pairing_set_times(pairing, PAIRING_MAIN, (struct shmframe_rational){1, 60},
                      (struct shmframe_rational){60, 1});
    pairing_set_times(pairing, PAIRING_REFERENCE, (struct shmframe_rational){1, 1000},
                      (struct shmframe_rational){30, 1});
    for (int i = 0; i < 4; i++) {
        const struct shmframe_frame stamps = with_pts(i);
        add(PAIRING_MAIN, &stamps, (uint8_t)i, -1);
    }
    const struct shmframe_frame same = with_pts(17 + 7), between = with_pts(33 + 8 + 1);
    add(PAIRING_REFERENCE, &same, 9, 1);
    add(PAIRING_REFERENCE, &between, 9, 3);
}
END_TEST

START_TEST(times_are_the_same_within_the_tolerance) {
    open_pairing(PAIRING_BY_CAPTURE, 4, 8);
    const struct shmframe_frame a = {.capture_ns = 5000}, near = {.capture_ns = 6000},
                                far = {.capture_ns = 6001};
    add(PAIRING_MAIN, &a, 1, -1);
    add(PAIRING_REFERENCE, &far, 2, -1);
    add(PAIRING_REFERENCE, &near, 3, 1);
}
END_TEST

START_TEST(stamps_of_any_size_are_borne) {
    open_pairing(PAIRING_BY_CAPTURE, 4, 8);
    const struct shmframe_frame first = {.capture_ns = INT64_MIN}, last = {.capture_ns = INT64_MAX};
    add(PAIRING_MAIN, &first, 1, -1);
    add(PAIRING_REFERENCE, &last, 2, -1);
    add(PAIRING_MAIN, &last, 3, 2);
}
END_TEST

START_TEST(few_are_held_and_the_others_copied) {
    open_pairing(PAIRING_BY_PTS, 2, 4);
    for (int i = 0; i < 6; i++) {
        const struct shmframe_frame stamps = with_pts(i * 100000);
        ck_assert(has_room(PAIRING_REFERENCE));
        ck_assert_int_eq(has_room(PAIRING_MAIN), i < 2);
        /* The fifth takes the place of the first, which was held. */
        ck_assert_int_eq(add(PAIRING_MAIN, &stamps, (uint8_t)i, -1), i < 2 || i > 3);
    }
    ck_assert_uint_eq(counters().copied, 2);
    ck_assert_uint_eq(counters().unmatched[PAIRING_MAIN], 2);
    const struct shmframe_frame stamps = with_pts(200000);
    add(PAIRING_REFERENCE, &stamps, 9, 2); /* a copy is as good */
    ck_assert(has_room(PAIRING_MAIN) || has_room(PAIRING_REFERENCE));
}
END_TEST

/* Two files, of which one begins 10 pictures later: as lossless readers take them, by what is
 * wanted, no picture is copied and all that have a partner find it. */
START_TEST(writers_that_wait_need_no_copies) {
    open_pairing(PAIRING_BY_PTS, 2, 8);
    int next[2] = {0, 10}, turns = 0;
    while (next[PAIRING_MAIN] < 40 && turns++ < 200) {
        for (enum pairing_side side = 0; side < 2; side++) {
            if (!has_room(side) || next[side] >= 40)
                continue;
            const struct shmframe_frame stamps = with_pts(next[side]++ * INT64_C(40000000));
            AVFrame *picture = make_grey(8, 8, 1), *partner = NULL;
            ck_assert_int_ge(pairing_add(pairing, side, picture, &stamps, &partner), 0);
            av_frame_free(&partner);
            av_frame_free(&picture);
        }
        ck_assert(has_room(PAIRING_MAIN) || has_room(PAIRING_REFERENCE));
    }
    ck_assert_uint_eq(counters().pairs, 30);
    ck_assert_uint_eq(counters().copied, 0);
    ck_assert_uint_eq(counters().unmatched[PAIRING_MAIN], 10);
}
END_TEST

START_TEST(nobody_waits_for_a_side_that_is_over) {
    open_pairing(PAIRING_BY_PTS, 2, 8);
    const struct shmframe_frame first = with_pts(1), second = with_pts(1000000);
    add(PAIRING_MAIN, &first, 1, -1);
    pairing_end(pairing, PAIRING_REFERENCE);
    ck_assert(!add(PAIRING_MAIN, &second, 2, -1));
    ck_assert_uint_eq(counters().unmatched[PAIRING_MAIN], 2);
}
END_TEST

START_TEST(without_a_pts_there_is_no_partner) {
    open_pairing(PAIRING_BY_PTS, 2, 8);
    const struct shmframe_frame none = with_pts(SHMFRAME_NO_PTS);
    ck_assert(!add(PAIRING_MAIN, &none, 1, -1));
    ck_assert(!add(PAIRING_REFERENCE, &none, 1, -1));
    ck_assert_uint_eq(counters().unmatched[PAIRING_MAIN], 1);
}
END_TEST

START_TEST(settings_that_make_no_sense_are_refused) {
    const struct pairing_settings none = {.held_max = 0, .waiting_max = 4};
    const struct pairing_settings few = {.held_max = 4, .waiting_max = 3};
    ck_assert_int_eq(pairing_create(&none, &pairing), -EINVAL);
    ck_assert_int_eq(pairing_create(&few, &pairing), -EINVAL);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("pairing");
    tcase_add_checked_fixture(tests, NULL, end);
    tcase_add_test(tests, the_origin_is_the_reference_frame_itself);
    tcase_add_test(tests, numbers_of_different_origins_are_not_the_same);
    tcase_add_test(tests, a_match_gives_up_what_came_before_it);
    tcase_add_test(tests, pts_are_the_same_within_half_a_frame);
    tcase_add_test(tests, times_are_the_same_within_the_tolerance);
    tcase_add_test(tests, stamps_of_any_size_are_borne);
    tcase_add_test(tests, few_are_held_and_the_others_copied);
    tcase_add_test(tests, writers_that_wait_need_no_copies);
    tcase_add_test(tests, nobody_waits_for_a_side_that_is_over);
    tcase_add_test(tests, without_a_pts_there_is_no_partner);
    tcase_add_test(tests, settings_that_make_no_sense_are_refused);
    return run_tests(tests, "pairing");
}
