/* Overruns: which hop of a reader's day is to blame for a gap. All instants are made up. */
#include "overrun.h"

#include <check.h>
#include <string.h>

#include "suite.h"

enum { OPENED = 1000, NEVER = 0 };

static int64_t oldest_ns = INT64_MAX; /* published: the oldest frame that is there */

static struct overrun_clock start(void) {
    struct overrun_clock clock;
    memset(&clock, 0xff, sizeof(clock));
    oldest_ns = INT64_MAX;
    overrun_start(&clock, OPENED);
    return clock;
}

static void release(struct overrun_clock *clock, int64_t now_ns) {
    atomic_store_explicit(&clock->released_ns, now_ns, memory_order_relaxed);
}

/* The newest frame. */
static void acquire(struct overrun_clock *clock, int64_t now_ns) {
    overrun_acquired(clock, &(struct overrun_sight){
                                .now_ns = now_ns, .publish_ns = now_ns - 1, .is_newest = true});
}

/* There are more behind it. */
static void acquire_old(struct overrun_clock *clock, int64_t now_ns, int64_t publish_ns) {
    overrun_acquired(clock, &(struct overrun_sight){.now_ns = now_ns, .publish_ns = publish_ns});
}

/* The gap is met at `now_ns`; the three durations are as told, the longest one is to blame. */
static void expect(struct overrun_clock *clock, int64_t now_ns, int64_t rung_ns, bool is_holding,
                   struct shmframe_overrun expected) {
    struct shmframe_overrun overrun;
    memset(&overrun, 0xff, sizeof(overrun));
    const struct overrun_sight sight = {
        .now_ns = now_ns, .rung_ns = rung_ns, .publish_ns = oldest_ns, .is_holding = is_holding};
    overrun_judge(clock, &sight, &overrun);
    ck_assert_int_eq(overrun.time_ns, now_ns);
    ck_assert_int_eq(overrun.woken_ns, expected.woken_ns);
    ck_assert_int_eq(overrun.held_ns, expected.held_ns);
    ck_assert_int_eq(overrun.away_ns, expected.away_ns);
    ck_assert_str_eq(shmframe_cause_name(overrun.cause), shmframe_cause_name(expected.cause));
}

static struct shmframe_overrun woken(int64_t woken_ns, int64_t away_ns) {
    return (struct shmframe_overrun){
        .cause = SHMFRAME_CAUSE_WOKEN_LATE, .woken_ns = woken_ns, .away_ns = away_ns};
}

static struct shmframe_overrun held(int64_t held_ns, int64_t away_ns) {
    return (struct shmframe_overrun){
        .cause = SHMFRAME_CAUSE_HELD, .held_ns = held_ns, .away_ns = away_ns};
}

static struct shmframe_overrun away(int64_t before_ns, bool was_asleep, int64_t away_ns) {
    return (struct shmframe_overrun){.cause = SHMFRAME_CAUSE_AWAY,
                                     .woken_ns = was_asleep ? before_ns : 0,
                                     .held_ns = was_asleep ? 0 : before_ns,
                                     .away_ns = away_ns};
}

/* ---- it slept ---- */

START_TEST(who_slept_and_ran_late_was_woken_late) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2900);
    expect(&clock, 3000, 2100, false, woken(800, 100));
}
END_TEST

START_TEST(who_was_woken_at_once_and_did_not_come_was_away) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2200);
    expect(&clock, 3000, 2100, false, away(100, true, 800));
    /* Whether it holds something does not matter: it was up to date when it looked. */
    expect(&clock, 3000, 2100, true, away(100, true, 800));
}
END_TEST

START_TEST(equal_shares_are_the_programs) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2500);
    expect(&clock, 3000, 2000, false, away(500, true, 500));
    acquire(&clock, 4000);
    release(&clock, 4500);
    expect(&clock, 5000, 0, false, away(500, false, 500));
}
END_TEST

START_TEST(a_sleep_that_nobody_ended_is_not_lateness) {
    /* It slept for something else, for 900, and was up to date when it woke. */
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2900);
    expect(&clock, 3000, 1999, false, away(0, true, 100));
    expect(&clock, 3000, NEVER, false, away(0, true, 100));
}
END_TEST

