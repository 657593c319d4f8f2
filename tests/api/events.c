/* The supervisor's journal, as sessions read it. */
#include "world.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS_MAX = 4096 };

static struct shmframe_event event[EVENTS_MAX];
static unsigned events;

/* Takes all there is from the beginning. Numbers have no gaps. */
static void take_all(void) {
    const int found = shmframe_session_events(world.session, 0, SHMFRAME_NOW, event, EVENTS_MAX);
    ck_assert_msg(found > 0, "no events (%d): %s", found, shmframe_last_error());
    events = (unsigned)found;
    for (unsigned i = 0; i < events; i++)
        ck_assert_uint_eq(event[i].id, event[0].id + i);
}

/* The newest one of `type` with `cause`; NULL: there is none. */
static const struct shmframe_event *find(enum shmframe_event_type type, enum shmframe_cause cause) {
    take_all();
    for (unsigned i = events; i > 0; i--)
        if (event[i - 1].type == type && event[i - 1].cause == cause)
            return &event[i - 1];
    return NULL;
}

static const struct shmframe_event *await(enum shmframe_event_type type,
                                          enum shmframe_cause cause) {
    const int64_t deadline_ns = world_deadline();
    const struct shmframe_event *found;
    while (!(found = find(type, cause))) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "no %s of cause %s",
                      shmframe_event_type_name(type), shmframe_cause_name(cause));
        shmframe_session_events(world.session, event[events - 1].id,
                                shmframe_deadline_ns(100000000), event, 1);
    }
    return found;
}

static unsigned count(enum shmframe_event_type type) {
    take_all();
    unsigned found = 0;
    for (unsigned i = 0; i < events; i++)
        found += event[i].type == (uint32_t)type;
    return found;
}

static uint64_t sum_lost(void) {
    uint64_t sum = 0;
    take_all();
    for (unsigned i = 0; i < events; i++)
        if (event[i].type == SHMFRAME_JOURNAL_LOSS)
            sum += event[i].count;
    return sum;
}

static struct shmframe_reader *open_reader(struct shmframe_session *session,
                                           enum shmframe_policy policy, uint32_t depth) {
    const struct shmframe_reader_params params = {.stream = "s",
                                                  .name = "eye",
                                                  .policy = policy,
                                                  .depth = depth,
                                                  .leases = 2,
                                                  .deadline_ns = world_deadline()};
    struct shmframe_reader *reader = NULL;
    const int code = shmframe_reader_open(session, &params, &reader);
    ck_assert_msg(code == 0, "no reader: %s", shmframe_last_error());
    return reader;
}

static void expect_reader(const struct shmframe_event *told) {
    ck_assert_str_eq(told->stream, "s");
    ck_assert_str_eq(told->name, "eye");
    ck_assert_int_eq(told->pid, getpid());
    ck_assert_uint_ne(told->reader, 0);
}

static void publish(struct shmframe_writer *writer, unsigned frames) {
    for (unsigned i = 0; i < frames; i++)
        world_publish(writer, i);
}

/* ---- asking ---- */

START_TEST(the_journal_begins_with_the_supervisors_start) {
    ck_assert_int_eq(shmframe_session_events(world.session, 0, SHMFRAME_NOW, event, 64), 1);
    ck_assert_uint_eq(event[0].id, 1);
    ck_assert_uint_eq(event[0].type, SHMFRAME_JOURNAL_SUPERVISOR);
    ck_assert_int_eq(event[0].pid, world.supervisor);
    ck_assert_int_eq(shmframe_session_events(world.session, 1, SHMFRAME_NOW, event, 64), -EAGAIN);
    ck_assert_int_eq(shmframe_session_events(world.session, 0, SHMFRAME_NOW, event, 0), -EINVAL);
    ck_assert_int_eq(shmframe_session_events(world.session, 1, shmframe_deadline_ns(1), event, 64),
                     -ETIMEDOUT);
}
END_TEST

static void open_one_soon(void) {
    struct shmframe_session *session = world_open_session();
    const struct shmframe_writer_params params = world_writer_params("s");
    struct shmframe_writer *writer;
    if (shmframe_writer_open(session, &params, &writer) < 0)
        _exit(3);
    world_tell();
    pause();
}

