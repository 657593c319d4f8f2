/* shmframe-screen goes along with a target that changes, hides or ends. */
#include "desktop.h"
#include "stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xcb/randr.h>

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

/* The rings that the X server has mapped. */
static int count_attached(void) {
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)desktop.pid);
    FILE *maps = fopen(path, "r");
    ck_assert_ptr_nonnull(maps);
    int count = 0;
    while (fgets(line, sizeof(line), maps))
        count += strstr(line, "shmframe-ring") != NULL;
    fclose(maps);
    return count;
}

/* Each size is a format of its own, in a ring of its own, in which the picture is whole. The X
 * server lets go of those before. */
START_TEST(readers_follow_a_window_through_its_sizes) {
    desktop_start(&desktop, "640x480x24", NULL);
    const xcb_window_t window = desktop_open_window(&desktop, 0, 20, 10, 100, 80, NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--window",
                            desktop_id(window), "--format", "json");
    struct shmframe_reader *reader = stage_open_reader();
    static const uint16_t sizes[][2] = {{100, 80},  {411, 333}, {7, 5},
                                        {600, 470}, {1, 1},     {64, 64}};
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        desktop_resize(&desktop, window, sizes[i][0], sizes[i][1]);
        struct picture picture = picture_create(&desktop, sizes[i][0], sizes[i][1], i);
        desktop_draw(&desktop, window, &picture, 0, 0);
        expect(&picture, reader);
        ck_assert_int_eq(count_attached(), 1);
        picture_destroy(&picture);
    }
    stage_stop(pid);
    shmframe_reader_close(reader);
    ck_assert_int_eq(stage_counted("generation"), 6);
    ck_assert_int_eq(stage_counted("copied"), 0);
}
END_TEST

static void set_screen_size(uint16_t width, uint16_t height) {
    xcb_connection_t *connection = desktop.connection;
    const xcb_window_t root = desktop.screen->root;
    xcb_randr_get_screen_resources_reply_t *resources = xcb_randr_get_screen_resources_reply(
        connection, xcb_randr_get_screen_resources(connection, root), NULL);
    ck_assert_ptr_nonnull(resources);
    /* What shows a part of the screen would forbid its being smaller. */
    const xcb_randr_crtc_t *crtc = xcb_randr_get_screen_resources_crtcs(resources);
    for (int i = 0; i < resources->num_crtcs; i++)
        free(xcb_randr_set_crtc_config_reply(
            connection,
            xcb_randr_set_crtc_config(connection, crtc[i], XCB_CURRENT_TIME,
                                      resources->config_timestamp, 0, 0, XCB_NONE,
                                      XCB_RANDR_ROTATION_ROTATE_0, 0, NULL),
            NULL));
    free(resources);
    xcb_generic_error_t *error =
        xcb_request_check(connection, xcb_randr_set_screen_size_checked(connection, root, width,
                                                                        height, width, height));
    ck_assert_ptr_null(error);
}

START_TEST(readers_follow_the_screen_through_its_sizes) {
    desktop_start(&desktop, "640x480x24", NULL);
    const pid_t pid =
        START("--display", desktop.name, "--no-cursor", "--format", "json", "--rate", "200");
    struct shmframe_reader *reader = stage_open_reader();
    static const uint16_t sizes[][2] = {{320, 200}, {640, 480}, {111, 480}, {639, 1}, {500, 400}};
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        set_screen_size(sizes[i][0], sizes[i][1]);
        struct picture picture = picture_create(&desktop, sizes[i][0], sizes[i][1], i);
        desktop_draw(&desktop, desktop.screen->root, &picture, 0, 0);
        expect(&picture, reader);
        picture_destroy(&picture);
    }
    stage_stop(pid);
    shmframe_reader_close(reader);
    ck_assert_ptr_null(strstr(stage_said(), "Bad"));
}
END_TEST

/* The stream is there, and waits for its reader. */
static void await_stream(void) {
    const int64_t deadline_ns = shmframe_deadline_ns(20 * SECOND_NS);
    struct shmframe_stream_info stream;
    while (shmframe_session_streams(stage_session, deadline_ns, &stream, 1) < 1) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "%s", stage_said());
        usleep(5000);
    }
}

