/* Zoom: which part of a picture is seen where, for every rotation. */
#include "zoom.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static const struct fit_area room = {100, 50, 640, 360};
static const int turns[] = {0, 90, 180, 270};
enum { TURNS = sizeof turns / sizeof turns[0] };

static struct shmframe_video_format video(uint32_t width, uint32_t height, int rotation_degrees) {
    return (struct shmframe_video_format){
        .width = width, .height = height, .rotation_degrees = rotation_degrees};
}

static struct zoom_part visible(const struct zoom *zoom, const struct shmframe_video_format *format,
                                struct zoom_place *out_place) {
    struct zoom_part part;
    *out_place = zoom_place(zoom, format, room);
    const struct fit_size stored = {(int)format->width, (int)format->height};
    ck_assert(zoom_visible(out_place, stored, room, &part));
    return part;
}

static struct fit_point pixel_at(const struct zoom *zoom,
                                 const struct shmframe_video_format *format, int x, int y) {
    struct fit_point pixel = {-1, -1};
    const struct zoom_place place = zoom_place(zoom, format, room);
    const struct fit_size stored = {(int)format->width, (int)format->height};
    ck_assert(zoom_pixel_at(&place, stored, (struct fit_point){x, y}, &pixel));
    return pixel;
}

START_TEST(without_zoom_all_of_the_picture_is_where_it_fits) {
    for (int i = 0; i < TURNS; i++) {
        for (uint32_t width = 37; width < 1500; width += 61) {
            const struct shmframe_video_format format = video(width, 203, turns[i]);
            struct zoom_place place;
            const struct zoom_part part = visible(&(struct zoom){0}, &format, &place);
            const struct fit_rectangle fit = fit_picture(&format, (struct fit_size){640, 360});
            ck_assert_int_eq(part.from.x, 0);
            ck_assert_int_eq(part.from.y, 0);
            ck_assert_int_eq(part.from.width, (int)width);
            ck_assert_int_eq(part.from.height, 203);
            ck_assert_int_eq(part.to.width, fit.width);
            ck_assert_int_eq(part.to.height, fit.height);
            ck_assert_int_le(abs(part.to.x - room.x - fit.x), i % 2);
            ck_assert_int_le(abs(part.to.y - room.y - fit.y), i % 2);
        }
    }
}
END_TEST

START_TEST(a_point_knows_its_pixel) {
    const struct shmframe_video_format format = video(320, 180, 0);
    const struct zoom none = {0};
    struct fit_point pixel = pixel_at(&none, &format, 100, 50);
    ck_assert(pixel.x == 0 && pixel.y == 0);
    pixel = pixel_at(&none, &format, 739, 409);
    ck_assert(pixel.x == 319 && pixel.y == 179);
    pixel = pixel_at(&none, &format, 100 + 2 * 17 + 1, 50 + 2 * 99);
    ck_assert(pixel.x == 17 && pixel.y == 99);
    const struct zoom_place place = zoom_place(&none, &format, room);
    ck_assert(
        !zoom_pixel_at(&place, (struct fit_size){320, 180}, (struct fit_point){99, 60}, &pixel));
    ck_assert(
        !zoom_pixel_at(&place, (struct fit_size){320, 180}, (struct fit_point){200, 410}, &pixel));
}
END_TEST

START_TEST(a_turned_picture_knows_its_pixels) {
    /* Clockwise: what is stored at the upper left is displayed at the upper right, and so on. */
    static const struct {
        int degrees, x, y; /* of the stored pixel 0, 0 in a room that the picture fills */
    } corners[] = {{0, 0, 0}, {90, 359, 0}, {180, 639, 359}, {270, 0, 639}};
    for (int i = 0; i < TURNS; i++) {
        const struct shmframe_video_format format = video(640, 360, corners[i].degrees);
        const struct fit_area full = {0, 0, i % 2 ? 360 : 640, i % 2 ? 640 : 360};
        const struct zoom_place place = zoom_place(&(struct zoom){0}, &format, full);
        struct fit_point pixel;
        ck_assert(zoom_pixel_at(&place, (struct fit_size){640, 360},
                                (struct fit_point){corners[i].x, corners[i].y}, &pixel));
        ck_assert_int_eq(pixel.x, 0);
        ck_assert_int_eq(pixel.y, 0);
    }
}
END_TEST

START_TEST(what_is_under_the_mouse_stays_there) {
    for (int i = 0; i < TURNS; i++) {
        const struct shmframe_video_format format = video(1920, 1080, turns[i]);
        struct zoom zoom = {0};
        /* What is narrower than the room stays in its middle. */
        const struct fit_point mouse = {100 + 320 + (i % 2 ? 0 : 31), 50 + 180 - 47};
        const struct fit_point before = pixel_at(&zoom, &format, mouse.x, mouse.y);
        for (int step = 0; step < 12; step++) {
            zoom_by(&zoom, &format, room, 1.25, mouse);
            const struct fit_point after = pixel_at(&zoom, &format, mouse.x, mouse.y);
            /* A pixel of the window is up to 6 of the picture. */
            ck_assert_int_le(abs(after.x - before.x), 6);
            ck_assert_int_le(abs(after.y - before.y), 6);
        }
        for (int step = 0; step < 12; step++) {
            zoom_by(&zoom, &format, room, 1 / 1.25, mouse);
        }
        ck_assert_double_eq(zoom.enlargement, 0);
    }
}
END_TEST

