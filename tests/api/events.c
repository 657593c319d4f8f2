/* The supervisor's journal, as sessions read it. */
#include "journal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- asking ---- */

START_TEST(the_journal_begins_with_the_supervisors_start) {
    ck_assert_int_eq(shmframe_session_events(world.session, 0, SHMFRAME_NOW, journal.event, 64), 1);
    ck_assert_uint_eq(journal.event[0].id, 1);
    ck_assert_uint_eq(journal.event[0].type, SHMFRAME_JOURNAL_SUPERVISOR);
    ck_assert_int_eq(journal.event[0].pid, world.supervisor);
    ck_assert_int_eq(shmframe_session_events(world.session, 1, SHMFRAME_NOW, journal.event, 64),
                     -EAGAIN);
    ck_assert_int_eq(shmframe_session_events(world.session, 0, SHMFRAME_NOW, journal.event, 0),
                     -EINVAL);
    ck_assert_int_eq(
        shmframe_session_events(world.session, 1, shmframe_deadline_ns(1), journal.event, 64),
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
    ck_assert_int_eq(shmframe_session_events(world.session, 1, world_deadline(), journal.event, 64),
                     1);
    ck_assert_uint_eq(journal.event[0].type, SHMFRAME_JOURNAL_STREAM_LIVE);
    ck_assert_str_eq(journal.event[0].stream, "s");
    ck_assert_str_eq(journal.event[0].name, "api-test");
    ck_assert_int_eq(journal.event[0].pid, child);
    ck_assert_uint_eq(journal.event[0].generation, 1);
    ck_assert_ptr_nonnull(strstr(journal.event[0].text, "test"));
    world_await();
    kill(child, SIGKILL);
    ck_assert_int_eq(shmframe_session_events(world.session, 2, world_deadline(), journal.event, 64),
                     1);
    ck_assert_uint_eq(journal.event[0].type, SHMFRAME_JOURNAL_WRITER_GONE);
    ck_assert_int_eq(journal.event[0].pid, child);
    ck_assert_str_eq(journal.event[0].text, "its process died");
    waitpid(child, NULL, 0);
}
END_TEST

/* More than a socket holds, and than is kept. */
START_TEST(the_newest_are_kept_and_sent_as_there_is_room) {
    struct shmframe_writer *writer = world_open_writer("s");
    for (unsigned i = 0; i < 1100; i++)
        shmframe_reader_close(journal_open_reader(world.session, SHMFRAME_LATEST, 0));
    journal_take_all();
    const uint64_t newest = journal.event[journal.events - 1].id;
    ck_assert_uint_ge(newest, 2000); /* what a session may have told of its readers is limited */
    ck_assert_uint_eq(journal.events, newest);
    ck_assert_int_eq(
        shmframe_session_events(world.session, newest - 3, SHMFRAME_NOW, journal.event, 64), 3);
    ck_assert_int_eq(
        shmframe_session_events(world.session, newest - 3, SHMFRAME_NOW, journal.event, 2), 2);
    ck_assert_uint_eq(journal.event[0].id, newest - 2);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- what comes and goes ---- */

START_TEST(streams_and_readers_come_and_go) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 3);
    struct shmframe_format format;
    shmframe_format_data(&format, "other", 16);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    shmframe_reader_close(reader);
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    shmframe_writer_close(writer);
    static const enum shmframe_event_type expected[] = {
        SHMFRAME_JOURNAL_SUPERVISOR,  SHMFRAME_JOURNAL_STREAM_LIVE, SHMFRAME_JOURNAL_READER_JOINED,
        SHMFRAME_JOURNAL_STREAM_LIVE, SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_JOURNAL_STREAM_ENDED};
    journal_await(SHMFRAME_JOURNAL_STREAM_ENDED, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(journal.events, 6);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(journal.event[i].type, expected[i]);
    journal_expect_reader(&journal.event[2]);
    ck_assert_str_eq(journal.event[2].text, "in order, depth 3");
    ck_assert_uint_eq(journal.event[3].generation, 2);
    journal_expect_reader(&journal.event[4]);
}
END_TEST

static void leave_in_order(void) {
    struct shmframe_session *session = world.session = world_open_session();
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = journal_open_reader(session, SHMFRAME_LATEST, 0);
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
    ck_assert_str_eq(journal_await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE)->text, "");
    ck_assert_str_eq(journal_await(SHMFRAME_JOURNAL_STREAM_ENDED, SHMFRAME_CAUSE_NONE)->text, "");
}
END_TEST

