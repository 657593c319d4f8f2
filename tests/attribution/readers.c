/* Who lost it, a reader's side: a table of faults, injected by frame numbers. The test is the
 * writer; the readers are processes that stand still where they are told to. */
#include "journal.h"
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEPTHS = 8, ROUNDS = 3 };

/* Of the pauses that faults are made of: long beside what a busy machine may add elsewhere. */
static int pause_ms(void) {
    return getenv("ATTRIBUTION_LONG") ? 1000 : 200;
}

static void pause_now(void) {
    poll(NULL, 0, pause_ms());
}

static void publish(struct shmframe_writer *writer, unsigned frames) {
    for (unsigned i = 0; i < frames; i++)
        world_publish(writer, i);
}

/* ---- one of each depth, each with a stream of its own ---- */

static struct lane {
    char stream[16];
    struct shmframe_writer *writer;
    struct peer peer;
    uint32_t depth, leases;
    uint64_t sequence; /* published */
} lanes[DEPTHS];

static void begin_lanes(void) {
    for (uint32_t i = 0; i < DEPTHS; i++) {
        struct lane *lane = &lanes[i];
        *lane = (struct lane){.depth = i + 1, .leases = 1 + i % 3};
        snprintf(lane->stream, sizeof(lane->stream), "depth-%u", lane->depth);
        lane->writer = world_open_writer(lane->stream);
        peer_start(&lane->peer, lane->stream,
                   (struct shmframe_reader_params){.stream = lane->stream,
                                                   .policy = SHMFRAME_IN_ORDER,
                                                   .depth = lane->depth,
                                                   .leases = lane->leases});
    }
}

static void end_lanes(void) {
    for (uint32_t i = 0; i < DEPTHS; i++) {
        peer_stop(&lanes[i].peer);
        shmframe_writer_close(lanes[i].writer);
    }
}

static void lane_publish(struct lane *lane, unsigned frames) {
    publish(lane->writer, frames);
    lane->sequence += frames;
}

/* `frames` in step: each is published once the one before is taken. */
static void keep_step(struct lane *lane, unsigned frames) {
    for (unsigned i = 0; i < frames; i++) {
        lane_publish(lane, 1);
        peer_do(&lane->peer, PEER_TAKE, lane->sequence);
    }
}

enum place {
    ASLEEP,  /* in acquire, which waits for a frame */
    HOLDING, /* all its leases */
    AWAY,    /* after its release */
    WOKEN,   /* a wait is over, the frame is not taken */
    POLLING, /* in poll() */
    PLACES,
};
static const enum shmframe_cause causes[PLACES] = {
    [ASLEEP] = SHMFRAME_CAUSE_WOKEN_LATE, [HOLDING] = SHMFRAME_CAUSE_HELD,
    [AWAY] = SHMFRAME_CAUSE_AWAY,         [WOKEN] = SHMFRAME_CAUSE_AWAY,
    [POLLING] = SHMFRAME_CAUSE_AWAY,
};

/* Brings the reader to its place. Returns how many frames it has still to take there. */
static unsigned bring(struct lane *lane, enum place place) {
    struct peer *peer = &lane->peer;
    keep_step(lane, 3);
    switch (place) {
    case ASLEEP:
        peer_order(peer, PEER_ACQUIRE);
        peer_await(peer, SHMFRAME_DOING_ASLEEP);
        return 0;
    case HOLDING:
        for (uint32_t i = 0; i < lane->leases; i++) {
            lane_publish(lane, 1);
            peer_do(peer, PEER_ACQUIRE, lane->sequence);
        }
        return 0;
    case WOKEN:
        peer_order(peer, PEER_WAIT);
        peer_await(peer, SHMFRAME_DOING_ASLEEP);
        lane_publish(lane, 1);
        ck_assert_int_eq(peer_answer(peer).code, 0);
        return 1;
    case POLLING:
        /* A look that finds nothing arms the descriptor. */
        peer_order(peer, PEER_POLL);
        ck_assert_int_eq(peer_answer(peer).code, 0);
        peer_order(peer, PEER_TRY);
        ck_assert_int_lt(peer_answer(peer).code, 0);
        peer_order(peer, PEER_POLL);
        peer_await(peer, SHMFRAME_DOING_POLLING);
        return 0;
    case AWAY:
    case PLACES:
        break;
    }
    return 0;
}

