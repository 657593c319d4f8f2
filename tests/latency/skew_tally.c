/* Picture against sound: made-up sights and bursts of known latencies. */
#include "skew_tally.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)
#define MS_NS     INT64_C(1000000)
enum { CLOCK = 7, RATE = 60 };

static struct skew_tally tally;
static struct skew_sample sample; /* of the last beat that was compared */

static void setup(void) {
    skew_tally_init(&tally, CLOCK);
}

static struct mark make_mark(uint32_t number) {
    return (struct mark){.clock = CLOCK,
                         .number = number,
                         .capture_ns = 5 * SECOND_NS + number * SECOND_NS / RATE,
                         .beat = (uint8_t)(number / RATE),
                         .since_beat_us = (uint32_t)(number % RATE * 1000000 / RATE)};
}

/* Shows frame `number`, `latency_ns` after its capture, on a stream whose looks are `period_ns`
 * apart, the first `phase_ns` after some instant. */
static void see(uint32_t number, int64_t latency_ns, int64_t period_ns, int64_t phase_ns) {
    struct skew_sight sight = {.mark = make_mark(number)};
    const int64_t shown_ns = sight.mark.capture_ns + latency_ns;
    sight.seen_ns = shown_ns + period_ns - (shown_ns - phase_ns) % period_ns;
    sight.before_ns = sight.seen_ns - period_ns;
    skew_tally_see(&tally, &sight, &sample);
}

/* The stamps of the picture are the mark's own. */
static void carry(uint32_t number, int64_t latency_ns) {
    struct skew_sight sight = {.mark = make_mark(number)};
    sight.before_ns = sight.seen_ns = sight.mark.capture_ns + latency_ns;
    skew_tally_see(&tally, &sight, &sample);
}

static void hear(uint32_t beat, int64_t latency_ns) {
    const struct skew_burst burst = {.start_ns = 5 * SECOND_NS + beat * SECOND_NS + latency_ns,
                                     .error_ns = 10000,
                                     .media_ns = BURST_NO_MEDIA,
                                     .beat = (uint8_t)(beat % SKEW_BEATS)};
    skew_tally_hear(&tally, &burst, &sample);
}

static void assert_skew(uint64_t count, int64_t skew_ns, int64_t within_ns) {
    const struct spread *skew = &tally.figures.skew;
    ck_assert_uint_eq(spread_count(skew), count);
    const int64_t median_ns = spread_quantile_ns(skew, 0.5);
    const int64_t precision_ns = llabs(skew_ns) / 32 + within_ns;
    ck_assert_msg(llabs(median_ns - skew_ns) <= precision_ns, "%ld, not %ld", median_ns, skew_ns);
}

static const struct {
    int64_t picture_ms, sound_ms;
} latencies[] = {{0, 0}, {40, 0}, {0, 40}, {500, 3}, {3, 500}, {100, 2100}, {2100, 100}};

START_TEST(what_is_carried_is_exact) {
    const int64_t picture_ns = latencies[_i].picture_ms * MS_NS;
    const int64_t sound_ns = latencies[_i].sound_ms * MS_NS;
    for (uint32_t number = 0; number < 10 * RATE; number++)
        carry(number, picture_ns);
    for (uint32_t beat = 0; beat < 9; beat++)
        hear(beat, sound_ns);
    assert_skew(9, picture_ns - sound_ns, 1);
    ck_assert_int_eq(spread_max_ns(&tally.figures.bound), 10000);
    ck_assert_int_eq(sample.skew_ns, picture_ns - sound_ns);
    ck_assert_int_eq(sample.bound_ns, 10000);
    ck_assert_uint_eq(spread_count(&tally.figures.heard), 9);
    ck_assert_int_ge(spread_quantile_ns(&tally.figures.heard, 0.5), sound_ns);
    ck_assert_uint_eq(tally.figures.beats, 9);
}
END_TEST