/* ---- holds and stalls ---- */

static struct shmframe_reader *child_reader;

static void hold_and_wait(void) {
    struct shmframe_session *session = world_open_session();
    child_reader = journal_open_reader(session, SHMFRAME_LATEST, 0);
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
    journal_publish(writer, 1);
    world_await();
    kill(child, SIGSTOP);
    world_await_stopped(child);
    const struct shmframe_event *hold = journal_await(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(hold->pid, child);
    ck_assert_str_eq(hold->name, "eye");
    ck_assert_uint_eq(hold->first, 1);
    ck_assert_uint_eq(hold->leases, 1);
    ck_assert_int_eq(hold->limit_ns, 1000000000);
    ck_assert_int_gt(hold->duration_ns, hold->limit_ns);
    ck_assert_str_eq(hold->text, "its process is stopped");
    world_kill(child);
    const struct shmframe_event *over =
        journal_await(SHMFRAME_JOURNAL_HOLD_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(over->text, "its process died");
    ck_assert_int_gt(over->duration_ns, over->limit_ns);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_HOLD), 1);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(the_end_of_a_hold_is_the_release) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_LATEST, 0);
    journal_publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    journal_await(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    struct shmframe_flight flight;
    ck_assert_int_eq(shmframe_reader_flights(reader, &flight, 1), 1);
    const struct shmframe_event *over =
        journal_await(SHMFRAME_JOURNAL_HOLD_OVER, SHMFRAME_CAUSE_NONE);
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
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_STALL), 0);
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    const int64_t first_ns = loan.frame.publish_ns;
    const struct shmframe_event *stall = journal_await(SHMFRAME_JOURNAL_STALL, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(stall->stream, "s");
    ck_assert_str_eq(stall->name, "api-test");
    ck_assert_str_eq(stall->culprit, "api-test");
    ck_assert_uint_eq(stall->reader, 0);
    ck_assert_int_eq(stall->limit_ns, 1000000000);
    ck_assert_int_eq(stall->duration_ns, stall->time_ns - first_ns);
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    const struct shmframe_event *over =
        journal_await(SHMFRAME_JOURNAL_STALL_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(over->duration_ns, loan.frame.publish_ns - first_ns);
    /* Before what was lost by it, which is told at the same instant. */
    const uint64_t over_id = over->id;
    const int64_t over_ns = over->time_ns;
    const struct shmframe_event *loss =
        journal_await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_WRITER_LATE);
    ck_assert_uint_gt(loss->id, over_id);
    ck_assert_int_ge(loss->time_ns, over_ns);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_STALL), 1);
    shmframe_writer_close(writer);
}
END_TEST

