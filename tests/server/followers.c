/* A writer and its supervisor have died: only readers know how far the stream came, and how long
 * the next writer waits for them. */
#include "peer.h"

#include <shmframe/shmframe.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KNOWN = 5, TOLD = 60, SEEN = 77, GENERATION = 2 };

static struct supervisor supervisor;
static struct peer writer;
static struct test_ring ring;
static pid_t reader;
static int64_t started_ns;
static int go[2];   /* tells the reader to come back, then to show its ring */
static int back[2]; /* tells that it has come back */

static void show_ring(struct peer *peer) {
    struct test_ring former; /* mappings are not inherited */
    ring_make(&former, "test", 8);
    atomic_store(&former.memory->head, place_word(SEEN, 0));
    union message message;
    message_init(&message, MESSAGE_HELD_RING, 0);
    message.held_ring.reader = 6;
    message.held_ring.generation = GENERATION;
    peer_send(peer, &message, &former.fd);
}

/* A reader in a process of its own, which lives, but is not back before it is told, and shows its
 * ring once it is told again. */
_Noreturn static void read_late(void) {
    char byte;
    struct peer peer;
    if (read(go[0], &byte, 1) != 1)
        _exit(1);
    peer_open(&peer, &supervisor, "reader");
    peer_open_reader(&peer, "test",
                     &(struct reader_options){.reader = 6,
                                              .flags = MESSAGE_RESYNC,
                                              .generation = GENERATION,
                                              .entry = 3,
                                              .serial = 4,
                                              .head = TOLD});
    if (write(back[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
        _exit(1);
    show_ring(&peer);
    for (;;)
        pause();
}

/* As the former supervisor left it: both writers are gone, and a reader had the newest ring of
 * each.
 */
static void write_names(pid_t of_test, pid_t of_other) {
    char path[128];
    snprintf(path, sizeof(path), "%s.names", supervisor.socket);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "shmframe-names 3\n");
    fprintf(file, "test %d 1 %d 0 0 %d\n", GENERATION, KNOWN, GENERATION);
    fprintf(file, "other %d 1 %d 0 0 %d\n", GENERATION, KNOWN, GENERATION);
    fprintf(file, "=1 0 %d %lld test\n", (int)of_test, (long long)start_time_of(of_test));
    fprintf(file, "=2 0 %d %lld other\n", (int)of_other, (long long)start_time_of(of_other));
    ck_assert_int_eq(fclose(file), 0);
}

static void start(void) {
    started_ns = shmframe_now_ns();
    supervisor_start(&supervisor);
    peer_open(&writer, &supervisor, "writer");
}

/* The reader of `test` lives and is not back; that of `other` is this process, which is back, and
 * has told of all that it has: it has no reader any more. */
static void begin(void) {
    supervisor_prepare(&supervisor);
    ring_make(&ring, "test", 16);
    ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(back, O_CLOEXEC), 0);
    reader = fork_bound();
    if (reader == 0)
        read_late();
    close(back[1]);
    write_names(reader, getpid());
    start();
}

static void end_reader(void) {
    if (reader > 0) {
        kill(reader, SIGKILL);
        ck_assert_int_eq(waitpid(reader, NULL, 0), reader);
    }
    reader = 0;
}

static void end(void) {
    end_reader();
    close(go[0]);
    close(go[1]);
    close(back[0]);
    peer_close(&writer);
    ring_drop(&ring);
    supervisor_stop(&supervisor);
    supervisor_clean(&supervisor);
}

/* Asks once. Returns the sequence after which the stream goes on, or -EAGAIN. */
static int64_t ask(uint32_t number, const struct test_ring *own, const char *stream) {
    const struct ring_options options = {.writer = number, .links = 2, .first_entry = 8 * number};
    peer_send_ring(&writer, own, stream, &options);
    for (;;) {
        struct channel_mail mail;
        ck_assert_int_eq(
            poll(&(struct pollfd){.fd = writer.socket, .events = POLLIN}, 1, DEADLINE_MS), 1);
        ck_assert_int_eq(channel_receive(writer.socket, &mail), 0);
        if (mail.message.header.type == MESSAGE_OPENED)
            return (int64_t)mail.message.opened.sequence;
        if (mail.message.header.type == MESSAGE_ERROR) {
            ck_assert_int_eq(mail.message.error.code, -EAGAIN);
            return -EAGAIN;
        }
    }
}

/* Asks as the library does, until it is answered. */
static int64_t ask_on(uint32_t number, const struct test_ring *own, const char *stream) {
    int64_t sequence;
    while ((sequence = ask(number, own, stream)) < 0)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return sequence;
}

/* The number that its next descriptor gets. */
static int lowest_free(pid_t pid) {
    char path[64];
    struct stat info;
    for (int fd = 0;; fd++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
        if (lstat(path, &info) < 0)
            return fd;
    }
}

/* Until those who are back have had their time. */
static void await_grace_over(void) {
    struct test_ring other;
    ring_make(&other, "other", 16);
    ck_assert_int_eq(ask_on(1, &other, "other"), KNOWN);
    ring_drop(&other);
}

/* A machine that is slower than this shows nothing. */
static bool is_longest_wait_over(void) {
    return shmframe_now_ns() - started_ns > INT64_C(6000000000);
}

static void expect_not_yet(void) {
    const int64_t sequence = ask(2, &ring, "test");
    if (!is_longest_wait_over())
        ck_assert_int_eq(sequence, -EAGAIN);
}

static void expect_seen(void) {
    ck_assert_int_eq(write(go[1], "xx", 2), 2);
    const int64_t sequence = ask_on(2, &ring, "test");
    if (!is_longest_wait_over())
        ck_assert_int_eq(sequence, SEEN);
}

START_TEST(a_reader_that_lives_is_waited_for_beyond_the_grace) {
    await_grace_over();
    expect_not_yet();
    expect_seen();
}
END_TEST

static void await_back(void) {
    char byte;
    ck_assert_int_eq(write(go[1], "x", 1), 1);
    ck_assert_int_eq(read(back[0], &byte, 1), 1);
}

START_TEST(a_reader_that_is_back_and_has_not_shown_its_ring_yet_is_waited_for) {
    await_grace_over();
    await_back();
    expect_not_yet();
    ck_assert_int_eq(write(go[1], "x", 1), 1);
    const int64_t sequence = ask_on(2, &ring, "test");
    if (!is_longest_wait_over())
        ck_assert_int_eq(sequence, SEEN);
}
END_TEST

START_TEST(a_reader_that_is_back_and_shows_nothing_is_not_waited_for_for_ever) {
    await_grace_over();
    await_back();
    ck_assert_int_eq(ask_on(2, &ring, "test"), TOLD);
}
END_TEST

/* Where the machine takes seconds for it, once more. */
START_TEST(who_is_back_without_a_reader_is_waited_for_less_long) {
    for (unsigned tries = 0; tries < 5; tries++) {
        await_grace_over();
        if (ask(2, &ring, "test") == -EAGAIN)
            return;
        supervisor_kill(&supervisor);
        peer_vanish(&writer);
        write_names(reader, getpid());
        start();
    }
    ck_abort_msg("both were waited for equally long");
}
END_TEST

START_TEST(the_next_supervisor_waits_for_it_too) {
    await_grace_over();
    supervisor_kill(&supervisor);
    peer_vanish(&writer);
    const bool is_forgotten = is_longest_wait_over();
    start();
    if (is_forgotten)
        return;
    expect_not_yet();
    expect_seen();
}
END_TEST

/* The supervisor gets one descriptor, for the ring, and none to look at the reader's process with.
 */
START_TEST(a_reader_of_whom_nobody_knows_whether_it_lives_is_waited_for) {
    await_grace_over();
    peer_expect_silence(&writer); /* what it has sent is read */
    struct rlimit before;
    ck_assert_int_eq(prlimit(supervisor.pid, RLIMIT_NOFILE, NULL, &before), 0);
    const struct rlimit one_more = {(rlim_t)lowest_free(supervisor.pid) + 1, before.rlim_max};
    ck_assert_int_eq(prlimit(supervisor.pid, RLIMIT_NOFILE, &one_more, NULL), 0);
    const struct ring_options options = {.writer = 3, .links = 0};
    peer_send_ring(&writer, &ring, "test", &options);
    struct channel_mail mail;
    ck_assert_int_eq(poll(&(struct pollfd){.fd = writer.socket, .events = POLLIN}, 1, DEADLINE_MS),
                     1);
    ck_assert_int_eq(channel_receive(writer.socket, &mail), 0);
    ck_assert_int_eq(prlimit(supervisor.pid, RLIMIT_NOFILE, &before, NULL), 0);
    if (is_longest_wait_over())
        return;
    ck_assert_msg(mail.message.header.type == MESSAGE_ERROR, "%s came instead of ERROR",
                  message_name(mail.message.header.type));
    ck_assert_int_eq(mail.message.error.code, -EAGAIN);
}
END_TEST

START_TEST(a_reader_that_dies_is_waited_for_no_longer) {
    await_grace_over();
    expect_not_yet();
    end_reader();
    ck_assert_int_eq(ask(2, &ring, "test"), KNOWN);
}
END_TEST

START_TEST(a_reader_that_lives_and_does_not_come_is_not_waited_for_for_ever) {
    ck_assert_int_eq(ask_on(2, &ring, "test"), KNOWN);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("followers");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, a_reader_that_lives_is_waited_for_beyond_the_grace);
    tcase_add_test(cases, a_reader_that_is_back_and_has_not_shown_its_ring_yet_is_waited_for);
    tcase_add_test(cases, a_reader_that_is_back_and_shows_nothing_is_not_waited_for_for_ever);
    tcase_add_test(cases, who_is_back_without_a_reader_is_waited_for_less_long);
    tcase_add_test(cases, the_next_supervisor_waits_for_it_too);
    tcase_add_test(cases, a_reader_of_whom_nobody_knows_whether_it_lives_is_waited_for);
    tcase_add_test(cases, a_reader_that_dies_is_waited_for_no_longer);
    tcase_add_test(cases, a_reader_that_lives_and_does_not_come_is_not_waited_for_for_ever);
    Suite *suite = suite_create("followers");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
