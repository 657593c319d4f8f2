/* The journal's file: what it survives, and what is in its place. */
#include "peer.h"

#include "journal_file.h"
#include "record.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 5120, STRANGER_UID = 12345 };

static struct supervisor supervisor;
static struct shmframe_event event[EVENTS_MAX];
static char path[128];

static void begin(void) {
    supervisor_prepare(&supervisor);
    snprintf(path, sizeof(path), "%s.journal", supervisor.socket);
}

static void end(void) {
    supervisor_clean(&supervisor);
}

static struct shmframe_session *open_session(void) {
    const struct shmframe_session_params params = {
        .socket = supervisor.socket,
        .name = "asker",
        .deadline_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000))};
    struct shmframe_session *session;
    const int code = shmframe_session_open(&params, &session);
    ck_assert_msg(code == 0, "no session: %s", shmframe_last_error());
    return session;
}

/* Everything after number `after`. */
static unsigned ask(uint64_t after) {
    struct shmframe_session *session = open_session();
    const int found = shmframe_session_events(session, after, SHMFRAME_NOW, event, EVENTS_MAX);
    shmframe_session_close(session);
    ck_assert_msg(found > 0, "no events: %s", shmframe_last_error());
    return (unsigned)found;
}

/* Waits until the newest line is of `type`; returns how many there are. */
static unsigned await_newest(enum shmframe_event_type type) {
    const int64_t deadline_ns = shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000));
    unsigned lines;
    while (lines = ask(0), event[lines - 1].type != (uint32_t)type)
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "no %s", shmframe_event_type_name(type));
    return lines;
}

static void open_and_close_stream(void) {
    struct peer peer;
    struct test_ring ring;
    peer_open(&peer, &supervisor, "writer");
    ring_make(&ring, "test", 16);
    peer_open_ring(&peer, &ring, "test", &(struct ring_options){.links = 2});
    peer_close(&peer);
    await_newest(SHMFRAME_JOURNAL_WRITER_GONE);
    ring_drop(&ring);
}