START_TEST(who_waits_is_told_when_something_happens) {
    const pid_t child = world_fork(open_one_soon);
    ck_assert_int_eq(shmframe_session_events(world.session, 1, world_deadline(), event, 64), 1);
    ck_assert_uint_eq(event[0].type, SHMFRAME_JOURNAL_STREAM_LIVE);
    ck_assert_str_eq(event[0].stream, "s");
    ck_assert_str_eq(event[0].name, "api-test");
    ck_assert_int_eq(event[0].pid, child);
    ck_assert_uint_eq(event[0].generation, 1);
    ck_assert_ptr_nonnull(strstr(event[0].text, "test"));
    world_await();
    kill(child, SIGKILL);
    ck_assert_int_eq(shmframe_session_events(world.session, 2, world_deadline(), event, 64), 1);
    ck_assert_uint_eq(event[0].type, SHMFRAME_JOURNAL_WRITER_GONE);
    ck_assert_int_eq(event[0].pid, child);
    ck_assert_str_eq(event[0].text, "its process died");
    waitpid(child, NULL, 0);
}
END_TEST

/* More than a socket holds, and than is kept. */
START_TEST(the_newest_are_kept_and_sent_as_there_is_room) {
    struct shmframe_writer *writer = world_open_writer("s");
    for (unsigned i = 0; i < 1100; i++)
        shmframe_reader_close(open_reader(world.session, SHMFRAME_LATEST, 0));
    take_all();
    const uint64_t newest = event[events - 1].id;
    ck_assert_uint_ge(newest, 2000); /* what a session may have told of its readers is limited */
    ck_assert_uint_eq(events, newest);
    ck_assert_int_eq(shmframe_session_events(world.session, newest - 3, SHMFRAME_NOW, event, 64),
                     3);
    ck_assert_int_eq(shmframe_session_events(world.session, newest - 3, SHMFRAME_NOW, event, 2), 2);
    ck_assert_uint_eq(event[0].id, newest - 2);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- what comes and goes ---- */

START_TEST(streams_and_readers_come_and_go) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_IN_ORDER, 3);
    struct shmframe_format format;
    shmframe_format_data(&format, "other", 16);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    shmframe_reader_close(reader);
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    shmframe_writer_close(writer);
    static const enum shmframe_event_type expected[] = {
        SHMFRAME_JOURNAL_SUPERVISOR,  SHMFRAME_JOURNAL_STREAM_LIVE, SHMFRAME_JOURNAL_READER_JOINED,
        SHMFRAME_JOURNAL_STREAM_LIVE, SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_JOURNAL_STREAM_ENDED};
    await(SHMFRAME_JOURNAL_STREAM_ENDED, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(events, 6);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(event[i].type, expected[i]);
    expect_reader(&event[2]);
    ck_assert_str_eq(event[2].text, "in order, depth 3");
    ck_assert_uint_eq(event[3].generation, 2);
    expect_reader(&event[4]);
}
END_TEST

static void leave_in_order(void) {
    struct shmframe_session *session = world.session = world_open_session();
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(session, SHMFRAME_LATEST, 0);
    world_tell();
    raise(SIGSTOP);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    shmframe_session_close(session);
    _exit(0);
}

/* The supervisor hears of its words and of its death at once. */
START_TEST(who_leaves_in_order_and_ends_has_left_in_order) {
    int status;
    const pid_t child = world_fork(leave_in_order);
    world_await();
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    kill(world.supervisor, SIGSTOP);
    ck_assert_int_eq(waitpid(world.supervisor, &status, WUNTRACED), world.supervisor);
    kill(child, SIGCONT);
    world_join(child);
    kill(world.supervisor, SIGCONT);
    ck_assert_str_eq(await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE)->text, "");
    ck_assert_str_eq(await(SHMFRAME_JOURNAL_STREAM_ENDED, SHMFRAME_CAUSE_NONE)->text, "");
}
END_TEST

/* ---- losses ---- */