static void sleep_for_frames(void) {
    struct shmframe_session *session = world_open_session();
    child_reader = journal_open_reader(session, SHMFRAME_LATEST, 0);
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
    world_await_stopped(child);
    journal_publish(writer, 1);
    const struct shmframe_event *stall = journal_await(SHMFRAME_JOURNAL_STALL, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(stall->name, "eye");
    ck_assert_int_eq(stall->pid, child);
    ck_assert_uint_ne(stall->reader, 0);
    ck_assert_str_eq(stall->text, "its process is stopped");
    kill(child, SIGCONT);
    journal_await(SHMFRAME_JOURNAL_STALL_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_HOLD), 0);
    world_kill(child);
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
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 1);
    journal_publish(writer, 5);
    world_take(reader, 5); /* 4 lost before */
    journal_await(SHMFRAME_JOURNAL_LOSS, SHMFRAME_CAUSE_AWAY);
    struct shmframe_reader_info before, after;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &before, 1), 1);
    journal_take_all();
    const uint64_t newest = journal.event[journal.events - 1].id;
    journal_publish(writer, 10);
    world_take(reader, 15); /* 9 that may be told by either */
    restart_supervisor();
    journal_publish(writer, 20);
    world_take(reader, 35); /* 19 while there is none */
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    journal_publish(writer, 30);
    world_take(reader, 65); /* 29 after */
    const int64_t deadline_ns = world_deadline();
    while (journal_sum_lost() < 4 + 9 + 19 + 29) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "%llu lost only",
                      (unsigned long long)journal_sum_lost());
        shmframe_session_dispatch(world.session);
        poll(NULL, 0, 20);
    }
    ck_assert_uint_eq(journal_sum_lost(), 4 + 9 + 19 + 29);
    ck_assert_uint_gt(journal.event[journal.events - 1].id, newest);
    ck_assert_uint_eq(journal.event[0].id, 1);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_LOSS), 4);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_SUPERVISOR), 2);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_READER_JOINED), 1);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_STREAM_LIVE), 1);
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
        journal_publish(writer, 1); /* a writer comes back on its frame path */
        ck_assert_int_ge(shmframe_session_streams(world.session, world_deadline(), &info, 1), 0);
        ck_assert(shmframe_now_ns() < deadline_ns);
    }
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_STREAM_LIVE), 1);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_hold_is_told_once_over_a_restart) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_LATEST, 0);
    journal_publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    journal_await(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    restart_supervisor();
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    struct shmframe_reader_info info;
    const int64_t deadline_ns = world_deadline();
    while (shmframe_session_readers(world.session, "s", world_deadline(), &info, 1) != 1)
        ck_assert(shmframe_now_ns() < deadline_ns);
    poll(NULL, 0, 600); /* time for it to be told again, if it were */
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    journal_await(SHMFRAME_JOURNAL_HOLD_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_HOLD), 1);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_HOLD_OVER), 1);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(who_died_while_there_was_no_supervisor_is_told_to_have_left) {
    const pid_t child = world_fork(open_one_soon);
    world_await();
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_LATEST, 0);
    const pid_t other = world_fork(sleep_for_frames);
    world_await();
    restart_supervisor();
    world_kill(child);
    world_kill(other);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    const struct shmframe_event *left =
        journal_await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(left->pid, other);
    ck_assert_str_eq(left->text, "while there was no supervisor");
    const struct shmframe_event *gone =
        journal_await(SHMFRAME_JOURNAL_WRITER_GONE, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(gone->pid, child);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_READER_LEFT), 1);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_WRITER_GONE), 1);
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
    struct shmframe_reader *reader = journal_open_reader(session, SHMFRAME_IN_ORDER, 1);
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
    journal_await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_NONE);
    ck_assert_uint_eq(journal.event[0].id, 1); /* all of it is there */
    ck_assert_uint_gt(tally->lost, 1000);
    ck_assert_uint_eq(journal_sum_lost(), tally->lost);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_READER_JOINED), 1);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_SUPERVISOR), KILLS + 1);
    world_kill(child);
    munmap(tally, sizeof(*tally));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("events");
    TCase *tests = tcase_create("events");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, the_journal_begins_with_the_supervisors_start);
    tcase_add_test(tests, who_waits_is_told_when_something_happens);
    tcase_add_test(tests, the_newest_are_kept_and_sent_as_there_is_room);
    tcase_add_test(tests, streams_and_readers_come_and_go);
    tcase_add_test(tests, who_leaves_in_order_and_ends_has_left_in_order);
    tcase_add_test(tests, a_hold_is_told_once_and_with_its_end_even_by_death);
    tcase_add_test(tests, the_end_of_a_hold_is_the_release);
    tcase_add_test(tests, a_writer_that_stalls_is_told_and_when_it_goes_on);
    tcase_add_test(tests, a_reader_that_is_woken_and_does_not_come_is_told);
    tcase_add_test(tests, the_next_supervisor_goes_on_where_the_last_one_was);
    tcase_add_test(tests, sums_add_up_however_often_the_supervisor_is_killed);
    tcase_add_test(tests, a_stream_that_has_just_come_is_told_once);
    tcase_add_test(tests, a_hold_is_told_once_over_a_restart);
    tcase_add_test(tests, who_died_while_there_was_no_supervisor_is_told_to_have_left);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
