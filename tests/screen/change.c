/* shmframe-screen --on-change, and the pointer. */
#include "desktop.h"
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xcb/render.h>
#include <xcb/xfixes.h>

static struct desktop desktop;

static void set_up(void) {
    stage_set_up();
    desktop_start(&desktop, "320x240x24", NULL);
}

static void tear_down(void) {
    desktop_stop(&desktop);
    stage_tear_down();
}

/* One request, so that no picture shows half of it. */
static void draw_rectangle(struct picture *picture, int16_t x, int16_t y, uint32_t colour) {
    xcb_connection_t *connection = desktop.connection;
    const xcb_gcontext_t context = xcb_generate_id(connection);
    xcb_create_gc(connection, context, desktop.screen->root, XCB_GC_FOREGROUND, &colour);
    const xcb_rectangle_t rectangle = {x, y, 20, 10};
    xcb_poly_fill_rectangle(connection, desktop.screen->root, context, 1, &rectangle);
    xcb_free_gc(connection, context);
    desktop_sync(&desktop);
    for (int row = y; row < y + 10; row++)
        for (int column = x; column < x + 20; column++)
            picture->value[row * 320 + column] = colour;
}

static struct picture draw_noise(void) {
    struct picture picture = picture_create(&desktop, 320, 240, 1);
    desktop_draw(&desktop, desktop.screen->root, &picture, 0, 0);
    return picture;
}

/* The next frame, with nothing between it and the one before, shows that. */
static void expect_next(struct shmframe_reader *reader, uint64_t sequence,
                        const struct picture *picture) {
    struct shmframe_lease lease = stage_acquire(reader);
    ck_assert_uint_eq(lease.frame.sequence, sequence);
    ck_assert(picture_is_in(&desktop, picture, &lease));
    stage_release(reader, &lease);
}

START_TEST(a_frame_comes_for_each_change_and_for_nothing_else) {
    struct picture picture = draw_noise();
    const pid_t pid =
        START("--display", desktop.name, "--no-cursor", "--on-change", "--wait-readers", "1");
    struct shmframe_reader *reader = stage_open_reader();
    expect_next(reader, 1, &picture);
    stage_expect_nothing(reader);
    for (uint32_t i = 0; i < 10; i++) {
        draw_rectangle(&picture, (int16_t)(30 * i), 100, 0x123456 * (i + 1) & 0xffffff);
        expect_next(reader, i + 2, &picture);
    }
    stage_expect_nothing(reader);
    stage_stop(pid);
    shmframe_reader_close(reader);
    ck_assert_ptr_nonnull(strstr(stage_said(), "screen: 11 frames"));
    picture_destroy(&picture);
}
END_TEST

START_TEST(changes_outside_the_area_are_none) {
    struct picture picture = draw_noise();
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--on-change", "--area",
                            "100x100+0+0", "--wait-readers", "1");
    struct shmframe_reader *reader = stage_open_reader();
    struct picture part = picture_cut(&picture, 0, 0, 100, 100);
    expect_next(reader, 1, &part);
    draw_rectangle(&picture, 100, 0, 0xff0000);
    draw_rectangle(&picture, 0, 100, 0x00ff00);
    stage_expect_nothing(reader);
    draw_rectangle(&picture, 90, 95, 0x0000ff);
    picture_destroy(&part);
    part = picture_cut(&picture, 0, 0, 100, 100);
    expect_next(reader, 2, &part);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&part);
    picture_destroy(&picture);
}
END_TEST

/* What is drawn after a picture was asked for and before the X server writes it is in the picture:
 * that the server tells of it is no reason for another one. */
START_TEST(a_change_that_the_picture_shows_already_is_none) {
    struct picture picture = draw_noise();
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--on-change", "--area",
                            "300x200+0+0", "--wait-readers", "1");
    struct shmframe_reader *reader = stage_open_reader();
    struct picture part = picture_cut(&picture, 0, 0, 300, 200);
    expect_next(reader, 1, &part);
    /* The first change is told, the request for its picture is not served. */
    xcb_grab_server(desktop.connection);
    draw_rectangle(&picture, 10, 10, 0xff0000);
    stage_expect_nothing(reader);
    draw_rectangle(&picture, 50, 50, 0x00ff00);
    xcb_ungrab_server(desktop.connection);
    desktop_sync(&desktop);
    picture_destroy(&part);
    part = picture_cut(&picture, 0, 0, 300, 200);
    expect_next(reader, 2, &part);
    stage_expect_nothing(reader);
    draw_rectangle(&picture, 100, 100, 0x0000ff);
    picture_destroy(&part);
    part = picture_cut(&picture, 0, 0, 300, 200);
    expect_next(reader, 3, &part);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&part);
    picture_destroy(&picture);
}
END_TEST

