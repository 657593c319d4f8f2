/* Counters of 32 and 46 bits across their ends, with readers asleep. Sleeps have no end here: a
 * wake-up that is lost is never made good, and hangs the test.
 */
#include "bell.h"

#include "../library/rig.h"
#include "../library/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <shmframe/clock.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "../api/world.h"

enum { READERS = 3, FRAMES = 48 };
/* What counts 32 bits begins here, and ends beyond. */
#define BEFORE_THE_END (UINT32_MAX - FRAMES / 3)

static bool is_sleep_limited;

int __real_futex_wait(const struct futex_word *words, uint32_t count, int64_t deadline_ns);
int __wrap_futex_wait(const struct futex_word *words, uint32_t count, int64_t deadline_ns);

int __wrap_futex_wait(const struct futex_word *words, uint32_t count, int64_t deadline_ns) {
    return __real_futex_wait(words, count, is_sleep_limited ? deadline_ns : SHMFRAME_FOREVER);
}

/* ---- readers that sleep for each frame ---- */

struct sleeper {
    pthread_t thread;
    struct rig *rig;
    struct rig_link *link;
    _Atomic pid_t id;
    _Atomic uint32_t taken;
    uint64_t first;
    int wrong; /* what it got instead of a frame or a wake-up */
};

static int take_one(struct sleeper *sleeper, uint64_t sequence) {
    const struct bell_others nobody = {0};
    struct ring_reader *reader = &sleeper->link->reader;
    for (;;) {
        const int64_t got = rig_read(sleeper->rig, sleeper->link);
        if (got != -EAGAIN)
            return got == (int64_t)sequence ? 0 : -EPROTO;
        const int code = bell_wait(&reader, 1, &nobody, SHMFRAME_FOREVER);
        if (code < 0)
            return code;
    }
}

static void *read_frames(void *user) {
    struct sleeper *sleeper = user;
    atomic_store(&sleeper->id, (pid_t)syscall(SYS_gettid));
    for (uint32_t i = 0; i < FRAMES && sleeper->wrong == 0; i++) {
        sleeper->wrong = take_one(sleeper, sleeper->first + i);
        atomic_fetch_add(&sleeper->taken, 1);
    }
    return NULL;
}

/* It says that it waits; for each second frame it is asleep, for the others it may still be on its
 * way. */
static void await_waiting(const struct sleeper *sleeper, uint32_t taken) {
    while (atomic_load(&sleeper->taken) < taken || atomic_load(&sleeper->link->lease->waiting) == 0)
        sched_yield();
    if (taken % 2)
        world_await_asleep(atomic_load(&sleeper->id));
}

static void begin_reading(struct rig *rig, struct sleeper *sleepers) {
    for (unsigned i = 0; i < READERS; i++) {
        sleepers[i] =
            (struct sleeper){.rig = rig, .link = &rig->link[i], .first = rig->sequence + 1};
        ck_assert_int_eq(pthread_create(&sleepers[i].thread, NULL, read_frames, &sleepers[i]), 0);
    }
}

/* Each frame finds all of them waiting, so all are rung for each. */
static void publish_to(struct rig *rig, struct sleeper *sleepers) {
    for (uint32_t frame = 0; frame < FRAMES; frame++) {
        for (unsigned i = 0; i < READERS; i++)
            await_waiting(&sleepers[i], frame);
        rig_publish(rig);
    }
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(sleepers[i].thread, NULL);
        ck_assert_int_eq(sleepers[i].wrong, 0);
        ck_assert_uint_eq(sleepers[i].link->bell->rings, FRAMES);
    }
}

static struct rig *create_with_readers(uint64_t sequence) {
    static const struct rig_want WANTS[READERS] = {
        {0}, {.depth = 8}, {.depth = 4, .is_lossless = true}};
    struct rig *rig = rig_create(16, 1, sequence);
    for (unsigned i = 0; i < READERS; i++) {
        rig_join(rig, WANTS[i]);
        rig->link[i].reader.begin = RING_BEGIN_FIRST;
    }
    return rig;
}

START_TEST(nobody_sleeps_on_when_the_bell_begins_anew) {
    struct rig *rig = create_with_readers(0);
    struct sleeper sleepers[READERS];
    for (unsigned i = 0; i < READERS; i++)
        rig->link[i].bell->bell = BEFORE_THE_END;
    begin_reading(rig, sleepers);
    publish_to(rig, sleepers);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert_uint_eq(rig->link[i].bell->bell, (uint32_t)(BEFORE_THE_END + FRAMES));
    rig_destroy(rig);
}
END_TEST

/* An episode is told in 30 bits and counted in 32: both ends. */
START_TEST(nobody_sleeps_on_when_the_episodes_begin_anew) {
    static const uint32_t ENDS[] = {UINT32_C(1) << 30, 0};
    struct rig *rig = create_with_readers(0);
    struct sleeper sleepers[READERS];
    const uint32_t first = ENDS[_i] - FRAMES / 3;
    for (unsigned i = 0; i < READERS; i++)
        rig->link[i].reader.episode = first;
    begin_reading(rig, sleepers);
    publish_to(rig, sleepers);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert_uint_ge(rig->link[i].reader.episode - first, FRAMES);
    rig_destroy(rig);
}
END_TEST