START_TEST(a_look_now_and_then_is_told_with_its_bound) {
    /* At the same phase each time: nothing is learned from many pictures. */
    for (uint32_t number = 0; number <= 3 * RATE; number++)
        see(number, 40 * MS_NS, SECOND_NS / RATE, 2 * MS_NS);
    for (uint32_t beat = 0; beat < 3; beat++)
        hear(beat, 0);
    assert_skew(3, 40 * MS_NS, SECOND_NS / RATE / 2 + 10000);
    const int64_t bound_ns = spread_quantile_ns(&tally.figures.bound, 0.5);
    ck_assert_int_ge(bound_ns, SECOND_NS / RATE / 2);
    ck_assert_int_le(bound_ns, SECOND_NS / RATE / 2 + MS_NS / 2);
}
END_TEST

START_TEST(looks_at_many_phases_are_nearer_than_their_bound) {
    for (uint32_t number = 0; number <= 3 * RATE; number++)
        see(number, 40 * MS_NS, SECOND_NS / 47, 2 * MS_NS);
    for (uint32_t beat = 0; beat < 3; beat++)
        hear(beat, 0);
    assert_skew(3, 40 * MS_NS, MS_NS);
    ck_assert_int_ge(spread_quantile_ns(&tally.figures.bound, 0.5), SECOND_NS / 47 / 2);
}
END_TEST

/* A source of `rate` pictures a second, on a display that shows the newest `latency_ns` after its
 * capture at the next of its refreshes, 60 a second - or at once -, and is looked at `looks` times
 * a second. What the tally tells of each beat is compared with what it was. */
struct display {
    double rate, looks;
    bool has_refreshes;
};
static const struct display displays[] = {
    {24, 60, true},     {25, 60, true},    {30, 60, true},    {50, 60, true},
    {60, 60, true},     {60, 59.94, true}, {25, 59.94, true}, {60000 / 1001.0, 60, true},
    {24, 30, true},     {25, 30.1, true},  {60, 30, true},    {24, 144, true},
    {50, 47, true},     {120, 60, true},   {15, 10, true},    {24, 60, false},
    {60, 59.94, false}, {25, 30, false},   {60, 47, false},   {50, 61, false},
};
static const int64_t phases_us[] = {10, 1000, 4000, 8333, 12000, 16600};
enum { DISPLAYS = sizeof(displays) / sizeof(displays[0]), PHASES = 6, LATENCY_MS = 20 };

/* When frame `number` comes to be there. */
static double find_shown_s(const struct display *display, int64_t number) {
    const double ready_s = (double)number / display->rate + LATENCY_MS * 1e-3;
    return display->has_refreshes ? ceil(ready_s * 60 - 1e-7) / 60 : ready_s;
}

static void check_bounds(const struct display *display, double phase_s) {
    enum { BEATS = 12 };
    double truth_s = 0, before_s = 0;
    int64_t last = -1;
    uint32_t beat = 0, seen = 0, told = 0;
    for (uint32_t look = 0; beat < BEATS; look++) {
        const double look_s = 1 + phase_s + look / display->looks;
        int64_t number = (int64_t)((look_s - LATENCY_MS * 1e-3) * display->rate) + 1;
        while (find_shown_s(display, number) > look_s)
            number--;
        const double capture_s = (double)number / display->rate;
        const uint32_t second = (uint32_t)(capture_s + 1e-9);
        if (number != last && last >= 0) {
            const struct skew_sight sight = {
                .mark = {.clock = CLOCK,
                         .number = (uint32_t)number,
                         .capture_ns = 5 * SECOND_NS + llround(capture_s * 1e9),
                         .beat = (uint8_t)second,
                         .since_beat_us = (uint32_t)llround((capture_s - second) * 1e6)},
                .before_ns = 5 * SECOND_NS + llround(before_s * 1e9),
                .seen_ns = 5 * SECOND_NS + llround(look_s * 1e9),
            };
            if (seen > 0 && second != beat)
                hear(beat, 0);
            if (skew_tally_see(&tally, &sight, &sample)) {
                const int64_t truth_ns = llround(truth_s / seen * 1e9);
                ck_assert_msg(llabs(sample.skew_ns - truth_ns) <= sample.bound_ns,
                              "%g a second, %g looks from %g ms: %.2f +-%.2f ms, not %.2f",
                              display->rate, display->looks, phase_s * 1e3,
                              (double)sample.skew_ns / 1e6, (double)sample.bound_ns / 1e6,
                              (double)truth_ns / 1e6);
                told++;
            }
            if (seen == 0 || second != beat)
                truth_s = seen = 0;
            beat = second;
            truth_s += find_shown_s(display, number) - capture_s;
            seen++;
        }
        last = number;
        before_s = look_s;
    }
    ck_assert_uint_ge(told, BEATS - 2);
}

