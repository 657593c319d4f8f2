/* What the journal says of frames that were lost, and by whom. */
#include "journal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(a_loss_is_told_with_what_it_was_at) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 2);
    journal_publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    journal_publish(writer, 9); /* 2 to 10, of which 9 and 10 are kept */
    poll(NULL, 0, 20);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    world_take(reader, 9);
    const struct shmframe_event *loss = journal_await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_HELD);
    journal_expect_reader(loss);
    ck_assert_uint_eq(loss->first, 2);
    ck_assert_uint_eq(loss->count, 7);
    ck_assert_uint_eq(loss->generation, 1);
    ck_assert_int_ge(loss->duration_ns, 20000000);
    ck_assert_str_eq(loss->culprit, "eye");
    ck_assert_str_eq(loss->text, "its depth is 2");
    ck_assert_int_eq(loss->culprit_pid, getpid());
    ck_assert_uint_eq(loss->culprit_reader, loss->reader);
    ck_assert_int_le(loss->time_ns, shmframe_now_ns());
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

static void change_format(struct shmframe_writer *writer, unsigned bytes) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 16 + bytes % 64), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
}

/* More than its log holds, faster than it is looked at, from ring to ring: what is not told singly
 * is told in sum. */
START_TEST(sums_add_up_whatever_is_told_singly) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 3);
    unsigned seed = 7;
    uint64_t head = 0;
    struct shmframe_lease lease;
    for (unsigned i = 0; i < 2000; i++) {
        const unsigned frames = (unsigned)rand_r(&seed) % 9;
        journal_publish(writer, frames);
        head += frames;
        if (i % 100 == 99)
            change_format(writer, i);
        const unsigned takes = (unsigned)rand_r(&seed) % 3;
        for (unsigned k = 0; k < takes; k++) {
            if (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) < 0)
                break;
            ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
        }
    }
    while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0)
        ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_gt(counters.lost_late, 500);
    ck_assert_uint_eq(counters.delivered + counters.lost_late + counters.lost_restart, head);
    shmframe_reader_close(reader);
    journal_await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(counters.delivered + journal_sum_lost(), head);
    ck_assert_uint_lt(journal_count(SHMFRAME_JOURNAL_LOSS), 300);
    shmframe_writer_close(writer);
}
END_TEST

static const struct shmframe_event *find_sum(enum shmframe_cause cause) {
    journal_take_all();
    for (unsigned i = 0; i < journal.events; i++)
        if (journal.event[i].type == SHMFRAME_JOURNAL_LOSS && journal.event[i].cause == cause &&
            journal.event[i].first == 0)
            return &journal.event[i];
    return NULL;
}

static void await_told(uint64_t lost) {
    const int64_t deadline_ns = world_deadline();
    while (journal_sum_lost() < lost) {
        ck_assert(shmframe_now_ns() < deadline_ns);
        poll(NULL, 0, 10);
    }
}

/* 64 are told one by one: those after them are too many. */
START_TEST(of_a_readers_losses_in_sum_the_largest_is_named) {
    enum { TOLD = 64, REST = 4 };
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 1);
    uint64_t head = 0;
    for (unsigned i = 0; i < TOLD + REST; i++) {
        const unsigned frames = i == TOLD + 2 ? 9 : 2;
        journal_publish(writer, frames);
        head += frames;
        world_take(reader, head);
        if (i == TOLD - 1)
            await_told(TOLD);
    }
    shmframe_reader_close(reader);
    await_told(head - TOLD - REST);
    const struct shmframe_event *sum = find_sum(SHMFRAME_CAUSE_AWAY);
    ck_assert_ptr_nonnull(sum);
    ck_assert_msg(strstr(sum->text, "the most at once 8 at 133"), "%s", sum->text);
    shmframe_writer_close(writer);
}
END_TEST

