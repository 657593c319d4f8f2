/* Comparisons: what is worse is called worse, what is not is not, and what cannot be told is said
 * to be so; files that are no reports are refused. */
#include "comparison.h"
#include "simulated.h"
#include "student.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct simulated usual = {60, 60, 25e3, 0.2, 0.1, 0.3, 0.2, 0, 0, false};

static const struct comparison_question p50 = {.hop = RUN_HOP_TRANSIT, .quantile = 0.5};
static const struct comparison_question p90 = {.hop = RUN_HOP_TRANSIT, .quantile = 0.9};
static const struct comparison_question p99 = {.hop = RUN_HOP_TRANSIT, .quantile = 0.99};
static const struct comparison_question losses = {.kind = COMPARISON_EVENT,
                                                  .event = RUN_EVENT_LOST};

static const struct comparison_question rate = {.kind = COMPARISON_RATE};

/* One run on each side, of that kind; judged alone. */
static struct comparison_answer compare_at(const struct simulated *before,
                                           const struct simulated *after,
                                           const struct comparison_question *question, double level,
                                           uint64_t state) {
    struct comparison_answer answer;
    struct comparison_side sides[2] = {{.runs = 1}, {.runs = 1}};
    struct comparison_run *a = simulated_create(before, &state);
    struct comparison_run *b = simulated_create(after, &state);
    sides[0].run[0] = a;
    sides[1].run[0] = b;
    ck_assert(comparison_ask(&sides[0], &sides[1], question, level, &answer));
    comparison_judge(&answer, 1, 0.05, level);
    simulated_destroy(a);
    simulated_destroy(b);
    return answer;
}

static struct comparison_answer compare(const struct simulated *before,
                                        const struct simulated *after,
                                        const struct comparison_question *question) {
    return compare_at(before, after, question, 0.05, 20);
}

static struct simulated slower_by(double factor) {
    struct simulated like = usual;
    like.transit_ns *= factor;
    return like;
}

START_TEST(what_is_slower_is_worse_and_what_is_faster_is_better) {
    const struct simulated slower = slower_by(1.2);
    const struct comparison_answer worse = compare(&usual, &slower, &p50);
    ck_assert_int_eq(worse.verdict, COMPARISON_WORSE);
    ck_assert_double_eq_tol(worse.change, 0.2, 0.06);
    ck_assert(worse.low < 0.2 && worse.high > 0.2 && worse.low > 0.1 && worse.high < 0.3);
    const struct comparison_answer better = compare(&slower, &usual, &p50);
    ck_assert_int_eq(better.verdict, COMPARISON_BETTER);
}
END_TEST

START_TEST(the_same_is_no_difference) {
    const struct comparison_answer answer = compare(&usual, &usual, &p50);
    ck_assert_int_eq(answer.verdict, COMPARISON_SAME);
    ck_assert(answer.low < 0 && answer.high > 0);
    ck_assert_double_ge(answer.chance, 0.05);
    ck_assert_double_eq_tol(answer.before, 25e3, 1e3);
}
END_TEST

START_TEST(a_change_below_the_threshold_does_not_matter) {
    struct simulated narrow = usual, slower = slower_by(1.03);
    narrow.spread = slower.spread = 0.02;
    const struct comparison_answer answer = compare(&narrow, &slower, &p50);
    ck_assert_double_lt(answer.chance, 0.01);
    ck_assert_int_eq(answer.verdict, COMPARISON_SAME);
}
END_TEST

START_TEST(a_longer_tail_is_seen_where_the_median_is_the_same) {
    struct simulated spiky = usual;
    spiky.spikes_hz = 1.5;
    ck_assert_int_eq(compare(&usual, &spiky, &p99).verdict, COMPARISON_WORSE);
    ck_assert_int_ne(compare(&usual, &spiky, &p50).verdict, COMPARISON_WORSE);
}
END_TEST