START_TEST(a_second_look_begins_anew) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2900);
    overrun_looked(&clock, 2950);
    oldest_ns = 2950;
    expect(&clock, 3000, 2100, false, away(0, true, 50));
    overrun_woke(&clock, 2990);
    expect(&clock, 3000, 2955, false, woken(35, 10));
}
END_TEST

START_TEST(who_polls_and_is_called_was_away_from_then_on) {
    /* Nobody knows when poll() returned. */
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    expect(&clock, 3000, 2100, false, away(0, true, 900));
    /* Not called, as after a restart: since there is something. */
    oldest_ns = 2800;
    expect(&clock, 3000, NEVER, false, away(0, true, 200));
}
END_TEST

START_TEST(stamps_that_contradict_themselves_stay_within_the_gap) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2500);
    expect(&clock, 3000, INT64_MAX, false, away(0, true, 0));
    expect(&clock, 3000, INT64_MIN, false, away(0, true, 500));
}
END_TEST

/* ---- it had a frame ---- */

START_TEST(who_held_its_lease_for_longer_than_it_was_away_held_it) {
    struct overrun_clock clock = start();
    acquire(&clock, 2000);
    release(&clock, 2900);
    expect(&clock, 3000, 2950, false, held(900, 100));
}
END_TEST

START_TEST(who_released_early_was_away) {
    struct overrun_clock clock = start();
    acquire(&clock, 2000);
    release(&clock, 2100);
    expect(&clock, 3000, 1900, false, away(100, false, 900));
}
END_TEST

START_TEST(who_still_holds_a_lease_held_it_all_the_time) {
    /* Two were out, and one came back soon. */
    struct overrun_clock clock = start();
    acquire(&clock, 2000);
    release(&clock, 2001);
    expect(&clock, 3000, 0, true, held(1000, 0));
}
END_TEST

START_TEST(a_release_before_the_newest_lease_does_not_count) {
    struct overrun_clock clock = start();
    release(&clock, 1500);
    acquire(&clock, 2000);
    expect(&clock, 3000, 0, false, away(0, false, 1000));
}
END_TEST

START_TEST(a_release_after_the_look_does_not_count) {
    /* Another thread's. */
    struct overrun_clock clock = start();
    acquire(&clock, 2000);
    release(&clock, 3001);
    expect(&clock, 3000, 0, false, held(1000, 0));
}
END_TEST

START_TEST(a_frame_ends_what_was_before_it) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 1100);
    overrun_woke(&clock, 1900);
    overrun_moved(&clock, 1200);
    acquire(&clock, 2000);
    release(&clock, 2900);
    expect(&clock, 3000, 1200, false, held(900, 100));
}
END_TEST

START_TEST(who_never_took_a_frame_was_away_since_it_was_opened) {
    struct overrun_clock clock = start();
    expect(&clock, OPENED + 700, 0, false, away(0, false, 700));
}
END_TEST

/* ---- on to another ring ---- */

START_TEST(who_slept_at_the_former_ring_was_called_by_its_end) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2900);
    overrun_moved(&clock, 2100);
    expect(&clock, 3000, NEVER, false, woken(800, 100));
}
END_TEST

START_TEST(a_writer_that_died_has_not_called) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2900);
    overrun_moved(&clock, 1000);
    /* Its successor's frames were there for a while when it woke, or came behind it. */
    oldest_ns = 2300;
    expect(&clock, 3000, NEVER, false, woken(600, 100));
    oldest_ns = 2950;
    expect(&clock, 3000, NEVER, false, away(0, true, 100));
}
END_TEST

START_TEST(who_goes_past_several_rings_was_called_by_the_first) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2900);
    overrun_moved(&clock, 2800);
    overrun_moved(&clock, NEVER); /* it never waited there */
    overrun_moved(&clock, 2850);
    expect(&clock, 3000, NEVER, false, away(100, true, 100));
}
END_TEST

START_TEST(who_spins_and_is_stopped_was_woken_late) {
    /* Nobody rings for it. */
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2900);
    oldest_ns = 2050;
    expect(&clock, 2900, NEVER, false, woken(850, 0));
    expect(&clock, 4900, NEVER, false, away(850, true, 2000));
}
END_TEST

