/* Runs: what is noted of frames, thinned where there are too many, and in blocks. */
#include "run.h"

#include <check.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000000)

static struct run *run;

static void setup(void) {
    run = run_create("demo", 5 * SECOND);
    ck_assert_ptr_nonnull(run);
}

static void teardown(void) {
    run_destroy(run);
}

/* A frame taken `at_ns` after the run began, after so long in the ring. */
static struct run_frame make_frame(uint64_t sequence, int64_t at_ns, int64_t transit_ns) {
    const int64_t acquire_ns = 5 * SECOND + at_ns;
    return (struct run_frame){.sequence = sequence,
                              .capture_ns = acquire_ns - transit_ns - 1000,
                              .publish_ns = acquire_ns - transit_ns,
                              .acquire_ns = acquire_ns,
                              .release_ns = acquire_ns + 500};
}

static void add(const struct run_frame *frame) {
    ck_assert_int_eq(run_add_frame(run, frame), 0);
}

static uint64_t sum_event(enum run_event event) {
    uint64_t sum = 0;
    for (size_t i = 0; i < run->blocks.count; i++)
        sum += run->blocks.block[i].event[event];
    return sum;
}

static uint64_t sum_values(enum run_hop hop) {
    uint64_t sum = 0;
    for (size_t i = 0; i < run->blocks.count; i++)
        sum += run_values_total(&run->blocks.block[i].hop[hop]);
    return sum;
}

START_TEST(a_hop_that_did_not_happen_has_no_time) {
    struct run_frame frame = make_frame(1, 0, 2000);
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_PRODUCE), 1000);
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_TRANSIT), 2000);
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_AGE), 3000);
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_HOLD), 500);
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_WAKE), -1);
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_DISPLAY), -1);
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_MARK_AGE), -1);
    /* Captured in the future: a clock's error, not a time. */
    frame.capture_ns = frame.acquire_ns + 7;
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_AGE), 0);
}
END_TEST

static const struct {
    uint32_t flags;
    int64_t age_ns;
} marks[] = {
    {0, -1},
    {RUN_MARK_MISSING, -1},
    {RUN_MARK_READ | RUN_MARK_FIRST, 4000},
    {RUN_MARK_READ | RUN_MARK_REPEATED, -1},
    {RUN_MARK_READ | RUN_MARK_FIRST | RUN_MARK_OTHER_CLOCK, -1},
};

START_TEST(the_longest_time_without_a_frame_is_between_two_or_before_the_end) {
    /* The first one is waited for by nobody: a source begins when it does. */
    const int64_t at_ns[] = {900, 1000, 1300, 1350};
    for (uint64_t i = 0; i < 4; i++) {
        const struct run_frame frame = make_frame(i + 1, at_ns[i], 10);
        add(&frame);
    }
    ck_assert_int_eq(run->outage_ns, 300);
    ck_assert_int_eq(run->outage_at_ns, 5 * SECOND + 1000);
    ck_assert_int_eq(run_end(run, &(struct hops){0}, 5 * SECOND + 1350 + 300), 0);
    ck_assert_int_eq(run->outage_at_ns, 5 * SECOND + 1000);
    ck_assert_int_eq(run_end(run, &(struct hops){0}, 5 * SECOND + 1350 + 301), 0);
    ck_assert_int_eq(run->outage_ns, 301);
    ck_assert_int_eq(run->outage_at_ns, 5 * SECOND + 1350);
}
END_TEST

START_TEST(a_marked_picture_counts_at_its_first_sight) {
    struct run_frame frame = make_frame(1, 0, 2000);
    frame.mark = (struct run_mark){.flags = marks[_i].flags, .capture_ns = frame.acquire_ns - 4000};
    const int64_t seen_ns = marks[_i].age_ns < 0 ? -1 : marks[_i].age_ns - 3000;
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_MARK_AGE), marks[_i].age_ns);
    ck_assert_int_eq(run_frame_hop_ns(&frame, RUN_HOP_SEEN), seen_ns);
    add(&frame);
    ck_assert_int_eq(run_end(run, &(struct hops){0}, 10 * SECOND), 0);
    ck_assert_uint_eq(sum_event(RUN_EVENT_MARK_MISSING), marks[_i].flags == RUN_MARK_MISSING);
}
END_TEST