/* A hundred changes in a row are as many frames as the rate allows, and the last one is shown. */
START_TEST(the_rate_bounds_the_frames_of_many_changes) {
    struct picture picture = draw_noise();
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--on-change", "--rate", "5",
                            "--wait-readers", "1");
    struct shmframe_reader *reader = stage_open_reader();
    expect_next(reader, 1, &picture);
    for (uint32_t i = 0; i < 100; i++)
        draw_rectangle(&picture, (int16_t)(3 * i), 100, i);
    struct shmframe_lease lease;
    int64_t loan_ns = 0;
    for (bool is_last = false; !is_last;) {
        lease = stage_acquire(reader);
        is_last = picture_is_in(&desktop, &picture, &lease);
        /* They are asked for 200 ms apart. */
        if (loan_ns)
            ck_assert_int_gt(lease.frame.loan_ns - loan_ns, SECOND_NS / 10);
        loan_ns = lease.frame.loan_ns;
        stage_release(reader, &lease);
    }
    stage_expect_nothing(reader);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&picture);
}
END_TEST

/* A window manager tells its clients of a border that the window does not have, and anybody may
 * tell that it is covered: the picture is the same. */
START_TEST(what_another_client_tells_is_no_change) {
    const xcb_window_t window = desktop_open_window(&desktop, 0, 10, 10, 100, 80, "window");
    struct picture picture = picture_create(&desktop, 100, 80, 1);
    desktop_draw(&desktop, window, &picture, 0, 0);
    const pid_t pid = START("--display", desktop.name, "--no-cursor", "--on-change", "--window",
                            desktop_id(window), "--wait-readers", "1");
    struct shmframe_reader *reader = stage_open_reader();
    expect_next(reader, 1, &picture);
    const xcb_visibility_notify_event_t covered = {.response_type = XCB_VISIBILITY_NOTIFY,
                                                   .window = window,
                                                   .state = XCB_VISIBILITY_FULLY_OBSCURED};
    xcb_send_event(desktop.connection, false, window, XCB_EVENT_MASK_VISIBILITY_CHANGE,
                   (const char *)&covered);
    const xcb_configure_notify_event_t moved = {.response_type = XCB_CONFIGURE_NOTIFY,
                                                .event = window,
                                                .window = window,
                                                .width = 100,
                                                .height = 80,
                                                .border_width = 3};
    xcb_send_event(desktop.connection, false, window, XCB_EVENT_MASK_STRUCTURE_NOTIFY,
                   (const char *)&moved);
    desktop_sync(&desktop);
    stage_expect_nothing(reader);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&picture);
}
END_TEST

/* The pointer. */

enum { CURSOR_SIDE = 12, CURSOR_HOT_X = 3, CURSOR_HOT_Y = 5 };

static xcb_render_pictformat_t find_argb(void) {
    xcb_render_query_pict_formats_reply_t *reply = xcb_render_query_pict_formats_reply(
        desktop.connection, xcb_render_query_pict_formats(desktop.connection), NULL);
    ck_assert_ptr_nonnull(reply);
    const xcb_render_pictforminfo_t *info = xcb_render_query_pict_formats_formats(reply);
    xcb_render_pictformat_t found = 0;
    for (uint32_t i = 0; i < reply->num_formats && !found; i++)
        if (info[i].depth == 32 && info[i].direct.alpha_mask == 0xff &&
            info[i].direct.alpha_shift == 24 && info[i].direct.red_shift == 16)
            found = info[i].id;
    free(reply);
    ck_assert_uint_ne(found, 0);
    return found;
}

