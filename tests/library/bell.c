/* Sleeping and waking. Where a thread must be asleep first, its `waiting` word says so. */
#include "bell.h"

#include "rig.h"
#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <shmframe/clock.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct rig_want LATEST = {0};
static const struct bell_others NOBODY = {0};
enum { PATIENCE_NS = 1000000000 };

static bool has_byte(const struct rig_link *link) {
    struct pollfd poll_fd = {.fd = link->wake, .events = POLLIN};
    char byte;
    return poll(&poll_fd, 1, 0) == 1 && recv(link->wake, &byte, 1, MSG_DONTWAIT) == 1;
}

static void say_waiting(const struct rig_link *link, uint32_t word) {
    atomic_store_explicit(&link->lease->waiting, word, memory_order_relaxed);
}

/* ---- waking ---- */

START_TEST(nobody_is_rung_for_who_does_not_wait) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    rig_publish_many(rig, 10);
    ck_assert_uint_eq(rig->writer->rings, 0);
    ck_assert_uint_eq(link->bell->bell, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_sleeper_is_rung_once_an_episode) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST), *other = rig_join(rig, LATEST);
    for (uint32_t episode = 1; episode < 50; episode++) {
        say_waiting(link, wait_word(episode, WAIT_FUTEX));
        rig_publish_many(rig, 3);
        ck_assert_uint_eq(rig->writer->rings, episode);
        ck_assert_uint_eq(link->bell->rings, episode);
        ck_assert_uint_eq(link->bell->bell, episode);
    }
    ck_assert_uint_eq(other->bell->rings, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(the_bell_tells_when_it_was_rung) {
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){0});
    rig_publish(rig);
    ck_assert_int_eq(link->bell->rung_ns, 0); /* it did not wait */
    ck_assert_int_ge(rig_read(rig, link), 0);
    const int64_t before_ns = shmframe_now_ns();
    ck_assert(bell_arm(&link->reader));
    rig_publish(rig);
    const int64_t rung_ns = link->bell->rung_ns;
    ck_assert_int_gt(rung_ns, before_ns);
    ck_assert_int_le(rung_ns, shmframe_now_ns());
    rig_publish(rig); /* the same episode */
    ck_assert_int_eq(link->bell->rung_ns, rung_ns);
    rig_destroy(rig);
}
END_TEST

START_TEST(all_who_sleep_are_rung_by_one_frame) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link[32];
    for (unsigned i = 0; i < 32; i++) {
        link[i] = rig_join(rig, LATEST);
        if (i % 2)
            ck_assert(bell_arm(&link[i]->reader));
    }
    rig_publish(rig);
    ck_assert_uint_eq(rig->writer->rings, 16);
    for (unsigned i = 0; i < 32; i++)
        ck_assert_int_eq(has_byte(link[i]), i % 2);
    rig_destroy(rig);
}
END_TEST

START_TEST(who_asked_for_a_byte_gets_one) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    rig_publish(rig);
    ck_assert(!has_byte(link));
    ck_assert(!bell_arm(&link->reader)); /* a frame is there: no need to wait for a byte */
    ck_assert_int_eq(rig_read(rig, link), 1);
    ck_assert(bell_arm(&link->reader));
    rig_publish_many(rig, 3);
    ck_assert(has_byte(link));
    ck_assert(!has_byte(link));
    bell_disarm(&link->reader);
    ck_assert_uint_eq(link->lease->waiting, 0);
    rig_publish(rig);
    ck_assert(!has_byte(link));
    ck_assert_int_eq(rig_read(rig, link), 5);
    ck_assert(bell_arm(&link->reader));
    ring_end(rig->writer, RING_ENDED);
    ck_assert(has_byte(link));
    ck_assert(!bell_arm(&link->reader));
    rig_destroy(rig);
}
END_TEST