/* It goes on: the next frame that it gets is the oldest that its depth has kept for it. */
static void go_on(struct lane *lane, enum place place) {
    struct peer *peer = &lane->peer;
    if (place == POLLING)
        ck_assert_int_eq(peer_answer(peer).code, 0);
    if (place != ASLEEP)
        peer_order(peer, PEER_GO_ON);
    const struct peer_answer answer = peer_answer(peer);
    ck_assert_int_eq(answer.code, 0);
    ck_assert_uint_eq(answer.sequence, lane->sequence - lane->depth + 1);
}

static void catch_up(struct lane *lane) {
    peer_do(&lane->peer, PEER_RELEASE, 0);
    for (uint64_t i = lane->sequence - lane->depth + 2; i <= lane->sequence; i++)
        peer_do(&lane->peer, PEER_TAKE, i);
}

/* Every reader gets `late` frames more than it can bear, while it stands still. The supervisor is
 * asked after the last time. */
static void inject(enum place place, bool is_frozen, unsigned late, uint64_t number, bool is_last) {
    uint64_t first[DEPTHS];
    for (uint32_t i = 0; i < DEPTHS; i++) {
        struct lane *lane = &lanes[i];
        const unsigned waiting = bring(lane, place);
        if (is_frozen)
            peer_freeze(&lane->peer);
        first[i] = lane->sequence + 1 - waiting;
        lane_publish(lane, lane->depth + late - waiting);
    }
    pause_now();
    for (uint32_t i = 0; i < DEPTHS; i++) {
        if (is_frozen)
            peer_thaw(&lanes[i].peer);
        go_on(&lanes[i], place);
        peer_expect_overrun(&lanes[i].peer, number, causes[place], first[i], late);
        catch_up(&lanes[i]);
    }
    for (uint32_t i = 0; i < DEPTHS && is_last; i++)
        peer_expect_noted(&lanes[i].peer, number, causes[place], first[i], late);
}

/* What no fault was injected into shows none. */
static void expect_counters(struct lane *lane, enum place place, uint64_t late) {
    struct shmframe_reader_counters counters;
    shmframe_record_counters(lane->peer.record, &counters);
    const enum shmframe_cause cause = causes[place];
    ck_assert_uint_eq(counters.lost_late, late);
    ck_assert_uint_eq(counters.late_woken, cause == SHMFRAME_CAUSE_WOKEN_LATE ? late : 0);
    ck_assert_uint_eq(counters.late_held, cause == SHMFRAME_CAUSE_HELD ? late : 0);
    ck_assert_uint_eq(counters.late_away, cause == SHMFRAME_CAUSE_AWAY ? late : 0);
    ck_assert_uint_eq(counters.delivered + late, lane->sequence);
    ck_assert_uint_eq(counters.lost_restart + counters.skipped + counters.stale, 0);
}

/* As for a process that is stopped. */
START_TEST(a_reader_that_is_frozen_is_blamed_for_where_it_was) {
    const enum place place = (enum place)_i;
    begin_lanes();
    inject(place, true, 5, 1, true);
    for (uint32_t i = 0; i < DEPTHS; i++)
        expect_counters(&lanes[i], place, 5);
    end_lanes();
}
END_TEST

/* As for a program that is at something else every few frames, in a place where it has a choice. */
START_TEST(a_reader_that_dawdles_is_blamed_each_time) {
    const enum place place = (enum place)_i;
    if (place == ASLEEP || place == POLLING)
        return;
    begin_lanes();
    uint64_t lost = 0;
    for (uint64_t number = 1; number <= ROUNDS; number++) {
        inject(place, false, (unsigned)number, number, number == ROUNDS);
        lost += number;
    }
    for (uint32_t i = 0; i < DEPTHS; i++)
        expect_counters(&lanes[i], place, lost);
    end_lanes();
}
END_TEST