START_TEST(what_comes_late_is_not_lost) {
    struct run_frame frame = make_frame(1, 0, 2000);
    frame.mark = (struct run_mark){.flags = RUN_MARK_READ | RUN_MARK_FIRST, .lost = 2};
    run_add_frame(run, &frame);
    frame.mark = (struct run_mark){.flags = RUN_MARK_READ | RUN_MARK_FIRST | RUN_MARK_OUT_OF_ORDER};
    run_add_frame(run, &frame);
    frame.mark.flags = RUN_MARK_READ | RUN_MARK_OUT_OF_ORDER; /* once more */
    run_add_frame(run, &frame);
    ck_assert_uint_eq(run->marks.lost, 1);
    ck_assert_uint_eq(run->marks.out_of_order, 2);
}
END_TEST

START_TEST(a_value_is_rounded_to_one_in_256) {
    for (int64_t value = 1; value < INT64_C(1) << 39; value += value / 7 + 1) {
        const int64_t rounded = run_value_round(value);
        ck_assert_int_le(llabs(rounded - value) * 256, value);
        ck_assert_int_eq(run_value_round(rounded), rounded);
    }
    ck_assert_int_eq(run_value_round(-5), 0);
    ck_assert_int_eq(run_value_round(255), 255);
    ck_assert_int_gt(run_value_round(INT64_MAX), INT64_C(1) << 39);
}
END_TEST

START_TEST(each_second_has_its_block) {
    const int64_t at[] = {0, SECOND - 1, SECOND, 3 * SECOND, 3 * SECOND - 1};
    for (int i = 0; i < 5; i++) {
        const struct run_frame frame = make_frame((uint64_t)i + 1, at[i], 100 * (i + 1));
        add(&frame);
    }
    ck_assert_int_eq(run_end(run, &(struct hops){0}, 9 * SECOND), 0);
    ck_assert_uint_eq(run->blocks.count, 3);
    const uint64_t numbers[] = {0, 1, 3}, frames[] = {2, 1, 2};
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(run->blocks.block[i].number, numbers[i]);
        ck_assert_uint_eq(run->blocks.block[i].frames, frames[i]);
    }
    const struct run_values *values = &run->blocks.block[0].hop[RUN_HOP_TRANSIT];
    ck_assert_uint_eq(values->count, 2);
    ck_assert_int_eq(values->value[0].value_ns, 100);
    ck_assert_int_eq(run_values_quantile_ns(values, 0.5), 100);
    ck_assert_int_eq(run_values_quantile_ns(values, 0.51), 200);
    ck_assert_int_eq(run_values_quantile_ns(values, 1), 200);
}
END_TEST

START_TEST(blocks_become_longer_and_keep_what_they_count) {
    enum { SECONDS = 3 * RUN_BLOCKS_MAX };
    for (int i = 0; i < SECONDS; i++) {
        struct run_frame frame = make_frame((uint64_t)i + 1, i * SECOND, 1000 + i);
        frame.skipped = 2;
        add(&frame);
    }
    ck_assert_int_eq(run_add_dropped(run, (5 + SECONDS) * SECOND, 3), 0);
    ck_assert_int_eq(run_end(run, &(struct hops){0}, 9 * SECOND), 0);
    ck_assert_uint_le(run->blocks.count, RUN_BLOCKS_MAX);
    ck_assert_int_eq(run->blocks.block_ns, 4 * SECOND);
    ck_assert_uint_eq(run->blocks.block[1].frames, 4);
    ck_assert_uint_eq(sum_values(RUN_HOP_TRANSIT), SECONDS);
    ck_assert_uint_eq(sum_event(RUN_EVENT_SKIPPED), 2 * SECONDS);
    ck_assert_uint_eq(sum_event(RUN_EVENT_DROPPED), 3);
    for (size_t i = 1; i < run->blocks.count; i++)
        ck_assert_uint_gt(run->blocks.block[i].number, run->blocks.block[i - 1].number);
}
END_TEST