/* B1: granted after the loan, asleep before the publish. */
START_TEST(B1_a_reader_that_joins_between_loan_and_publish_is_rung) {
    struct rig *rig = rig_create(4, 1, 0);
    rig_publish(rig);
    uint32_t slot;
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    struct rig_link *link = rig_join(rig, LATEST);
    ck_assert_int_eq(rig_read(rig, link), 1);
    ck_assert(bell_arm(&link->reader));
    struct shmframe_frame frame = {0};
    ring_put(rig->writer, slot, &frame);
    ring_announce(rig->writer);
    ck_assert(has_byte(link));
    rig_destroy(rig);
}
END_TEST

START_TEST(B1_a_reader_that_joins_before_the_end_is_rung_for_it) {
    static const enum ring_state STATES[] = {RING_ENDED, RING_CLOSED};
    for (unsigned i = 0; i < 2; i++) {
        struct rig *rig = rig_create(4, 1, 0);
        rig_publish(rig);
        struct rig_link *link = rig_join(rig, LATEST);
        ck_assert_int_eq(rig_read(rig, link), 1);
        ck_assert(bell_arm(&link->reader));
        ring_end(rig->writer, STATES[i]);
        ck_assert(has_byte(link));
        rig_destroy(rig);
    }
}
END_TEST

/* ---- waiting ---- */

/* B6: it looked, the end came unrung since nobody waited, and now it goes to sleep. */
START_TEST(B6_who_goes_to_sleep_looks_at_the_end_too) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_reader *reader = &link->reader;
    rig_publish(rig);
    ck_assert_int_eq(rig_read(rig, link), 1);
    ck_assert_int_eq(ring_look(reader, NULL), RING_NOTHING);
    ring_end(rig->writer, RING_CLOSED);
    ck_assert_uint_eq(rig->writer->rings, 0);
    ck_assert_int_eq(bell_wait(&reader, 1, &NOBODY, SHMFRAME_FOREVER), 0);
    ck_assert(!bell_arm(reader));
    rig_destroy(rig);
}
END_TEST

START_TEST(I4_who_goes_to_sleep_looks_at_head_once_more) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_reader *reader = &link->reader;
    ck_assert_int_eq(ring_look(reader, NULL), RING_NOTHING);
    rig_publish(rig);
    ck_assert_uint_eq(rig->writer->rings, 0);
    ck_assert_int_eq(bell_wait(&reader, 1, &NOBODY, SHMFRAME_FOREVER), 0);
    ck_assert_uint_eq(link->lease->waiting, 0); /* and says that it is awake */
    rig_destroy(rig);
}
END_TEST

START_TEST(a_wait_times_out_when_nothing_is_published) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_reader *reader = &link->reader;
    ck_assert_int_eq(bell_wait(&reader, 1, &NOBODY, SHMFRAME_NOW), -ETIMEDOUT);
    const int64_t begin_ns = shmframe_now_ns();
    ck_assert_int_eq(bell_wait(&reader, 1, &NOBODY, begin_ns + 20000000), -ETIMEDOUT);
    ck_assert_int_ge(shmframe_now_ns() - begin_ns, 20000000);
    ck_assert_uint_eq(link->lease->waiting, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(no_single_sleep_is_longer_than_its_slice) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_reader *reader = &link->reader;
    const int64_t begin_ns = shmframe_now_ns();
    ck_assert_int_eq(bell_wait(&reader, 1, &NOBODY, SHMFRAME_FOREVER), -ETIMEDOUT);
    ck_assert_int_ge(shmframe_now_ns() - begin_ns, BELL_SLEEP_MAX_NS);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_notice_or_an_interrupt_that_has_come_already_ends_a_wait) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_reader *reader = &link->reader;
    _Atomic uint32_t interrupt = 1;
    const uint32_t seen = rig->notice->word;
    const struct bell_others interrupted = {.interrupt = &interrupt};
    ck_assert_int_eq(bell_wait(&reader, 1, &interrupted, SHMFRAME_FOREVER), 0);
    const struct bell_others noticed = {.notice = rig->notice, .notice_seen = seen - 1};
    ck_assert_int_eq(bell_wait(&reader, 1, &noticed, SHMFRAME_FOREVER), 0);
    rig_destroy(rig);
}
END_TEST