/* 2^30 episodes without a ring lie between: the writer takes it for one that it has rung. */
START_TEST(an_episode_that_comes_again_unrung_costs_one_short_sleep) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){0});
    struct sleeper sleeper = {.rig = rig, .link = link, .first = 1};
    const struct bell_others nobody = {0};
    struct ring_reader *reader = &link->reader;
    is_sleep_limited = true;
    link->core.rung = wait_word(1, WAIT_SOCKET);
    ck_assert(bell_arm(reader)); /* episode 1 */
    rig_publish(rig);
    ck_assert_uint_eq(rig->writer->rings, 0); /* as if it had been rung */
    ck_assert_int_eq(bell_wait(&reader, 1, &nobody, SHMFRAME_FOREVER), 0);
    ck_assert_int_eq(take_one(&sleeper, 1), 0);
    ck_assert_int_eq(bell_wait(&reader, 1, &nobody, SHMFRAME_FOREVER), -ETIMEDOUT);
    is_sleep_limited = false;
    rig_destroy(rig);
}
END_TEST

/* ---- the supervisor's word ---- */

struct listener {
    pthread_t thread;
    struct rig *rig;
    struct rig_link *link;
    _Atomic uint32_t heard;
    int wrong;
};

static void *listen_to_notices(void *user) {
    struct listener *listener = user;
    struct ring_reader *reader = &listener->link->reader;
    for (uint32_t i = 0; i < FRAMES && listener->wrong == 0; i++) {
        const struct bell_others others = {.notice = listener->rig->notice,
                                           .notice_seen = (uint32_t)(BEFORE_THE_END + i)};
        listener->wrong = bell_wait(&reader, 1, &others, SHMFRAME_FOREVER);
        atomic_fetch_add(&listener->heard, 1);
    }
    return NULL;
}

START_TEST(who_sleeps_hears_the_supervisor_when_its_word_begins_anew) {
    struct rig *rig = rig_create(4, 1, 0);
    struct listener listener = {.rig = rig, .link = rig_join(rig, (struct rig_want){0})};
    _Atomic uint32_t *word = &rig->notice->word;
    atomic_store(word, BEFORE_THE_END);
    ck_assert_int_eq(pthread_create(&listener.thread, NULL, listen_to_notices, &listener), 0);
    for (uint32_t i = 0; i < FRAMES; i++) {
        while (atomic_load(&listener.heard) < i || atomic_load(&listener.link->lease->waiting) == 0)
            sched_yield();
        atomic_fetch_add_explicit(word, 1, memory_order_release);
        futex_wake(word, 1);
    }
    pthread_join(listener.thread, NULL);
    ck_assert_int_eq(listener.wrong, 0);
    ck_assert_uint_lt(atomic_load(word), FRAMES);
    rig_destroy(rig);
}
END_TEST

START_TEST(the_writer_sees_each_grant_when_the_supervisors_word_begins_anew) {
    enum { JOINS = 12 };
    struct rig *rig = rig_create(RIG_LINKS, 1, 0);
    atomic_store(&rig->notice->word, UINT32_MAX - JOINS);
    for (unsigned i = 0; i < JOINS; i++) {
        struct rig_link *link = rig_join(rig, (struct rig_want){0});
        rig_publish(rig);
        ck_assert_uint_eq(rig->writer->active_count, 1);
        ck_assert_int_eq(rig_read(rig, link), (int64_t)rig->sequence);
        rig_end_grant(rig, link, ENTRY_GONE);
        rig_publish(rig);
        ck_assert_uint_eq(rig->writer->active_count, 0);
    }
    ck_assert_uint_lt(atomic_load(&rig->notice->word), JOINS);
    rig_destroy(rig);
}
END_TEST

/* ---- a writer that waits ---- */

/* Takes a frame only when the writer sleeps for it, or has no more. */
static void *read_when_waited_for(void *user) {
    struct sleeper *sleeper = user;
    for (uint32_t i = 0; i < FRAMES && sleeper->wrong == 0; i++) {
        while (i < FRAMES - 1 && !atomic_load(&sleeper->link->bell->writer_waiting))
            sched_yield();
        if (i % 2)
            world_await_asleep(atomic_load(&sleeper->id));
        sleeper->wrong = take_one(sleeper, sleeper->first + i);
        while (i < FRAMES - 1 && atomic_load(&sleeper->taken) == i)
            sched_yield(); /* the writer is awake */
    }
    return NULL;
}

