/* shmframe-screen while its X server does not answer. */
#include "desktop.h"
#include "stage.h"

#include <signal.h>
#include <stdlib.h>

static struct desktop desktop;

static void tear_down(void) {
    if (desktop.pid)
        desktop_stop(&desktop);
    stage_tear_down();
}

/* The X server serves nobody from here on, and a picture is under way. */
static void hang(struct shmframe_reader *reader) {
    struct shmframe_lease lease = stage_acquire(reader);
    stage_release(reader, &lease);
    kill(desktop.pid, SIGSTOP);
    /* No answer comes any more, and so no frame. */
    while (shmframe_reader_acquire(reader, shmframe_deadline_ns(SECOND_NS / 5), &lease) == 0)
        stage_release(reader, &lease);
}

/* Whatever the program waits for then. */
START_TEST(a_server_that_hangs_does_not_keep_sigint_away) {
    desktop_start(&desktop, "320x240x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--rate", "200");
    struct shmframe_reader *reader = stage_open_reader();
    hang(reader);
    stage_stop(pid);
    kill(desktop.pid, SIGCONT);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(requests_and_readers_are_served_while_the_server_hangs) {
    desktop_start(&desktop, "320x240x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--rate", "200");
    struct shmframe_reader *reader = stage_open_reader();
    hang(reader);
    ck_assert_str_eq(stage_ask("set", "cursor off").text, "cursor off");
    struct shmframe_reader *second = stage_open_reader();
    ck_assert_str_eq(stage_ask("quit", "").text, "ending");
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    kill(desktop.pid, SIGCONT);
    shmframe_reader_close(second);
    shmframe_reader_close(reader);
}
END_TEST

/* The picture that was asked for before the pause comes after it, and is not published. */
START_TEST(a_pause_while_the_server_hangs_holds_the_picture_back) {
    desktop_start(&desktop, "320x240x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--rate", "200");
    struct shmframe_reader *reader = stage_open_reader();
    hang(reader);
    ck_assert_str_eq(stage_ask("pause", "").text, "paused");
    kill(desktop.pid, SIGCONT);
    stage_expect_nothing(reader);
    ck_assert_str_eq(stage_ask("resume", "").text, "running");
    struct shmframe_lease lease = stage_acquire(reader);
    ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
    stage_release(reader, &lease);

    hang(reader);
    ck_assert_str_eq(stage_ask("pause", "").text, "paused");
    ck_assert_str_eq(stage_ask("resume", "").text, "running");
    kill(desktop.pid, SIGCONT);
    lease = stage_acquire(reader);
    ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
    stage_release(reader, &lease);
    stage_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

/* The picture that is under way belongs to the rate that it was asked for at. */
START_TEST(another_rate_while_the_server_hangs_begins_with_the_next_picture) {
    desktop_start(&desktop, "320x240x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--rate", "200");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    const int64_t start_ns = lease.frame.loan_ns - lease.frame.pts;
    stage_release(reader, &lease);
    hang(reader);
    ck_assert_str_eq(stage_ask("set", "rate 10").text, "rate 10");
    kill(desktop.pid, SIGCONT);
    for (uint32_t rate = 200; rate != 10;) {
        lease = stage_acquire(reader);
        rate = (uint32_t)lease.format->video.frame_rate.num;
        ck_assert_int_le(start_ns + lease.frame.pts, lease.frame.publish_ns + SECOND_NS / 10);
        ck_assert_int_eq(lease.frame.duration, SECOND_NS / rate);
        stage_release(reader, &lease);
    }
    stage_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

/* What could not be taken meanwhile counts, however the end comes. */
START_TEST(a_server_that_hangs_does_not_keep_the_end_away) {
    desktop_start(&desktop, "320x240x24", NULL);
    const bool has_duration = _i == 0;
    const pid_t pid = START("--display", desktop.name, "--rate", "200", "--format", "json",
                            "--wait-readers", "1", "--duration", has_duration ? "2" : "60");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    const int64_t start_ns = lease.frame.loan_ns - lease.frame.pts;
    stage_release(reader, &lease);
    hang(reader);
    const int64_t before_ns = shmframe_now_ns();
    if (has_duration)
        ck_assert_int_eq(stage_wait_exit(pid), 0);
    else
        stage_stop(pid);
    const int64_t due = stage_counted("frames") + stage_counted("dropped");
    if (has_duration)
        ck_assert_int_eq(due, 400);
    else /* up to here at least, but for the one that is not over */
        ck_assert_int_ge(due, (before_ns - start_ns) / (SECOND_NS / 200) - 2);
    kill(desktop.pid, SIGCONT);
    shmframe_reader_close(reader);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hang");
    TCase *run = tcase_create("run");
    tcase_add_checked_fixture(run, stage_set_up, tear_down);
    tcase_set_timeout(run, 120);
    tcase_add_test(run, a_server_that_hangs_does_not_keep_sigint_away);
    tcase_add_test(run, requests_and_readers_are_served_while_the_server_hangs);
    tcase_add_test(run, a_pause_while_the_server_hangs_holds_the_picture_back);
    tcase_add_test(run, another_rate_while_the_server_hangs_begins_with_the_next_picture);
    tcase_add_loop_test(run, a_server_that_hangs_does_not_keep_the_end_away, 0, 2);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