START_TEST(who_looks_for_more_and_holds_what_it_has_held_it) {
    struct overrun_clock clock = start();
    acquire(&clock, 1900);
    overrun_looked(&clock, 2000);
    release(&clock, 2900);
    oldest_ns = 2100;
    expect(&clock, 3000, NEVER, false, held(800, 100));
    expect(&clock, 3000, NEVER, true, held(900, 0));
    release(&clock, 2050);
    expect(&clock, 3000, NEVER, false, away(0, false, 900));
}
END_TEST

/* ---- catching up ---- */

START_TEST(what_a_long_absence_costs_later_is_the_absence) {
    struct overrun_clock clock = start();
    acquire(&clock, 2000);
    release(&clock, 2010);
    oldest_ns = 4000;
    expect(&clock, 5000, NEVER, false, away(10, false, 2990));
    acquire_old(&clock, 5000, 4000);
    release(&clock, 5020);
    oldest_ns = 4900;
    expect(&clock, 5021, NEVER, false, away(30, false, 2991));
    acquire_old(&clock, 5021, 4900);
    release(&clock, 5061);
    expect(&clock, 5062, NEVER, false, away(70, false, 2992));
}
END_TEST

START_TEST(what_a_late_wake_up_costs_later_is_its_own) {
    struct overrun_clock clock = start();
    overrun_looked(&clock, 2000);
    overrun_woke(&clock, 2900);
    oldest_ns = 2500;
    struct overrun_sight sight = {.now_ns = 2910, .rung_ns = 2100, .publish_ns = oldest_ns};
    overrun_acquired(&clock, &sight);
    release(&clock, 3000);
    expect(&clock, 3001, NEVER, false,
           (struct shmframe_overrun){
               .cause = SHMFRAME_CAUSE_WOKEN_LATE, .woken_ns = 800, .held_ns = 90, .away_ns = 11});
}
END_TEST

START_TEST(who_has_taken_the_newest_has_no_past) {
    struct overrun_clock clock = start();
    acquire_old(&clock, 2000, 1500);
    release(&clock, 2010);
    acquire(&clock, 5000);
    release(&clock, 5100);
    expect(&clock, 5101, NEVER, false, held(100, 1));
}
END_TEST

START_TEST(what_came_after_a_gap_is_not_of_what_was_before_it) {
    struct overrun_clock clock = start();
    acquire(&clock, 2000);
    release(&clock, 2010);
    oldest_ns = 4000;
    expect(&clock, 5000, NEVER, false, away(10, false, 2990));
    acquire_old(&clock, 5000, 4000);
    release(&clock, 5010);
    acquire_old(&clock, 5020, 5015); /* published since */
    release(&clock, 5120);
    expect(&clock, 5121, NEVER, false, held(100, 1));
}
END_TEST

START_TEST(who_did_not_sleep_may_go_on_to_another_ring) {
    struct overrun_clock clock = start();
    acquire(&clock, 2000);
    release(&clock, 2900);
    overrun_moved(&clock, 2500);
    expect(&clock, 3000, NEVER, false, held(900, 100));
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {who_slept_and_ran_late_was_woken_late},
        {who_was_woken_at_once_and_did_not_come_was_away},
        {equal_shares_are_the_programs},
        {a_sleep_that_nobody_ended_is_not_lateness},
        {a_second_look_begins_anew},
        {who_polls_and_is_called_was_away_from_then_on},
        {stamps_that_contradict_themselves_stay_within_the_gap},
        {who_held_its_lease_for_longer_than_it_was_away_held_it},
        {who_released_early_was_away},
        {who_still_holds_a_lease_held_it_all_the_time},
        {a_release_before_the_newest_lease_does_not_count},
        {a_release_after_the_look_does_not_count},
        {a_frame_ends_what_was_before_it},
        {who_never_took_a_frame_was_away_since_it_was_opened},
        {who_slept_at_the_former_ring_was_called_by_its_end},
        {a_writer_that_died_has_not_called},
        {who_did_not_sleep_may_go_on_to_another_ring},
        {who_goes_past_several_rings_was_called_by_the_first},
        {who_spins_and_is_stopped_was_woken_late},
        {who_looks_for_more_and_holds_what_it_has_held_it},
        {what_a_long_absence_costs_later_is_the_absence},
        {what_a_late_wake_up_costs_later_is_its_own},
        {who_has_taken_the_newest_has_no_past},
        {what_came_after_a_gap_is_not_of_what_was_before_it},
    };
    return suite_run("overrun", tests, SUITE_COUNT(tests));
}