/* All degrees of opacity, premultiplied. */
static uint32_t cursor_argb(uint32_t x, uint32_t y, uint32_t turn) {
    const uint32_t alpha = (y * CURSOR_SIDE + x) * 255 / (CURSOR_SIDE * CURSOR_SIDE - 1);
    const uint32_t red = turn ? 0 : alpha, green = alpha * x / CURSOR_SIDE, blue = alpha / 2;
    return alpha << 24 | red << 16 | green << 8 | blue;
}

/* Gives the screen a pointer of known pixels. */
static void set_cursor(uint32_t turn) {
    xcb_connection_t *connection = desktop.connection;
    uint32_t argb[CURSOR_SIDE * CURSOR_SIDE];
    for (uint32_t i = 0; i < CURSOR_SIDE * CURSOR_SIDE; i++)
        argb[i] = cursor_argb(i % CURSOR_SIDE, i / CURSOR_SIDE, turn);
    const uint32_t pixmap = xcb_generate_id(connection), context = xcb_generate_id(connection);
    const uint32_t picture = xcb_generate_id(connection), cursor = xcb_generate_id(connection);
    xcb_create_pixmap(connection, 32, pixmap, desktop.screen->root, CURSOR_SIDE, CURSOR_SIDE);
    xcb_create_gc(connection, context, pixmap, 0, NULL);
    xcb_put_image(connection, XCB_IMAGE_FORMAT_Z_PIXMAP, pixmap, context, CURSOR_SIDE, CURSOR_SIDE,
                  0, 0, 0, 32, sizeof(argb), (const uint8_t *)argb);
    xcb_render_create_picture(connection, picture, pixmap, find_argb(), 0, NULL);
    xcb_render_create_cursor(connection, cursor, picture, CURSOR_HOT_X, CURSOR_HOT_Y);
    xcb_change_window_attributes(connection, desktop.screen->root, XCB_CW_CURSOR, &cursor);
    desktop_sync(&desktop);
}

/* What the pointer at x, y makes of the picture, by the usual arithmetic of premultiplied colours.
 */
static struct picture lay_over(const struct picture *below, int32_t x, int32_t y, uint32_t turn) {
    struct picture result = picture_cut(below, 0, 0, below->width, below->height);
    for (uint32_t i = 0; i < CURSOR_SIDE * CURSOR_SIDE; i++) {
        const uint32_t argb = cursor_argb(i % CURSOR_SIDE, i / CURSOR_SIDE, turn);
        const int32_t column = x - CURSOR_HOT_X + (int32_t)(i % CURSOR_SIDE);
        const int32_t row = y - CURSOR_HOT_Y + (int32_t)(i / CURSOR_SIDE);
        if (column < 0 || row < 0 || column >= (int32_t)below->width ||
            row >= (int32_t)below->height)
            continue;
        uint32_t *value = &result.value[row * (int32_t)below->width + column];
        uint32_t sum = 0;
        for (int shift = 0; shift < 24; shift += 8) {
            const double part = (double)(*value >> shift & 0xff) * (255 - (argb >> 24)) / 255.0;
            sum |= (uint32_t)((double)(argb >> shift & 0xff) + part + 0.5) << shift;
        }
        *value = sum;
    }
    return result;
}

static void expect_pointer(struct shmframe_reader *reader, const struct picture *below, int32_t x,
                           int32_t y, uint32_t turn) {
    struct picture wanted = lay_over(below, x, y, turn);
    struct shmframe_lease lease = picture_await(&desktop, &wanted, reader);
    stage_release(reader, &lease);
    picture_destroy(&wanted);
}

START_TEST(the_pointer_is_laid_over_the_picture_wherever_it_is) {
    struct picture picture = draw_noise();
    set_cursor(0);
    const pid_t pid = START("--display", desktop.name);
    struct shmframe_reader *reader = stage_open_reader();
    static const int16_t places[][2] = {{100, 100}, {0, 0}, {319, 239}, {1, 238}, {200, 3}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        desktop_move_pointer(&desktop, places[i][0], places[i][1]);
        expect_pointer(reader, &picture, places[i][0], places[i][1], 0);
    }
    ck_assert_int_eq(stage_ask("set", "cursor off").status, 0);
    struct shmframe_lease lease = picture_await(&desktop, &picture, reader);
    stage_release(reader, &lease);
    ck_assert_str_eq(stage_ask("set", "cursor on").text, "cursor on");
    expect_pointer(reader, &picture, 200, 3, 0);
    ck_assert_int_eq(stage_ask("set", "cursor perhaps").status, -EINVAL);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&picture);
}
END_TEST

