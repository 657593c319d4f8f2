/* Clocks that are set, and clocks that are not ours. The program runs with jump.c preloaded, and so
 * does its supervisor.
 */
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static void expect_jumps(void) {
    struct timespec first, second;
    ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &first), 0);
    ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &second), 0);
    const time_t apart_s = second.tv_sec - first.tv_sec;
    ck_assert_msg(apart_s > 1800 || apart_s < -1800, "jump.c is not preloaded");
}

START_TEST(no_frame_is_lost_and_nobody_taken_for_dead_when_the_wall_clock_jumps) {
    expect_jumps();
    group = (struct group){0};
    group_start();
    group_await(50);
    group_finish();
    const struct group_board *board = group.board;
    ck_assert_uint_eq(atomic_load(&board->generation), 1);
    for (unsigned i = 0; i < GROUP_READERS; i++) {
        ck_assert_uint_eq(atomic_load(&board->reader[i].unasked), 0);
        ck_assert_uint_eq(atomic_load(&board->reader[i].lost), 0);
        ck_assert_uint_eq(atomic_load(&board->reader[i].taken), atomic_load(&board->published));
    }
    munmap(group.board, sizeof(*group.board));
}
END_TEST

START_TEST(waits_end_at_their_deadlines_when_the_wall_clock_jumps) {
    expect_jumps();
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_LATEST), *none = NULL;
    struct shmframe_lease lease;
    int64_t deadline_ns = shmframe_deadline_ns(INT64_C(300000000));
    ck_assert_int_eq(shmframe_reader_acquire(reader, deadline_ns, &lease), -ETIMEDOUT);
    ck_assert_int_ge(shmframe_now_ns(), deadline_ns);
    deadline_ns = shmframe_deadline_ns(INT64_C(300000000));
    const struct shmframe_reader_params params = {.stream = "nowhere", .deadline_ns = deadline_ns};
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &none), -ETIMEDOUT);
    ck_assert_int_ge(shmframe_now_ns(), deadline_ns);
    world_kill_supervisor();
    world_await_connected(false);
    world_start_supervisor(NULL, NULL);
    world_await_connected(true);
    world_publish(writer, 1);
    ck_assert_uint_eq(world_take(reader, 1), 1);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- a namespace with another CLOCK_MONOTONIC ---- */

static int offset_s;

static void ask_from_there(void) {
    struct shmframe_session *session;
    const struct shmframe_session_params params = {.socket = world.socket};
    expect_error(shmframe_session_open(&params, &session), -ENOTSUP, "time namespace");
}

static void move_there(void) {
    char text[32];
    const int bytes = snprintf(text, sizeof(text), "monotonic %d 0", offset_s);
    const int fd =
        unshare(CLONE_NEWTIME) < 0 ? -1 : open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0 && write(fd, text, (size_t)bytes) == bytes, "no time namespace: %m");
    close(fd);
    world_join(world_fork(ask_from_there)); /* the namespace is for children */
}

START_TEST(who_has_another_clock_is_told_so) {
    struct timespec now;
    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    offset_s = _i ? 3600 : now.tv_sec > 120 ? -60 : 60;
    world_join(world_fork(move_there));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("clocks");
    TCase *tests = tcase_create("clocks");
    tcase_set_timeout(tests, 90);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, no_frame_is_lost_and_nobody_taken_for_dead_when_the_wall_clock_jumps);
    tcase_add_test(tests, waits_end_at_their_deadlines_when_the_wall_clock_jumps);
    if (geteuid() == 0 && access("/proc/self/timens_offsets", W_OK) == 0)
        tcase_add_loop_test(tests, who_has_another_clock_is_told_so, 0, 2);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