START_TEST(the_truth_lies_within_the_bound) {
    for (int phase = 0; phase < PHASES; phase++) {
        setup();
        check_bounds(&displays[_i], (double)phases_us[phase] * 1e-6);
    }
}
END_TEST

START_TEST(latencies_that_differ_are_averaged) {
    for (uint32_t number = 0; number <= RATE; number++)
        carry(number, (20 + number % 2 * 20) * MS_NS);
    hear(0, 0);
    assert_skew(1, 30 * MS_NS, 1);
}
END_TEST

START_TEST(sound_may_come_long_before_or_after_the_picture) {
    const uint32_t ahead = _i ? 7 : 0, behind = _i ? 0 : 7;
    for (uint32_t beat = 0; beat < 40; beat++) {
        if (beat >= ahead)
            for (uint32_t i = 0; i < RATE; i++)
                carry((beat - ahead) * RATE + i, (int64_t)ahead * SECOND_NS);
        if (beat >= behind)
            hear(beat - behind, (int64_t)behind * SECOND_NS);
    }
    ck_assert_uint_ge(spread_count(&tally.figures.skew), 32);
    const int64_t skew_ns = ((int64_t)ahead - behind) * SECOND_NS;
    assert_skew(spread_count(&tally.figures.skew), skew_ns, 1);
}
END_TEST

START_TEST(beats_that_only_share_a_number_are_not_compared) {
    for (uint32_t number = 0; number < 2 * RATE; number++) /* beat 0 ends */
        carry(number, 0);
    hear(SKEW_BEATS, 0);
    ck_assert_uint_eq(spread_count(&tally.figures.skew), 0);
    /* But the burst waits on, until its picture comes. */
    for (uint32_t number = SKEW_BEATS * RATE; number <= (SKEW_BEATS + 1) * RATE; number++)
        carry(number, 0);
    assert_skew(1, 0, 1);
}
END_TEST

START_TEST(a_burst_that_waited_in_vain_makes_room) {
    hear(0, 0);
    for (uint32_t number = SKEW_BEATS * RATE; number <= (SKEW_BEATS + 1) * RATE; number++)
        carry(number, 0);
    ck_assert_uint_eq(spread_count(&tally.figures.skew), 0);
    hear(SKEW_BEATS, 0);
    assert_skew(1, 0, 1);
}
END_TEST

START_TEST(what_is_missing_on_one_side_is_not_compared) {
    for (uint32_t beat = 0; beat < 20; beat++) {
        if (beat != 2)
            hear(beat, 0);
        for (uint32_t i = 0; beat != 1 && i < RATE; i++)
            carry(beat * RATE + i, 0);
    }
    ck_assert_uint_eq(tally.figures.bursts, 19);
    ck_assert_uint_eq(spread_count(&tally.figures.skew), 17);
    ck_assert_uint_eq(tally.figures.beats, 18);
}
END_TEST

START_TEST(a_new_run_of_the_source_is_not_compared_with_the_old) {
    for (uint32_t number = 0; number < RATE + 1; number++)
        carry(number, 0);
    skew_tally_forget(&tally);
    hear(0, 0);
    ck_assert_uint_eq(spread_count(&tally.figures.skew), 0);
}
END_TEST

