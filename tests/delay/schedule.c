/* What becomes of each frame, and when it is due: exactly, for a seed. */
#include "schedule.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
enum { FRAMES = 10000 };

static struct schedule begin(struct schedule_params params) {
    struct schedule schedule;
    schedule_init(&schedule, &params);
    return schedule;
}

/* The frames that meet `action`, of the first FRAMES, which come a millisecond apart. */
static unsigned count_action(struct schedule_params params, enum schedule_action action) {
    struct schedule schedule = begin(params);
    unsigned count = 0;
    for (int64_t i = 0; i < FRAMES; i++)
        count += schedule_next(&schedule, i * MS).action == action;
    return count;
}

START_TEST(a_frame_is_due_when_it_was_held_for_the_delay) {
    struct schedule schedule = begin((struct schedule_params){.delay_ns = 20 * MS});
    for (int64_t i = 0; i < 100; i++) {
        const struct schedule_turn turn = schedule_next(&schedule, i * 7 * MS);
        ck_assert_int_eq(turn.action, SCHEDULE_PASS);
        ck_assert_int_eq(turn.due_ns, (i * 7 + 20) * MS);
    }
}
END_TEST

START_TEST(every_nth_frame_is_dropped_repeated_or_swapped) {
    static const struct chance every = {.every = 3};
    struct schedule_params params[3] = {{.drop = every}, {.repeat = every}, {.swap = every}};
    static const enum schedule_action actions[3] = {SCHEDULE_DROP, SCHEDULE_REPEAT, SCHEDULE_SWAP};
    for (int kind = 0; kind < 3; kind++) {
        struct schedule schedule = begin(params[kind]);
        for (int64_t i = 1; i <= 99; i++)
            ck_assert_int_eq(schedule_next(&schedule, i * MS).action,
                             i % 3 ? SCHEDULE_PASS : actions[kind]);
    }
}
END_TEST

START_TEST(a_share_is_met_and_the_same_seed_chooses_the_same_frames) {
    struct schedule_params params = {.drop = {.probability = 0.1}, .seed = 7};
    const unsigned count = count_action(params, SCHEDULE_DROP);
    ck_assert_uint_ge(count, 900);
    ck_assert_uint_le(count, 1100);
    struct schedule one = begin(params), same = begin(params);
    params.seed = 8;
    struct schedule other = begin(params);
    unsigned different = 0;
    for (int64_t i = 0; i < FRAMES; i++) {
        const enum schedule_action action = schedule_next(&one, i * MS).action;
        ck_assert_int_eq(action, schedule_next(&same, i * MS).action);
        different += action != schedule_next(&other, i * MS).action;
    }
    ck_assert_uint_ge(different, 1000);
}
END_TEST

START_TEST(all_and_none_are_shares_too) {
    ck_assert_uint_eq(
        count_action((struct schedule_params){.drop = {.probability = 1}}, SCHEDULE_DROP), FRAMES);
    ck_assert_uint_eq(count_action((struct schedule_params){.delay_ns = 1}, SCHEDULE_PASS), FRAMES);
}
END_TEST

START_TEST(jitter_does_not_move_what_is_dropped) {
    const struct schedule_params still = {.drop = {.probability = 0.1}, .seed = 3};
    struct schedule_params shaken = still;
    shaken.jitter_ns = 5 * MS;
    shaken.swap.probability = 0.2;
    struct schedule one = begin(still), two = begin(shaken);
    for (int64_t i = 0; i < FRAMES; i++)
        ck_assert_int_eq(schedule_next(&one, i * MS).action == SCHEDULE_DROP,
                         schedule_next(&two, i * MS).action == SCHEDULE_DROP);
}
END_TEST

START_TEST(what_a_swapped_frame_waits_for_is_left_alone) {
    struct schedule schedule =
        begin((struct schedule_params){.swap = {.every = 1}, .repeat = {.every = 1}});
    for (int64_t i = 0; i < 100; i++)
        ck_assert_int_eq(schedule_next(&schedule, i * MS).action,
                         i % 2 ? SCHEDULE_PASS : SCHEDULE_SWAP);
}
END_TEST

/* Mean and greatest distance from the delay, in units of the jitter. */
static void measure(struct schedule_params params, double *out_mean, double *out_low,
                    double *out_high) {
    struct schedule schedule = begin(params);
    double sum = 0;
    *out_low = *out_high = 0;
    for (int64_t i = 0; i < FRAMES; i++) {
        const int64_t hold_ns = schedule_next(&schedule, i * MS).due_ns - i * MS;
        const double off = (double)(hold_ns - params.delay_ns) / (double)params.jitter_ns;
        sum += off;
        if (off < *out_low)
            *out_low = off;
        if (off > *out_high)
            *out_high = off;
    }
    *out_mean = sum / FRAMES;
}