START_TEST(a_loss_is_told_with_what_it_was_at) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_IN_ORDER, 2);
    publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    publish(writer, 9); /* 2 to 10, of which 9 and 10 are kept */
    poll(NULL, 0, 20);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    world_take(reader, 9);
    const struct shmframe_event *loss = await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_HELD);
    expect_reader(loss);
    ck_assert_uint_eq(loss->first, 2);
    ck_assert_uint_eq(loss->count, 7);
    ck_assert_uint_eq(loss->generation, 1);
    ck_assert_int_ge(loss->duration_ns, 20000000);
    ck_assert_str_eq(loss->culprit, "eye");
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
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_IN_ORDER, 3);
    unsigned seed = 7;
    uint64_t head = 0;
    struct shmframe_lease lease;
    for (unsigned i = 0; i < 2000; i++) {
        const unsigned frames = (unsigned)rand_r(&seed) % 9;
        publish(writer, frames);
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
    await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(counters.delivered + sum_lost(), head);
    ck_assert_uint_lt(count(SHMFRAME_JOURNAL_LOSS), 300);
    shmframe_writer_close(writer);
}
END_TEST

static struct shmframe_reader *child_reader;

static void lose_and_wait(void) {
    struct shmframe_session *session = world_open_session();
    child_reader = open_reader(session, SHMFRAME_IN_ORDER, 1);
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

static void await_stopped(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
}

START_TEST(the_losses_of_one_who_is_killed_are_told) {
    struct shmframe_writer *writer = world_open_writer("s");
    const pid_t child = world_fork(lose_and_wait);
    world_await();
    publish(writer, 1);
    world_await();
    await_stopped(child);
    publish(writer, 9);
    kill(child, SIGCONT);
    world_await();
    world_kill(child);
    const struct shmframe_event *left = await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(left->text, "its process died");
    ck_assert_int_eq(left->pid, child);
    const struct shmframe_event *loss = find(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_HELD);
    ck_assert_ptr_nonnull(loss);
    ck_assert_uint_eq(loss->first, 2);
    ck_assert_uint_eq(loss->count, 8);
    ck_assert_int_eq(loss->culprit_pid, child);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(an_eviction_tells_what_was_missed) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_IN_ORDER, 8);
    publish(writer, 4);
    world_take(reader, 1);
    world_take(reader, 2);
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    ck_assert_uint_eq(info.is_evicted, 0);
    ck_assert_uint_eq(info.uid, getuid());
    ck_assert_int_eq(shmframe_session_evict(world.session, "s", info.number, world_deadline()), 0);
    publish(writer, 2); /* no more of its losses */
    const struct shmframe_event *loss = await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_EVICTED);
    expect_reader(loss);
    ck_assert_uint_eq(loss->first, 3);
    ck_assert_uint_eq(loss->count, 2);
    ck_assert_ptr_nonnull(strstr(loss->text, "api-test"));
    const struct shmframe_event *left = find(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_EVICTED);
    ck_assert_ptr_nonnull(left);
    expect_reader(left);
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    ck_assert_uint_eq(info.is_evicted, 1);
    shmframe_reader_close(reader);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_READER_LEFT), 1);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(who_is_evicted_before_its_first_frame_has_lost_from_there) {
    struct shmframe_writer *writer = world_open_writer("s");
    publish(writer, 2);
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_IN_ORDER, 8);
    publish(writer, 3);
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    ck_assert_int_eq(shmframe_session_evict(world.session, "s", info.number, world_deadline()), 0);
    shmframe_reader_close(reader);
    const struct shmframe_event *loss = await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_EVICTED);
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
        publish(writer, 1);
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
    struct taker taker = {.reader = open_reader(session, SHMFRAME_IN_ORDER, 4)};
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
    const unsigned lines = count(SHMFRAME_JOURNAL_LOSS);
    for (unsigned i = 0; i < events; i++) {
        if (event[i].type != SHMFRAME_JOURNAL_LOSS || event[i].reader != info.number)
            continue;
        if (event[i].cause == SHMFRAME_CAUSE_EVICTED)
            ck_assert_uint_eq(event[i].first, taker.last + 1);
        else
            lost += event[i].count;
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
        struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_IN_ORDER, 1);
        struct shmframe_lease lease;
        for (unsigned loss = 0; loss < LOSSES; loss++) {
            publish(writer, 3);
            while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0)
                ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
        }
        struct shmframe_reader_counters counters;
        shmframe_reader_counters(reader, &counters);
        ck_assert_uint_ge(counters.lost_late, LOSSES);
        total += counters.lost_late;
        shmframe_reader_close(reader);
        ck_assert_uint_eq(sum_lost(), total);
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
        is_one_told = is_one_told || find(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_EVICTED);
    }
    is_over = true;
    pthread_join(thread, NULL);
    ck_assert(is_one_told);
}
END_TEST