/* Its log holds 24 lines, and 64 are told one by one: the third log is too much. */
START_TEST(of_losses_in_sum_the_largest_is_named) {
    enum { LOG = 24, LARGEST = 500 };
    struct shmframe_writer *writer = world_open_writer("s");
    uint64_t dropped = 0;
    struct shmframe_loan loan;
    for (unsigned i = 0; i < 3 * LOG; i++) {
        ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
        loan.frame.device_dropped = i == 2 * LOG + 7 ? LARGEST : 1;
        dropped += loan.frame.device_dropped;
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        if (i % LOG == LOG - 1 && i < 2 * LOG)
            await_told(dropped);
    }
    shmframe_writer_close(writer);
    journal_await(SHMFRAME_JOURNAL_STREAM_ENDED, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(journal_sum_lost(), dropped);
    const struct shmframe_event *sum = find_sum(SHMFRAME_CAUSE_DEVICE);
    ck_assert_ptr_nonnull(sum);
    ck_assert_msg(strstr(sum->text, "the most at once 500 at 56"), "%s", sum->text);
}
END_TEST

static struct shmframe_reader *child_reader;

static void lose_and_wait(void) {
    struct shmframe_session *session = world_open_session();
    child_reader = journal_open_reader(session, SHMFRAME_IN_ORDER, 1);
    world_tell();
    uint64_t last = 0;
    while (last < 10) {
        struct shmframe_lease lease;
        if (shmframe_reader_acquire(child_reader, world_deadline(), &lease) < 0)
            _exit(3);
        last = lease.frame.sequence;
        if (last == 1) { /* until the others are published */
            world_tell();
            raise(SIGSTOP);
        }
        shmframe_reader_release(child_reader, &lease);
    }
    world_tell();
    pause();
}

START_TEST(the_losses_of_one_who_is_killed_are_told) {
    struct shmframe_writer *writer = world_open_writer("s");
    const pid_t child = world_fork(lose_and_wait);
    world_await();
    journal_publish(writer, 1);
    world_await();
    world_await_stopped(child);
    journal_publish(writer, 9);
    kill(child, SIGCONT);
    world_await();
    world_kill(child);
    const struct shmframe_event *left =
        journal_await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(left->text, "its process died");
    ck_assert_int_eq(left->pid, child);
    const struct shmframe_event *loss = journal_find(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_HELD);
    ck_assert_ptr_nonnull(loss);
    ck_assert_uint_eq(loss->first, 2);
    ck_assert_uint_eq(loss->count, 8);
    ck_assert_int_eq(loss->culprit_pid, child);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(an_eviction_tells_what_was_missed) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 8);
    journal_publish(writer, 4);
    world_take(reader, 1);
    world_take(reader, 2);
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    ck_assert_uint_eq(info.is_evicted, 0);
    ck_assert_uint_eq(info.uid, getuid());
    ck_assert_int_eq(shmframe_session_evict(world.session, "s", info.number, world_deadline()), 0);
    journal_publish(writer, 2); /* no more of its losses */
    const struct shmframe_event *loss =
        journal_await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_EVICTED);
    journal_expect_reader(loss);
    ck_assert_uint_eq(loss->first, 3);
    ck_assert_uint_eq(loss->count, 2);
    ck_assert_ptr_nonnull(strstr(loss->text, "api-test"));
    const struct shmframe_event *left =
        journal_find(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_EVICTED);
    ck_assert_ptr_nonnull(left);
    journal_expect_reader(left);
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    ck_assert_uint_eq(info.is_evicted, 1);
    shmframe_reader_close(reader);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_READER_LEFT), 1);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(who_is_evicted_before_its_first_frame_has_lost_from_there) {
    struct shmframe_writer *writer = world_open_writer("s");
    journal_publish(writer, 2);
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 8);
    journal_publish(writer, 3);
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    ck_assert_int_eq(shmframe_session_evict(world.session, "s", info.number, world_deadline()), 0);
    shmframe_reader_close(reader);
    const struct shmframe_event *loss =
        journal_await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_EVICTED);
    ck_assert_uint_eq(loss->first, 3);
    ck_assert_uint_eq(loss->count, 3);
    shmframe_writer_close(writer);
}
END_TEST

static _Atomic bool is_over;

static void *publish_on(void *user) {
    (void)user;
    struct shmframe_session *session = world_open_session();
    const struct shmframe_writer_params params = world_writer_params("s");
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(session, &params, &writer), 0);
    while (!is_over)
        journal_publish(writer, 1);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    return NULL;
}

struct taker {
    struct shmframe_reader *reader;
    _Atomic uint64_t last;
};

static void *take_on(void *user) {
    struct taker *taker = user;
    struct shmframe_lease lease;
    int code;
    while ((code = shmframe_reader_acquire(taker->reader, world_deadline(), &lease)) == 0) {
        taker->last = lease.frame.sequence;
        shmframe_reader_release(taker->reader, &lease);
    }
    ck_assert_int_eq(code, -ESTALE);
    return NULL;
}

