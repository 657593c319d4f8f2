/* The limits of a pipeline file: what the journal says of them, and what is done. */
#include "journal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 4);
    journal_publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    const struct shmframe_event *left =
        journal_await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_EVICTED);
    journal_expect_reader(left);
    ck_assert_str_eq(left->text, "it held a lease for too long");
    const struct shmframe_event *hold = journal_find(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    ck_assert_ptr_nonnull(hold);
    ck_assert_int_eq(hold->limit_ns, 200000000);
    ck_assert_int_lt(hold->id, left->id);
    const struct shmframe_event *over =
        journal_find(SHMFRAME_JOURNAL_HOLD_OVER, SHMFRAME_CAUSE_NONE);
    ck_assert_ptr_nonnull(over);
    ck_assert_str_eq(over->text, "evicted");
    struct shmframe_lease other;
    journal_publish(writer, 1);
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
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_IN_ORDER, 4);
    journal_publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    journal_await(SHMFRAME_JOURNAL_HOLD, SHMFRAME_CAUSE_NONE);
    change("[stream s]\nhold-limit = 100ms\non-hold = evict\n");
    journal_await(SHMFRAME_JOURNAL_READER_LEFT, SHMFRAME_CAUSE_EVICTED);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_HOLD), 1);
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_HOLD_OVER), 1);
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
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_LATEST, 0);
    journal_publish(writer, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    const struct shmframe_event *stall = journal_await(SHMFRAME_JOURNAL_STALL, SHMFRAME_CAUSE_NONE);
    ck_assert_int_eq(stall->limit_ns, 200000000);
    poll(NULL, 0, 1300); /* longer than the limit that there is without the file */
    ck_assert_uint_eq(journal_count(SHMFRAME_JOURNAL_HOLD), 0);
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
    struct shmframe_reader *reader = journal_open_reader(world.session, SHMFRAME_LOSSLESS, 4);
    const struct shmframe_event *stall = journal_await(SHMFRAME_JOURNAL_STALL, SHMFRAME_CAUSE_NONE);
    ck_assert_str_eq(stall->culprit, "eye");
    struct shmframe_node_info node = {0};
    ck_assert_int_eq(shmframe_session_nodes(world.session, world_deadline(), &node, 1), 1);
    ck_assert_msg(strcmp(node.state, "running") == 0, "it is %s: %s", node.state, node.reason);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    journal_await(SHMFRAME_JOURNAL_STALL_OVER, SHMFRAME_CAUSE_NONE);
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
        journal_publish(writer, 1);
        ck_assert_int_eq(shmframe_session_nodes(world.session, world_deadline(), &node, 1), 1);
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "not restarted: %s, %s", node.state,
                      node.reason);
        poll(NULL, 0, 20);
    }
    ck_assert_uint_ge(journal_count(SHMFRAME_JOURNAL_HOLD), 2);
    ck_assert_uint_ge(journal_count(SHMFRAME_JOURNAL_HOLD_OVER), 2);
    ck_assert_int_eq(
        shmframe_session_command(world.session, "stop", "eye", world_deadline(), NULL, NULL), 0);
    while (shmframe_session_nodes(world.session, world_deadline(), &node, 1) == 1 &&
           strcmp(node.state, "stopped") != 0)
        ck_assert(shmframe_now_ns() < deadline_ns);
    shmframe_writer_close(writer);
}
END_TEST

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "hold") == 0)
        return hold_for_ever();
    if (argc > 1 && strcmp(argv[1], "write") == 0)
        return write_for_ever();
    if (!realpath(argv[0], program))
        return EXIT_FAILURE;
    Suite *suite = suite_create("events_file");
    TCase *tests = tcase_create("events_file");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, a_reader_that_holds_is_evicted_where_the_file_says_so);
    tcase_add_test(tests, a_stream_without_a_rate_stalls_where_the_file_says_so);
    tcase_add_test(tests, a_limit_that_is_reloaded_reaches_what_was_told);
    tcase_add_test(tests, the_next_supervisor_does_what_the_last_one_told);
    tcase_add_test(tests, a_node_that_waits_for_anothers_reader_is_not_restarted);
    tcase_add_test(tests, a_node_that_holds_is_restarted_where_the_file_says_so);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