START_TEST(refused_loans_are_blamed_on_who_had_the_slots) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_LOSSLESS, 1);
    publish(writer, 1);
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
    publish(writer, 1);
    const struct shmframe_event *loss = await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_POOL);
    ck_assert_uint_eq(loss->count, 5);
    ck_assert_str_eq(loss->name, "api-test");
    ck_assert_str_eq(loss->culprit, "eye");
    ck_assert_int_eq(loss->culprit_pid, getpid());
    ck_assert_uint_eq(loss->culprit_reader, blocker);
    ck_assert_uint_ne(blocker, 0);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- holds and stalls ---- */

static void hold_and_wait(void) {
    struct shmframe_session *session = world_open_session();
    child_reader = open_reader(session, SHMFRAME_LATEST, 0);
    world_tell();
    struct shmframe_lease lease;
    if (shmframe_reader_acquire(child_reader, world_deadline(), &lease) < 0)
        _exit(3);
    world_tell();
    pause();
}

START_TEST(a_hold_is_told_once_and_with_its_end_even_by_death) {
    struct shmframe_writer *writer = world_open_writer("s");
    const pid_t child = world_fork(hold_and_wait);
    world_await();
    publish(writer, 1);
    world_await();
    kill(child, SIGSTOP);
    await_stopped(child);
    const struct shmframe_event *hold = await(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(hold->pid, child);
    ck_assert_str_eq(hold->name, "eye");
    ck_assert_uint_eq(hold->first, 1);
    ck_assert_uint_eq(hold->leases, 1);
    ck_assert_int_eq(hold->limit_ns, 1000000000);
    ck_assert_int_gt(hold->duration_ns, hold->limit_ns);
    ck_assert_str_eq(hold->text, "its process is stopped");
    world_kill(child);
    const struct shmframe_event *over = await(SHMFRAME_JOURNAL_HOLD_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(over->text, "its process died");
    ck_assert_int_gt(over->duration_ns, over->limit_ns);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_HOLD), 1);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(the_end_of_a_hold_is_the_release) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_LATEST, 0);
    publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    await(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    struct shmframe_flight flight;
    ck_assert_int_eq(shmframe_reader_flights(reader, &flight, 1), 1);
    const struct shmframe_event *over = await(SHMFRAME_JOURNAL_HOLD_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(over->duration_ns, flight.release_ns - flight.acquire_ns);
    ck_assert_int_eq(over->time_ns, flight.release_ns);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

static struct shmframe_writer *open_video(void) {
    struct shmframe_writer_params params = {.stream = "s"};
    ck_assert_int_eq(shmframe_format_video(&params.format, "gray", 16, 16), 0);
    params.format.video.frame_rate = (struct shmframe_rational){50, 1};
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    return writer;
}

START_TEST(a_writer_that_stalls_is_told_and_when_it_goes_on) {
    struct shmframe_writer *writer = open_video();
    struct shmframe_loan loan;
    poll(NULL, 0, 1300); /* nothing is due before the first frame */
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_STALL), 0);
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    const int64_t first_ns = loan.frame.publish_ns;
    const struct shmframe_event *stall = await(SHMFRAME_JOURNAL_STALL, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(stall->stream, "s");
    ck_assert_str_eq(stall->name, "api-test");
    ck_assert_str_eq(stall->culprit, "api-test");
    ck_assert_uint_eq(stall->reader, 0);
    ck_assert_int_eq(stall->limit_ns, 1000000000);
    ck_assert_int_eq(stall->duration_ns, stall->time_ns - first_ns);
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    const struct shmframe_event *over = await(SHMFRAME_JOURNAL_STALL_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(over->duration_ns, loan.frame.publish_ns - first_ns);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_STALL), 1);
    shmframe_writer_close(writer);
}
END_TEST