START_TEST(frames_are_thinned_and_those_with_losses_stay) {
    enum { FRAMES = 3 * RUN_FRAMES_MAX, EVERY = 1000 };
    size_t lost = 0;
    for (int i = 0; i < FRAMES; i++) {
        struct run_frame frame = make_frame((uint64_t)i + 1, i * INT64_C(100000), 1000);
        frame.lost = i % EVERY == EVERY - 1;
        add(&frame);
    }
    ck_assert_uint_le(run->frames, RUN_FRAMES_MAX);
    ck_assert_uint_gt(run->frames, RUN_FRAMES_MAX / 4);
    ck_assert_uint_eq(run->frames_seen, FRAMES);
    ck_assert_uint_eq(run->stride, 4);
    ck_assert_uint_eq(run->notable_stride, 1);
    for (size_t i = 0; i < run->frames; i++) {
        lost += run->frame[i].lost;
        if (i)
            ck_assert_uint_gt(run->frame[i].sequence, run->frame[i - 1].sequence);
    }
    ck_assert_uint_eq(lost, FRAMES / EVERY);
    ck_assert_int_eq(run_end(run, &(struct hops){0}, 9 * SECOND), 0);
    ck_assert_uint_eq(sum_values(RUN_HOP_TRANSIT), FRAMES);
    ck_assert_uint_eq(sum_event(RUN_EVENT_LOST), FRAMES / EVERY);
}
END_TEST

START_TEST(where_all_frames_are_notable_these_are_thinned_too) {
    enum { FRAMES = 2 * RUN_FRAMES_MAX + 2 };
    for (int i = 0; i < FRAMES; i++) {
        struct run_frame frame = make_frame((uint64_t)i + 1, i * INT64_C(1000), 1000);
        frame.lost = 1;
        add(&frame);
    }
    ck_assert_uint_le(run->frames, RUN_FRAMES_MAX);
    ck_assert_uint_eq(run->notable_stride, 4);
    for (size_t i = 1; i < run->frames; i++)
        ck_assert_uint_eq(run->frame[i].sequence - run->frame[i - 1].sequence, 4);
}
END_TEST

START_TEST(losses_and_skews_beyond_the_bound_are_counted) {
    for (int i = 0; i < RUN_LOSSES_MAX + 5; i++)
        run_add_loss(run, &(struct run_loss){.first = 1, .count = 1});
    for (int i = 0; i < RUN_SKEWS_MAX + 7; i++)
        ck_assert_int_eq(
            run_add_skew(run, &(struct run_skew){.time_ns = 6 * SECOND, .skew_ns = -4000}), 0);
    ck_assert_uint_eq(run->losses, RUN_LOSSES_MAX);
    ck_assert_uint_eq(run->losses_seen, RUN_LOSSES_MAX + 5);
    ck_assert_uint_eq(run->skews, RUN_SKEWS_MAX);
    ck_assert_uint_eq(run->skews_seen, RUN_SKEWS_MAX + 7);
    ck_assert_uint_eq(run->hop[RUN_HOP_SKEW].count, RUN_SKEWS_MAX + 7);
    ck_assert_int_eq(run->hop[RUN_HOP_SKEW].max_ns, 4000);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("run");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 30);
    tcase_add_test(cases, a_hop_that_did_not_happen_has_no_time);
    tcase_add_loop_test(cases, a_marked_picture_counts_at_its_first_sight, 0,
                        sizeof(marks) / sizeof(marks[0]));
    tcase_add_test(cases, the_longest_time_without_a_frame_is_between_two_or_before_the_end);
    tcase_add_test(cases, what_comes_late_is_not_lost);
    tcase_add_test(cases, a_value_is_rounded_to_one_in_256);
    tcase_add_test(cases, each_second_has_its_block);
    tcase_add_test(cases, blocks_become_longer_and_keep_what_they_count);
    tcase_add_test(cases, frames_are_thinned_and_those_with_losses_stay);
    tcase_add_test(cases, where_all_frames_are_notable_these_are_thinned_too);
    tcase_add_test(cases, losses_and_skews_beyond_the_bound_are_counted);
    Suite *suite = suite_create("run");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
