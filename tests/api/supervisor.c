/* Without a supervisor, and after its return. */
#include "world.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(frames_flow_without_a_supervisor_and_after_its_return) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LOSSLESS);
    world_publish(writer, 1);
    world_take(reader, 1);
    world_kill_supervisor();
    world_await_connected(false);
    for (uint64_t i = 2; i <= 100; i++) {
        world_publish(writer, i);
        ck_assert_uint_eq(world_take(reader, i), i);
    }
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    for (uint64_t i = 101; i <= 200; i++) {
        world_publish(writer, i);
        ck_assert_uint_eq(world_take(reader, i), i);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(new_readers_can_join_after_a_restart) {
    struct shmframe_writer *writer = world_open_writer("s");
    world_publish(writer, 1);
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    struct shmframe_reader *reader = NULL;
    const int64_t deadline_ns = world_deadline();
    int code;
    do {
        /* A writer comes back on its frame path, which this thread has to lend it. */
        world_publish(writer, 2);
        const struct shmframe_reader_params params = {
            .stream = "s", .deadline_ns = shmframe_deadline_ns(50000000)};
        code = shmframe_reader_open(world.session, &params, &reader);
    } while (code == -ETIMEDOUT && shmframe_now_ns() < deadline_ns);
    ck_assert_msg(code == 0, "no reader (%d): %s", code, shmframe_last_error());
    const uint64_t sequence = world_publish(writer, 3);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert_uint_eq(lease.frame.sequence, sequence);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(calls_that_need_a_supervisor_say_that_there_is_none) {
    world_kill_supervisor();
    world_await_connected(false);
    const int64_t soon_ns = shmframe_deadline_ns(20000000);
    struct shmframe_answer answer;
    expect_error(shmframe_session_request(world.session, "s", "pause", NULL, soon_ns, &answer),
                 -ENOTCONN, world.socket);
    expect_error(shmframe_session_streams(world.session, SHMFRAME_NOW, NULL, 0), -ENOTCONN,
                 world.socket);
    const struct shmframe_reader_params reader_params = {.stream = "s", .deadline_ns = soon_ns};
    struct shmframe_reader *reader;
    expect_error(shmframe_reader_open(world.session, &reader_params, &reader), -ENOTCONN,
                 world.socket);
    struct shmframe_writer_params writer_params = world_writer_params("s");
    writer_params.deadline_ns = soon_ns;
    struct shmframe_writer *writer;
    expect_error(shmframe_writer_open(world.session, &writer_params, &writer), -ENOTCONN,
                 world.socket);
    const struct shmframe_session_params params = {.socket = world.socket};
    struct shmframe_session *session;
    expect_error(shmframe_session_open(&params, &session), -ENOTCONN, world.socket);
}
END_TEST

START_TEST(a_reader_that_closes_without_a_supervisor_gives_everything_back) {
    struct shmframe_writer_params params = world_writer_params("s");
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    const struct shmframe_reader_params reader_params = {
        .stream = "s", .policy = SHMFRAME_LOSSLESS, .depth = 1, .leases = 2};
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(world.session, &reader_params, &reader), 0);
    world_publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    world_kill_supervisor();
    world_await_connected(false);
    shmframe_reader_close(reader);
    /* Its policy would make the writer wait, its lease would keep the slot. */
    struct shmframe_loan loan;
    bool is_lent_again = false;
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
        is_lent_again = is_lent_again || loan.slot == (lease.cell & 0xffff);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    }
    ck_assert(is_lent_again);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- a change of format, under way ---- */

static struct change {
    struct shmframe_writer *writer;
    _Atomic pid_t thread;
    _Atomic bool is_over;
    int code;
} change;

static void *change_format(void *unused) {
    (void)unused;
    struct shmframe_format format;
    shmframe_format_data(&format, "other", sizeof(uint64_t));
    atomic_store(&change.thread, gettid());
    change.code = shmframe_writer_set_format(change.writer, &format, world_deadline());
    atomic_store(&change.is_over, true);
    return NULL;
}

static void stop_supervisor(void) {
    int status;
    ck_assert_int_eq(kill(world.supervisor, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(world.supervisor, &status, WUNTRACED), world.supervisor);
    ck_assert(WIFSTOPPED(status));
}

static void dispatch_until_over(void) {
    while (!atomic_load(&change.is_over)) {
        struct pollfd mail = {.fd = shmframe_session_fd(world.session), .events = POLLIN};
        poll(&mail, 1, 10);
        shmframe_session_dispatch(world.session);
    }
}

/* The next supervisor answers the stream's return, while the thread sleeps that has asked the
 * former one for another ring. */
START_TEST(the_answer_to_a_return_is_none_to_a_change_of_format) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LOSSLESS);
    world_publish(writer, 1);
    world_take(reader, 1);
    stop_supervisor();
    change = (struct change){.writer = writer};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, change_format, NULL), 0);
    while (atomic_load(&change.thread) == 0)
        poll(NULL, 0, 1);
    world_await_asleep(atomic_load(&change.thread));
    world_kill_supervisor();
    world_start_supervisor(NULL, NULL);
    dispatch_until_over();
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(change.code, 0);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    ck_assert_uint_eq(counters.generation, 2);
    world_publish(writer, 2);
    ck_assert_uint_eq(world_take(reader, 2), 2);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("supervisor");
    TCase *tests = tcase_create("supervisor");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, frames_flow_without_a_supervisor_and_after_its_return);
    tcase_add_test(tests, new_readers_can_join_after_a_restart);
    tcase_add_test(tests, calls_that_need_a_supervisor_say_that_there_is_none);
    tcase_add_test(tests, a_reader_that_closes_without_a_supervisor_gives_everything_back);
    /* Not always does the thread sleep at the right moment. */
    tcase_add_loop_test(tests, the_answer_to_a_return_is_none_to_a_change_of_format, 0, 5);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