static void sleep_for_frames(void) {
    struct shmframe_session *session = world_open_session();
    child_reader = open_reader(session, SHMFRAME_LATEST, 0);
    world_tell();
    for (;;) {
        struct shmframe_lease lease;
        if (shmframe_reader_acquire(child_reader, world_deadline(), &lease) < 0)
            _exit(3);
        shmframe_reader_release(child_reader, &lease);
    }
}

START_TEST(a_reader_that_is_woken_and_does_not_come_is_told) {
    struct shmframe_writer *writer = world_open_writer("s");
    const pid_t child = world_fork(sleep_for_frames);
    world_await();
    world_await_asleep(child);
    kill(child, SIGSTOP);
    await_stopped(child);
    publish(writer, 1);
    const struct shmframe_event *stall = await(SHMFRAME_JOURNAL_STALL, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(stall->name, "eye");
    ck_assert_int_eq(stall->pid, child);
    ck_assert_uint_ne(stall->reader, 0);
    ck_assert_str_eq(stall->text, "its process is stopped");
    kill(child, SIGCONT);
    await(SHMFRAME_JOURNAL_STALL_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_HOLD), 0);
    world_kill(child);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- what a pipeline file says ---- */

static char program[4096]; /* this one */

static char path[128]; /* of the file; not there but while it is read */

static void write_file(const char *text) {
    snprintf(path, sizeof(path), "%s/pipeline", world.folder);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "%s", text);
    fclose(file);
}

/* Instead of the supervisor that the fixture started: one with this file. */
static void start_with_file(const char *text) {
    write_file(text);
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor("--config", path);
    world_await_connected(true);
    unlink(path);
}

START_TEST(a_reader_that_holds_is_evicted_where_the_file_says_so) {
    start_with_file("[stream s]\nhold-limit = 200ms\non-hold = evict\n");
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_IN_ORDER, 4);
    publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    const struct shmframe_event *left = await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_EVICTED);
    expect_reader(left);
    ck_assert_str_eq(left->text, "it held a lease for too long");
    const struct shmframe_event *hold = find(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    ck_assert_ptr_nonnull(hold);
    ck_assert_int_eq(hold->limit_ns, 200000000);
    ck_assert_int_lt(hold->id, left->id);
    const struct shmframe_event *over = find(SHMFRAME_JOURNAL_HOLD_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_ptr_nonnull(over);
    ck_assert_str_eq(over->text, "evicted");
    struct shmframe_lease other;
    publish(writer, 1);
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &other), -ESTALE);
    shmframe_reader_release(reader, &lease);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

static void reload_file(const char *text) {
    write_file(text);
    ck_assert_int_eq(
        shmframe_session_command(world.session, "reload", NULL, world_deadline(), NULL, NULL), 0);
    unlink(path);
}

/* What was told already, perhaps by a supervisor that could do no more. */
static void check_late_evict(void (*change)(const char *text)) {
    start_with_file("[stream s]\nhold-limit = 100ms\n");
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_IN_ORDER, 4);
    publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    await(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    change("[stream s]\nhold-limit = 100ms\non-hold = evict\n");
    await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_EVICTED);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_HOLD), 1);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_HOLD_OVER), 1);
    shmframe_reader_release(reader, &lease);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}

START_TEST(a_limit_that_is_reloaded_reaches_what_was_told) {
    check_late_evict(reload_file);
}
END_TEST

START_TEST(the_next_supervisor_does_what_the_last_one_told) {
    check_late_evict(start_with_file);
}
END_TEST