START_TEST(who_is_behind_by_its_depth_has_lost_nothing) {
    begin_lanes();
    for (uint32_t i = 0; i < DEPTHS; i++) {
        struct lane *lane = &lanes[i];
        keep_step(lane, 2);
        lane_publish(lane, lane->depth);
        for (uint64_t sequence = 3; sequence <= lane->sequence; sequence++)
            peer_do(&lane->peer, PEER_TAKE, sequence);
        peer_expect_none(&lane->peer);
        lane_publish(lane, lane->depth + 1);
        peer_do(&lane->peer, PEER_TAKE, lane->sequence - lane->depth + 1);
        peer_expect_overrun(&lane->peer, 1, SHMFRAME_CAUSE_AWAY, lane->sequence - lane->depth, 1);
    }
    end_lanes();
}
END_TEST

/* ---- others ---- */

START_TEST(a_reader_of_the_newest_loses_nothing) {
    struct shmframe_writer *writer = world_open_writer("faults");
    struct peer peer;
    peer_start(&peer, "latest",
               (struct shmframe_reader_params){.stream = "faults", .policy = SHMFRAME_LATEST});
    publish(writer, 1);
    peer_do(&peer, PEER_ACQUIRE, 1);
    publish(writer, 50);
    peer_do(&peer, PEER_GO_ON, 51);
    peer_expect_none(&peer);
    struct shmframe_reader_counters counters;
    shmframe_record_counters(peer.record, &counters);
    ck_assert_uint_eq(counters.skipped, 49);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(two_faults_at_once_are_each_told_of_its_own_reader) {
    enum { DEPTH = 4, LATE = 7 };
    struct shmframe_writer *writer = world_open_writer("faults");
    const struct shmframe_reader_params params = {
        .stream = "faults", .policy = SHMFRAME_IN_ORDER, .depth = DEPTH};
    struct peer sleeper, holder, punctual;
    peer_start(&sleeper, "sleeper", params);
    peer_start(&holder, "holder", params);
    peer_start(&punctual, "punctual", params);
    publish(writer, 1);
    peer_do(&sleeper, PEER_TAKE, 1);
    peer_do(&holder, PEER_ACQUIRE, 1);
    peer_do(&punctual, PEER_TAKE, 1);
    peer_order(&sleeper, PEER_ACQUIRE);
    peer_await(&sleeper, SHMFRAME_DOING_ASLEEP);
    peer_freeze(&sleeper);
    for (uint64_t sequence = 2; sequence <= 1 + DEPTH + LATE; sequence++) {
        publish(writer, 1);
        peer_do(&punctual, PEER_TAKE, sequence);
    }
    pause_now();
    peer_thaw(&sleeper);
    ck_assert_uint_eq(peer_answer(&sleeper).sequence, 2 + LATE);
    peer_do(&holder, PEER_GO_ON, 2 + LATE);
    peer_expect_overrun(&sleeper, 1, SHMFRAME_CAUSE_WOKEN_LATE, 2, LATE);
    peer_expect_noted(&sleeper, 1, SHMFRAME_CAUSE_WOKEN_LATE, 2, LATE);
    peer_expect_overrun(&holder, 1, SHMFRAME_CAUSE_HELD, 2, LATE);
    peer_expect_noted(&holder, 1, SHMFRAME_CAUSE_HELD, 2, LATE);
    peer_expect_none(&punctual);
    peer_stop(&sleeper);
    peer_stop(&holder);
    peer_stop(&punctual);
    shmframe_writer_close(writer);
}
END_TEST

/* It waits for two streams, wakes for one, and is long at that: the other was up to date until
 * then, however long the sleep had been. */
START_TEST(a_sleep_for_another_stream_is_not_lateness) {
    enum { DEPTH = 2, LATE = 3 };
    struct shmframe_writer *writer[2] = {world_open_writer("one"), world_open_writer("two")};
    struct shmframe_reader *reader[2];
    for (unsigned i = 0; i < 2; i++) {
        const struct shmframe_reader_params params = {.stream = i ? "two" : "one",
                                                      .policy = SHMFRAME_IN_ORDER,
                                                      .depth = DEPTH,
                                                      .deadline_ns = world_deadline()};
        ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader[i]), 0);
    }
    uint64_t ready;
    ck_assert_int_lt(shmframe_readers_wait(
                         reader, 2, shmframe_deadline_ns(pause_ms() * INT64_C(1000000)), &ready),
                     0);
    publish(writer[0], 1);
    ck_assert_int_eq(shmframe_readers_wait(reader, 2, world_deadline(), &ready), 1);
    ck_assert_uint_eq(ready, 1);
    publish(writer[1], DEPTH + LATE);
    world_take(reader[1], 1 + LATE);
    struct shmframe_overrun overrun;
    ck_assert_int_eq(shmframe_reader_overruns(reader[1], &overrun, 1), 1);
    ck_assert_str_eq(shmframe_cause_name(overrun.cause), "away");
    ck_assert_int_eq(overrun.woken_ns, 0);
    ck_assert_uint_eq(overrun.first, 1);
    ck_assert_uint_eq(overrun.count, LATE);
    for (unsigned i = 0; i < 2; i++) {
        shmframe_reader_close(reader[i]);
        shmframe_writer_close(writer[i]);
    }
}
END_TEST

