/* Every call that asks the supervisor, in each way that it can be left without what it asked for.
 */
#include "world.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the calls, all of the stream 's' ---- */

static int ask_streams(int64_t deadline_ns) {
    struct shmframe_stream_info info;
    return shmframe_session_streams(world.session, deadline_ns, &info, 1);
}

static int ask_readers(int64_t deadline_ns) {
    struct shmframe_reader_info info;
    return shmframe_session_readers(world.session, "s", deadline_ns, &info, 1);
}

static int ask_nodes(int64_t deadline_ns) {
    struct shmframe_node_info info;
    return shmframe_session_nodes(world.session, deadline_ns, &info, 1);
}

static int ask_events(int64_t deadline_ns) {
    struct shmframe_event event;
    return shmframe_session_events(world.session, 0, deadline_ns, &event, 1);
}

static int ask_command(int64_t deadline_ns) {
    return shmframe_session_command(world.session, "describe", NULL, deadline_ns, NULL, NULL);
}

static int ask_evict(int64_t deadline_ns) {
    return shmframe_session_evict(world.session, "s", 1, deadline_ns);
}

static int ask_record(int64_t deadline_ns) {
    struct shmframe_record *record;
    return shmframe_record_open(world.session, "s", 1, deadline_ns, &record);
}

static int ask_request(int64_t deadline_ns) {
    struct shmframe_answer answer;
    return shmframe_session_request(world.session, "s", "pause", NULL, deadline_ns, &answer);
}

static int ask_reader(int64_t deadline_ns) {
    const struct shmframe_reader_params params = {.stream = "s", .deadline_ns = deadline_ns};
    struct shmframe_reader *reader;
    return shmframe_reader_open(world.session, &params, &reader);
}

static int ask_writer(int64_t deadline_ns) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.deadline_ns = deadline_ns;
    struct shmframe_writer *writer;
    return shmframe_writer_open(world.session, &params, &writer);
}

static const struct {
    const char *name;
    int (*ask)(int64_t deadline_ns);
} calls[] = {
    {"streams", ask_streams}, {"readers", ask_readers}, {"nodes", ask_nodes},
    {"events", ask_events},   {"command", ask_command}, {"evict", ask_evict},
    {"record", ask_record},   {"request", ask_request}, {"reader", ask_reader},
    {"writer", ask_writer},
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static void expect_of_all(int64_t deadline_ns, int wanted, const char *words) {
    for (unsigned i = 0; i < CALLS; i++) {
        const int code = calls[i].ask(deadline_ns);
        ck_assert_msg(code == wanted, "%s answers %s: %s", calls[i].name, strerrorname_np(-code),
                      shmframe_last_error());
        ck_assert_msg(strstr(shmframe_last_error(), words), "%s says '%s'", calls[i].name,
                      shmframe_last_error());
    }
}

/* ---- no answer ---- */

START_TEST(every_call_says_that_there_is_no_supervisor) {
    world_kill_supervisor();
    world_await_connected(false);
    expect_of_all(shmframe_deadline_ns(1000000), -ENOTCONN, world.socket);
}
END_TEST

START_TEST(every_call_says_that_it_was_not_answered_in_time) {
    kill(world.supervisor, SIGSTOP);
    expect_of_all(shmframe_deadline_ns(1000000), -ETIMEDOUT, " in time");
}
END_TEST

START_TEST(who_takes_the_events_there_are_waits_no_longer_for_the_answer_than_it_says) {
    kill(world.supervisor, SIGSTOP);
    expect_error(ask_events(SHMFRAME_NOW), -ETIMEDOUT, " in time");
}
END_TEST

START_TEST(an_interrupt_ends_every_call) {
    kill(world.supervisor, SIGSTOP);
    shmframe_session_interrupt(world.session);
    for (unsigned i = 0; i < CALLS; i++)
        ck_assert_msg(calls[i].ask(world_deadline()) == -EINTR, "%s: %s", calls[i].name,
                      shmframe_last_error());
    shmframe_session_resume(world.session);
    kill(world.supervisor, SIGCONT);
    ck_assert_int_ge(ask_streams(world_deadline()), 0);
}
END_TEST

/* ---- refusals ---- */

START_TEST(a_command_that_cannot_be_is_refused) {
    char long_name[SHMFRAME_NAME_BYTES + 1];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    const struct {
        const char *verb, *node;
        int code;
        const char *words;
    } refused[] = {
        {"dance", NULL, -EINVAL, "'dance'"},     {"reload", "node", -EINVAL, "reload"},
        {"upgrade", "node", -EINVAL, "upgrade"}, {"start", NULL, -ENOTSUP, "--config"},
        {"stop", long_name, -EINVAL, "long"},    {long_name, NULL, -EINVAL, "long"},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        expect_error(shmframe_session_command(world.session, refused[i].verb, refused[i].node,
                                              world_deadline(), NULL, NULL),
                     refused[i].code, refused[i].words);
}
END_TEST

START_TEST(events_without_room_are_refused) {
    struct shmframe_event event;
    expect_error(shmframe_session_events(world.session, 0, SHMFRAME_NOW, &event, 0), -EINVAL,
                 "room");
}
END_TEST

START_TEST(a_reader_that_is_not_there_is_named) {
    struct shmframe_writer *writer = world_open_writer("s");
    expect_error(shmframe_session_evict(world.session, "s", 7, world_deadline()), -ENOENT, "7");
    struct shmframe_record *record;
    expect_error(shmframe_record_open(world.session, "s", 7, world_deadline(), &record), -ENOENT,
                 "7");
    struct shmframe_reader_info info;
    expect_error(shmframe_session_readers(world.session, "t", world_deadline(), &info, 1), -ENOENT,
                 "'t'");
    shmframe_writer_close(writer);
}
END_TEST

/* ---- other users ---- */

enum { STRANGER = 65534 };

static uint32_t number_of_reader; /* of the root's */

static void ask_as_a_stranger(void) {
    if (setgroups(0, NULL) < 0 || setgid(STRANGER) < 0 || setuid(STRANGER) < 0)
        _exit(3);
    world.session = world_open_session();
    expect_error(ask_reader(world_deadline()), -EACCES, "'s'");
    expect_error(ask_writer(world_deadline()), -EACCES, "write");
    expect_error(ask_request(world_deadline()), -EACCES, "'s'");
    expect_error(ask_command(world_deadline()), -EACCES, "root");
    expect_error(shmframe_session_evict(world.session, "s", number_of_reader, world_deadline()),
                 -EACCES, "");
    struct shmframe_record *record;
    expect_error(
        shmframe_record_open(world.session, "s", number_of_reader, world_deadline(), &record),
        -EACCES, "");
    shmframe_session_close(world.session);
}

START_TEST(a_stranger_may_do_nothing_that_is_not_allowed) {
    shmframe_session_close(world.session);
    world_kill_supervisor();
    world_start_supervisor("--allow", "all");
    ck_assert_int_eq(chmod(world.folder, 0711), 0);
    ck_assert_int_eq(chmod(world.socket, 0666), 0);
    world.session = world_open_session();
    struct shmframe_writer_params params = world_writer_params("s");
    params.allow = "none";
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LATEST);
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    number_of_reader = info.number;
    world_join(world_fork(ask_as_a_stranger));
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- a stream that is lost to its writer ---- */

/* Nobody can say in which ring it goes on, or whether somebody else has its name. */
START_TEST(a_change_of_format_that_is_never_answered_loses_the_stream) {
    struct shmframe_writer *writer = world_open_writer("s");
    kill(world.supervisor, SIGSTOP);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 16), 0);
    expect_error(shmframe_writer_set_format(writer, &format, world_deadline()), -ESTALE, "'s'");
    struct shmframe_loan loan[2];
    expect_error(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[0]), -ESTALE, "'s'");
    expect_error(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, 2), -ESTALE, "'s'");
    kill(world.supervisor, SIGCONT);
    shmframe_writer_close(writer);
}
END_TEST

