/* shmframe-screen's pictures: what a client draws arrives bit by bit, from wherever it is taken. */
#include "desktop.h"
#include "stage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct desktop desktop;

static void tear_down(void) {
    if (desktop.pid)
        desktop_stop(&desktop);
    stage_tear_down();
}

/* Awaits the picture and lets it go. */
static void expect(const struct picture *picture, struct shmframe_reader *reader) {
    struct shmframe_lease lease = picture_await(&desktop, picture, reader);
    stage_release(reader, &lease);
}

static const struct depth {
    const char *screen, *pixel_format;
    const char *const arguments[3];
} depths[] = {
    {"318x240x24", "bgr0", {0}},
    {"318x240x30", "x2rgb10le", {0}},
    {"319x240x16", "rgb565le", {0}},
    {"319x240x15", "rgb555le", {0}},
    {"319x240x8", "bgr8", {"-cc", "4", NULL}},
};
enum { DEPTHS = sizeof(depths) / sizeof(depths[0]) };

START_TEST(the_screen_arrives_bit_by_bit) {
    const struct depth *depth = &depths[_i];
    desktop_start(&desktop, depth->screen, depth->arguments);
    const xcb_screen_t *screen = desktop.screen;
    struct picture picture =
        picture_create(&desktop, screen->width_in_pixels, screen->height_in_pixels, 1);
    desktop_draw(&desktop, screen->root, &picture, 0, 0);
    const pid_t pid =
        START("--display", desktop.name, "--no-cursor", "--format", "json", "--rate", "50");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = picture_await(&desktop, &picture, reader);
    ck_assert_str_eq(lease.format->video.pixel_format, depth->pixel_format);
    ck_assert_int_eq(lease.format->video.frame_rate.num, 50);
    ck_assert_int_eq(lease.frame.duration, SECOND_NS / 50);
    ck_assert_int_ge(lease.frame.capture_ns, lease.frame.loan_ns);
    ck_assert_int_le(lease.frame.capture_ns, lease.frame.publish_ns);
    stage_release(reader, &lease);

    picture_destroy(&picture);
    picture = picture_create(&desktop, screen->width_in_pixels, screen->height_in_pixels, 2);
    desktop_draw(&desktop, screen->root, &picture, 0, 0);
    expect(&picture, reader);
    stage_stop(pid);
    shmframe_reader_close(reader);
    ck_assert_int_gt(stage_counted("in_place"), 1);
    ck_assert_int_eq(stage_counted("copied"), 0);
    ck_assert_int_eq(stage_counted("refused_loans"), 0);
    picture_destroy(&picture);
}
END_TEST

START_TEST(an_area_of_the_screen_is_cut_out) {
    desktop_start(&desktop, "320x240x24", NULL);
    struct picture picture = picture_create(&desktop, 320, 240, 1);
    struct picture part = picture_cut(&picture, 17, 31, 101, 203);
    desktop_draw(&desktop, desktop.screen->root, &picture, 0, 0);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--area", "101x203+17+31");
    struct shmframe_reader *reader = stage_open_reader();
    expect(&part, reader);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&part);
    picture_destroy(&picture);
}
END_TEST

/* A window that other windows cover, that lies off the screen in part, and has a border: its own
 * pixels arrive, all of them. */
START_TEST(a_window_arrives_whole_although_it_is_covered) {
    desktop_start(&desktop, "320x240x24", NULL);
    const xcb_window_t window = desktop_open_window(&desktop, 0, -30, 150, 200, 180, "below");
    xcb_configure_window(desktop.connection, window, XCB_CONFIG_WINDOW_BORDER_WIDTH,
                         (const uint32_t[]){5});
    const xcb_window_t above = desktop_open_window(&desktop, 0, 0, 0, 100, 240, "above");
    struct picture cover = picture_create(&desktop, 100, 240, 9);
    desktop_draw(&desktop, above, &cover, 0, 0);

    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--window", "below");
    struct shmframe_reader *reader = stage_open_reader();
    struct picture picture = picture_create(&desktop, 200, 180, 1);
    desktop_draw(&desktop, window, &picture, 0, 0);
    expect(&picture, reader);
    /* It moves, which changes nothing. */
    xcb_configure_window(desktop.connection, window, XCB_CONFIG_WINDOW_X, (const uint32_t[]){280});
    desktop_sync(&desktop);
    picture_destroy(&picture);
    picture = picture_create(&desktop, 200, 180, 2);
    desktop_draw(&desktop, window, &picture, 0, 0);
    expect(&picture, reader);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&picture);
    picture_destroy(&cover);
}
END_TEST

