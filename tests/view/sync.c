/* Sync: lines through noise, jumps and drift; how much sound to keep; when a picture is due. */
#include "sync.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define MS        INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)

enum { RATE = 48000, BUFFER = 240 };

static int64_t frames_ns(uint64_t frames) {
    return (int64_t)(frames * 1000000000 / RATE);
}

/* Numbers that look random and are the same in each run: -range to range. */
static int64_t noise(uint32_t *state, int64_t range) {
    *state = *state * 1664525 + 1013904223;
    return (int64_t)(*state >> 8) % (2 * range + 1) - range;
}

START_TEST(a_line_that_is_shifted_is_learned_already) {
    struct sync_line line;
    sync_line_reset(&line, 48000);
    for (uint64_t i = 0; i < 100; i++) {
        sync_line_observe(&line, 480 * i, 1000000000 + (int64_t)i * 10000000);
    }
    sync_line_shift(&line, -100000000);
    ck_assert_int_le(llabs(sync_line_at_ns(&line, 48000) - 1900000000), 1000);
    sync_line_observe(&line, 48000, 1900000000);
    ck_assert_int_le(llabs(sync_line_at_ns(&line, 48000) - 1900000000), 1000);
}
END_TEST

START_TEST(a_line_is_unknown_until_it_is_observed) {
    struct sync_line line;
    sync_line_reset(&line, RATE);
    ck_assert(!sync_line_is_known(&line));
    sync_line_observe(&line, 4800, 5 * SECOND_NS);
    ck_assert(sync_line_is_known(&line));
    ck_assert_int_eq(sync_line_at_ns(&line, 4800), 5 * SECOND_NS);
    ck_assert_int_eq(sync_line_at_ns(&line, 9600), 5 * SECOND_NS + 100 * MS);
}
END_TEST

START_TEST(a_line_smooths_jitter) {
    struct sync_line line;
    sync_line_reset(&line, RATE);
    uint32_t state = 1;
    const int64_t start_ns = 1000000 * SECOND_NS;
    uint64_t position = 0;
    for (int i = 0; i < 2000; i++, position += BUFFER) {
        sync_line_observe(&line, position, start_ns + frames_ns(position) + noise(&state, 4 * MS));
        if (i > 50) {
            const int64_t error_ns =
                sync_line_at_ns(&line, position) - start_ns - frames_ns(position);
            ck_assert_int_lt(llabs(error_ns), 2 * MS);
        }
    }
}
END_TEST

START_TEST(a_line_follows_a_clock_that_drifts) {
    struct sync_line line;
    sync_line_reset(&line, RATE);
    uint64_t position = 0;
    for (int i = 0; i < 20000; i++, position += BUFFER) {
        const int64_t truth_ns = (int64_t)((double)frames_ns(position) * 1.0003);
        sync_line_observe(&line, position, truth_ns);
        ck_assert_int_lt(llabs(sync_line_at_ns(&line, position) - truth_ns), MS / 10);
    }
}
END_TEST

START_TEST(one_stray_observation_changes_nothing_four_do) {
    struct sync_line line;
    sync_line_reset(&line, RATE);
    for (uint64_t position = 0; position < 100 * BUFFER; position += BUFFER) {
        sync_line_observe(&line, position, frames_ns(position));
    }
    const int64_t before_ns = sync_line_at_ns(&line, RATE);
    for (int i = 0; i < 3; i++) {
        sync_line_observe(&line, 100 * BUFFER, frames_ns(100 * BUFFER) + SECOND_NS);
        ck_assert_int_eq(sync_line_at_ns(&line, RATE), before_ns);
    }
    sync_line_observe(&line, 100 * BUFFER, frames_ns(100 * BUFFER) + SECOND_NS);
    ck_assert_int_eq(sync_line_at_ns(&line, RATE), before_ns + SECOND_NS);
}
END_TEST

START_TEST(the_delay_is_the_distance_of_the_lines) {
    struct sync_line captured, heard;
    sync_line_reset(&captured, RATE);
    sync_line_reset(&heard, RATE);
    sync_line_observe(&captured, 9600, 10 * SECOND_NS);
    sync_line_observe(&heard, 4800, 10 * SECOND_NS - 40 * MS);
    ck_assert_int_eq(sync_delay_ns(&captured, &heard), 60 * MS);
}
END_TEST