/* Frozen asleep at a ring whose writer closes it for another format: it was called there. */
START_TEST(a_sleeper_is_called_by_the_end_of_its_ring_too) {
    enum { DEPTH = 3, LATE = 4 };
    struct shmframe_writer *writer = world_open_writer("faults");
    struct peer peer;
    peer_start(&peer, "sleeper",
               (struct shmframe_reader_params){
                   .stream = "faults", .policy = SHMFRAME_IN_ORDER, .depth = DEPTH});
    publish(writer, 1);
    peer_do(&peer, PEER_TAKE, 1);
    peer_order(&peer, PEER_ACQUIRE);
    peer_await(&peer, SHMFRAME_DOING_ASLEEP);
    peer_freeze(&peer);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "other", 16), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    publish(writer, DEPTH + LATE);
    pause_now();
    peer_thaw(&peer);
    ck_assert_uint_eq(peer_answer(&peer).sequence, 2 + LATE);
    peer_expect_overrun(&peer, 1, SHMFRAME_CAUSE_WOKEN_LATE, 2, LATE);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_reader_that_is_evicted_has_lost_what_came_since) {
    enum { DEPTH = 3, LATE = 4 };
    struct shmframe_writer *writer = world_open_writer("faults");
    struct peer peer;
    peer_start(&peer, "evicted",
               (struct shmframe_reader_params){
                   .stream = "faults", .policy = SHMFRAME_IN_ORDER, .depth = DEPTH});
    publish(writer, 1);
    peer_do(&peer, PEER_ACQUIRE, 1);
    publish(writer, LATE);
    ck_assert_int_eq(shmframe_session_evict(world.session, "faults", peer.number, world_deadline()),
                     0);
    const struct shmframe_event loss = journal_await_loss("faults", "evicted", 1);
    ck_assert_str_eq(shmframe_cause_name(loss.cause), "evicted");
    ck_assert_uint_eq(loss.first, 2);
    ck_assert_uint_eq(loss.count, LATE);
    ck_assert_int_eq(loss.pid, peer.pid);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}
END_TEST

static void write_and_stay(void) {
    world.session = world_open_session();
    publish(world_open_writer("faults"), 3);
    world_tell();
    pause();
}