START_TEST(the_pointer_is_where_it_is_in_a_window_and_in_an_area) {
    const xcb_window_t window = desktop_open_window(&desktop, 0, 40, 30, 200, 150, "window");
    set_cursor(0);
    const pid_t pid =
        START("--display", desktop.name, "--window", "window", "--area", "100x100+20+10");
    struct shmframe_reader *reader = stage_open_reader();
    struct picture picture = picture_create(&desktop, 200, 150, 1);
    struct picture part = picture_cut(&picture, 20, 10, 100, 100);
    desktop_draw(&desktop, window, &picture, 0, 0);
    desktop_move_pointer(&desktop, 150, 100);
    expect_pointer(reader, &part, 150 - 40 - 20, 100 - 30 - 10, 0);
    xcb_configure_window(desktop.connection, window, XCB_CONFIG_WINDOW_X, (const uint32_t[]){70});
    desktop_sync(&desktop);
    expect_pointer(reader, &part, 150 - 70 - 20, 100 - 30 - 10, 0);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&part);
    picture_destroy(&picture);
}
END_TEST

START_TEST(a_pointer_that_moves_or_changes_is_a_change) {
    struct picture picture = draw_noise();
    set_cursor(0);
    desktop_move_pointer(&desktop, 100, 100);
    const pid_t pid = START("--display", desktop.name, "--on-change", "--wait-readers", "1");
    struct shmframe_reader *reader = stage_open_reader();
    struct picture wanted = lay_over(&picture, 100, 100, 0);
    expect_next(reader, 1, &wanted);
    stage_expect_nothing(reader);
    desktop_move_pointer(&desktop, 50, 60);
    picture_destroy(&wanted);
    wanted = lay_over(&picture, 50, 60, 0);
    expect_next(reader, 2, &wanted);
    stage_expect_nothing(reader);
    set_cursor(1);
    picture_destroy(&wanted);
    wanted = lay_over(&picture, 50, 60, 1);
    expect_next(reader, 3, &wanted);
    stage_expect_nothing(reader);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&wanted);
    picture_destroy(&picture);
}
END_TEST

START_TEST(a_pointer_outside_the_area_is_no_change) {
    struct picture picture = draw_noise();
    set_cursor(0);
    desktop_move_pointer(&desktop, 200, 200);
    const pid_t pid = START("--display", desktop.name, "--on-change", "--area", "100x100+0+0",
                            "--wait-readers", "1");
    struct shmframe_reader *reader = stage_open_reader();
    struct picture part = picture_cut(&picture, 0, 0, 100, 100);
    expect_next(reader, 1, &part);
    desktop_move_pointer(&desktop, 150, 150);
    stage_expect_nothing(reader);
    desktop_move_pointer(&desktop, 50, 50);
    struct picture wanted = lay_over(&part, 50, 50, 0);
    expect_next(reader, 2, &wanted);
    stage_stop(pid);
    shmframe_reader_close(reader);
    picture_destroy(&wanted);
    picture_destroy(&part);
    picture_destroy(&picture);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("change");
    TCase *run = tcase_create("run");
    tcase_add_checked_fixture(run, set_up, tear_down);
    tcase_set_timeout(run, 120);
    tcase_add_test(run, a_frame_comes_for_each_change_and_for_nothing_else);
    tcase_add_test(run, changes_outside_the_area_are_none);
    tcase_add_test(run, a_change_that_the_picture_shows_already_is_none);
    tcase_add_test(run, the_rate_bounds_the_frames_of_many_changes);
    tcase_add_test(run, what_another_client_tells_is_no_change);
    tcase_add_test(run, the_pointer_is_laid_over_the_picture_wherever_it_is);
    tcase_add_test(run, the_pointer_is_where_it_is_in_a_window_and_in_an_area);
    tcase_add_test(run, a_pointer_that_moves_or_changes_is_a_change);
    tcase_add_test(run, a_pointer_outside_the_area_is_no_change);
    suite_add_tcase(suite, run);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