START_TEST(an_instant_without_device_clock_goes_by_the_latency) {
    ck_assert_int_eq(sync_heard_ns(SECOND_NS, 100, 100.02, 7 * MS), SECOND_NS + 20 * MS);
    ck_assert_int_eq(sync_heard_ns(SECOND_NS, 0, 0, 7 * MS), SECOND_NS + 7 * MS);
    ck_assert_int_eq(sync_heard_ns(SECOND_NS, 0, 1.8e9, 7 * MS), SECOND_NS + 7 * MS);
    ck_assert_int_eq(sync_heard_ns(SECOND_NS, 100, 99, 7 * MS), SECOND_NS + 7 * MS);
    ck_assert_int_eq(sync_heard_ns(SECOND_NS, 100, 1000, 7 * MS), SECOND_NS + 7 * MS);
    ck_assert_int_eq(sync_heard_ns(SECOND_NS, NAN, 100, 7 * MS), SECOND_NS + 7 * MS);
}
END_TEST

/* A queue filled by a source and emptied by a device whose clocks differ by `drift`, for `seconds`;
 * returns what was left at the worst moment of the last second. */
static int64_t simulate(struct sync_cushion *cushion, double left_ns, double drift, int seconds) {
    int64_t worst_ns = INT64_MAX;
    for (int tick = 0; tick < seconds * 200; tick++) {
        const int64_t now_ns = tick * 5 * MS;
        if (tick % 4 == 0) {
            left_ns += 20e6 * (1 + drift) / cushion->speed; /* a block, played faster: shorter */
        }
        left_ns -= 5e6;
        sync_cushion_observe(cushion, (int64_t)left_ns);
        sync_cushion_step(cushion, now_ns, 0);
        if (tick >= (seconds - 1) * 200 && left_ns < (double)worst_ns) {
            worst_ns = (int64_t)left_ns;
        }
    }
    return worst_ns;
}

START_TEST(the_cushion_comes_to_its_margin_from_above_and_below) {
    struct sync_cushion cushion;
    sync_cushion_init(&cushion, 10 * MS, 200 * MS);
    ck_assert_int_lt(llabs(simulate(&cushion, 90e6, 0, 120) - 10 * MS), 4 * MS);
    sync_cushion_init(&cushion, 40 * MS, 200 * MS);
    ck_assert_int_gt(simulate(&cushion, 10e6, 0, 30), 20 * MS);
}
END_TEST

START_TEST(the_cushion_absorbs_clocks_that_differ) {
    for (int sign = -1; sign <= 1; sign += 2) {
        struct sync_cushion cushion;
        sync_cushion_init(&cushion, 10 * MS, 200 * MS);
        const int64_t left_ns = simulate(&cushion, 15e6, sign * 0.0005, 600);
        ck_assert_int_lt(llabs(left_ns - 10 * MS), 5 * MS);
    }
}
END_TEST

START_TEST(the_speed_stays_inaudible) {
    struct sync_cushion cushion;
    sync_cushion_init(&cushion, 10 * MS, 200 * MS);
    sync_cushion_observe(&cushion, 5 * SECOND_NS);
    ck_assert(sync_cushion_step(&cushion, SECOND_NS, 0));
    ck_assert_double_eq_tol(cushion.speed, 1.002, 1e-9);
    ck_assert(!sync_cushion_step(&cushion, SECOND_NS + MS, 0));
    sync_cushion_observe(&cushion, 11 * MS);
    ck_assert(sync_cushion_step(&cushion, 2 * SECOND_NS, 0));
    ck_assert_double_eq(cushion.speed, 1);
}
END_TEST

START_TEST(running_dry_asks_for_more_quiet_times_for_less) {
    struct sync_cushion cushion;
    sync_cushion_init(&cushion, 10 * MS, 20 * MS);
    sync_cushion_ran_dry(&cushion);
    ck_assert_int_eq(cushion.margin_ns, 15 * MS);
    sync_cushion_ran_dry(&cushion);
    ck_assert_int_eq(cushion.margin_ns, 20 * MS);
    for (int64_t now_ns = 0; now_ns < 300 * SECOND_NS; now_ns += SECOND_NS) {
        sync_cushion_observe(&cushion, cushion.margin_ns);
        sync_cushion_step(&cushion, now_ns, 0);
    }
    ck_assert_int_eq(cushion.margin_ns, 10 * MS);
}
END_TEST