START_TEST(a_writer_that_waits_is_woken_when_the_readers_word_begins_anew) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(
        rig, (struct rig_want){.depth = 1, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    struct sleeper sleeper = {
        .rig = rig, .link = link, .first = 1, .id = (pid_t)syscall(SYS_gettid)};
    const struct bell_others nobody = {0};
    atomic_store(&link->lease->space, BEFORE_THE_END);
    ring_writer_refresh(rig->writer);
    rig_publish(rig);
    ck_assert_int_eq(pthread_create(&sleeper.thread, NULL, read_when_waited_for, &sleeper), 0);
    for (uint32_t i = 1; i < FRAMES; i++) {
        struct futex_word words[3];
        while (ring_writer_behind(rig->writer) == &link->core) {
            const uint32_t count = bell_arm_space(rig->writer, &link->core, &nobody, words);
            if (count)
                ck_assert_int_eq(bell_sleep(words, count, SHMFRAME_FOREVER), 0);
            bell_disarm_space(&link->core);
        }
        atomic_fetch_add(&sleeper.taken, 1);
        rig_publish(rig);
    }
    pthread_join(sleeper.thread, NULL);
    ck_assert_int_eq(sleeper.wrong, 0);
    ck_assert_uint_eq(atomic_load(&link->lease->space), (uint32_t)(BEFORE_THE_END + FRAMES - 1));
    rig_destroy(rig);
}
END_TEST

/* ---- sequences ---- */

static const uint64_t SEQUENCES[] = {UINT64_C(1) << 8,  UINT64_C(1) << 16, UINT64_C(1) << 31,
                                     UINT64_C(1) << 32, UINT64_C(1) << 40, UINT64_C(1) << 44};
enum { SEQUENCE_ENDS = sizeof(SEQUENCES) / sizeof(SEQUENCES[0]) };

START_TEST(no_frame_is_lost_when_a_sequence_needs_more_bits) {
    struct rig *rig = create_with_readers(SEQUENCES[_i] - FRAMES / 2);
    struct sleeper sleepers[READERS];
    begin_reading(rig, sleepers);
    publish_to(rig, sleepers);
    ck_assert_uint_eq(rig->sequence, SEQUENCES[_i] + FRAMES / 2);
    rig_destroy(rig);
}
END_TEST

/* Twice around the index, always a reader's depth behind. */
START_TEST(the_index_begins_anew_under_a_reader_that_is_behind) {
    enum { DEPTH = 100, SLOTS = 128 };
    const uint64_t first = SEQUENCES[_i] - RING_INDEX;
    struct rig *rig = rig_create(SLOTS, 1, first - 1);
    struct rig_link *link =
        rig_join(rig, (struct rig_want){.depth = DEPTH, .begin = RING_BEGIN_FIRST});
    for (uint64_t i = 0; i < 2 * RING_INDEX + DEPTH; i++) {
        rig_publish(rig);
        if (i + 1 < DEPTH)
            continue;
        ck_assert_int_eq(rig_read(rig, link), (int64_t)(first + i + 1 - DEPTH));
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(the_last_sequence_is_delivered_and_the_one_beyond_refused) {
    struct rig *rig = create_with_readers(SEQUENCE_MAX - FRAMES);
    struct sleeper sleepers[READERS];
    begin_reading(rig, sleepers);
    publish_to(rig, sleepers);
    ck_assert_uint_eq(rig->sequence, SEQUENCE_MAX);
    rig_publish(rig);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert_int_eq(rig_read(rig, &rig->link[i]), -EPROTO);
    rig_destroy(rig);
}
END_TEST

START_TEST(the_last_sequence_fits_into_every_word) {
    const uint64_t last = SEQUENCE_MAX;
    const uint32_t slot = RING_SLOTS_MAX - 1;
    ck_assert_uint_eq(place_sequence(place_word(last, slot)), last);
    ck_assert_uint_eq(place_slot(place_word(last, slot)), slot);
    ck_assert_uint_eq(slot_word(last, SLOT_WRITING) >> 2, last);
    ck_assert_uint_eq(lease_slot(lease_word(last, slot)), slot);
    ck_assert_uint_eq(lease_word(last, slot) >> 16, last);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("wrap");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, descriptors_begin, descriptors_end);
    tcase_add_test(cases, nobody_sleeps_on_when_the_bell_begins_anew);
    tcase_add_loop_test(cases, nobody_sleeps_on_when_the_episodes_begin_anew, 0, 2);
    tcase_add_test(cases, an_episode_that_comes_again_unrung_costs_one_short_sleep);
    tcase_add_test(cases, who_sleeps_hears_the_supervisor_when_its_word_begins_anew);
    tcase_add_test(cases, the_writer_sees_each_grant_when_the_supervisors_word_begins_anew);
    tcase_add_test(cases, a_writer_that_waits_is_woken_when_the_readers_word_begins_anew);
    tcase_add_loop_test(cases, no_frame_is_lost_when_a_sequence_needs_more_bits, 0, SEQUENCE_ENDS);
    tcase_add_loop_test(cases, the_index_begins_anew_under_a_reader_that_is_behind, 1,
                        SEQUENCE_ENDS);
    tcase_add_test(cases, the_last_sequence_is_delivered_and_the_one_beyond_refused);
    tcase_add_test(cases, the_last_sequence_fits_into_every_word);
    Suite *suite = suite_create("wrap");
    suite_add_tcase(suite, cases);
    return world_run(suite);
}
