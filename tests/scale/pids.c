/* A pid that comes again: whoever has it now is not who had it. In a pid namespace of the tests'
 * own, where the next pid can be said; that takes root.
 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, TRIES = 100, START_TIMES_APART_MS = 20 };

static void sleep_for_ever(void) {
    for (;;)
        pause();
}

/* Holds a frame, or waits for one, until it is killed. */
static void hold_a_frame(void) {
    world.session = world_open_session();
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LATEST);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    world_tell();
    sleep_for_ever();
}

static void be_another(void) {
    world_tell();
    sleep_for_ever();
}

static void take_a_frame_as_another(void) {
    world.session = world_open_session();
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LATEST);
    world_take(reader, 1);
    world_tell();
    world_take(reader, 2);
    shmframe_reader_close(reader);
    shmframe_session_close(world.session);
}

/* A process with the pid of one that is gone. */
static pid_t fork_as(pid_t pid, void (*act)(void)) {
    poll(NULL, 0, START_TIMES_APART_MS); /* a start time counts hundredths of a second */
    for (unsigned i = 0; i < TRIES; i++) {
        FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "we");
        ck_assert_ptr_nonnull(file);
        fprintf(file, "%d", (int)pid - 1);
        ck_assert_int_eq(fclose(file), 0);
        const pid_t other = world_fork(act);
        if (other == pid)
            return pid;
        world_kill(other);
    }
    ck_abort_msg("no process got pid %d", (int)pid);
    return -1;
}

static void await_readers(struct shmframe_writer *writer, uint32_t count) {
    const int64_t until_ns = world_deadline();
    struct shmframe_writer_event event;
    while (shmframe_writer_readers(writer) != count) {
        ck_assert_msg(shmframe_now_ns() < until_ns, "%u readers instead of %u",
                      shmframe_writer_readers(writer), count);
        struct pollfd mail = {.fd = shmframe_session_fd(world.session), .events = POLLIN};
        poll(&mail, 1, 10);
        ck_assert_int_eq(shmframe_session_dispatch(world.session), 0);
        while (shmframe_writer_next_event(writer, &event) == 0)
            continue;
    }
}

static pid_t start_holder(struct shmframe_writer *writer) {
    const pid_t pid = world_fork(hold_a_frame);
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    world_publish(writer, 1);
    world_await();
    return pid;
}

START_TEST(who_has_a_dead_readers_pid_has_not_its_leases) {
    struct shmframe_writer *writer = world_open_writer("s");
    const pid_t pid = start_holder(writer);
    world_expect_writer_event(writer, SHMFRAME_READER_JOINED);
    world_kill(pid);
    fork_as(pid, take_a_frame_as_another);
    const struct shmframe_writer_event left =
        world_expect_writer_event(writer, SHMFRAME_READER_LEFT);
    ck_assert_int_eq(left.pid, pid);
    const struct shmframe_writer_event joined =
        world_expect_writer_event(writer, SHMFRAME_READER_JOINED);
    ck_assert_int_eq(joined.pid, pid);
    ck_assert_uint_ne(joined.reader, left.reader);
    world_await();
    world_publish(writer, 2);
    await_readers(writer, 0);
    world_join(pid);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(the_next_supervisor_does_not_take_another_for_a_dead_holder) {
    struct shmframe_writer *writer = world_open_writer("s");
    const pid_t pid = start_holder(writer);
    world_kill_supervisor();
    world_await_connected(false);
    world_kill(pid);
    fork_as(pid, be_another);
    world_await();
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    await_readers(writer, 0); /* while the other lives */
    ck_assert_int_eq(kill(pid, 0), 0);
    world_kill(pid);
    shmframe_writer_close(writer);
}
END_TEST

/* The control: with its own pid it is who it was. */
START_TEST(the_next_supervisor_keeps_the_lease_of_a_holder_that_lives) {
    struct shmframe_writer *writer = world_open_writer("s");
    const pid_t pid = start_holder(writer);
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    for (unsigned i = 0; i < 20; i++)
        world_publish(writer, 2);
    ck_assert_uint_eq(shmframe_writer_readers(writer), 1);
    world_kill(pid);
    await_readers(writer, 0);
    shmframe_writer_close(writer);
}
END_TEST

static int run(void) {
    Suite *suite = suite_create("pids");
    TCase *tests = tcase_create("pids");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, who_has_a_dead_readers_pid_has_not_its_leases);
    tcase_add_test(tests, the_next_supervisor_does_not_take_another_for_a_dead_holder);
    tcase_add_test(tests, the_next_supervisor_keeps_the_lease_of_a_holder_that_lives);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}

int main(void) {
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
        fprintf(stderr, "no pid namespace of its own (%s): skipped\n", strerror(errno));
        return SKIPPED;
    }
    const pid_t first = fork(); /* the namespace ends with it, and all that is in it */
    if (first == 0) {
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", 0, NULL) < 0) {
            fprintf(stderr, "no /proc of its own (%s): skipped\n", strerror(errno));
            _exit(SKIPPED);
        }
        exit(run());
    }
    int status;
    if (first < 0 || waitpid(first, &status, 0) != first || !WIFEXITED(status))
        return EXIT_FAILURE;
    return WEXITSTATUS(status);
}