START_TEST(an_area_of_a_window_is_cut_out) {
    desktop_start(&desktop, "320x240x24", NULL);
    const xcb_window_t window = desktop_open_window(&desktop, 0, 20, 10, 200, 180, NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--window",
                            desktop_id(window), "--area", "50x60+70+80");
    struct shmframe_reader *reader = stage_open_reader();
    struct picture picture = picture_create(&desktop, 200, 180, 1);
    struct picture part = picture_cut(&picture, 70, 80, 50, 60);
    desktop_draw(&desktop, window, &picture, 0, 0);
    expect(&part, reader);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&part);
    picture_destroy(&picture);
}
END_TEST

START_TEST(a_late_producer_drops_what_it_missed_and_says_so) {
    desktop_start(&desktop, "64x64x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--rate", "200");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    stage_release(reader, &lease);
    kill(pid, SIGSTOP);
    const int64_t until_ns = shmframe_deadline_ns(SECOND_NS / 2);
    while (shmframe_reader_acquire(reader, until_ns, &lease) == 0)
        stage_release(reader, &lease);
    kill(pid, SIGCONT);
    int64_t previous = -1;
    bool is_dropped = false;
    for (int i = 0; i < 50; i++) {
        lease = stage_acquire(reader);
        if (previous >= 0)
            ck_assert_int_eq(lease.frame.pts,
                             previous + (1 + (int64_t)lease.frame.device_dropped) * 5000000);
        previous = lease.frame.pts;
        is_dropped |= lease.frame.device_dropped >= 90;
        stage_release(reader, &lease);
    }
    ck_assert(is_dropped);
    stage_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

/* Servers that take no descriptor: the same pictures, copied, and said so. */
static const struct copying {
    const char *prefix, *why;
    const char *const arguments[3];
} copyings[] = {
    {"", "the X server has no MIT-SHM", {"-extension", "MIT-SHM", NULL}},
    {"127.0.0.1", "the connection to the X server is not local", {"-listen", "tcp", NULL}},
};

static void expect_copies(const char *display, const char *why) {
    const pid_t pid = START("--display", display, "--no-cursor", "--format", "json");
    struct shmframe_reader *reader = stage_open_reader();
    for (uint32_t i = 0; i < 2; i++) {
        struct picture picture = picture_create(&desktop, 319, 240, i);
        desktop_draw(&desktop, desktop.screen->root, &picture, 0, 0);
        expect(&picture, reader);
        picture_destroy(&picture);
    }
    stage_stop(pid);
    shmframe_reader_close(reader);
    ck_assert_int_gt(stage_counted("copied"), 1);
    ck_assert_int_eq(stage_counted("in_place"), 0);
    ck_assert_msg(strstr(stage_said(), why), "%s", stage_said());
}

START_TEST(what_cannot_be_written_in_place_is_copied_and_counted) {
    desktop_start(&desktop, "319x240x16", copyings[_i].arguments);
    char display[64];
    snprintf(display, sizeof(display), "%s%s", copyings[_i].prefix, desktop.name);
    expect_copies(display, copyings[_i].why);
}
END_TEST

START_TEST(a_descriptor_that_is_lost_on_its_way_makes_copies) {
    desktop_start(&desktop, "319x240x24", NULL);
    /* No X server has such a number, and no other test has this process's. */
    const int number = 20000 + (int)(getpid() % 30000);
    const pid_t proxy = desktop_start_proxy(&desktop, number);
    char display[16];
    snprintf(display, sizeof(display), ":%d", number);
    expect_copies(display, "the X server did not take the ring's descriptor");
    ck_assert_int_eq(stage_wait_exit(proxy), 0);
}
END_TEST

/* Also those that were due when the time was over. */
START_TEST(frames_and_drops_are_as_many_as_were_due) {
    desktop_start(&desktop, "64x64x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--rate", "100", "--duration", "1",
                            "--wait-readers", "1", "--format", "json");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    stage_release(reader, &lease);
    kill(pid, SIGSTOP);
    const int64_t until_ns = shmframe_deadline_ns(5 * SECOND_NS / 4);
    while (shmframe_reader_acquire(reader, until_ns, &lease) == 0)
        stage_release(reader, &lease);
    kill(pid, SIGCONT);
    stage_drain(reader);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_int_eq(stage_counted("frames") + stage_counted("dropped"), 100);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(pause_resume_and_rate_are_served) {
    desktop_start(&desktop, "320x240x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--format", "json");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    ck_assert_int_eq(lease.format->video.frame_rate.num, 60);
    stage_release(reader, &lease);
    ck_assert_str_eq(stage_ask("pause", NULL).text, "paused");
    while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == 0)
        stage_release(reader, &lease);
    stage_expect_nothing(reader);
    const int64_t paused_pts = lease.frame.pts, paused_ns = lease.frame.capture_ns;
    ck_assert_str_eq(stage_ask("resume", NULL).text, "running");
    lease = stage_acquire(reader);
    ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
    /* The pause is part of the time: what was captured meanwhile elsewhere stays in step. */
    const int64_t away_ns = lease.frame.capture_ns - paused_ns;
    ck_assert_int_gt(lease.frame.pts - paused_pts, away_ns / 2);
    ck_assert_int_lt(lease.frame.pts - paused_pts, away_ns + SECOND_NS);
    stage_release(reader, &lease);

    ck_assert_int_eq(stage_ask("set", "rate 25").status, 0);
    int64_t pts;
    do {
        lease = stage_acquire(reader);
        ck_assert_int_gt(lease.frame.pts, paused_pts);
        pts = lease.frame.pts;
        stage_release(reader, &lease);
    } while (lease.frame.duration != SECOND_NS / 25);
    lease = stage_acquire(reader);
    ck_assert_int_eq(lease.format->video.frame_rate.num, 25);
    ck_assert_int_eq(lease.frame.pts, pts + SECOND_NS / 25 * (1 + lease.frame.device_dropped));
    stage_release(reader, &lease);

    static const char *const bad[] = {"rate", "rate 0", "rate much", "rate 2000", "colour 3", ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(stage_ask("set", bad[i]).status, -EINVAL);
    ck_assert_ptr_nonnull(strstr(stage_ask("help", NULL).text, "set"));
    ck_assert_int_eq(stage_ask("quit", NULL).status, 0);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    shmframe_reader_close(reader);
}
END_TEST

/* The same as the soak test, for a few seconds: whole pictures of 1920x1080 in time. */
START_TEST(large_pictures_come_without_a_copy) {
    desktop_start(&desktop, "1920x1080x24", NULL);
    const char *seconds = getenv("SHMFRAME_SOAK") ? "60" : "3";
    const pid_t pid = START("--display", desktop.name, "--duration", seconds, "--format", "json",
                            "--wait-readers", "1");
    struct shmframe_reader *reader = stage_open_reader();
    stage_drain(reader);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    shmframe_reader_close(reader);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    const int64_t frames = stage_counted("frames");
    ck_assert_int_eq(stage_counted("in_place"), frames);
    ck_assert_int_eq(stage_counted("copied"), 0);
    ck_assert_int_eq(stage_counted("refused_loans"), 0);
    /* What a busy machine was late for is dropped, and told: all in all one for each sixtieth. */
    ck_assert_int_eq(frames + stage_counted("dropped"), 60 * strtol(seconds, NULL, 10));
    ck_assert_int_gt(frames, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pictures");
    TCase *run = tcase_create("run");
    tcase_add_checked_fixture(run, stage_set_up, tear_down);
    tcase_set_timeout(run, 120);
    if (getenv("SHMFRAME_SOAK")) {
        tcase_add_test(run, large_pictures_come_without_a_copy);
    } else {
        tcase_add_loop_test(run, the_screen_arrives_bit_by_bit, 0, DEPTHS);
        tcase_add_test(run, an_area_of_the_screen_is_cut_out);
        tcase_add_test(run, a_window_arrives_whole_although_it_is_covered);
        tcase_add_test(run, an_area_of_a_window_is_cut_out);
        tcase_add_test(run, a_late_producer_drops_what_it_missed_and_says_so);
        tcase_add_loop_test(run, what_cannot_be_written_in_place_is_copied_and_counted, 0, 2);
        tcase_add_test(run, a_descriptor_that_is_lost_on_its_way_makes_copies);
        tcase_add_test(run, frames_and_drops_are_as_many_as_were_due);
        tcase_add_test(run, pause_resume_and_rate_are_served);
        tcase_add_test(run, large_pictures_come_without_a_copy);
    }
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