START_TEST(a_writer_that_is_killed_and_comes_again_costs_nothing) {
    const pid_t pid = world_fork(write_and_stay);
    world_await();
    struct peer peer;
    peer_start(&peer, "patient",
               (struct shmframe_reader_params){
                   .stream = "faults", .policy = SHMFRAME_IN_ORDER, .depth = 3});
    peer_do(&peer, PEER_TAKE, 3);
    peer_order(&peer, PEER_ACQUIRE);
    peer_await(&peer, SHMFRAME_DOING_ASLEEP);
    world_kill(pid);
    struct shmframe_writer *writer = world_open_writer("faults");
    publish(writer, 3);
    ck_assert_uint_eq(peer_answer(&peer).sequence, 4);
    peer_do(&peer, PEER_GO_ON, 5);
    peer_expect_none(&peer);
    struct shmframe_reader_counters counters;
    shmframe_record_counters(peer.record, &counters);
    ck_assert_uint_eq(counters.restarts, 1);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}
END_TEST

static void pause_twice(void) {
    pause_now();
    pause_now();
}

static struct peer start_peer(const char *name, struct shmframe_reader_params params) {
    struct peer peer;
    params.stream = "faults";
    params.policy = SHMFRAME_IN_ORDER;
    params.depth = 3;
    peer_start(&peer, name, params);
    return peer;
}

static void change_format(struct shmframe_writer *writer, const char *name) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, name, 16), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
}

/* Away once, it meets the gaps of both rings within microseconds of reading. */
START_TEST(what_a_pause_costs_after_a_change_of_format_is_the_pauses) {
    struct shmframe_writer *writer = world_open_writer("faults");
    struct peer peer = start_peer("away", (struct shmframe_reader_params){0});
    publish(writer, 1);
    peer_do(&peer, PEER_TAKE, 1);
    publish(writer, 9);
    change_format(writer, "other");
    publish(writer, 10);
    pause_now();
    peer_do(&peer, PEER_TAKE, 8);
    peer_expect_overrun(&peer, 1, SHMFRAME_CAUSE_AWAY, 2, 6);
    peer_do(&peer, PEER_TAKE, 9);
    peer_do(&peer, PEER_ACQUIRE, 10);
    peer_do(&peer, PEER_GO_ON, 18);
    peer_expect_overrun(&peer, 2, SHMFRAME_CAUSE_AWAY, 11, 7);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}
END_TEST

/* A frame that comes while it catches up pushes another one out. */
START_TEST(what_a_pause_costs_while_it_is_made_up_for_is_the_pauses) {
    struct shmframe_writer *writer = world_open_writer("faults");
    struct peer peer = start_peer("away", (struct shmframe_reader_params){0});
    publish(writer, 1);
    peer_do(&peer, PEER_TAKE, 1);
    publish(writer, 12);
    pause_now();
    peer_do(&peer, PEER_ACQUIRE, 11);
    publish(writer, 2);
    peer_expect_overrun(&peer, 1, SHMFRAME_CAUSE_AWAY, 2, 9);
    peer_do(&peer, PEER_GO_ON, 13);
    peer_expect_overrun(&peer, 2, SHMFRAME_CAUSE_AWAY, 12, 1);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}
END_TEST

/* Shown as waiting, and woken late: it spins for longer than the test lasts. */
START_TEST(who_is_frozen_while_it_spins_is_woken_late) {
    enum { LATE = 4 };
    struct shmframe_writer *writer = world_open_writer("faults");
    struct peer peer =
        start_peer("spinner", (struct shmframe_reader_params){.spin_ns = INT64_C(60000000000)});
    publish(writer, 1);
    peer_do(&peer, PEER_TAKE, 1);
    peer_order(&peer, PEER_ACQUIRE);
    const int64_t deadline_ns = world_deadline();
    struct shmframe_reader_state state;
    do {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        poll(NULL, 0, 1);
        shmframe_record_state(peer.record, &state);
    } while (state.doing != SHMFRAME_DOING_ASLEEP);
    peer_freeze(&peer);
    publish(writer, 3 + LATE);
    pause_now();
    peer_thaw(&peer);
    ck_assert_uint_eq(peer_answer(&peer).sequence, 2 + LATE);
    peer_expect_overrun(&peer, 1, SHMFRAME_CAUSE_WOKEN_LATE, 2, LATE);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}
