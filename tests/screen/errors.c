/* shmframe-screen: what cannot be, in one line each; the list; choosing a window. */
#include "desktop.h"
#include "stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct desktop desktop;

static void start_desktop(const char *const *arguments) {
    desktop_start(&desktop, "320x240x24", arguments);
    setenv("DISPLAY", desktop.name, 1);
}

static void set_up(void) {
    stage_set_up();
    start_desktop(NULL);
}

static void tear_down(void) {
    if (desktop.pid)
        desktop_stop(&desktop);
    stage_tear_down();
}

START_TEST(options_that_cannot_be_are_usage_errors) {
    static const char *const bad[][2] = {
        {"--rate", "0"},           {"--rate", "1001"},       {"--area", "10x10"},
        {"--area", "0x10+0+0"},    {"--area", "10x10+-5+0"}, {"--area", "10x10+5+5+5"},
        {"--area", "10x10 +5 +5"}, {"--stream", "Screen"},   {"--format", "xml"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        EXPECT_EXIT(2, bad[i][0], bad[i][1]);
        stage_expect_complaint(bad[i][0]);
    }
}
END_TEST

static void expect_failure(const char *const *arguments, const char *complaint) {
    stage_expect_exit(1, arguments);
    stage_expect_complaint(complaint);
}
#define EXPECT_FAILURE(complaint, ...)                                                             \
    expect_failure((const char *const[]){__VA_ARGS__, NULL}, complaint)

START_TEST(displays_windows_and_areas_that_are_not_there_are_named) {
    EXPECT_FAILURE("display \"nonsense\": a display is named like :0", "--display", "nonsense");
    EXPECT_FAILURE("display \":64999\": no X server", "--display", ":64999");
    char screen[64];
    snprintf(screen, sizeof(screen), "%s.7", desktop.name);
    EXPECT_FAILURE("no screen of that number", "--display", screen);
    EXPECT_FAILURE("--window \"nobody\": no window is named so", "--window", "nobody");
    EXPECT_FAILURE("--window 0x7fffffe: there is no such window", "--window", "0x7fffffe");
    EXPECT_FAILURE("--window: it names no window", "--window", "");
    EXPECT_FAILURE("--area 300x200+50+0 does not lie within the screen's 320x240", "--area",
                   "300x200+50+0");
    EXPECT_FAILURE("--area 10x10+320+0 does not lie within", "--area", "10x10+320+0");
    unsetenv("DISPLAY");
    EXPECT_FAILURE("no display: name one with --display", "--no-cursor");
    setenv("WAYLAND_DISPLAY", "wayland-0", 1);
    EXPECT_FAILURE("Wayland shows its screen to no X client", "--no-cursor");
}
END_TEST

START_TEST(windows_that_cannot_be_captured_are_named) {
    xcb_connection_t *connection = desktop.connection;
    const xcb_window_t window = xcb_generate_id(connection);
    xcb_create_window(connection, 0, window, desktop.screen->root, 0, 0, 10, 10, 0,
                      XCB_WINDOW_CLASS_INPUT_ONLY, XCB_COPY_FROM_PARENT, 0, NULL);
    desktop_sync(&desktop);
    char id[16];
    snprintf(id, sizeof(id), "%u", window);
    EXPECT_FAILURE("it takes input only", "--window", id);
    const xcb_window_t good = desktop_open_window(&desktop, 0, 0, 0, 100, 100, "good");
    snprintf(id, sizeof(id), "0x%x", good);
    EXPECT_FAILURE("--area 10x10+95+0 does not lie within the window's 100x100", "--window", id,
                   "--area", "10x10+95+0");
    desktop_open_window(&desktop, 0, 0, 0, 100, 100, "good");
    EXPECT_FAILURE("several windows are named so, give the id of one: 0x", "--window", "good");
}
END_TEST

/* A script whose id is none is not to show another window, or the screen. */
START_TEST(a_number_is_an_id_or_a_whole_title) {
    desktop_open_window(&desktop, 0, 0, 0, 50, 40, "2048");
    desktop_open_window(&desktop, 0, 0, 0, 60, 40, "80x25 and 99999999999");
    EXPECT_FAILURE("--window 0: there is no such window", "--window", "0");
    EXPECT_FAILURE("--window 0x0: there is no such window", "--window", "0x0");
    EXPECT_FAILURE("--window 99999999999: there is no such window", "--window", "99999999999");
    const pid_t pid = START("--window", "2048");
    struct shmframe_reader *reader = stage_open_reader();
    struct shmframe_lease lease = stage_acquire(reader);
    ck_assert_uint_eq(lease.format->video.width, 50);
    stage_release(reader, &lease);
    stage_stop(pid);
    shmframe_reader_close(reader);
}
END_TEST

/* Each option that needs an extension says so where there is none, and others still work. */
START_TEST(missing_extensions_are_named_with_a_way_round) {
    static const char *const lacking[][4] = {
        {"-extension", "XFIXES", "say --no-cursor", "--rate=60"},
        {"-extension", "DAMAGE", "leave --on-change out", "--on-change"},
        {"-extension", "Composite", "with --area", "--window=window"},
    };
    desktop_stop(&desktop);
    start_desktop((const char *const[]){lacking[_i][0], lacking[_i][1], NULL});
    desktop_open_window(&desktop, 0, 0, 0, 100, 100, "window");
    EXPECT_FAILURE(lacking[_i][2], lacking[_i][3]);
    /* Without XFIXES, Xvfb 21.1 fails an assertion of its own when a client leaves. */
    if (_i == 0) {
        kill(desktop.pid, SIGTERM);
        stage_wait_exit(desktop.pid);
        desktop.pid = 0;
        return;
    }
    EXPECT_EXIT(0, "--no-cursor", "--frames", "3");
}
END_TEST

START_TEST(palettes_are_refused_with_a_remedy) {
    desktop_stop(&desktop);
    desktop_start(&desktop, "320x240x8", NULL);
    EXPECT_FAILURE("start the X server with a depth of", "--display", desktop.name);
}
END_TEST

START_TEST(the_list_shows_outputs_and_windows_without_a_supervisor) {
    setenv("SHMFRAME_SOCKET", "/nonexistent/socket", 1);
    const xcb_window_t window =
        desktop_open_window(&desktop, 0, 0, 0, 111, 77, "A\033[1m\x9b \"\xe4\"");
    char line[64];
    EXPECT_EXIT(0, "--list");
    ck_assert_ptr_nonnull(strstr(stage_said(), ": 320x240, depth 24, bgr0\n"));
    ck_assert_ptr_nonnull(strstr(stage_said(), "320x240+0+0"));
    /* A name is not to reach the terminal's ears, and is shown in its encoding. */
    snprintf(line, sizeof(line), "window 0x%x: 111x77 \"A?[1m? \"\xc3\xa4\"\"\n", window);
    ck_assert_msg(strstr(stage_said(), line), "%s", stage_said());
    EXPECT_EXIT(0, "--list", "--format", "json");
    snprintf(line, sizeof(line), "\"id\":\"0x%x\",\"width\":111,\"height\":77", window);
    ck_assert_msg(strstr(stage_said(), line), "%s", stage_said());
    ck_assert_ptr_nonnull(strstr(stage_said(), "\"area\":\"320x240+0+0\""));
}
END_TEST

static void set_property(xcb_window_t window, const char *name, xcb_atom_t type, uint8_t format,
                         const void *data, uint32_t count) {
    xcb_connection_t *connection = desktop.connection;
    xcb_intern_atom_reply_t *atom = xcb_intern_atom_reply(
        connection, xcb_intern_atom(connection, false, (uint16_t)strlen(name), name), NULL);
    xcb_change_property(connection, XCB_PROP_MODE_REPLACE, window, atom->atom, type, format, count,
                        data);
    desktop_sync(&desktop);
    free(atom);
}

/* The list of a window manager is believed; a frame is not the window. */
START_TEST(a_window_managers_list_counts) {
    const xcb_window_t frame = desktop_open_window(&desktop, 0, 0, 0, 150, 150, "frame");
    const xcb_window_t window = desktop_open_window(&desktop, frame, 5, 5, 100, 100, "old name");
    desktop_open_window(&desktop, 0, 200, 200, 10, 10, "panel");
    set_property(window, "_NET_WM_NAME", XCB_ATOM_STRING, 8, "Title \xc3\xa4", 8);
    set_property(window, "WM_STATE", XCB_ATOM_CARDINAL, 32, (const uint32_t[]){1, 0}, 2);
    EXPECT_EXIT(0, "--list");
    ck_assert_ptr_nonnull(strstr(stage_said(), "100x100 \"Title \xc3\xa4\""));
    ck_assert_ptr_null(strstr(stage_said(), "frame"));
    ck_assert_ptr_nonnull(strstr(stage_said(), "panel"));
    set_property(desktop.screen->root, "_NET_CLIENT_LIST", XCB_ATOM_WINDOW, 32, &window, 1);
    EXPECT_EXIT(0, "--list");
    ck_assert_ptr_nonnull(strstr(stage_said(), "100x100 \"Title \xc3\xa4\""));
    ck_assert_ptr_null(strstr(stage_said(), "panel"));
    EXPECT_EXIT(0, "--window", "title", "--frames", "2");
}
END_TEST

/* A title of any length and any bytes is shown as far as there is room, in whole characters. */
START_TEST(a_title_is_cut_at_a_character) {
    char title[602] = "x";
    for (size_t i = 1; i + 2 < sizeof(title); i += 2)
        memcpy(title + i, "\xc3\xa4", 2);
    const xcb_window_t window = desktop_open_window(&desktop, 0, 0, 0, 10, 10, NULL);
    set_property(window, "_NET_WM_NAME", XCB_ATOM_STRING, 8, title, (uint32_t)strlen(title));
    EXPECT_EXIT(0, "--list");
    const char *name = strstr(stage_said(), "\"x");
    ck_assert_msg(name, "%s", stage_said());
    const size_t length = strcspn(name + 1, "\"");
    ck_assert_uint_gt(length, 200);
    ck_assert_uint_eq(length % 2, 1);
    ck_assert_int_eq(strncmp(name + 1, title, length), 0);

    /* The first and the last of the control characters behind ASCII, and the one after them. */
    static const char controls[] = "a\xc2\x80\xc2\x9f\xc2\xa0z";
    set_property(window, "_NET_WM_NAME", XCB_ATOM_STRING, 8, controls, sizeof(controls) - 1);
    EXPECT_EXIT(0, "--list");
    ck_assert_msg(strstr(stage_said(), "\"a??\xc2\xa0z\""), "%s", stage_said());

    set_property(window, "_NET_WM_NAME", XCB_ATOM_STRING, 8, "one\0two", 8);
    EXPECT_EXIT(0, "--list");
    ck_assert_ptr_nonnull(strstr(stage_said(), "\"one\""));
}
END_TEST

static void click_at(const char *x, const char *y) {
    const pid_t pid = fork();
    if (pid == 0) {
        execlp("xdotool", "xdotool", "mousemove", x, y, "click", "1", NULL);
        _exit(127);
    }
    ck_assert_int_eq(stage_wait_exit(pid), 0);
}

START_TEST(a_click_chooses_the_window) {
    const xcb_window_t frame = desktop_open_window(&desktop, 0, 0, 0, 150, 150, "frame");
    const xcb_window_t window = desktop_open_window(&desktop, frame, 5, 5, 100, 90, "window");
    set_property(window, "WM_STATE", XCB_ATOM_CARDINAL, 32, (const uint32_t[]){1, 0}, 2);
    static const char *const places[][2] = {{"50", "60"}, {"300", "200"}};
    static const uint32_t widths[] = {100, 320};
    for (int i = 0; i < 2; i++) {
        const pid_t pid = START("--window", "click");
        stage_await_said("click at the window");
        click_at(places[i][0], places[i][1]);
        struct shmframe_reader *reader = stage_open_reader();
        struct shmframe_lease lease = stage_acquire(reader);
        ck_assert_uint_eq(lease.format->video.width, widths[i]);
        stage_release(reader, &lease);
        stage_stop(pid);
        shmframe_reader_close(reader);
    }
}
END_TEST

START_TEST(sigint_ends_the_wait_for_a_click) {
    const pid_t pid = START("--window", "click");
    stage_await_said("click at the window");
    stage_stop(pid);
}
END_TEST

START_TEST(a_server_that_ends_during_the_wait_for_a_click_is_gone) {
    const pid_t pid = START("--window", "click");
    stage_await_said("click at the window");
    desktop_stop(&desktop);
    desktop.pid = 0;
    ck_assert_int_eq(stage_wait_exit(pid), 1);
    ck_assert_ptr_nonnull(strstr(stage_said(), "the X server is gone"));
    ck_assert_ptr_null(strstr(stage_said(), "no such window"));
}
END_TEST

/* A click at no window, and the server hangs when the program looks the screen up. */
static pid_t hang_at_look_up(void) {
    const pid_t pid = START("--window", "click");
    stage_await_said("click at the window");
    kill(pid, SIGSTOP);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    click_at("300", "200");
    kill(desktop.pid, SIGSTOP);
    ck_assert_int_eq(waitpid(desktop.pid, &status, WUNTRACED), desktop.pid);
    kill(pid, SIGCONT);
    return pid;
}

START_TEST(a_look_up_that_is_not_answered_is_no_missing_window) {
    pid_t pid = hang_at_look_up();
    stage_stop(pid);
    ck_assert_ptr_null(strstr(stage_said(), "no such window"));
    kill(desktop.pid, SIGCONT);
    desktop_sync(&desktop);

    pid = hang_at_look_up();
    kill(desktop.pid, SIGKILL);
    stage_wait_exit(desktop.pid);
    desktop.pid = 0;
    ck_assert_int_eq(stage_wait_exit(pid), 1);
    ck_assert_ptr_nonnull(strstr(stage_said(), "the X server is gone"));
    ck_assert_ptr_null(strstr(stage_said(), "no such window"));
}
END_TEST

START_TEST(a_pointer_that_is_taken_is_one_clear_line) {
    xcb_grab_pointer_reply_t *grab = xcb_grab_pointer_reply(
        desktop.connection,
        xcb_grab_pointer(desktop.connection, false, desktop.screen->root, 0, XCB_GRAB_MODE_ASYNC,
                         XCB_GRAB_MODE_ASYNC, XCB_NONE, XCB_NONE, XCB_CURRENT_TIME),
        NULL);
    ck_assert_int_eq(grab->status, XCB_GRAB_STATUS_SUCCESS);
    free(grab);
    EXPECT_FAILURE("another program has the pointer", "--window", "click");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("errors");
    TCase *run = tcase_create("run");
    tcase_add_checked_fixture(run, set_up, tear_down);
    tcase_set_timeout(run, 120);
    tcase_add_test(run, options_that_cannot_be_are_usage_errors);
    tcase_add_test(run, displays_windows_and_areas_that_are_not_there_are_named);
    tcase_add_test(run, windows_that_cannot_be_captured_are_named);
    tcase_add_test(run, a_number_is_an_id_or_a_whole_title);
    tcase_add_loop_test(run, missing_extensions_are_named_with_a_way_round, 0, 3);
    tcase_add_test(run, palettes_are_refused_with_a_remedy);
    tcase_add_test(run, the_list_shows_outputs_and_windows_without_a_supervisor);
    tcase_add_test(run, a_window_managers_list_counts);
    tcase_add_test(run, a_title_is_cut_at_a_character);
    tcase_add_test(run, a_click_chooses_the_window);
    tcase_add_test(run, sigint_ends_the_wait_for_a_click);
    tcase_add_test(run, a_server_that_ends_during_the_wait_for_a_click_is_gone);
    tcase_add_test(run, a_look_up_that_is_not_answered_is_no_missing_window);
    tcase_add_test(run, a_pointer_that_is_taken_is_one_clear_line);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