START_TEST(each_distribution_has_its_shape) {
    struct schedule_params params = {
        .delay_ns = 100 * MS, .jitter_ns = 5 * MS, .is_reordering = true, .seed = 1};
    double mean, low, high;
    measure(params, &mean, &low, &high);
    ck_assert(mean > -0.05 && mean < 0.05 && low >= -1 && low < -0.99 && high <= 1 && high > 0.99);
    params.distribution = SCHEDULE_NORMAL;
    measure(params, &mean, &low, &high);
    ck_assert(mean > -0.05 && mean < 0.05 && low < -3 && low > -6 && high > 3 && high < 6);
    params.distribution = SCHEDULE_EXPONENTIAL;
    measure(params, &mean, &low, &high);
    ck_assert(mean > 0.95 && mean < 1.05 && low == 0 && high > 6 && high < 20);
}
END_TEST

START_TEST(jitter_keeps_the_order_unless_it_is_not_to) {
    struct schedule_params params = {.delay_ns = 20 * MS, .jitter_ns = 10 * MS};
    struct schedule ordered = begin(params);
    params.is_reordering = true;
    struct schedule free = begin(params);
    int64_t last_ns = 0, free_last_ns = 0;
    unsigned overtaken = 0;
    for (int64_t i = 0; i < FRAMES; i++) {
        const int64_t due_ns = schedule_next(&ordered, i * MS).due_ns;
        ck_assert_int_ge(due_ns, last_ns);
        last_ns = due_ns;
        const int64_t free_ns = schedule_next(&free, i * MS).due_ns;
        overtaken += free_ns < free_last_ns;
        free_last_ns = free_ns;
    }
    ck_assert_uint_gt(overtaken, FRAMES / 4);
}
END_TEST

START_TEST(no_frame_is_due_before_it_is_there) {
    struct schedule schedule = begin((struct schedule_params){.delay_ns = MS,
                                                              .jitter_ns = 50 * MS,
                                                              .distribution = SCHEDULE_NORMAL,
                                                              .is_reordering = true});
    for (int64_t i = 0; i < FRAMES; i++)
        ck_assert_int_ge(schedule_next(&schedule, i * MS).due_ns, i * MS);
}
END_TEST

START_TEST(a_shorter_delay_does_not_wait_for_the_longer_one) {
    struct schedule schedule = begin((struct schedule_params){.delay_ns = 500 * MS});
    schedule_next(&schedule, 0);
    schedule.params.delay_ns = 20 * MS;
    schedule_shift(&schedule, -480 * MS);
    ck_assert_int_eq(schedule_next(&schedule, 10 * MS).due_ns, 30 * MS);
}
END_TEST

START_TEST(room_is_what_the_schedule_holds_at_once) {
    struct schedule_params params = {.delay_ns = 500 * MS};
    ck_assert_double_eq(schedule_count_held(&params, 10 * MS), 50);
    params.jitter_ns = 100 * MS;
    ck_assert_double_eq(schedule_count_held(&params, 10 * MS), 60);
    params.repeat.every = 2;
    ck_assert_double_eq(schedule_count_held(&params, 10 * MS), 90);
}
END_TEST

START_TEST(shares_are_percents_or_steps) {
    struct chance chance;
    ck_assert_ptr_null(chance_parse("1%", &chance));
    ck_assert_double_eq(chance.probability, 0.01);
    ck_assert_ptr_null(chance_parse("0.5%", &chance));
    ck_assert_double_eq(chance.probability, 0.005);
    ck_assert_ptr_null(chance_parse("every=100", &chance));
    ck_assert_uint_eq(chance.every, 100);
    ck_assert_double_eq(chance_share(&chance), 0.01);
    static const char *const wrong[] = {"",
                                        "1",
                                        "%",
                                        "101%",
                                        "-1%",
                                        "nan%",
                                        "every=0",
                                        "every=",
                                        "every=-1",
                                        "every=1x",
                                        "every=4294967296",
                                        "1 %x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        chance.every = 5;
        const char *said = chance_parse(wrong[i], &chance);
        ck_assert_msg(said && strstr(said, "every=100"), "%s", wrong[i]);
        ck_assert_uint_eq(chance.every, 5);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("schedule");
    TCase *tests = tcase_create("schedule");
    tcase_add_test(tests, a_frame_is_due_when_it_was_held_for_the_delay);
    tcase_add_test(tests, every_nth_frame_is_dropped_repeated_or_swapped);
    tcase_add_test(tests, a_share_is_met_and_the_same_seed_chooses_the_same_frames);
    tcase_add_test(tests, all_and_none_are_shares_too);
    tcase_add_test(tests, jitter_does_not_move_what_is_dropped);
    tcase_add_test(tests, what_a_swapped_frame_waits_for_is_left_alone);
    tcase_add_test(tests, each_distribution_has_its_shape);
    tcase_add_test(tests, jitter_keeps_the_order_unless_it_is_not_to);
    tcase_add_test(tests, no_frame_is_due_before_it_is_there);
    tcase_add_test(tests, a_shorter_delay_does_not_wait_for_the_longer_one);
    tcase_add_test(tests, room_is_what_the_schedule_holds_at_once);
    tcase_add_test(tests, shares_are_percents_or_steps);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