/* The request for a picture is on its way when the screen gets smaller, so that the X server
 * refuses it: that picture is taken again, the next one would come in a minute. */
START_TEST(a_picture_that_is_refused_for_its_size_is_taken_again) {
    desktop_start(&desktop, "640x480x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--format", "json", "--rate",
                            "1/60", "--wait-readers", "1");
    await_stream();
    /* From here on only our requests are served. */
    xcb_grab_server(desktop.connection);
    desktop_sync(&desktop);
    struct shmframe_reader *reader = stage_open_reader();
    stage_expect_nothing(reader);
    set_screen_size(300, 200);
    struct picture picture = picture_create(&desktop, 300, 200, 1);
    desktop_draw(&desktop, desktop.screen->root, &picture, 0, 0);
    xcb_ungrab_server(desktop.connection);
    desktop_sync(&desktop);
    struct shmframe_lease lease = stage_acquire(reader);
    ck_assert(picture_is_in(&desktop, &picture, &lease));
    ck_assert_uint_eq(lease.frame.sequence, 1);
    stage_release(reader, &lease);
    stage_stop(pid);
    shmframe_reader_close(reader);
    ck_assert_ptr_null(strstr(stage_said(), "Bad"));
    ck_assert_int_eq(stage_counted("dropped"), 0);
    picture_destroy(&picture);
}
END_TEST

/* What changes while the producer asks about the change before comes with the answers, and nothing
 * comes by the connection after that. */
START_TEST(a_screen_that_changes_again_at_once_is_not_missed) {
    desktop_start(&desktop, "640x480x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--area", "300x200+300+100");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    stage_release(reader, &lease);
    for (uint32_t i = 0; i < 30; i++) {
        set_screen_size(200, 480); /* the area is beside it */
        kill(desktop.pid, SIGSTOP);
        usleep(10000); /* so long the producer waits for its answers */
        xcb_randr_set_screen_size(desktop.connection, desktop.screen->root, 640, 480, 640, 480);
        xcb_flush(desktop.connection);
        kill(desktop.pid, SIGCONT);
        struct picture picture = picture_create(&desktop, 640, 480, i);
        desktop_draw(&desktop, desktop.screen->root, &picture, 0, 0);
        struct picture part = picture_cut(&picture, 300, 100, 300, 200);
        expect(&part, reader);
        picture_destroy(&part);
        picture_destroy(&picture);
    }
    stage_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

/* As much of it as there is; nothing while there is nothing. */
START_TEST(an_area_shrinks_with_the_screen_and_comes_back) {
    desktop_start(&desktop, "640x480x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--area", "300x200+200+100");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    stage_release(reader, &lease);
    static const uint16_t sizes[][4] = {
        {400, 200, 200, 100}, {200, 480, 0, 0}, {640, 480, 300, 200}};
    for (uint32_t i = 0; i < 3; i++) {
        set_screen_size(sizes[i][0], sizes[i][1]);
        struct picture picture = picture_create(&desktop, sizes[i][0], sizes[i][1], i);
        desktop_draw(&desktop, desktop.screen->root, &picture, 0, 0);
        if (sizes[i][2]) {
            struct picture part = picture_cut(&picture, 200, 100, sizes[i][2], sizes[i][3]);
            expect(&part, reader);
            picture_destroy(&part);
        }
        picture_destroy(&picture);
    }
    stage_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

/* What is on its way still, and then nothing. */
static void expect_hidden(struct shmframe_reader *reader) {
    const int64_t deadline_ns = shmframe_deadline_ns(20 * SECOND_NS);
    struct shmframe_lease lease;
    while (shmframe_reader_acquire(reader, shmframe_deadline_ns(SECOND_NS / 5), &lease) == 0) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "frames of a hidden window go on");
        stage_release(reader, &lease);
    }
}

/* A hidden window has no picture, and nothing is published. Its frame being hidden is the same, as
 * window managers do it. */