END_TEST

/* Frozen while nothing comes, thawed as it comes, and then at something else. */
static void sleep_well(unsigned formats) {
    enum { LATE = 4 };
    struct shmframe_writer *writer = world_open_writer("faults");
    struct peer peer = start_peer("sleeper", (struct shmframe_reader_params){0});
    publish(writer, 1);
    peer_do(&peer, PEER_TAKE, 1);
    peer_order(&peer, PEER_WAIT);
    peer_await(&peer, SHMFRAME_DOING_ASLEEP);
    peer_freeze(&peer);
    pause_twice();
    for (unsigned i = 0; i < formats; i++)
        change_format(writer, i % 2 ? "one" : "another");
    publish(writer, 3 + LATE);
    peer_thaw(&peer);
    ck_assert_int_eq(peer_answer(&peer).code, 0);
    pause_now();
    peer_do(&peer, PEER_GO_ON, 2 + LATE);
    peer_expect_overrun(&peer, 1, SHMFRAME_CAUSE_AWAY, 2, LATE);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}

START_TEST(a_quiet_sleep_is_not_lateness_whatever_comes_after) {
    sleep_well((unsigned)_i);
}
END_TEST

START_TEST(a_quiet_sleep_until_a_restart_is_not_lateness) {
    enum { LATE = 4 };
    const pid_t pid = world_fork(write_and_stay);
    world_await();
    struct peer peer = start_peer("patient", (struct shmframe_reader_params){0});
    peer_do(&peer, PEER_TAKE, 3);
    peer_order(&peer, PEER_WAIT);
    peer_await(&peer, SHMFRAME_DOING_ASLEEP);
    peer_freeze(&peer);
    pause_twice();
    world_kill(pid);
    struct shmframe_writer *writer = world_open_writer("faults");
    publish(writer, 3 + LATE);
    peer_thaw(&peer);
    ck_assert_int_eq(peer_answer(&peer).code, 0);
    pause_now();
    peer_do(&peer, PEER_GO_ON, 4 + LATE);
    peer_expect_overrun(&peer, 1, SHMFRAME_CAUSE_AWAY, 4, LATE);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}
END_TEST

static void write_small_and_stay(void) {
    enum { HEADERS = 147456, SLOTS = 8, SLOT_BYTES = 4096 };
    world.session = world_open_session();
    struct shmframe_writer_params params = {.stream = "faults",
                                            .ring_bytes = HEADERS + SLOTS * SLOT_BYTES,
                                            .deadline_ns = world_deadline()};
    struct shmframe_writer *writer;
    if (shmframe_format_data(&params.format, "test", 16) < 0 ||
        shmframe_writer_open(world.session, &params, &writer) < 0)
        _exit(3);
    publish(writer, 3);
    world_tell();
    pause();
}

/* Of three writers the second has no room for a reader this deep, and the third is too quick. */
START_TEST(a_restart_and_what_came_too_fast_behind_it_are_told_apart) {
    enum { DEPTH = 20, LATE = 4 };
    pid_t pid = world_fork(write_and_stay);
    world_await();
    struct peer peer;
    peer_start(&peer, "deep",
               (struct shmframe_reader_params){
                   .stream = "faults", .policy = SHMFRAME_IN_ORDER, .depth = DEPTH});
    peer_do(&peer, PEER_TAKE, 3);
    world_kill(pid);
    pid = world_fork(write_small_and_stay);
    world_await();
    world_kill(pid);
    struct shmframe_writer *writer = world_open_writer("faults");
    publish(writer, DEPTH + LATE);
    pause_now();
    struct peer_answer answer;
    do { /* it is told of the ring that it did not get */
        peer_order(&peer, PEER_TAKE);
        answer = peer_answer(&peer);
    } while (answer.code == -ENOSPC);
    ck_assert_int_eq(answer.code, 0);
    ck_assert_uint_eq(answer.sequence, 7 + LATE);
    struct shmframe_event losses[2];
    journal_await_losses("faults", "deep", 2, losses);
    ck_assert_str_eq(shmframe_cause_name(losses[0].cause), "restart");
    ck_assert_uint_eq(losses[0].first, 4);
    ck_assert_uint_eq(losses[0].count, 3);
    ck_assert_str_eq(shmframe_cause_name(losses[1].cause), "away");
    ck_assert_uint_eq(losses[1].first, 7);
    ck_assert_uint_eq(losses[1].count, LATE);
    ck_assert_int_eq(losses[1].culprit_pid, peer.pid);
    peer_stop(&peer);
    shmframe_writer_close(writer);
}
END_TEST