/* The file of a supervisor that was killed, to be changed; the next one is started then. */
static struct journal_file *kill_and_map(void) {
    supervisor_kill(&supervisor);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    struct stat info;
    ck_assert_int_eq(fstat(fd, &info), 0);
    ck_assert_int_eq(info.st_size, sizeof(struct journal_file));
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
    struct journal_file *file =
        mmap(NULL, sizeof(struct journal_file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(file, MAP_FAILED);
    close(fd);
    return file;
}

static void start_with(struct journal_file *file) {
    munmap(file, sizeof(*file));
    supervisor_start(&supervisor);
}

/* started, live, gone, ... and started by the next one: whose number goes on. */
static void expect_kept(unsigned lines) {
    ck_assert_uint_eq(ask(0), lines);
    for (unsigned i = 0; i < lines; i++)
        ck_assert_uint_eq(event[i].id, i + 1);
    ck_assert_uint_eq(event[lines - 1].type, SHMFRAME_JOURNAL_SUPERVISOR);
    ck_assert_int_eq(event[lines - 1].pid, supervisor.pid);
}

static void expect_begun_anew(void) {
    ck_assert_uint_eq(ask(0), 1);
    ck_assert_uint_eq(event[0].id, 1);
    ck_assert_int_eq(event[0].pid, supervisor.pid);
}

START_TEST(lines_survive_a_kill) {
    umask(0);
    supervisor_start(&supervisor);
    open_and_close_stream();
    start_with(kill_and_map());
    expect_kept(4);
    supervisor_stop(&supervisor);
    supervisor_start(&supervisor);
    expect_kept(6); /* "stopped" too */
    ck_assert_str_eq(event[4].text, "stopped");
}
END_TEST

START_TEST(a_line_half_written_does_not_count) {
    supervisor_start(&supervisor);
    open_and_close_stream();
    struct journal_file *file = kill_and_map();
    struct journal_line *line = journal_file_line(file, file->newest + 1);
    *line = *journal_file_line(file, file->newest);
    line->event.id = file->newest + 1;
    memset(line->event.text, 'x', sizeof(line->event.text));
    start_with(file);
    expect_kept(4);
}
END_TEST

/* Killed after the line, before its mark: the line is told, so what it told is not told again. */
START_TEST(a_mark_that_was_not_applied_is) {
    supervisor_start(&supervisor);
    struct peer writer, reader;
    struct test_ring ring;
    struct record record;
    ck_assert_int_eq(record_create(&record), 0);
    peer_open(&writer, &supervisor, "writer");
    ring_make(&ring, "test", 16);
    peer_open_ring(&writer, &ring, "test", &(struct ring_options){.links = 3});
    peer_open(&reader, &supervisor, "reader");
    peer_open_reader(
        &reader, "test",
        &(struct reader_options){.reader = 1, .policy = SHMFRAME_IN_ORDER, .record = record.fd});
    struct shmframe_overrun loss = {
        .first = 3, .count = 2, .time_ns = shmframe_now_ns(), .cause = SHMFRAME_CAUSE_AWAY};
    record_lost(&record, &loss);
    struct shmframe_session *session = open_session();
    ck_assert_int_eq(shmframe_session_events(session, 3,
                                             shmframe_deadline_ns(DEADLINE_MS * INT64_C(1000000)),
                                             event, EVENTS_MAX),
                     1);
    ck_assert_uint_eq(event[0].type, SHMFRAME_JOURNAL_LOSS);
    shmframe_session_close(session);
    struct journal_file *file = kill_and_map();
    const struct journal_line *line = journal_file_line(file, 4);
    ck_assert_uint_eq(file->newest, 4);
    ck_assert_uint_eq(file->applied, 4);
    ck_assert_uint_ne(line->source, 0);
    ck_assert_uint_eq(file->source[line->source - 1].mark.number, 1);
    file->source[line->source - 1].mark.number = 0;
    file->source[line->source - 1].mark.told[SHMFRAME_CAUSE_AWAY] = 0;
    file->applied = 3;
    start_with(file);
    peer_vanish(&reader);
    peer_open(&reader, &supervisor, "reader");
    ck_assert_uint_eq(peer_open_reader(&reader, "test",
                                       &(struct reader_options){.reader = 1,
                                                                .policy = SHMFRAME_IN_ORDER,
                                                                .flags = MESSAGE_RESYNC,
                                                                .record = record.fd}),
                      1); /* its number of before */
    peer_close(&reader);  /* the rest of its account is told now */
    const unsigned lines = await_newest(SHMFRAME_JOURNAL_READER_LEFT);
    unsigned losses = 0;
    for (unsigned i = 0; i < lines; i++)
        losses += event[i].type == SHMFRAME_JOURNAL_LOSS;
    ck_assert_uint_eq(losses, 1);
    peer_vanish(&writer);
    record_destroy(&record);
    ring_drop(&ring);
}
END_TEST

/* What is in memory is the truth: the file is whole again with the next line. */
START_TEST(a_file_that_is_emptied_costs_nothing) {
    supervisor_start(&supervisor);
    open_and_close_stream();
    ck_assert_int_eq(truncate(path, 0), 0);
    open_and_close_stream();
    start_with(kill_and_map());
    expect_kept(6);
}
END_TEST

START_TEST(a_file_that_may_not_grow_is_done_without) {
    struct rlimit limit, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = (struct rlimit){100000, limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    supervisor_start(&supervisor);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    open_and_close_stream();
    ck_assert_uint_eq(ask(0), 3);
}
END_TEST

/* One that a child inherited would keep the next supervisor's journal out of its file. */
START_TEST(its_lock_is_no_childs) {
    supervisor_start(&supervisor);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    ck_assert_int_eq(fcntl(fd, F_GETLK, &lock), 0);
    ck_assert_int_eq(lock.l_type, F_WRLCK);
    ck_assert_int_eq(lock.l_pid, supervisor.pid);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}
END_TEST

/* Thousands of readers come and go, more than the journal has room for: what streams and
 * supervisors did is still there, also after a restart. */
START_TEST(streams_and_supervisors_are_not_pushed_out) {
    supervisor_start(&supervisor);
    open_and_close_stream();
    struct journal_file *file = kill_and_map();
    for (uint64_t id = file->newest + 1; id <= 2 * JOURNAL_EVENTS; id++) {
        struct journal_line *line = journal_file_line(file, id);
        *line = (struct journal_line){
            .event = {.id = id, .time_ns = 1, .type = SHMFRAME_JOURNAL_LOSS, .count = 1}};
        file->newest = file->applied = id;
    }
    start_with(file);
    ck_assert_uint_eq(ask(0), JOURNAL_EVENTS + 3);
    ck_assert_uint_eq(event[0].type, SHMFRAME_JOURNAL_SUPERVISOR);
    ck_assert_uint_eq(event[1].type, SHMFRAME_JOURNAL_STREAM_LIVE);
    ck_assert_uint_eq(event[2].type, SHMFRAME_JOURNAL_WRITER_GONE);
    ck_assert_uint_eq(event[2].id, 3);
    ck_assert_uint_eq(event[3].id, JOURNAL_EVENTS + 2);
    ask(1);
    ck_assert_uint_eq(event[0].id, 2);
    open_and_close_stream();
    ask(0);
    ck_assert_uint_eq(event[2].id, 3);
}
END_TEST

START_TEST(a_damaged_line_is_left_out) {
    supervisor_start(&supervisor);
    open_and_close_stream();
    struct journal_file *file = kill_and_map();
    journal_file_line(file, 2)->event.type = 4711;
    start_with(file);
    ck_assert_uint_eq(ask(0), 3);
    ck_assert_uint_eq(event[0].id, 1);
    ck_assert_uint_eq(event[1].id, 3);
}
END_TEST

START_TEST(what_is_no_journal_is_begun_anew) {
    supervisor_start(&supervisor);
    for (unsigned i = 0; i < 6; i++) {
        open_and_close_stream();
        struct journal_file *file = kill_and_map();
        switch (i) {
        case 0:
            memset(file, 0x5a, sizeof(*file));
            break;
        case 1:
            file->line_bytes++;
            break;
        case 2:
            file->boot[0] ^= 1;
            break;
        case 3:
            file->newest = UINT64_MAX;
            break;
        case 4:
            journal_file_line(file, file->newest)->event.id = 0;
            break;
        case 5:
            ck_assert_int_eq(truncate(path, 100), 0);
            break;
        }
        start_with(file);
        expect_begun_anew();
    }
}
END_TEST

START_TEST(garbage_among_the_sources_is_survived) {
    supervisor_start(&supervisor);
    open_and_close_stream();
    struct journal_file *file = kill_and_map();
    unsigned seed = 3;
    uint8_t *byte = (uint8_t *)file->source;
    for (size_t i = 0; i < sizeof(file->source); i++)
        byte[i] = (uint8_t)rand_r(&seed);
    start_with(file);
    expect_kept(4);
    open_and_close_stream();
    ck_assert_uint_ge(ask(4), 2);
}
END_TEST

/* Whoever followed the journal before it was begun anew gets the new one from its beginning. */
START_TEST(a_number_of_before_is_no_obstacle) {
    supervisor_start(&supervisor);
    ck_assert_uint_eq(ask(1000), 1);
    ck_assert_uint_eq(event[0].id, 1);
}
END_TEST

START_TEST(something_else_in_its_place_is_left_alone) {
    char target[128];
    snprintf(target, sizeof(target), "%s/target", supervisor.folder);
    for (unsigned i = 0; i < 3; i++) {
        if (i == 0)
            ck_assert_int_eq(symlink(target, path), 0);
        else if (i == 1)
            ck_assert_int_eq(mkfifo(path, 0600), 0);
        else
            ck_assert_int_eq(mkdir(path, 0700), 0);
        supervisor_start(&supervisor);
        open_and_close_stream();
        ck_assert_uint_eq(ask(0), 3); /* in memory */
        supervisor_stop(&supervisor);
        ck_assert_int_eq(access(target, F_OK), -1);
        ck_assert_int_eq(i == 2 ? rmdir(path) : unlink(path), 0);
    }
}
END_TEST

static void ask_as(struct peer *peer, uint64_t after, struct shmframe_event *out_event) {
    union message message;
    message_init(&message, MESSAGE_LIST_EVENTS, 9);
    message.list_events.after = after;
    message.list_events.count = 1;
    message.list_events.flags = MESSAGE_WAIT;
    peer_send(peer, &message, NULL);
    struct channel_mail mail;
    peer_expect(peer, MESSAGE_EVENT, &mail);
    *out_event = mail.message.event.event;
    peer_expect(peer, MESSAGE_DONE, &mail);
}

static int64_t wall_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* How far back a reader says that it lost frames, and whether that is taken for true. */
static const struct {
    int64_t ago_ns;
    bool is_told;
} times[] = {{INT64_C(5000000000), true}, {INT64_C(-5000000000), false}};

START_TEST(a_loss_has_the_time_at_which_it_happened) {
    supervisor_start(&supervisor);
    struct peer own;
    struct record record;
    ck_assert_int_eq(record_create(&record), 0);
    peer_open(&own, &supervisor, "own");
    peer_open_reader(
        &own, "test",
        &(struct reader_options){.reader = 1, .policy = SHMFRAME_IN_ORDER, .record = record.fd});
    const int64_t before_ns = wall_now_ns();
    struct shmframe_overrun loss = {.first = 3,
                                    .count = 2,
                                    .time_ns = shmframe_now_ns() - times[_i].ago_ns,
                                    .cause = SHMFRAME_CAUSE_AWAY};
    record_lost(&record, &loss);
    const unsigned lines = await_newest(SHMFRAME_JOURNAL_LOSS);
    const int64_t wall_ns = event[lines - 1].wall_ns;
    const int64_t ago_ns = times[_i].is_told ? times[_i].ago_ns : 0;
    /* Two clocks are read one after the other: a pause between counts as well. */
    const int64_t pause_ns = INT64_C(2000000000);
    ck_assert_int_ge(wall_ns, before_ns - ago_ns - pause_ns);
    ck_assert_int_le(wall_ns, wall_now_ns() - ago_ns + pause_ns);
    peer_close(&own);
    record_destroy(&record);
}
END_TEST

START_TEST(what_a_reader_measures_is_not_for_other_users) {
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    snprintf(supervisor.allow_uid, sizeof(supervisor.allow_uid), "%d", STRANGER_UID);
    supervisor_start(&supervisor);
    ck_assert_int_eq(chmod(supervisor.folder, 0711), 0);
    ck_assert_int_eq(chmod(supervisor.socket, 0666), 0);
    struct peer own, stranger;
    struct record record;
    ck_assert_int_eq(record_create(&record), 0);
    peer_open(&own, &supervisor, "own");
    ck_assert_int_eq(seteuid(STRANGER_UID), 0);
    peer_open(&stranger, &supervisor, "stranger");
    ck_assert_int_eq(seteuid(0), 0);
    peer_open_reader(
        &own, "test",
        &(struct reader_options){.reader = 1, .policy = SHMFRAME_IN_ORDER, .record = record.fd});
    struct shmframe_overrun loss = {
        .first = 3, .count = 2, .time_ns = shmframe_now_ns(), .cause = SHMFRAME_CAUSE_AWAY};
    record_lost(&record, &loss);
    struct shmframe_event joined, lost;
    ask_as(&stranger, 1, &joined);
    ck_assert_uint_eq(joined.type, SHMFRAME_JOURNAL_READER_JOINED);
    ck_assert_str_eq(joined.name, "test-reader");
    ask_as(&stranger, 2, &lost);
    const struct shmframe_event nothing = {
        .id = 3, .time_ns = lost.time_ns, .wall_ns = lost.wall_ns};
    ck_assert_mem_eq(&lost, &nothing, sizeof(lost));
    ask_as(&own, 2, &lost);
    ck_assert_uint_eq(lost.type, SHMFRAME_JOURNAL_LOSS);
    ck_assert_uint_eq(lost.count, 2);
    peer_close(&own);
    peer_close(&stranger);
    record_destroy(&record);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("journal");
    TCase *tests = tcase_create("journal");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, lines_survive_a_kill);
    tcase_add_test(tests, a_line_half_written_does_not_count);
    tcase_add_test(tests, a_mark_that_was_not_applied_is);
    tcase_add_test(tests, a_file_that_is_emptied_costs_nothing);
    tcase_add_test(tests, a_file_that_may_not_grow_is_done_without);
    tcase_add_test(tests, its_lock_is_no_childs);
    tcase_add_test(tests, streams_and_supervisors_are_not_pushed_out);
    tcase_add_test(tests, a_damaged_line_is_left_out);
    tcase_add_test(tests, what_is_no_journal_is_begun_anew);
    tcase_add_test(tests, garbage_among_the_sources_is_survived);
    tcase_add_test(tests, a_number_of_before_is_no_obstacle);
    tcase_add_test(tests, something_else_in_its_place_is_left_alone);
    tcase_add_loop_test(tests, a_loss_has_the_time_at_which_it_happened, 0,
                        sizeof(times) / sizeof(times[0]));
    tcase_add_test(tests, what_a_reader_measures_is_not_for_other_users);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