/* A thread that waits on some readers until what it waits for has come. */
struct sleeper {
    struct ring_reader *reader[3];
    uint32_t count;
    struct bell_others others;
    _Atomic int code;
    _Atomic uint32_t timeouts;
    _Atomic bool is_done;
};

static void *sleep_once(void *argument) {
    struct sleeper *sleeper = argument;
    int code;
    /* A slice may pass before the main thread comes to act. */
    while ((code = bell_wait(sleeper->reader, sleeper->count, &sleeper->others,
                             SHMFRAME_FOREVER)) == -ETIMEDOUT)
        atomic_fetch_add(&sleeper->timeouts, 1);
    atomic_store(&sleeper->code, code);
    atomic_store(&sleeper->is_done, true);
    return NULL;
}

static void await_waiting(const struct ring_reader *reader) {
    const int64_t deadline_ns = shmframe_now_ns() + 30 * (int64_t)PATIENCE_NS;
    while (atomic_load_explicit(&reader->lease->waiting, memory_order_relaxed) == 0) {
        ck_assert_int_lt(shmframe_now_ns(), deadline_ns);
        sched_yield();
    }
}

START_TEST(I4_a_frame_in_any_of_several_rings_ends_the_wait) {
    struct rig *rig[3];
    for (unsigned round = 0; round < 60; round++) {
        struct sleeper sleeper = {.count = 3, .code = 1};
        for (unsigned i = 0; i < 3; i++) {
            rig[i] = rig_create(4, 1, 0);
            sleeper.reader[i] = &rig_join(rig[i], LATEST)->reader;
        }
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, sleep_once, &sleeper), 0);
        await_waiting(sleeper.reader[2]);
        rig_publish(rig[round % 3]);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_int_eq(sleeper.code, 0);
        for (unsigned i = 0; i < 3; i++) {
            ck_assert_uint_eq(sleeper.reader[i]->lease->waiting, 0);
            ck_assert(rig[i]->writer->rings <= (i == round % 3));
            rig_destroy(rig[i]);
        }
    }
}
END_TEST

START_TEST(a_notice_wakes_a_sleeper) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct sleeper sleeper = {.reader = {&link->reader},
                              .count = 1,
                              .code = 1,
                              .others = {.notice = rig->notice, .notice_seen = rig->notice->word}};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_once, &sleeper), 0);
    await_waiting(&link->reader);
    rig_end_grant(rig, link, ENTRY_EVICTED);
    futex_wake(&rig->notice->word, 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(sleeper.code, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(an_interrupt_wakes_a_sleeper) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    _Atomic uint32_t interrupt = 0;
    struct sleeper sleeper = {
        .reader = {&link->reader}, .count = 1, .code = 1, .others = {.interrupt = &interrupt}};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_once, &sleeper), 0);
    await_waiting(&link->reader);
    atomic_store(&interrupt, 1);
    futex_wake(&interrupt, 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(sleeper.code, 0);
    rig_destroy(rig);
}
END_TEST

static void on_signal(int number) {
    (void)number;
}