static uint8_t *ring_base;

static int note_base(void *user, int ring_fd, const struct shmframe_ring_map *map) {
    (void)user;
    (void)ring_fd;
    ring_base = map->base;
    return 0;
}

/* What a slot's header says, against docs/memory-layout.md. */
static void say_too_many_bytes(uint32_t slot) {
    enum { HEADERS = 8192, HEADER_BYTES = 320, BYTES = 48 };
    uint32_t *bytes = (uint32_t *)(void *)(ring_base + HEADERS + HEADER_BYTES * slot + BYTES);
    ck_assert_uint_eq(*bytes, 16);
    *bytes = UINT32_MAX;
}

START_TEST(a_frame_that_cannot_be_is_told_once) {
    struct shmframe_writer_params params = {
        .stream = "faults", .before_seal = note_base, .history = 3};
    ck_assert_int_eq(shmframe_format_data(&params.format, "test", 16), 0);
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_reader *reader;
    ck_assert_int_eq(
        shmframe_reader_open(world.session,
                             &(struct shmframe_reader_params){.stream = "faults",
                                                              .policy = SHMFRAME_IN_ORDER,
                                                              .depth = 3,
                                                              .deadline_ns = world_deadline()},
                             &reader),
        0);
    for (unsigned i = 1; i <= 3; i++) {
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        if (i == 2)
            say_too_many_bytes(loan.slot);
    }
    world_take(reader, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), -EPROTO);
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), 0);
    ck_assert_uint_eq(lease.frame.sequence, 3);
    ck_assert_uint_eq(lease.lost, 0);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.lost_restart + counters.lost_late, 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("readers");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_loop_test(tests, a_reader_that_is_frozen_is_blamed_for_where_it_was, 0, PLACES);
    tcase_add_loop_test(tests, a_reader_that_dawdles_is_blamed_each_time, 0, PLACES);
    tcase_add_test(tests, who_is_behind_by_its_depth_has_lost_nothing);
    tcase_add_test(tests, a_reader_of_the_newest_loses_nothing);
    tcase_add_test(tests, two_faults_at_once_are_each_told_of_its_own_reader);
    tcase_add_test(tests, a_sleep_for_another_stream_is_not_lateness);
    tcase_add_test(tests, a_sleeper_is_called_by_the_end_of_its_ring_too);
    tcase_add_test(tests, a_reader_that_is_evicted_has_lost_what_came_since);
    tcase_add_test(tests, a_writer_that_is_killed_and_comes_again_costs_nothing);
    tcase_add_test(tests, what_a_pause_costs_after_a_change_of_format_is_the_pauses);
    tcase_add_test(tests, what_a_pause_costs_while_it_is_made_up_for_is_the_pauses);
    tcase_add_test(tests, who_is_frozen_while_it_spins_is_woken_late);
    tcase_add_loop_test(tests, a_quiet_sleep_is_not_lateness_whatever_comes_after, 0, 3);
    tcase_add_test(tests, a_quiet_sleep_until_a_restart_is_not_lateness);
    tcase_add_test(tests, a_restart_and_what_came_too_fast_behind_it_are_told_apart);
    tcase_add_test(tests, a_frame_that_cannot_be_is_told_once);
    Suite *suite = suite_create("attribution: readers");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