START_TEST(a_stream_without_a_rate_stalls_where_the_file_says_so) {
    start_with_file("[stream s]\nstall-limit = 200ms\nhold-limit = none\n");
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_LATEST, 0);
    publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    const struct shmframe_event *stall = await(SHMFRAME_JOURNAL_STALL, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(stall->limit_ns, 200000000);
    poll(NULL, 0, 1300); /* longer than the limit that there is without the file */
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_HOLD), 0);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* As a node: holds what it gets. */
static int hold_for_ever(void) {
    struct shmframe_session *session;
    struct shmframe_reader *reader;
    const struct shmframe_session_params params = {.deadline_ns = shmframe_deadline_ns(WORLD_NS)};
    const struct shmframe_reader_params eye = {
        .stream = "s", .name = "eye", .deadline_ns = shmframe_deadline_ns(WORLD_NS)};
    struct shmframe_lease lease;
    if (shmframe_session_open(&params, &session) < 0 ||
        shmframe_reader_open(session, &eye, &reader) < 0 ||
        shmframe_reader_acquire(reader, SHMFRAME_FOREVER, &lease) < 0)
        return 1;
    for (;;)
        pause();
}

/* As a node: writes what it can. */
static int write_for_ever(void) {
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    const struct shmframe_session_params params = {.deadline_ns = shmframe_deadline_ns(WORLD_NS)};
    struct shmframe_writer_params stream = {.stream = "s"};
    struct shmframe_loan loan;
    if (shmframe_format_data(&stream.format, "test", 8) < 0 ||
        shmframe_session_open(&params, &session) < 0 ||
        shmframe_writer_open(session, &stream, &writer) < 0)
        return 1;
    while (shmframe_writer_loan(writer, SHMFRAME_FOREVER, &loan) == 0)
        shmframe_writer_publish(writer, &loan);
    return 1;
}

START_TEST(a_node_that_waits_for_anothers_reader_is_not_restarted) {
    char text[8192];
    snprintf(text, sizeof(text),
             "[stream s]\n[producer source]\ncommand = '%s' write\nwrites = s\nready = none\n"
             "stall-limit = 200ms\non-stall = restart\n",
             program);
    start_with_file(text);
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_LOSSLESS, 4);
    const struct shmframe_event *stall = await(SHMFRAME_JOURNAL_STALL, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(stall->culprit, "eye");
    struct shmframe_node_info node = {0};
    ck_assert_int_eq(shmframe_session_nodes(world.session, world_deadline(), &node, 1), 1);
    ck_assert_msg(strcmp(node.state, "running") == 0, "it is %s: %s", node.state, node.reason);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    await(SHMFRAME_JOURNAL_STALL_OVER, SHMFRAME_CAUSE_NONE);
    /* Now it is its own fault: it would find room, and is stopped. */
    kill(node.pid, SIGSTOP);
    while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0)
        shmframe_reader_release(reader, &lease);
    const int64_t deadline_ns = world_deadline();
    while (node.restarts == 0) {
        ck_assert_int_eq(shmframe_session_nodes(world.session, world_deadline(), &node, 1), 1);
        ck_assert(shmframe_now_ns() < deadline_ns);
        poll(NULL, 0, 20);
    }
    ck_assert_int_eq(
        shmframe_session_command(world.session, "stop", "source", world_deadline(), NULL, NULL), 0);
    while (shmframe_session_nodes(world.session, world_deadline(), &node, 1) == 1 &&
           strcmp(node.state, "stopped") != 0)
        ck_assert(shmframe_now_ns() < deadline_ns);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(a_node_that_holds_is_restarted_where_the_file_says_so) {
    char text[8192];
    snprintf(text, sizeof(text),
             "[stream s]\n[consumer eye]\ncommand = '%s' hold\nreads = s\nhold-limit = 200ms\n"
             "on-hold = restart\n",
             program);
    start_with_file(text);
    struct shmframe_writer *writer = world_open_writer("s");
    const int64_t deadline_ns = world_deadline();
    struct shmframe_node_info node = {0};
    while (node.restarts < 2) {
        publish(writer, 1);
        ck_assert_int_eq(shmframe_session_nodes(world.session, world_deadline(), &node, 1), 1);
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "not restarted: %s, %s", node.state,
                      node.reason);
        poll(NULL, 0, 20);
    }
    ck_assert_uint_ge(count(SHMFRAME_JOURNAL_HOLD), 2);
    ck_assert_uint_ge(count(SHMFRAME_JOURNAL_HOLD_OVER), 2);
    ck_assert_int_eq(
        shmframe_session_command(world.session, "stop", "eye", world_deadline(), NULL, NULL), 0);
    while (shmframe_session_nodes(world.session, world_deadline(), &node, 1) == 1 &&
           strcmp(node.state, "stopped") != 0)
        ck_assert(shmframe_now_ns() < deadline_ns);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- over a restart ---- */

