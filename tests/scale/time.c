/* Time that goes wrong: a group that is stopped, as by a suspend, and signals that interrupt all
 * that can be interrupted. SHMFRAME_SCALE=long: a minute, and 20 thousand signals a second.
 */
#include "group.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

static bool is_long(void) {
    const char *form = getenv("SHMFRAME_SCALE");
    return form && strcmp(form, "long") == 0;
}

static void begin(void) {
    world_begin();
    group = (struct group){0};
}

static void end(void) {
    munmap(group.board, sizeof(*group.board));
    world_end();
}

/* Frames flowed under one writer, and nobody was told of a death or an eviction. */
static void expect_no_event(void) {
    const struct group_board *board = group.board;
    ck_assert_uint_eq(atomic_load(&board->generation), 1);
    for (unsigned i = 0; i < GROUP_READERS; i++)
        ck_assert_uint_eq(atomic_load(&board->reader[i].unasked), 0);
}

/* Who is to have each frame has had each. A writer whose open was interrupted may have come with a
 * second ring: that is an event, and no frame less. */
static void expect_all_frames(void) {
    const struct group_board *board = group.board;
    for (unsigned i = 0; i < GROUP_READERS; i++) {
        const struct group_reader *reader = &board->reader[i];
        const uint64_t published = atomic_load(&board->published);
        const uint64_t taken = atomic_load(&reader->taken), lost = atomic_load(&reader->lost);
        const uint64_t delivered = atomic_load(&reader->delivered);
        const uint64_t unasked = atomic_load(&reader->unasked);
        ck_assert_msg(unasked == 0 || atomic_load(&board->generation) > 1,
                      "reader %u heard %" PRIu64 " events of one and the same ring", i, unasked);
        ck_assert_msg(lost == 0 && taken == published && (i == 0 || delivered == published),
                      "reader %u of %" PRIu64 " frames: %" PRIu64 " delivered, %" PRIu64
                      " lost, the last one %" PRIu64,
                      i, published, delivered, lost, taken);
    }
}

/* ---- a gap ---- */

enum { PROCESSES = GROUP_READERS + 2 };

static void stop_all(const pid_t *pids) {
    for (unsigned i = 0; i < PROCESSES; i++)
        kill(pids[i], SIGSTOP);
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        ck_assert_int_eq(waitpid(pids[i], &status, WUNTRACED), pids[i]);
        ck_assert(WIFSTOPPED(status));
    }
}

/* They go on in one order, or in the other. */
static void continue_all(const pid_t *pids, bool is_reverse) {
    for (unsigned i = 0; i < PROCESSES; i++)
        kill(pids[is_reverse ? PROCESSES - 1 - i : i], SIGCONT);
}

START_TEST(a_group_that_was_stopped_goes_on_as_if_nothing_had_been) {
    const int gap_ms = is_long() ? 60000 : 3000;
    group_start();
    const pid_t pids[PROCESSES] = {world.supervisor, group.writer, group.reader[0], group.reader[1],
                                   group.reader[2]};
    stop_all(pids);
    poll(NULL, 0, gap_ms); /* the gap itself: nothing is to happen in it */
    continue_all(pids, _i);
    group_await(50);
    ck_assert(shmframe_session_is_connected(world.session));
    struct shmframe_stream_info info[1];
    ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), info, 1), 1);
    ck_assert_uint_eq(info[0].readers, GROUP_READERS);
    ck_assert_int_eq(info[0].state, SHMFRAME_STREAM_LIVE);
    group_finish();
    expect_no_event();
    expect_all_frames();
    /* What was due in the gap is missing, and counted. */
    const uint64_t due = (uint64_t)gap_ms * GROUP_FRAMES_A_SECOND / 1000;
    ck_assert_uint_ge(atomic_load(&group.board->late) + 1, due);
    ck_assert_int_eq(shmframe_session_dispatch(world.session), 0);
    ck_assert(shmframe_session_is_connected(world.session));
}
END_TEST

/* ---- signals ---- */

static volatile sig_atomic_t signals;
static unsigned noise = 1;

static void arm_once(void) {
    /* Not a beat: now and then there is time for a question and its answer. */
    noise = noise * 1103515245 + 12345;
    const long most_us = is_long() ? 100 : 2000; /* 20 kHz and 1 kHz, on average */
    const long us = noise % 16 == 0 ? 20000 : 1 + (long)(noise >> 8) % most_us;
    const struct itimerval once = {.it_value = {.tv_usec = us}};
    setitimer(ITIMER_REAL, &once, NULL);
}

static void on_alarm(int number) {
    (void)number;
    signals++;
    arm_once();
}

static void begin_storm(void) {
    struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
    sigaction(SIGALRM, &action, NULL);
    arm_once();
}

START_TEST(signals_interrupt_calls_and_lose_no_frame) {
    group.begin = begin_storm;
    group_start();
    group_await(is_long() ? 3000 : 75);
    group_finish();
    expect_all_frames();
    for (unsigned i = 0; i < GROUP_READERS; i++) /* it was a storm */
        ck_assert_uint_gt(atomic_load(&group.board->reader[i].interrupted), 10);
}
END_TEST

/* A stop and its end interrupt epoll_wait() and the rest of the loop, without any handler. */
START_TEST(a_supervisor_that_is_interrupted_all_the_time_serves_on) {
    const unsigned times = is_long() ? 20000 : 500;
    group_start();
    for (unsigned i = 0; i < times; i++) {
        kill(world.supervisor, SIGSTOP);
        kill(world.supervisor, SIGCONT);
        poll(NULL, 0, 1);
        if (i % 100 != 0)
            continue;
        struct shmframe_reader *reader = world_open_reader("group", SHMFRAME_LATEST);
        struct shmframe_stream_info info[1];
        ck_assert_int_eq(shmframe_session_streams(world.session, world_deadline(), info, 1), 1);
        shmframe_reader_close(reader);
    }
    group_finish();
    expect_no_event();
    expect_all_frames();
    ck_assert(shmframe_session_is_connected(world.session));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("time");
    TCase *tests = tcase_create("time");
    tcase_set_timeout(tests, 600);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, a_group_that_was_stopped_goes_on_as_if_nothing_had_been, 0, 2);
    tcase_add_test(tests, signals_interrupt_calls_and_lose_no_frame);
    tcase_add_test(tests, a_supervisor_that_is_interrupted_all_the_time_serves_on);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