START_TEST(a_signal_ends_a_wait_with_EINTR) {
    const struct sigaction action = {.sa_handler = on_signal};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct sleeper sleeper = {.reader = {&link->reader}, .count = 1, .code = 1};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_once, &sleeper), 0);
    while (!atomic_load(&sleeper.is_done)) { /* until one meets it asleep */
        pthread_kill(thread, SIGUSR1);
        sched_yield();
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(sleeper.code, -EINTR);
    ck_assert_uint_eq(link->lease->waiting, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(spinning_ends_with_a_frame_a_notice_an_interrupt_or_its_time) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_reader *reader = &link->reader;
    _Atomic uint32_t interrupt = 0;
    struct bell_others others = {
        .notice = rig->notice, .notice_seen = rig->notice->word, .interrupt = &interrupt};
    ck_assert(!bell_spin(&reader, 1, &others, shmframe_now_ns() + 1000000));
    ck_assert_uint_eq(link->lease->waiting, 0); /* whoever spins is not to be rung */
    atomic_store(&interrupt, 1);
    ck_assert(bell_spin(&reader, 1, &others, SHMFRAME_FOREVER));
    atomic_store(&interrupt, 0);
    others.notice_seen--;
    ck_assert(bell_spin(&reader, 1, &others, SHMFRAME_FOREVER));
    others.notice_seen++;
    rig_publish(rig);
    ck_assert(bell_spin(&reader, 1, &others, SHMFRAME_FOREVER));
    rig_destroy(rig);
}
END_TEST

/* ---- a lossless writer ---- */

static struct rig_link *join_lossless_deep(struct rig *rig, uint32_t depth) {
    return rig_join(
        rig, (struct rig_want){.depth = depth, .is_lossless = true, .begin = RING_BEGIN_FIRST});
}

static struct rig_link *join_lossless(struct rig *rig) {
    return join_lossless_deep(rig, 1);
}

START_TEST(a_writer_that_waits_says_so_and_is_woken_by_the_next_acquire) {
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *link = join_lossless(rig);
    rig_publish(rig);
    _Atomic uint32_t interrupt = 0;
    const struct bell_others others = {
        .notice = rig->notice, .notice_seen = rig->writer->notice_seen, .interrupt = &interrupt};
    struct futex_word words[3];
    ck_assert_uint_eq(bell_arm_space(rig->writer, &link->core, &others, words), 3);
    ck_assert_uint_eq(link->bell->writer_waiting, 1);
    ck_assert_uint_eq(link->bell->waits, 1);
    ck_assert_ptr_eq(words[0].word, &link->lease->space);
    ck_assert_int_eq(bell_sleep(words, 3, SHMFRAME_NOW), -ETIMEDOUT);
    ck_assert_int_eq(rig_read(rig, link), 1);
    ck_assert_uint_eq(link->lease->space, 1);
    ck_assert_int_eq(bell_sleep(words, 3, SHMFRAME_FOREVER), 0);
    bell_disarm_space(&link->core);
    ck_assert_uint_eq(link->bell->writer_waiting, 0);
    rig_publish(rig);
    ck_assert_int_eq(rig_read(rig, link), 2);
    ck_assert_uint_eq(link->lease->space, 1); /* nobody waits: nothing to tell */
    rig_destroy(rig);
}
END_TEST

/* The reader may take no more for long. */
START_TEST(I4_a_writer_that_waits_is_woken_as_soon_as_there_is_room) {
    enum { DEPTH = 8 };
    struct rig *rig = rig_create(DEPTH + 4, 1, 0);
    struct rig_link *link = join_lossless_deep(rig, DEPTH);
    rig_publish_many(rig, DEPTH);
    for (int64_t sequence = 1; sequence <= 2 * DEPTH; sequence++) {
        struct futex_word words[3];
        ck_assert_ptr_eq(ring_writer_behind(rig->writer), &link->core);
        ck_assert_uint_eq(bell_arm_space(rig->writer, &link->core, &NOBODY, words), 1);
        ck_assert_int_eq(rig_read(rig, link), sequence);
        ck_assert_int_eq(bell_sleep(words, 1, SHMFRAME_NOW), 0);
        bell_disarm_space(&link->core);
        rig_publish(rig);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(I4_a_writer_that_goes_to_sleep_looks_at_the_cursor_once_more) {
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *link = join_lossless(rig);
    rig_publish(rig);
    ck_assert_ptr_eq(ring_writer_behind(rig->writer), &link->core);
    ck_assert_int_eq(rig_read(rig, link), 1); /* just then: the flag was not up */
    struct futex_word words[3];
    ck_assert_uint_eq(bell_arm_space(rig->writer, &link->core, &NOBODY, words), 0);
    bell_disarm_space(&link->core);
    rig_destroy(rig);
}
END_TEST

static void *read_all(void *argument) {
    struct rig *rig = argument;
    struct rig_link *link = &rig->link[0];
    struct ring_reader *reader = &link->reader;
    for (int64_t last = 0; last < 2000;) {
        const int64_t sequence = rig_read(rig, link);
        if (sequence == -EAGAIN)
            bell_wait(&reader, 1, &NOBODY, SHMFRAME_FOREVER);
        else if (sequence != ++last)
            abort();
    }
    return NULL;
}

START_TEST(a_lossless_writer_and_its_reader_take_turns_asleep) {
    struct rig *rig = rig_create(4, 1, 0);
    join_lossless(rig);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_all, rig), 0);
    for (unsigned i = 0; i < 2000; i++) {
        struct ring_link *behind;
        ring_writer_refresh(rig->writer);
        while ((behind = ring_writer_behind(rig->writer)) != NULL) {
            struct futex_word words[3];
            const uint32_t count = bell_arm_space(rig->writer, behind, &NOBODY, words);
            if (count)
                bell_sleep(words, count, SHMFRAME_FOREVER);
            bell_disarm_space(behind);
        }
        rig_publish(rig);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    rig_destroy(rig);
}
END_TEST

/* ---- futexes ---- */

START_TEST(a_futex_that_has_changed_does_not_wait) {
    const _Atomic uint32_t word = 5;
    const struct futex_word other = {.word = &word, .expected = 4};
    ck_assert(futex_is_supported());
    ck_assert_int_eq(futex_wait(&other, 1, SHMFRAME_FOREVER), 0);
    const struct futex_word same = {.word = &word, .expected = 5};
    ck_assert_int_eq(futex_wait(&same, 1, SHMFRAME_NOW), -ETIMEDOUT);
    const struct futex_word both[] = {same, other};
    ck_assert_int_eq(futex_wait(both, 2, SHMFRAME_FOREVER), 0);
}
END_TEST

START_TEST(a_futex_takes_as_many_words_as_a_wait_needs) {
    enum { COUNT = BELL_READERS_MAX + 2 };
    ck_assert_int_le(COUNT, FUTEX_WORDS_MAX);
    _Atomic uint32_t word[FUTEX_WORDS_MAX] = {0};
    struct futex_word words[FUTEX_WORDS_MAX];
    for (unsigned i = 0; i < FUTEX_WORDS_MAX; i++)
        words[i] = (struct futex_word){.word = &word[i]};
    ck_assert_int_eq(futex_wait(words, FUTEX_WORDS_MAX, SHMFRAME_NOW), -ETIMEDOUT);
    words[FUTEX_WORDS_MAX - 1].expected = 1;
    ck_assert_int_eq(futex_wait(words, FUTEX_WORDS_MAX, SHMFRAME_FOREVER), 0);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {nobody_is_rung_for_who_does_not_wait},
        {a_sleeper_is_rung_once_an_episode},
        {the_bell_tells_when_it_was_rung},
        {all_who_sleep_are_rung_by_one_frame},
        {who_asked_for_a_byte_gets_one},
        {B1_a_reader_that_joins_between_loan_and_publish_is_rung},
        {B1_a_reader_that_joins_before_the_end_is_rung_for_it},
        {B6_who_goes_to_sleep_looks_at_the_end_too},
        {I4_who_goes_to_sleep_looks_at_head_once_more},
        {a_wait_times_out_when_nothing_is_published},
        {no_single_sleep_is_longer_than_its_slice},
        {a_notice_or_an_interrupt_that_has_come_already_ends_a_wait},
        {I4_a_frame_in_any_of_several_rings_ends_the_wait},
        {a_notice_wakes_a_sleeper},
        {an_interrupt_wakes_a_sleeper},
        {a_signal_ends_a_wait_with_EINTR},
        {spinning_ends_with_a_frame_a_notice_an_interrupt_or_its_time},
        {a_writer_that_waits_says_so_and_is_woken_by_the_next_acquire},
        {I4_a_writer_that_waits_is_woken_as_soon_as_there_is_room},
        {I4_a_writer_that_goes_to_sleep_looks_at_the_cursor_once_more},
        {a_lossless_writer_and_its_reader_take_turns_asleep},
        {a_futex_that_has_changed_does_not_wait},
        {a_futex_takes_as_many_words_as_a_wait_needs},
    };
    return suite_run("bell", tests, SUITE_COUNT(tests));
}