START_TEST(the_part_that_is_seen_is_drawn_where_its_pixels_are) {
    for (int i = 0; i < TURNS; i++) {
        const struct shmframe_video_format format = video(320, 180, turns[i]);
        struct zoom zoom = {.enlargement = 16, .x = 0.2, .y = -0.1};
        struct zoom_place place;
        const struct zoom_part part = visible(&zoom, &format, &place);
        const bool is_turned = i % 2;
        ck_assert_int_lt(part.from.width, is_turned ? 80 : 40);
        /* Displayed, it covers the room, and no more than a pixel beyond. */
        const int width = is_turned ? part.to.height : part.to.width;
        const int height = is_turned ? part.to.width : part.to.height;
        const int left = part.to.x + (part.to.width - width) / 2;
        const int top = part.to.y + (part.to.height - height) / 2;
        const double side = zoom_scale(&place, (struct fit_size){320, 180});
        ck_assert_int_le(left, room.x + 1);
        ck_assert_int_le(top, room.y + 1);
        ck_assert_int_ge(left + width, room.x + room.width - 1);
        ck_assert_int_ge(top + height, room.y + room.height - 1);
        ck_assert_double_le(width, room.width + 2 * side + 2);
        ck_assert_double_le(height, room.height + 2 * side + 2);
        /* The pixel in the middle of the room lies in the part, at the same share of it. */
        const struct fit_point middle =
            pixel_at(&zoom, &format, room.x + room.width / 2, room.y + room.height / 2);
        ck_assert(middle.x >= part.from.x && middle.x < part.from.x + part.from.width);
        ck_assert(middle.y >= part.from.y && middle.y < part.from.y + part.from.height);
    }
}
END_TEST

START_TEST(one_to_one_takes_a_pixel_for_a_pixel) {
    const struct shmframe_video_format large = video(1920, 1080, 0), small = video(64, 48, 0);
    const struct fit_point middle = {room.x + room.width / 2, room.y + room.height / 2};
    struct zoom zoom = {0};
    struct zoom_place place;
    zoom_to_natural(&zoom, &large, room, middle);
    struct zoom_part part = visible(&zoom, &large, &place);
    ck_assert_int_eq(part.from.width, part.to.width);
    ck_assert_int_eq(part.from.height, part.to.height);
    ck_assert_int_eq(part.to.width, room.width);
    zoom = (struct zoom){0};
    zoom_to_natural(&zoom, &small, room, middle);
    part = visible(&zoom, &small, &place);
    ck_assert_int_eq(part.from.width, 64);
    ck_assert_int_eq(part.to.width, 64);
    ck_assert_int_eq(part.to.height, 48);
    ck_assert_int_eq(part.to.x, room.x + (640 - 64) / 2);
}
END_TEST

START_TEST(nothing_is_looked_at_beyond_the_edges) {
    const struct shmframe_video_format format = video(640, 360, 0);
    struct zoom zoom = {0};
    zoom_pan(&zoom, &format, room, (struct fit_point){50, 50});
    ck_assert_double_eq(zoom.x, 0);
    zoom_by(&zoom, &format, room, 4, (struct fit_point){room.x, room.y});
    struct fit_point pixel = pixel_at(&zoom, &format, room.x, room.y);
    ck_assert(pixel.x == 0 && pixel.y == 0);
    zoom_pan(&zoom, &format, room, (struct fit_point){-40, -80});
    pixel = pixel_at(&zoom, &format, room.x, room.y);
    ck_assert(pixel.x == 10 && pixel.y == 20);
    zoom_pan(&zoom, &format, room, (struct fit_point){-100000, -100000});
    pixel = pixel_at(&zoom, &format, room.x + 639, room.y + 359);
    ck_assert(pixel.x == 639 && pixel.y == 359);
    zoom_pan(&zoom, &format, room, (struct fit_point){100000, 100000});
    pixel = pixel_at(&zoom, &format, room.x, room.y);
    ck_assert(pixel.x == 0 && pixel.y == 0);
}
END_TEST

START_TEST(enlargement_has_its_limits) {
    const struct shmframe_video_format format = video(640, 360, 0);
    const struct fit_point middle = {room.x + 320, room.y + 180};
    struct zoom zoom = {0};
    zoom_by(&zoom, &format, room, 1e9, middle);
    struct zoom_place place = zoom_place(&zoom, &format, room);
    ck_assert_double_eq_tol(zoom_scale(&place, (struct fit_size){640, 360}), 64, 1e-6);
    zoom_by(&zoom, &format, room, 1e-9, middle);
    place = zoom_place(&zoom, &format, room);
    ck_assert_double_eq_tol(zoom_scale(&place, (struct fit_size){640, 360}), 0.5, 1e-6);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("zoom");
    TCase *cases = tcase_create("zoom");
    tcase_add_test(cases, without_zoom_all_of_the_picture_is_where_it_fits);
    tcase_add_test(cases, a_point_knows_its_pixel);
    tcase_add_test(cases, a_turned_picture_knows_its_pixels);
    tcase_add_test(cases, what_is_under_the_mouse_stays_there);
    tcase_add_test(cases, the_part_that_is_seen_is_drawn_where_its_pixels_are);
    tcase_add_test(cases, one_to_one_takes_a_pixel_for_a_pixel);
    tcase_add_test(cases, nothing_is_looked_at_beyond_the_edges);
    tcase_add_test(cases, enlargement_has_its_limits);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