static void restart_supervisor(void) {
    world_kill_supervisor();
    world_await_connected(false);
}

START_TEST(the_next_supervisor_goes_on_where_the_last_one_was) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_IN_ORDER, 1);
    publish(writer, 5);
    world_take(reader, 5); /* 4 lost before */
    await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_AWAY);
    struct shmframe_reader_info before, after;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &before, 1), 1);
    take_all();
    const uint64_t newest = event[events - 1].id;
    publish(writer, 10);
    world_take(reader, 15); /* 9 that may be told by either */
    restart_supervisor();
    publish(writer, 20);
    world_take(reader, 35); /* 19 while there is none */
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    publish(writer, 30);
    world_take(reader, 65); /* 29 after */
    const int64_t deadline_ns = world_deadline();
    while (sum_lost() < 4 + 9 + 19 + 29) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "%llu lost only",
                      (unsigned long long)sum_lost());
        shmframe_session_dispatch(world.session);
        poll(NULL, 0, 20);
    }
    ck_assert_uint_eq(sum_lost(), 4 + 9 + 19 + 29);
    ck_assert_uint_gt(event[events - 1].id, newest);
    ck_assert_uint_eq(event[0].id, 1);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_LOSS), 4);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_SUPERVISOR), 2);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_READER_JOINED), 1);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_STREAM_LIVE), 1);
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &after, 1), 1);
    ck_assert_uint_eq(after.number, before.number);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* Its writer has not been looked at yet when the supervisor is killed. */
START_TEST(a_stream_that_has_just_come_is_told_once) {
    struct shmframe_writer *writer = world_open_writer("s");
    restart_supervisor();
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    struct shmframe_stream_info info = {0};
    const int64_t deadline_ns = world_deadline();
    while (info.writer_pid == 0) {
        publish(writer, 1); /* a writer comes back on its frame path */
        ck_assert_int_ge(shmframe_session_streams(world.session, world_deadline(), &info, 1), 0);
        ck_assert(shmframe_now_ns() < deadline_ns);
    }
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_STREAM_LIVE), 1);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_hold_is_told_once_over_a_restart) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_LATEST, 0);
    publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    await(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    restart_supervisor();
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    struct shmframe_reader_info info;
    const int64_t deadline_ns = world_deadline();
    while (shmframe_session_readers(world.session, "s", world_deadline(), &info, 1) != 1)
        ck_assert(shmframe_now_ns() < deadline_ns);
    poll(NULL, 0, 600); /* time for it to be told again, if it were */
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    await(SHMFRAME_JOURNAL_HOLD_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_HOLD), 1);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_HOLD_OVER), 1);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(who_died_while_there_was_no_supervisor_is_told_to_have_left) {
    const pid_t child = world_fork(open_one_soon);
    world_await();
    struct shmframe_reader *reader = open_reader(world.session, SHMFRAME_LATEST, 0);
    const pid_t other = world_fork(sleep_for_frames);
    world_await();
    restart_supervisor();
    world_kill(child);
    world_kill(other);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    const struct shmframe_event *left = await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(left->pid, other);
    ck_assert_str_eq(left->text, "while there was no supervisor");
    const struct shmframe_event *gone = await(SHMFRAME_JOURNAL_WRITER_GONE, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(gone->pid, child);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_READER_LEFT), 1);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_WRITER_GONE), 1);
    shmframe_reader_close(reader);
}
END_TEST

static struct {
    _Atomic bool is_over;
    _Atomic uint64_t lost;
} * tally; /* of a child */

static void lose_all_the_time(void) {
    struct shmframe_session *session = world.session = world_open_session();
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_reader(session, SHMFRAME_IN_ORDER, 1);
    world_tell();
    for (uint64_t i = 1; !tally->is_over; i++) {
        world_publish(writer, i);
        if (i % 5 == 0)
            world_take(reader, i);
        if (i % 50 == 0) {
            shmframe_session_dispatch(session);
            poll(NULL, 0, 1);
        }
    }
    world_await_connected(true);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    tally->lost = counters.lost_late + counters.lost_restart;
    shmframe_reader_close(reader);
    world_tell();
    pause();
}