START_TEST(a_window_may_be_hidden_and_shown_again) {
    desktop_start(&desktop, "320x240x24", NULL);
    const xcb_window_t frame = desktop_open_window(&desktop, 0, 10, 10, 150, 120, "frame");
    const xcb_window_t window = desktop_open_window(&desktop, frame, 5, 20, 100, 80, "client");
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--window",
                            desktop_id(window), "--format", "json");
    struct shmframe_reader *reader = stage_open_reader();
    for (uint32_t i = 0; i < 4; i++) {
        struct picture picture = picture_create(&desktop, 100, 80, i);
        desktop_draw(&desktop, window, &picture, 0, 0);
        struct shmframe_lease lease = picture_await(&desktop, &picture, reader);
        stage_release(reader, &lease);
        picture_destroy(&picture);

        const xcb_window_t hidden = i % 2 ? frame : window;
        xcb_unmap_window(desktop.connection, hidden);
        desktop_sync(&desktop);
        expect_hidden(reader);
        xcb_map_window(desktop.connection, hidden);
        desktop_await_event(&desktop, XCB_EXPOSE);
    }
    stage_stop(pid);
    shmframe_reader_close(reader);
    ck_assert_int_eq(stage_counted("copied"), 0);
}
END_TEST

/* A window manager that begins after the program puts windows into frames, and a desktop of its own
 * around those. */
START_TEST(a_window_that_gets_into_a_frame_is_hidden_with_it) {
    desktop_start(&desktop, "320x240x24", NULL);
    const xcb_window_t window = desktop_open_window(&desktop, 0, 10, 10, 100, 80, "client");
    const pid_t pid =
        START("--display", desktop.name, "--no-cursor", "--window", desktop_id(window));
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    stage_release(reader, &lease);
    const xcb_window_t around = desktop_open_window(&desktop, 0, 0, 0, 300, 200, "around");
    const xcb_window_t frame = desktop_open_window(&desktop, 0, 0, 0, 150, 120, "frame");
    xcb_reparent_window(desktop.connection, window, frame, 5, 20);
    desktop_sync(&desktop);
    lease = stage_acquire(reader);
    stage_release(reader, &lease);
    xcb_reparent_window(desktop.connection, frame, around, 5, 5);
    for (uint32_t i = 0; i < 3; i++) {
        const struct picture picture = picture_create(&desktop, 100, 80, i);
        desktop_draw(&desktop, window, &picture, 0, 0);
        expect(&picture, reader);
        const xcb_window_t hidden = i % 2 ? frame : around;
        xcb_unmap_window(desktop.connection, hidden);
        desktop_sync(&desktop);
        expect_hidden(reader);
        xcb_map_window(desktop.connection, hidden);
        desktop_sync(&desktop);
        lease = stage_acquire(reader);
        ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
        stage_release(reader, &lease);
        free(picture.value);
    }
    stage_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(what_was_hidden_is_a_gap_and_not_dropped) {
    desktop_start(&desktop, "320x240x24", NULL);
    const xcb_window_t window = desktop_open_window(&desktop, 0, 10, 10, 150, 120, NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--window",
                            desktop_id(window), "--rate", "10");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    stage_release(reader, &lease);
    xcb_unmap_window(desktop.connection, window);
    desktop_sync(&desktop);
    while (shmframe_reader_acquire(reader, shmframe_deadline_ns(SECOND_NS / 2), &lease) == 0)
        stage_release(reader, &lease);
    xcb_map_window(desktop.connection, window);
    desktop_sync(&desktop);
    lease = stage_acquire(reader);
    ck_assert_uint_eq(lease.frame.device_dropped, 0);
    ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
    stage_release(reader, &lease);
    stage_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(a_window_that_is_hidden_at_first_is_waited_for) {
    desktop_start(&desktop, "320x240x24", NULL);
    const xcb_window_t window = desktop_open_window(&desktop, 0, 10, 10, 150, 120, "late");
    xcb_unmap_window(desktop.connection, window);
    desktop_sync(&desktop);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--window",
                            desktop_id(window), "--on-change");
    struct shmframe_reader *reader = stage_open_reader();
    stage_await_said("is not shown");
    stage_expect_nothing(reader);
    xcb_map_window(desktop.connection, window);
    struct picture picture = picture_create(&desktop, 150, 120, 1);
    desktop_draw(&desktop, window, &picture, 0, 0);
    expect(&picture, reader);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&picture);
}
END_TEST