START_TEST(a_burst_of_the_run_before_is_not_heard_before_its_beat) {
    /* What the old run played last is heard when the new one, from 19 s on, has been seen: two of
     * its beats have the number of the new one's 2. */
    for (uint32_t number = 0; number < 18 * RATE; number++)
        carry(number, 50 * MS_NS);
    skew_tally_forget(&tally);
    hear(18, 1200 * MS_NS);
    const uint64_t before = spread_count(&tally.figures.skew);
    for (uint32_t number = 0; number < 6 * RATE; number++) {
        struct skew_sight sight = {.mark = make_mark(number)};
        sight.mark.capture_ns += 19 * SECOND_NS;
        sight.before_ns = sight.seen_ns = sight.mark.capture_ns + 50 * MS_NS;
        if (number % RATE == 30 && number > RATE) {
            const uint32_t beat = number / RATE - 1;
            const struct skew_burst burst = {.start_ns = (5 + 19 + beat) * SECOND_NS + 1200 * MS_NS,
                                             .beat = (uint8_t)beat};
            skew_tally_hear(&tally, &burst, &sample);
        }
        if (skew_tally_see(&tally, &sight, &sample))
            ck_assert_int_eq(sample.skew_ns, -1150 * MS_NS);
    }
    ck_assert_uint_ge(spread_count(&tally.figures.skew), before + 4);
    ck_assert_int_le(spread_max_ns(&tally.figures.skew), 0);
}
END_TEST

START_TEST(beats_of_few_pictures_are_compared) {
    /* One picture in 20 seconds: before the next, the burst's number has come again. */
    for (uint32_t beat = 0; beat <= 100; beat++) {
        if (beat % 20 == 0)
            carry(beat * RATE, 30 * MS_NS);
        hear(beat, 10 * MS_NS);
    }
    ck_assert_uint_eq(tally.figures.beats, 5);
    assert_skew(5, 20 * MS_NS, 1);
}
END_TEST

START_TEST(a_beat_that_only_shares_its_number_is_another) {
    carry(5, 40 * MS_NS);
    carry(256 * RATE + 5, 40 * MS_NS); /* after a stall of 256 beats */
    ck_assert_uint_eq(tally.figures.beats, 1);
    /* Whatever instants a picture shows, they are not added up. */
    struct skew_sight sight = {.mark = make_mark(0), .before_ns = 1, .seen_ns = 2};
    for (int i = 0; i < 40; i++) {
        sight.mark.capture_ns = i % 2 ? MARK_CAPTURE_END_NS - 1 : 0;
        skew_tally_see(&tally, &sight, &sample);
    }
    ck_assert_uint_eq(tally.figures.beats, 41);
}
END_TEST

START_TEST(pictures_that_come_after_their_beat_was_ended_do_not_begin_it_anew) {
    carry(0, 0);
    hear(0, 0);
    hear(1, 500 * MS_NS); /* the picture stood still */
    assert_skew(1, 0, 1);
    carry(1, 1600 * MS_NS);
    carry(2, 1600 * MS_NS);
    for (uint32_t number = 2 * RATE; number <= 3 * RATE; number++)
        carry(number, 0);
    hear(2, 0);
    ck_assert_uint_eq(tally.figures.beats, 2);
    assert_skew(2, 0, 1);
}
END_TEST

/* Of media time: `speed` times as fast as its media, by the stamps. */
static void see_media(uint32_t number, double speed, bool is_media) {
    struct skew_sight sight = {.mark = make_mark(number), .is_media = is_media};
    sight.mark.clock = 0;
    sight.mark.capture_ns -= 5 * SECOND_NS;
    sight.before_ns = sight.seen_ns =
        is_media ? sight.mark.capture_ns
                 : 70 * SECOND_NS + llround((double)sight.mark.capture_ns / speed);
    skew_tally_see(&tally, &sight, &sample);
}

static void hear_media(uint32_t beat, double speed) {
    const struct skew_burst burst = {
        .start_ns = 70 * SECOND_NS + llround((double)(beat * SECOND_NS) / speed) + 30 * MS_NS,
        .media_ns = beat * SECOND_NS + 5 * MS_NS,
        .beat = (uint8_t)(beat % SKEW_BEATS),
    };
    skew_tally_hear(&tally, &burst, &sample);
}