/* At any instant: between line and mark, between look and line. */
START_TEST(sums_add_up_however_often_the_supervisor_is_killed) {
    enum { KILLS = 8, LIFE_MOST_MS = 500 };
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(tally, MAP_FAILED);
    const pid_t child = world_fork(lose_all_the_time);
    world_await();
    unsigned seed = 11;
    for (unsigned i = 0; i < KILLS; i++) {
        poll(NULL, 0, rand_r(&seed) % LIFE_MOST_MS);
        world_kill_supervisor();
        poll(NULL, 0, rand_r(&seed) % 20);
        world_start_supervisor(NULL, NULL);
    }
    tally->is_over = true;
    world_await();
    world_await_connected(false);
    world_await_connected(true);
    await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(event[0].id, 1); /* all of it is there */
    ck_assert_uint_gt(tally->lost, 1000);
    ck_assert_uint_eq(sum_lost(), tally->lost);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_READER_JOINED), 1);
    ck_assert_uint_eq(count(SHMFRAME_JOURNAL_SUPERVISOR), KILLS + 1);
    world_kill(child);
    munmap(tally, sizeof(*tally));
}
END_TEST

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "hold") == 0)
        return hold_for_ever();
    if (argc > 1 && strcmp(argv[1], "write") == 0)
        return write_for_ever();
    if (!realpath(argv[0], program))
        return EXIT_FAILURE;
    Suite *suite = suite_create("events");
    TCase *tests = tcase_create("events");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, the_journal_begins_with_the_supervisors_start);
    tcase_add_test(tests, who_waits_is_told_when_something_happens);
    tcase_add_test(tests, the_newest_are_kept_and_sent_as_there_is_room);
    tcase_add_test(tests, streams_and_readers_come_and_go);
    tcase_add_test(tests, who_leaves_in_order_and_ends_has_left_in_order);
    tcase_add_test(tests, a_loss_is_told_with_what_it_was_at);
    tcase_add_test(tests, sums_add_up_whatever_is_told_singly);
    tcase_add_test(tests, the_losses_of_one_who_is_killed_are_told);
    tcase_add_test(tests, an_eviction_tells_what_was_missed);
    tcase_add_test(tests, who_is_evicted_before_its_first_frame_has_lost_from_there);
    tcase_add_test(tests, who_leaves_has_its_losses_told_whatever_its_process_has_told);
    tcase_add_test(tests, what_is_lost_by_an_eviction_was_not_given);
    tcase_add_test(tests, refused_loans_are_blamed_on_who_had_the_slots);
    tcase_add_test(tests, a_hold_is_told_once_and_with_its_end_even_by_death);
    tcase_add_test(tests, the_end_of_a_hold_is_the_release);
    tcase_add_test(tests, a_writer_that_stalls_is_told_and_when_it_goes_on);
    tcase_add_test(tests, a_reader_that_is_woken_and_does_not_come_is_told);
    tcase_add_test(tests, a_reader_that_holds_is_evicted_where_the_file_says_so);
    tcase_add_test(tests, a_stream_without_a_rate_stalls_where_the_file_says_so);
    tcase_add_test(tests, a_limit_that_is_reloaded_reaches_what_was_told);
    tcase_add_test(tests, the_next_supervisor_does_what_the_last_one_told);
    tcase_add_test(tests, a_node_that_waits_for_anothers_reader_is_not_restarted);
    tcase_add_test(tests, a_node_that_holds_is_restarted_where_the_file_says_so);
    tcase_add_test(tests, the_next_supervisor_goes_on_where_the_last_one_was);
    tcase_add_test(tests, sums_add_up_however_often_the_supervisor_is_killed);
    tcase_add_test(tests, a_stream_that_has_just_come_is_told_once);
    tcase_add_test(tests, a_hold_is_told_once_over_a_restart);
    tcase_add_test(tests, who_died_while_there_was_no_supervisor_is_told_to_have_left);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