START_TEST(a_closed_window_is_a_clear_end) {
    desktop_start(&desktop, "320x240x24", NULL);
    const xcb_window_t window = desktop_open_window(&desktop, 0, 10, 10, 150, 120, NULL);
    /* A picture a minute: the end is not the next picture's. */
    const pid_t pid =
        START("--display", desktop.name, "--window", desktop_id(window), "--rate", "1/60");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    stage_release(reader, &lease);
    xcb_destroy_window(desktop.connection, window);
    desktop_sync(&desktop);
    stage_drain(reader);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(stage_said(), "was closed"));
    ck_assert_ptr_nonnull(strstr(stage_said(), "screen: 1 frames"));
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(a_hidden_window_that_is_closed_is_a_clear_end) {
    desktop_start(&desktop, "320x240x24", NULL);
    const xcb_window_t window = desktop_open_window(&desktop, 0, 10, 10, 150, 120, NULL);
    xcb_unmap_window(desktop.connection, window);
    desktop_sync(&desktop);
    const pid_t pid = START("--display", desktop.name, "--window", desktop_id(window));
    struct shmframe_reader *reader = stage_open_reader();
    stage_expect_nothing(reader);
    xcb_destroy_window(desktop.connection, window);
    desktop_sync(&desktop);
    stage_drain(reader);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(a_server_that_is_gone_is_a_clear_failure) {
    desktop_start(&desktop, "320x240x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    stage_release(reader, &lease);
    desktop_stop(&desktop);
    desktop.pid = 0;
    stage_drain(reader);
    ck_assert_int_eq(stage_wait_exit(pid), 1);
    ck_assert_ptr_nonnull(strstr(stage_said(), "the X server is gone"));
    ck_assert_ptr_nonnull(strstr(stage_said(), "screen: "));
    shmframe_reader_close(reader);
}
END_TEST

START_TEST(a_window_that_closes_while_readers_are_waited_for_is_noticed) {
    desktop_start(&desktop, "320x240x24", NULL);
    const xcb_window_t window = desktop_open_window(&desktop, 0, 10, 10, 150, 120, NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--window",
                            desktop_id(window), "--wait-readers", "1");
    await_stream();
    xcb_destroy_window(desktop.connection, window);
    desktop_sync(&desktop);
    ck_assert_int_eq(stage_wait_exit(pid), 0);
    ck_assert_ptr_nonnull(strstr(stage_said(), "was closed"));
}
END_TEST

START_TEST(a_server_that_ends_while_readers_are_waited_for_is_noticed) {
    desktop_start(&desktop, "320x240x24", NULL);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--wait-readers", "1");
    await_stream();
    desktop_stop(&desktop);
    desktop.pid = 0;
    ck_assert_int_eq(stage_wait_exit(pid), 1);
    ck_assert_ptr_nonnull(strstr(stage_said(), "the X server is gone"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("follow");
    TCase *run = tcase_create("run");
    tcase_add_checked_fixture(run, stage_set_up, tear_down);
    tcase_set_timeout(run, 120);
    tcase_add_test(run, readers_follow_a_window_through_its_sizes);
    tcase_add_test(run, readers_follow_the_screen_through_its_sizes);
    tcase_add_test(run, a_picture_that_is_refused_for_its_size_is_taken_again);
    tcase_add_test(run, a_screen_that_changes_again_at_once_is_not_missed);
    tcase_add_test(run, an_area_shrinks_with_the_screen_and_comes_back);
    tcase_add_test(run, a_window_may_be_hidden_and_shown_again);
    tcase_add_test(run, a_window_that_gets_into_a_frame_is_hidden_with_it);
    tcase_add_test(run, what_was_hidden_is_a_gap_and_not_dropped);
    tcase_add_test(run, a_window_that_is_hidden_at_first_is_waited_for);
    tcase_add_test(run, a_closed_window_is_a_clear_end);
    tcase_add_test(run, a_hidden_window_that_is_closed_is_a_clear_end);
    tcase_add_test(run, a_server_that_is_gone_is_a_clear_failure);
    tcase_add_test(run, a_window_that_closes_while_readers_are_waited_for_is_noticed);
    tcase_add_test(run, a_server_that_ends_while_readers_are_waited_for_is_noticed);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
