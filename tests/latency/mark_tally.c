/* What became of a source's frames: sequences of pictures, and what is to be counted of them. */
#include "mark_tally.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCE = 0x1234, OTHER = 0x4321, CLOCK = 7, PERIOD_NS = 10000000 };

static struct mark_tally tally;
static int64_t start_ns; /* of this run of the source */
static int64_t now_ns;   /* of the stream's pictures, one each period */

static void setup(void) {
    start_ns = INT64_C(1000000000);
    now_ns = INT64_C(5000000000);
    mark_tally_init(&tally, CLOCK, NULL);
}

static struct mark make_mark(uint32_t number) {
    return (struct mark){.stream = SOURCE,
                         .clock = CLOCK,
                         .number = number,
                         .capture_ns = start_ns + (int64_t)number * PERIOD_NS};
}

static struct mark_look make_look(uint32_t number) {
    now_ns += PERIOD_NS;
    return (struct mark_look){.capture_ns = now_ns,
                              .publish_ns = now_ns + 1000,
                              .acquire_ns = now_ns + 3000,
                              .copies = 3,
                              .mark = make_mark(number),
                              .oldest = make_mark(number)};
}

static struct mark_verdict add(const struct mark_look *look) {
    return mark_tally_add(&tally, look);
}

static struct mark_verdict see(uint32_t number) {
    const struct mark_look look = make_look(number);
    return add(&look);
}

/* Sequences in letters: a number is a mark, "-" a picture without one, "+N" N pictures that were
 * not looked at, "*N" the same, and what was lost before them is not known, "N/M" a torn one of N
 * and M, "!" begins a new run of the source, "<" one of earlier instants, "o" is another source's
 * mark. */
static void play(const char *text) {
    uint64_t passed = 0;
    bool is_gapped = false;
    char copy[256];
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *save, *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        if (word[0] == '+' || word[0] == '*') {
            is_gapped = word[0] == '*';
            passed = strtoul(word + 1, NULL, 10);
            now_ns += (int64_t)passed * PERIOD_NS;
            continue;
        }
        if (word[0] == '!') {
            start_ns = now_ns;
            continue;
        }
        if (word[0] == '<') {
            start_ns /= 2;
            continue;
        }
        struct mark_look look = make_look(0);
        look.passed = passed;
        look.is_gapped = is_gapped;
        passed = 0;
        is_gapped = false;
        if (word[0] == '-') {
            look.copies = 0;
        } else if (word[0] == 'o') {
            look.mark.stream = look.oldest.stream = OTHER;
        } else {
            char *end;
            look.oldest = look.mark = make_mark((uint32_t)strtoul(word, &end, 10));
            if (*end == '/') {
                look.is_torn = true;
                look.mark = make_mark((uint32_t)strtoul(end + 1, NULL, 10));
            }
        }
        add(&look);
    }
}

struct expected {
    uint64_t pictures, frames, lost, unseen, crowded, repeated, out_of_order, torn, restarts,
        before, without, others, shown;
};