START_TEST(losses_are_compared_as_shares_of_all_frames) {
    struct simulated lossy = usual;
    lossy.losses_hz = 3;
    const struct comparison_answer answer = compare(&usual, &lossy, &losses);
    ck_assert_int_eq(answer.verdict, COMPARISON_WORSE);
    /* 3 gaps of 2.5 frames a second, of 60 and these. */
    ck_assert_double_eq_tol(answer.after, 7.5 / 67.5, 0.03);
    struct simulated lossless = usual;
    lossless.losses_hz = 0;
    const struct comparison_answer none = compare(&lossless, &lossless, &losses);
    ck_assert_int_eq(none.verdict, COMPARISON_SAME);
    ck_assert_double_eq(none.chance, 1);
}
END_TEST

START_TEST(too_few_frames_cannot_be_told_of) {
    struct simulated brief = usual;
    brief.seconds = 15;
    const struct comparison_answer few = compare(&brief, &brief, &p99);
    ck_assert_int_eq(few.verdict, COMPARISON_UNKNOWN);
    ck_assert_str_eq(few.why, "needs 1000 frames on each side");
    ck_assert_int_ne(compare(&brief, &brief, &p50).verdict, COMPARISON_UNKNOWN);
    /* What is merely short does not drift. */
    brief.seconds = 4;
    const struct comparison_answer short_one = compare(&brief, &brief, &p50);
    ck_assert_int_eq(short_one.verdict, COMPARISON_UNKNOWN);
    ck_assert_str_eq(short_one.why, "needs 10 s on each side");
}
END_TEST

START_TEST(what_drifts_slowly_needs_more_time) {
    struct simulated drifting = usual;
    drifting.memory_s = 20;
    const struct comparison_answer answer = compare(&drifting, &drifting, &p50);
    ck_assert_int_eq(answer.verdict, COMPARISON_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(answer.why, "drifts"));
}
END_TEST

/* Before and after drift alike, over longer than a run lasts. */
START_TEST(what_is_far_beyond_the_drift_is_told) {
    struct simulated drifting = {20, 60, 6e6, 0.02, 4, 0, 0, 0, 0, false}, slower = drifting;
    slower.transit_ns *= 4.4;
    int told = 0, drifted = 0;
    for (uint64_t state = 1; state <= 20; state++) {
        const struct comparison_answer answer =
            compare_at(&drifting, &slower, &p50, 0.005, state * 77);
        told += answer.verdict == COMPARISON_WORSE;
        drifted += answer.is_drifting;
        ck_assert(!answer.is_drifting || (answer.low < 3.4 && answer.high > 3.4));
        ck_assert(answer.verdict != COMPARISON_WORSE || (answer.low > 0 && !*answer.why));
    }
    ck_assert_int_ge(drifted, 15);
    ck_assert_int_ge(told, 18);
}
END_TEST

/* What a run sees of a drift is less than what comes between two of them. */
START_TEST(a_drift_is_no_difference) {
    int told = 0, drifted = 0;
    struct simulated drifting = {20, 60, 6e6, 0.2, 0, 0, 0, 0, 0, false};
    static const double memories_s[] = {4, 10, 20, 60, 100};
    drifting.memory_s = memories_s[_i];
    for (uint64_t state = 1; state <= 40; state++) {
        const struct comparison_answer answer =
            compare_at(&drifting, &drifting, &p50, 0.05, state * 77);
        told += answer.is_drifting && answer.verdict != COMPARISON_UNKNOWN;
        drifted += answer.is_drifting;
    }
    ck_assert_int_ge(drifted, 10);
    /* 5 % of 40 are 2; chance makes more than 7 of them once in a thousand times. */
    ck_assert_int_le(told, 7);
}
END_TEST