START_TEST(sound_waits_for_pictures_that_cannot_be_had_earlier) {
    struct sync_cushion cushion;
    sync_cushion_init(&cushion, 10 * MS, 200 * MS);
    sync_cushion_observe(&cushion, 12 * MS);
    sync_cushion_step(&cushion, SECOND_NS, 30 * MS);
    ck_assert_int_eq(cushion.margin_ns, 42 * MS);
    ck_assert_double_lt(cushion.speed, 1);
    /* As the queue grows the pictures are less late: the same is wanted, not more. */
    sync_cushion_observe(&cushion, 32 * MS);
    sync_cushion_step(&cushion, 2 * SECOND_NS, 10 * MS);
    ck_assert_int_eq(cushion.margin_ns, 42 * MS);
}
END_TEST

START_TEST(gaps_are_told_from_jitter_and_jumps) {
    ck_assert_int_eq(sync_gap_judge(SECOND_NS, SECOND_NS, false), SYNC_FOLLOWS);
    ck_assert_int_eq(sync_gap_judge(SECOND_NS, SECOND_NS + 15 * MS, false), SYNC_FOLLOWS);
    ck_assert_int_eq(sync_gap_judge(SECOND_NS, SECOND_NS - 15 * MS, false), SYNC_FOLLOWS);
    ck_assert_int_eq(sync_gap_judge(SECOND_NS, SECOND_NS + 10 * MS, true), SYNC_FILL);
    ck_assert_int_eq(sync_gap_judge(SECOND_NS, SECOND_NS + 300 * MS, false), SYNC_FILL);
    ck_assert_int_eq(sync_gap_judge(SECOND_NS, 3 * SECOND_NS, true), SYNC_JUMP);
    ck_assert_int_eq(sync_gap_judge(SECOND_NS, SECOND_NS / 2, false), SYNC_JUMP);
}
END_TEST

START_TEST(a_picture_waits_is_shown_or_gives_way) {
    ck_assert_int_eq(sync_picture_judge(100, INT64_MAX, 99), SYNC_WAIT);
    ck_assert_int_eq(sync_picture_judge(100, INT64_MAX, 100), SYNC_SHOW);
    ck_assert_int_eq(sync_picture_judge(100, 200, 150), SYNC_SHOW);
    ck_assert_int_eq(sync_picture_judge(100, 200, 200), SYNC_DROP);
    ck_assert_int_eq(sync_picture_judge(0, INT64_MAX, 1), SYNC_SHOW);
}
END_TEST

START_TEST(the_cost_follows_what_is_measured) {
    int64_t cost_ns = 0;
    for (int i = 0; i < 100; i++) {
        cost_ns = sync_cost_update_ns(cost_ns, 3 * MS);
    }
    ck_assert_int_lt(llabs(cost_ns - 3 * MS), MS / 100);
}
END_TEST

int main(void) {
    TCase *const tests = tcase_create("sync");
    tcase_add_test(tests, a_line_that_is_shifted_is_learned_already);
    tcase_add_test(tests, a_line_is_unknown_until_it_is_observed);
    tcase_add_test(tests, a_line_smooths_jitter);
    tcase_add_test(tests, a_line_follows_a_clock_that_drifts);
    tcase_add_test(tests, one_stray_observation_changes_nothing_four_do);
    tcase_add_test(tests, the_delay_is_the_distance_of_the_lines);
    tcase_add_test(tests, an_instant_without_device_clock_goes_by_the_latency);
    tcase_add_test(tests, the_cushion_comes_to_its_margin_from_above_and_below);
    tcase_add_test(tests, the_cushion_absorbs_clocks_that_differ);
    tcase_add_test(tests, the_speed_stays_inaudible);
    tcase_add_test(tests, running_dry_asks_for_more_quiet_times_for_less);
    tcase_add_test(tests, sound_waits_for_pictures_that_cannot_be_had_earlier);
    tcase_add_test(tests, gaps_are_told_from_jitter_and_jumps);
    tcase_add_test(tests, a_picture_waits_is_shown_or_gives_way);
    tcase_add_test(tests, the_cost_follows_what_is_measured);
    Suite *const suite = suite_create("sync");
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