static const struct {
    const char *text;
    struct expected expected;
} cases[] = {
    {"", {0}},
    {"0 1 2 3", {.pictures = 4, .frames = 4, .shown = 3}},
    {"7 8 9", {.pictures = 3, .frames = 3, .shown = 2}},
    /* repeated */
    {"0 0 0 1 1 2", {.pictures = 6, .frames = 3, .repeated = 3, .shown = 2}},
    /* lost, with as many pictures as frames */
    {"0 0 2 2 2 4 5", {.pictures = 7, .frames = 4, .lost = 2, .repeated = 3, .shown = 3}},
    {"0 100 100 0",
     {.pictures = 4,
      .frames = 3,
      .lost = 99,
      .crowded = 98,
      .repeated = 1,
      .restarts = 1,
      .shown = 1}},
    /* lost where this stream has fewer pictures than the source */
    {"0 2 4 6 8", {.pictures = 5, .frames = 5, .lost = 4, .crowded = 4, .shown = 4}},
    {"0 2 4 4 6", {.pictures = 5, .frames = 4, .lost = 3, .crowded = 2, .repeated = 1, .shown = 3}},
    /* pictures that did not get here, or could not be read, may have shown them */
    {"0 +3 4", {.pictures = 2, .frames = 2, .lost = 3, .unseen = 3, .shown = 1}},
    {"0 +1 4 4 4", {.pictures = 4, .frames = 2, .lost = 3, .unseen = 1, .repeated = 2, .shown = 1}},
    {"0 +5 0 3 3 3", {.pictures = 5, .frames = 2, .lost = 2, .repeated = 3, .shown = 1}},
    {"0 - 2", {.pictures = 3, .frames = 2, .lost = 1, .unseen = 1, .without = 1, .shown = 1}},
    {"0 - - 1", {.pictures = 4, .frames = 2, .without = 2, .shown = 1}},
    {"- - 5 6 -", {.pictures = 5, .frames = 2, .before = 2, .without = 1, .shown = 1}},
    {"0 o 2", {.pictures = 3, .frames = 2, .lost = 1, .unseen = 1, .others = 1, .shown = 1}},
    /* out of order: found again, or shown again */
    {"0 2 1 3", {.pictures = 4, .frames = 4, .out_of_order = 1, .shown = 2}},
    {"0 3 1 2 4", {.pictures = 5, .frames = 5, .out_of_order = 2, .shown = 2}},
    {"0 1 0 1 2", {.pictures = 5, .frames = 3, .out_of_order = 1, .repeated = 1, .shown = 2}},
    {"0 +1 2 1", {.pictures = 3, .frames = 3, .out_of_order = 1, .shown = 1}},
    {"0 3 3 3 1",
     {.pictures = 5, .frames = 3, .lost = 1, .out_of_order = 1, .repeated = 2, .shown = 1}},
    {"10 73 10",
     {.pictures = 3, .frames = 2, .lost = 62, .crowded = 61, .out_of_order = 1, .shown = 1}},
    {"10 74 10",
     {.pictures = 3, .frames = 3, .lost = 63, .crowded = 63, .restarts = 1, .shown = 1}},
    /* torn: both frames were seen */
    {"0 0/1 1 2", {.pictures = 4, .frames = 3, .repeated = 1, .torn = 1, .shown = 2}},
    /* inside a strip: the other frame is not known */
    {"0 1/1 2", {.pictures = 3, .frames = 3, .torn = 1, .shown = 2}},
    {"0 1/2 2", {.pictures = 3, .frames = 3, .repeated = 1, .torn = 1, .shown = 1}},
    {"0 2/3 3 3", {.pictures = 4, .frames = 3, .lost = 1, .repeated = 2, .torn = 1, .shown = 1}},
    {"0 3 1/3 3", {.pictures = 4, .frames = 3, .lost = 1, .repeated = 2, .torn = 1, .shown = 1}},
    /* a new run loses nothing, and numbers of before do not count */
    {"0 1 2 ! 0 1", {.pictures = 5, .frames = 5, .restarts = 1, .shown = 3}},
    {"5000 5001 ! 3 4", {.pictures = 4, .frames = 4, .restarts = 1, .shown = 2}},
    {"500 501 ! 500 501", {.pictures = 4, .frames = 4, .restarts = 1, .shown = 2}},
    {"0 1 ! 1 2", {.pictures = 4, .frames = 4, .restarts = 1, .shown = 2}},
    {"0 1 < 50 51", {.pictures = 4, .frames = 4, .restarts = 1, .shown = 2}},
    {"- - 0 2 4", {.pictures = 5, .frames = 3, .lost = 2, .crowded = 2, .before = 2, .shown = 2}},
    {"9 10 0 1", {.pictures = 4, .frames = 4, .out_of_order = 2, .shown = 1}},
    /* nor one that is seen for the first time ahead of the old one */
    {"0 1 2 ! 50 51", {.pictures = 5, .frames = 5, .restarts = 1, .shown = 3}},
    {"0 2 4 ! 9 10",
     {.pictures = 5, .frames = 5, .lost = 2, .crowded = 2, .restarts = 1, .shown = 3}},
    /* a clip that begins again */
    {"0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1",
     {.pictures = 22, .frames = 22, .restarts = 2, .shown = 19}},
    {"0 1 2 3 4 5 6 7 8 9 0 0 0 +1 2 2 3",
     {.pictures = 16,
      .frames = 13,
      .lost = 1,
      .unseen = 1,
      .repeated = 3,
      .restarts = 1,
      .shown = 11}},
    {"0 1 2 3 4 5 6 7 8 9 0 10 1 11",
     {.pictures = 14, .frames = 12, .out_of_order = 2, .shown = 11}},
    {"0 1 2 3 4 5 6 2 3 4 7", {.pictures = 11, .frames = 8, .out_of_order = 3, .shown = 7}},
    /* what the pictures that were not got had lost before them is not known */
    {"0 *1 9", {.pictures = 2, .frames = 2, .lost = 8, .unseen = 8, .shown = 1}},
    {"0 *1 9 9 12 12",
     {.pictures = 5, .frames = 3, .lost = 10, .unseen = 8, .repeated = 2, .shown = 2}},
    /* a picture that was not got excuses one */
    {"0 +1 2/4",
     {.pictures = 2, .frames = 3, .lost = 2, .unseen = 1, .crowded = 2, .torn = 1, .shown = 1}},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

START_TEST(every_sequence_is_counted_exactly) {
    play(cases[_i].text);
    const struct mark_counts *counts = &tally.figures.counts;
    const struct expected *expected = &cases[_i].expected,
                          found = {
                              .pictures = counts->pictures,
                              .frames = counts->frames,
                              .lost = mark_counts_lost(counts),
                              .unseen = mark_counts_unseen(counts),
                              .crowded = mark_counts_crowded(counts),
                              .repeated = counts->repeated,
                              .out_of_order = counts->out_of_order,
                              .torn = counts->torn,
                              .restarts = counts->restarts,
                              .before = counts->before,
                              .without = counts->without,
                              .others = counts->others,
                              .shown = spread_count(&tally.figures.shown_for),
                          };
    static const char *const names[] = {"pictures", "frames",       "lost", "unseen",   "crowded",
                                        "repeated", "out of order", "torn", "restarts", "before",
                                        "without",  "others",       "shown"};
    uint64_t left[13], right[13];
    memcpy(left, &found, sizeof(left));
    memcpy(right, expected, sizeof(right));
    for (int i = 0; i < 13; i++)
        ck_assert_msg(left[i] == right[i], "\"%s\": %s is %lu, not %lu", cases[_i].text, names[i],
                      left[i], right[i]);
}
END_TEST

START_TEST(the_first_picture_of_a_frame_tells_its_age) {
    struct mark_look look = make_look(0);
    look.capture_ns = look.mark.capture_ns + 20;
    look.acquire_ns = look.mark.capture_ns + 30;
    ck_assert_uint_eq(add(&look).findings, MARK_FIRST);
    look.capture_ns += 1000;
    look.acquire_ns += 1000;
    ck_assert_uint_eq(add(&look).findings, MARK_REPEATED);
    ck_assert_uint_eq(spread_count(&tally.figures.seen), 1);
    ck_assert_int_eq(spread_max_ns(&tally.figures.seen), 20);
    ck_assert_uint_eq(spread_count(&tally.figures.mark_age), 1);
    ck_assert_int_eq(spread_max_ns(&tally.figures.mark_age), 30);
}
END_TEST

START_TEST(a_picture_may_be_seen_before_its_mark_was_due) {
    struct mark_look look = make_look(0);
    look.capture_ns = look.mark.capture_ns - 5;
    add(&look);
    ck_assert_int_eq(spread_max_ns(&tally.figures.seen), -5);
}
END_TEST

START_TEST(a_frame_is_shown_from_its_first_picture_to_that_of_the_next) {
    see(0);
    see(0);
    see(0);
    see(1);
    ck_assert_uint_eq(spread_count(&tally.figures.shown_for), 1);
    const int64_t shown_ns = spread_max_ns(&tally.figures.shown_for);
    ck_assert_int_eq(shown_ns, 3 * PERIOD_NS);
    see(2);
    ck_assert_int_le(spread_quantile_ns(&tally.figures.shown_for, 0.5), PERIOD_NS * 33 / 32);
}
END_TEST

START_TEST(verdicts_say_what_a_picture_was) {
    ck_assert_uint_eq(see(5).findings, MARK_FIRST);
    const struct mark_verdict gap = see(9);
    ck_assert_uint_eq(gap.findings, MARK_FIRST);
    ck_assert_uint_eq(gap.lost, 3);
    ck_assert_uint_eq(see(9).findings, MARK_REPEATED);
    ck_assert_uint_eq(see(8).findings, MARK_OUT_OF_ORDER | MARK_FIRST);
    ck_assert_uint_eq(see(8).findings, MARK_OUT_OF_ORDER);
    struct mark_look look = make_look(10);
    look.is_torn = true;
    look.oldest = make_mark(9);
    ck_assert_uint_eq(add(&look).findings, MARK_TORN | MARK_FIRST);
    look = make_look(0);
    look.copies = 0;
    ck_assert_uint_eq(add(&look).findings, 0);
    look = make_look(0);
    look.mark.stream = OTHER;
    ck_assert_uint_eq(add(&look).findings, MARK_OTHER);
    start_ns = now_ns;
    ck_assert_uint_eq(see(0).findings, MARK_RESTARTED | MARK_FIRST);
}
END_TEST

START_TEST(other_clocks_tell_no_ages_but_all_the_rest) {
    for (uint32_t number = 0; number < 3; number++) {
        struct mark_look look = make_look(2 * number);
        look.mark.clock = CLOCK + 1;
        add(&look);
    }
    ck_assert_uint_eq(tally.figures.counts.undated, 3);
    ck_assert_uint_eq(spread_count(&tally.figures.seen), 0);
    ck_assert_uint_eq(spread_count(&tally.figures.mark_age), 0);
    ck_assert_uint_eq(spread_count(&tally.figures.shown_for), 2);
    ck_assert_uint_eq(mark_counts_lost(&tally.figures.counts), 2);
}
END_TEST

START_TEST(a_source_that_is_wanted_is_not_the_first_that_is_seen) {
    const uint16_t wanted = OTHER;
    mark_tally_init(&tally, CLOCK, &wanted);
    ck_assert_uint_eq(see(0).findings, MARK_OTHER);
    struct mark_look look = make_look(4);
    look.mark.stream = OTHER;
    ck_assert_uint_eq(add(&look).findings, MARK_FIRST);
    ck_assert_uint_eq(tally.figures.counts.others, 1);
    ck_assert_uint_eq(tally.others, 1);
    ck_assert_uint_eq(tally.other[0].stream, SOURCE);
    ck_assert_uint_eq(tally.other[0].pictures, 1);
}
END_TEST

START_TEST(more_other_sources_than_are_listed_are_counted_all_the_same) {
    see(0);
    for (uint16_t i = 0; i < 2 * MARK_TALLY_OTHERS; i++) {
        struct mark_look look = make_look(0);
        look.mark.stream = (uint16_t)(OTHER + i);
        add(&look);
    }
    ck_assert_uint_eq(tally.others, MARK_TALLY_OTHERS);
    ck_assert_uint_eq(tally.figures.counts.others, 2 * MARK_TALLY_OTHERS);
}
END_TEST

START_TEST(numbers_at_the_end_of_their_range_do_not_overflow) {
    see(0);
    ck_assert_uint_eq(see(INT32_MAX).lost, INT32_MAX - 1);
    ck_assert_uint_eq(mark_counts_lost(&tally.figures.counts), INT32_MAX - 1);
}
END_TEST

START_TEST(numbers_go_round) {
    for (int64_t i = -3; i < 3; i++) {
        struct mark_look look = make_look(0);
        look.mark.number = look.oldest.number = (uint32_t)i;
        look.mark.capture_ns = look.oldest.capture_ns = start_ns + i * PERIOD_NS;
        add(&look);
    }
    ck_assert_uint_eq(tally.figures.counts.restarts, 0);
    ck_assert_uint_eq(tally.figures.counts.frames, 6);
    ck_assert_uint_eq(mark_counts_lost(&tally.figures.counts), 0);
}
END_TEST

START_TEST(a_torn_picture_of_two_runs_begins_one) {
    see(10);
    struct mark_look look = make_look(11);
    look.is_torn = true;
    look.oldest.number = 2000;
    look.oldest.capture_ns = look.mark.capture_ns - 1;
    ck_assert_uint_eq(add(&look).findings, MARK_TORN | MARK_RESTARTED | MARK_FIRST);
    ck_assert_uint_eq(tally.newest.number, 11);
}
END_TEST

START_TEST(a_run_is_known_by_its_steps) {
    /* 60000/1001 a second: steps are not whole nanoseconds, and are not taken for another run. */
    for (uint32_t number = 0; number < 3000; number += 1 + number % 7) {
        struct mark_look look = make_look(number);
        look.mark.capture_ns = look.oldest.capture_ns =
            start_ns + (int64_t)number * 1001 * 1000000 / 60;
        add(&look);
    }
    ck_assert_uint_eq(tally.figures.counts.restarts, 0);
}
END_TEST

START_TEST(an_interval_is_the_difference_of_two_snapshots) {
    static struct mark_figures earlier;
    play("0 2 2");
    earlier = tally.figures;
    play("1 5 6");
    mark_figures_subtract(&tally.figures, &earlier);
    const struct mark_counts *counts = &tally.figures.counts;
    ck_assert_uint_eq(counts->pictures, 3);
    ck_assert_uint_eq(counts->frames, 3);
    ck_assert_uint_eq(counts->repeated, 0);
    /* 3 and 4 are gone, and 1, which the interval before had lost, is there. */
    ck_assert_uint_eq(mark_counts_lost(counts), 1);
    ck_assert_uint_eq(spread_count(&tally.figures.seen), 3);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("mark_tally");
    tcase_add_checked_fixture(all, setup, NULL);
    tcase_add_loop_test(all, every_sequence_is_counted_exactly, 0, CASES);
    tcase_add_test(all, the_first_picture_of_a_frame_tells_its_age);
    tcase_add_test(all, a_picture_may_be_seen_before_its_mark_was_due);
    tcase_add_test(all, a_frame_is_shown_from_its_first_picture_to_that_of_the_next);
    tcase_add_test(all, verdicts_say_what_a_picture_was);
    tcase_add_test(all, other_clocks_tell_no_ages_but_all_the_rest);
    tcase_add_test(all, a_source_that_is_wanted_is_not_the_first_that_is_seen);
    tcase_add_test(all, more_other_sources_than_are_listed_are_counted_all_the_same);
    tcase_add_test(all, numbers_at_the_end_of_their_range_do_not_overflow);
    tcase_add_test(all, numbers_go_round);
    tcase_add_test(all, a_torn_picture_of_two_runs_begins_one);
    tcase_add_test(all, a_run_is_known_by_its_steps);
    tcase_add_test(all, an_interval_is_the_difference_of_two_snapshots);
    Suite *suite = suite_create("mark_tally");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