START_TEST(a_run_and_itself_are_no_difference) {
    struct simulated drifting = usual;
    drifting.memory_s = 20;
    struct comparison_side sides[2] = {{.runs = 1}, {.runs = 1}};
    struct comparison_answer answer;
    for (int i = 0; i < 2; i++) {
        uint64_t state = 20;
        sides[i].run[0] = simulated_create(&drifting, &state);
    }
    ck_assert(comparison_ask(&sides[0], &sides[1], &p50, 0.05, &answer));
    comparison_judge(&answer, 1, 0.05, 0.05);
    ck_assert_int_eq(answer.verdict, COMPARISON_SAME);
    ck_assert_str_eq(answer.why, "");
    ck_assert(answer.change == 0 && answer.low == 0 && answer.high == 0);
    for (int i = 0; i < 2; i++)
        simulated_destroy((struct comparison_run *)sides[i].run[0]);
}
END_TEST

/* What never changes does not drift, and nothing takes as long as nothing. */
START_TEST(what_is_constant_is_no_difference) {
    const int64_t times_ns[] = {0, 1, 10000};
    const struct simulated constant = {20, 60, (double)times_ns[_i] + 0.1, 0, 0, 0, 2, 0, 0, false};
    for (int i = 0; i < 2; i++) {
        const struct comparison_answer answer = compare(&constant, &constant, i ? &p90 : &p50);
        ck_assert_int_eq(answer.verdict, COMPARISON_SAME);
        ck_assert_double_eq_tol(answer.before, (double)times_ns[_i],
                                0.01 * (double)times_ns[_i] + 0.5);
    }
}
END_TEST

/* The medians are the same; from second to second those of one side lie further apart. */
static const struct {
    double before, after;
    uint32_t seconds_after;
} noisy[] = {{0.02, 0.3, 60}, {0.3, 0.02, 60}, {0.05, 0.3, 20}, {0.02, 0.3, 12}};

START_TEST(a_side_that_is_noisier_is_no_difference) {
    const struct simulated like = {.seconds = 60, .rate_hz = 60, .transit_ns = 1e5, .spread = 0.05};
    struct simulated before = like, after = like;
    int found = 0, contradicted = 0, found_among_ten = 0;
    before.second_spread = noisy[_i].before;
    after.second_spread = noisy[_i].after;
    after.seconds = noisy[_i].seconds_after;
    for (uint64_t state = 1; state <= 40; state++) {
        const struct comparison_answer answer = compare_at(&before, &after, &p50, 0.05, state * 77);
        const bool is_found =
            answer.verdict == COMPARISON_WORSE || answer.verdict == COMPARISON_BETTER;
        found += is_found;
        contradicted += is_found && answer.low < 0 && answer.high > 0;
        found_among_ten += is_found && answer.chance <= 0.005;
    }
    /* 5 % of 40 are 2; chance makes more than 7 of them once in a thousand times. */
    ck_assert_int_le(found, 7);
    ck_assert_int_eq(contradicted, 0);
    ck_assert_int_le(found_among_ten, 2);
}
END_TEST

START_TEST(fewer_frames_a_second_are_worse) {
    struct simulated half = usual, gaps = usual;
    half.rate_hz /= 2;
    gaps.has_gaps = true;
    ck_assert_int_eq(compare(&usual, &half, &rate).verdict, COMPARISON_WORSE);
    ck_assert_int_eq(compare(&half, &usual, &rate).verdict, COMPARISON_BETTER);
    const struct comparison_answer answer = compare(&usual, &gaps, &rate);
    ck_assert_int_eq(answer.verdict, COMPARISON_WORSE);
    ck_assert_double_eq_tol(answer.change, -0.5, 0.02);
    const struct comparison_answer same = compare(&usual, &usual, &rate);
    ck_assert_int_eq(same.verdict, COMPARISON_SAME);
    ck_assert_double_eq_tol(same.before, 60, 0.1);
    ck_assert_uint_eq(same.units_before, 59); /* in the first second it begins */
}
END_TEST