/* The new supervisor knows nothing of before, and another writer is quicker. */
static struct shmframe_writer *take_the_name_away(struct shmframe_session **out_quicker) {
    world_kill_supervisor();
    char path[128];
    snprintf(path, sizeof(path), "%s.names", world.socket);
    ck_assert_int_eq(unlink(path), 0);
    world_start_supervisor(NULL, NULL);
    *out_quicker = world_open_session();
    struct shmframe_writer_params params = world_writer_params("s");
    params.deadline_ns = world_deadline();
    struct shmframe_writer *other;
    ck_assert_msg(shmframe_writer_open(*out_quicker, &params, &other) == 0, "%s",
                  shmframe_last_error());
    return other;
}

START_TEST(a_writer_whose_name_another_one_has_since_hears_that_its_stream_is_lost) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_session *quicker;
    struct shmframe_writer *other = take_the_name_away(&quicker);
    const int64_t deadline_ns = world_deadline();
    struct shmframe_loan loan;
    int code;
    while ((code = shmframe_writer_loan(writer, SHMFRAME_NOW, &loan)) == 0) {
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "the writer does not hear of it");
        struct pollfd mail = {.fd = shmframe_session_fd(world.session), .events = POLLIN};
        poll(&mail, 1, 10);
        ck_assert_int_eq(shmframe_session_dispatch(world.session), 0);
    }
    expect_error(code, -ESTALE, "'s'");
    shmframe_writer_close(other);
    shmframe_session_close(quicker);
    shmframe_writer_close(writer);
}
END_TEST

/* Its name is not taken again where nobody could get a loan. */
START_TEST(a_lost_stream_goes_on_in_no_other_format) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_session *quicker;
    struct shmframe_writer *other = take_the_name_away(&quicker);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 16), 0);
    expect_error(shmframe_writer_set_format(writer, &format, world_deadline()), -ESTALE, "'s'");
    shmframe_writer_close(other);
    expect_error(shmframe_writer_set_format(writer, &format, world_deadline()), -ESTALE, "'s'");
    struct shmframe_stream_info info;
    ck_assert_int_eq(shmframe_session_streams(quicker, world_deadline(), &info, 1), 1);
    ck_assert_int_eq(info.state, SHMFRAME_STREAM_ENDED);
    shmframe_session_close(quicker);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("calls");
    TCase *tests = tcase_create("calls");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, every_call_says_that_there_is_no_supervisor);
    tcase_add_test(tests, every_call_says_that_it_was_not_answered_in_time);
    tcase_add_test(tests,
                   who_takes_the_events_there_are_waits_no_longer_for_the_answer_than_it_says);
    tcase_add_test(tests, an_interrupt_ends_every_call);
    tcase_add_test(tests, a_command_that_cannot_be_is_refused);
    tcase_add_test(tests, events_without_room_are_refused);
    tcase_add_test(tests, a_reader_that_is_not_there_is_named);
    if (geteuid() == 0) /* nobody else can become another user */
        tcase_add_test(tests, a_stranger_may_do_nothing_that_is_not_allowed);
    tcase_add_test(tests, a_change_of_format_that_is_never_answered_loses_the_stream);
    tcase_add_test(tests, a_writer_whose_name_another_one_has_since_hears_that_its_stream_is_lost);
    tcase_add_test(tests, a_lost_stream_goes_on_in_no_other_format);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