START_TEST(media_time_has_a_skew_at_its_own_speed) {
    for (uint32_t number = 0; number <= 8 * RATE; number++)
        see_media(number, 1.01, false);
    for (uint32_t beat = 0; beat < 8; beat++)
        hear_media(beat, 1.01);
    ck_assert_uint_eq(tally.figures.unsteady, 0);
    assert_skew(8, -35 * MS_NS, MS_NS);
    ck_assert_uint_eq(spread_count(&tally.figures.heard), 0);
}
END_TEST

START_TEST(media_time_at_another_speed_is_not_compared_by_stamps) {
    const double speed = _i ? 12 : 0.7;
    for (uint32_t number = 0; number <= 8 * RATE; number++)
        see_media(number, speed, false);
    for (uint32_t beat = 0; beat < 8; beat++)
        hear_media(beat, speed);
    ck_assert_uint_eq(tally.figures.beats, 8);
    ck_assert_uint_eq(tally.figures.unsteady, 8);
    assert_skew(0, 0, 0);
}
END_TEST

START_TEST(media_time_of_both_is_compared_at_any_speed) {
    for (uint32_t beat = 0; beat <= 8; beat++) {
        for (uint32_t i = 0; i < RATE; i++)
            see_media(beat * RATE + i, 12, true);
        hear_media(beat, 12);
    }
    ck_assert_uint_eq(tally.figures.unsteady, 0);
    assert_skew(8, -5 * MS_NS, 1);
}
END_TEST

START_TEST(other_clocks_have_a_skew_and_no_latency) {
    skew_tally_init(&tally, CLOCK + 1);
    for (uint32_t number = 0; number <= RATE; number++)
        carry(number, 30 * MS_NS);
    hear(0, 10 * MS_NS);
    assert_skew(1, 20 * MS_NS, 1);
    ck_assert_uint_eq(spread_count(&tally.figures.heard), 0);
}
END_TEST

START_TEST(a_beat_that_is_not_known_does_not_count) {
    struct skew_sight sight = {.mark = make_mark(0)};
    sight.mark.since_beat_us = (1 << 24) - 1;
    skew_tally_see(&tally, &sight, &sample);
    carry(RATE, 0);
    carry(2 * RATE, 0);
    hear(0, -16777215 * INT64_C(1000)); /* the instant that such a mark would tell */
    ck_assert_uint_eq(spread_count(&tally.figures.skew), 0);
}
END_TEST

int main(void) {
    TCase *all = tcase_create("skew_tally");
    tcase_add_checked_fixture(all, setup, NULL);
    tcase_add_loop_test(all, what_is_carried_is_exact, 0, 7);
    tcase_add_test(all, a_look_now_and_then_is_told_with_its_bound);
    tcase_add_test(all, looks_at_many_phases_are_nearer_than_their_bound);
    tcase_add_loop_test(all, the_truth_lies_within_the_bound, 0, DISPLAYS);
    tcase_add_test(all, latencies_that_differ_are_averaged);
    tcase_add_loop_test(all, sound_may_come_long_before_or_after_the_picture, 0, 2);
    tcase_add_test(all, beats_that_only_share_a_number_are_not_compared);
    tcase_add_test(all, a_burst_that_waited_in_vain_makes_room);
    tcase_add_test(all, what_is_missing_on_one_side_is_not_compared);
    tcase_add_test(all, a_new_run_of_the_source_is_not_compared_with_the_old);
    tcase_add_test(all, a_burst_of_the_run_before_is_not_heard_before_its_beat);
    tcase_add_test(all, beats_of_few_pictures_are_compared);
    tcase_add_test(all, a_beat_that_only_shares_its_number_is_another);
    tcase_add_test(all, pictures_that_come_after_their_beat_was_ended_do_not_begin_it_anew);
    tcase_add_test(all, media_time_has_a_skew_at_its_own_speed);
    tcase_add_loop_test(all, media_time_at_another_speed_is_not_compared_by_stamps, 0, 2);
    tcase_add_test(all, media_time_of_both_is_compared_at_any_speed);
    tcase_add_test(all, other_clocks_have_a_skew_and_no_latency);
    tcase_add_test(all, a_beat_that_is_not_known_does_not_count);
    Suite *suite = suite_create("skew_tally");
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