START_TEST(nothing_that_comes_at_all_is_worse) {
    struct simulated none = usual;
    none.rate_hz = 0;
    const struct comparison_answer stalled = compare(&usual, &none, &rate);
    ck_assert_int_eq(stalled.verdict, COMPARISON_WORSE);
    ck_assert_double_eq(stalled.change, -1);
    const struct comparison_answer hop = compare(&usual, &none, &p50);
    ck_assert_int_eq(hop.verdict, COMPARISON_UNKNOWN);
    ck_assert_str_eq(hop.why, "not in AFTER");
    ck_assert_str_eq(compare(&none, &usual, &p50).why, "not in BEFORE");
    ck_assert_str_eq(compare(&none, &usual, &rate).why, "not in BEFORE");
}
END_TEST

START_TEST(a_strict_level_is_met_or_said_to_be_out_of_reach) {
    const struct simulated slower = slower_by(10);
    ck_assert_int_eq(compare_at(&usual, &slower, &p50, 1e-4, 20).verdict, COMPARISON_WORSE);
    const struct comparison_answer never = compare_at(&usual, &slower, &p50, 1e-9, 20);
    ck_assert_int_eq(never.verdict, COMPARISON_UNKNOWN);
    ck_assert_str_eq(never.why, "the level is below what can be told");
}
END_TEST

START_TEST(runs_that_do_not_differ_tell_nothing_of_chance) {
    const struct simulated slower = slower_by(1.2);
    struct comparison_side sides[2] = {{.runs = 3}, {.runs = 3}};
    struct comparison_answer answer;
    for (int i = 0; i < 6; i++) {
        uint64_t state = 5; /* the same run again */
        sides[i / 3].run[i % 3] = simulated_create(i < 3 ? &usual : &slower, &state);
    }
    ck_assert(comparison_ask(&sides[0], &sides[1], &p50, 0.05, &answer));
    comparison_judge(&answer, 1, 0.05, 0.05);
    ck_assert_int_eq(answer.verdict, COMPARISON_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(answer.why, "do not differ"));
    sides[0].runs = 1;
    ck_assert(comparison_ask(&sides[0], &sides[1], &p50, 0.05, &answer));
    ck_assert_str_eq(answer.why, "needs two runs on each side, or one");
    for (int i = 0; i < 6; i++)
        simulated_destroy((struct comparison_run *)sides[i / 3].run[i % 3]);
}
END_TEST

START_TEST(an_answer_is_the_same_each_time) {
    const struct simulated slower = slower_by(1.05);
    const struct comparison_answer first = compare(&usual, &slower, &p50);
    const struct comparison_answer second = compare(&usual, &slower, &p50);
    ck_assert_double_eq(first.chance, second.chance);
    ck_assert_double_eq(first.low, second.low);
    ck_assert_double_eq(first.high, second.high);
}
END_TEST

START_TEST(several_runs_are_compared_by_what_each_measured) {
    uint64_t state = 5;
    struct simulated before = {
        .seconds = 10, .rate_hz = 60, .transit_ns = 25e3, .spread = 0.2, .run_spread = 0.15};
    struct simulated after = before;
    struct comparison_side sides[2] = {{.runs = 4}, {.runs = 4}};
    struct comparison_answer answer;
    after.transit_ns *= 2;
    for (int i = 0; i < 4; i++) {
        sides[0].run[i] = simulated_create(&before, &state);
        sides[1].run[i] = simulated_create(&after, &state);
    }
    ck_assert(comparison_ask(&sides[0], &sides[1], &p50, 0.05, &answer));
    comparison_judge(&answer, 1, 0.05, 0.05);
    ck_assert_int_eq(answer.verdict, COMPARISON_WORSE);
    ck_assert_uint_eq(answer.units_before, 4);
    ck_assert(answer.low > 0 && answer.low < 1 && answer.high > 1);
    for (int i = 0; i < 8; i++)
        simulated_destroy((struct comparison_run *)sides[i / 4].run[i % 4]);
}
END_TEST