static void evict_who_takes(void) {
    struct shmframe_session *session = world_open_session();
    struct taker taker = {.reader = journal_open_reader(session, SHMFRAME_IN_ORDER, 4)};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, take_on, &taker), 0);
    while (taker.last == 0)
        sched_yield();
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    ck_assert_int_eq(shmframe_session_evict(world.session, "s", info.number, world_deadline()), 0);
    pthread_join(thread, NULL);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(taker.reader, &counters);
    shmframe_reader_close(taker.reader);
    shmframe_session_close(session);
    const int64_t deadline_ns = world_deadline();
    while (shmframe_session_readers(world.session, "s", world_deadline(), &info, 1) != 0)
        ck_assert(shmframe_now_ns() < deadline_ns);
    uint64_t lost = 0;
    const unsigned lines = journal_count(SHMFRAME_JOURNAL_LOSS);
    for (unsigned i = 0; i < journal.events; i++) {
        if (journal.event[i].type != SHMFRAME_JOURNAL_LOSS ||
            journal.event[i].reader != info.number)
            continue;
        if (journal.event[i].cause == SHMFRAME_CAUSE_EVICTED)
            ck_assert_uint_eq(journal.event[i].first, taker.last + 1);
        else
            lost += journal.event[i].count;
    }
    ck_assert_msg(lost == counters.lost_late + counters.lost_restart,
                  "reader %u: %llu told, %llu late and %llu by a restart; %u losses told of all",
                  info.number, (unsigned long long)lost, (unsigned long long)counters.lost_late,
                  (unsigned long long)counters.lost_restart, lines);
}

/* Each reader's lines are within its own budget, and those of all are beyond their process's. */
START_TEST(who_leaves_has_its_losses_told_whatever_its_process_has_told) {
    enum { READERS = 60, LOSSES = 40 };
    struct shmframe_writer *writer = world_open_writer("s");
    uint64_t total = 0;
    for (unsigned i = 0; i < READERS; i++) {
        struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 1);
        struct shmframe_lease lease;
        for (unsigned loss = 0; loss < LOSSES; loss++) {
            journal_publish(writer, 3);
            while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0)
                ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
        }
        struct shmframe_reader_counters counters;
        shmframe_reader_counters(reader, &counters);
        ck_assert_uint_ge(counters.lost_late, LOSSES);
        total += counters.lost_late;
        shmframe_reader_close(reader);
        ck_assert_uint_eq(journal_sum_lost(), total);
    }
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(what_is_lost_by_an_eviction_was_not_given) {
    enum { ROUNDS = 30, ROUNDS_MAX = 300 };
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_on, NULL), 0);
    bool is_one_told = false; /* most have taken all there was */
    for (unsigned i = 0; i < ROUNDS || (i < ROUNDS_MAX && !is_one_told); i++) {
        evict_who_takes();
        is_one_told = is_one_told || journal_find(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_EVICTED);
    }
    is_over = true;
    pthread_join(thread, NULL);
    ck_assert(is_one_told);
}
END_TEST

START_TEST(refused_loans_are_blamed_on_who_had_the_slots) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_LOSSLESS, 1);
    journal_publish(writer, 1);
    struct shmframe_loan loan;
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), -EAGAIN);
    struct shmframe_stream_info info;
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), &info, 1), 1);
    ck_assert_uint_eq(info.refused, 5);
    ck_assert_uint_eq(info.published, 1);
    ck_assert_int_gt(info.blocked_ns, 0);
    ck_assert_int_gt(info.publish_ns, 0);
    ck_assert_uint_gt(info.slots, 0);
    world_take(reader, 1);
    const uint32_t blocker = info.blocker;
    shmframe_reader_close(reader);                              /* it is blamed all the same */
    struct shmframe_writer *other = world_open_writer("other"); /* whoever comes and goes there */
    for (unsigned i = 0; i < 300; i++)
        shmframe_reader_close(world_open_reader("other", SHMFRAME_LATEST));
    shmframe_writer_close(other);
    journal_publish(writer, 1);
    const struct shmframe_event *loss = journal_await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_POOL);
    ck_assert_uint_eq(loss->count, 5);
    ck_assert_str_eq(loss->name, "api-test");
    ck_assert_str_eq(loss->culprit, "eye");
    ck_assert_int_eq(loss->culprit_pid, getpid());
    ck_assert_uint_eq(loss->culprit_reader, blocker);
    ck_assert_uint_ne(blocker, 0);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("events_losses");
    TCase *tests = tcase_create("events_losses");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, a_loss_is_told_with_what_it_was_at);
    tcase_add_test(tests, sums_add_up_whatever_is_told_singly);
    tcase_add_test(tests, of_a_readers_losses_in_sum_the_largest_is_named);
    tcase_add_test(tests, of_losses_in_sum_the_largest_is_named);
    tcase_add_test(tests, the_losses_of_one_who_is_killed_are_told);
    tcase_add_test(tests, an_eviction_tells_what_was_missed);
    tcase_add_test(tests, who_is_evicted_before_its_first_frame_has_lost_from_there);
    tcase_add_test(tests, who_leaves_has_its_losses_told_whatever_its_process_has_told);
    tcase_add_test(tests, what_is_lost_by_an_eviction_was_not_given);
    tcase_add_test(tests, refused_loans_are_blamed_on_who_had_the_slots);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