/* Chances, and which of them are beyond it at 5 % by Holm: 0.05 / 4, 0.05 / 3 ... */
static const struct {
    double chance[4];
    unsigned worse; /* bit i: the i-th */
} families[] = {
    {{0.01, 0.01, 0.01, 0.01}, 15},  {{0.04, 0.04, 0.04, 0.04}, 0}, {{0.012, 0.9, 0.9, 0.9}, 1},
    {{0.013, 0.9, 0.9, 0.9}, 0},     {{0.9, 0.016, 0.012, 0.9}, 6}, {{0.9, 0.018, 0.012, 0.02}, 4},
    {{0.04, 0.001, 0.02, 0.01}, 15},
};

START_TEST(many_questions_do_not_find_what_is_not_there) {
    struct comparison_answer answers[5] = {0};
    for (int i = 0; i < 4; i++)
        answers[i] = (struct comparison_answer){
            .change = 0.5, .low = 0.1, .high = 0.9, .chance = families[_i].chance[i]};
    answers[4].chance = 1;
    strcpy(answers[4].why, "is not asked, and does not count");
    comparison_judge(answers, 5, 0.05, 0.05);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(answers[i].verdict == COMPARISON_WORSE, families[_i].worse >> i & 1);
    ck_assert_int_eq(answers[4].verdict, COMPARISON_UNKNOWN);
}
END_TEST

/* Tables of the t distribution: two sides, 95 %. */
static const struct {
    uint32_t freedom;
    double reach;
} table[] = {{1, 12.706}, {2, 4.303}, {3, 3.182}, {4, 2.776}, {8, 2.306}, {9, 2.262}, {30, 2.042}};

START_TEST(student_is_as_tables_have_it) {
    ck_assert_double_eq_tol(student_reach(0.95, table[_i].freedom), table[_i].reach, 0.0006);
    ck_assert_double_eq_tol(student_chance(-table[_i].reach, table[_i].freedom), 0.05, 0.0001);
    ck_assert_double_eq(student_chance(0, table[_i].freedom), 1);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("comparison");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, what_is_slower_is_worse_and_what_is_faster_is_better);
    tcase_add_test(cases, the_same_is_no_difference);
    tcase_add_test(cases, a_change_below_the_threshold_does_not_matter);
    tcase_add_test(cases, a_longer_tail_is_seen_where_the_median_is_the_same);
    tcase_add_test(cases, losses_are_compared_as_shares_of_all_frames);
    tcase_add_test(cases, too_few_frames_cannot_be_told_of);
    tcase_add_test(cases, what_drifts_slowly_needs_more_time);
    tcase_add_test(cases, what_is_far_beyond_the_drift_is_told);
    tcase_add_loop_test(cases, a_drift_is_no_difference, 0, 5);
    tcase_add_test(cases, a_run_and_itself_are_no_difference);
    tcase_add_loop_test(cases, what_is_constant_is_no_difference, 0, 3);
    tcase_add_loop_test(cases, a_side_that_is_noisier_is_no_difference, 0,
                        sizeof(noisy) / sizeof(noisy[0]));
    tcase_add_test(cases, fewer_frames_a_second_are_worse);
    tcase_add_test(cases, nothing_that_comes_at_all_is_worse);
    tcase_add_test(cases, a_strict_level_is_met_or_said_to_be_out_of_reach);
    tcase_add_test(cases, runs_that_do_not_differ_tell_nothing_of_chance);
    tcase_add_test(cases, an_answer_is_the_same_each_time);
    tcase_add_test(cases, several_runs_are_compared_by_what_each_measured);
    tcase_add_loop_test(cases, many_questions_do_not_find_what_is_not_there, 0,
                        sizeof(families) / sizeof(families[0]));
    tcase_add_loop_test(cases, student_is_as_tables_have_it, 0, sizeof(table) / sizeof(table[0]));
    Suite *suite = suite_create("comparison");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
