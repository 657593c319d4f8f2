/* Layout: where the pictures of several streams go in a window. */
#include "layout.h"

#include <check.h>
#include <stdlib.h>

static struct fit_area area[LAYOUT_MAX];

static void place(enum layout layout, uint32_t count, int width, int height) {
    layout_place(layout, count, (struct fit_size){width, height}, area);
}

#define EXPECT(index, left, top, wide, high)                                                       \
    do {                                                                                           \
        ck_assert_int_eq(area[index].x, left);                                                     \
        ck_assert_int_eq(area[index].y, top);                                                      \
        ck_assert_int_eq(area[index].width, wide);                                                 \
        ck_assert_int_eq(area[index].height, high);                                                \
    } while (0)

START_TEST(one_picture_fills_the_window) {
    for (enum layout layout = LAYOUT_AUTO; layout <= LAYOUT_DIFFERENCE; layout++) {
        place(layout, 1, 641, 359);
        EXPECT(0, 0, 0, 641, 359);
    }
}
END_TEST

START_TEST(a_grid_has_the_columns_that_give_pictures_most_room) {
    place(LAYOUT_GRID, 2, 1280, 360);
    EXPECT(0, 0, 0, 640, 360);
    EXPECT(1, 640, 0, 640, 360);
    place(LAYOUT_GRID, 2, 640, 720);
    EXPECT(1, 0, 360, 640, 360);
    place(LAYOUT_GRID, 4, 1280, 720);
    EXPECT(3, 640, 360, 640, 360);
    place(LAYOUT_AUTO, 3, 1280, 720);
    EXPECT(2, 0, 360, 640, 360);
}
END_TEST

static bool overlap(const struct fit_area *a, const struct fit_area *b) {
    return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height &&
           b->y < a->y + a->height;
}

static void expect_apart(uint32_t first, uint32_t count, int width, int height) {
    for (uint32_t i = first; i < count; i++) {
        ck_assert_int_ge(area[i].x, 0);
        ck_assert_int_ge(area[i].y, 0);
        ck_assert_int_le(area[i].x + area[i].width, width);
        ck_assert_int_le(area[i].y + area[i].height, height);
        for (uint32_t k = first; k < i; k++) {
            ck_assert_msg(!overlap(&area[i], &area[k]), "%u of %u lies on %u", i, count, k);
        }
    }
}

START_TEST(a_grid_covers_every_pixel_once) {
    for (uint32_t count = 1; count <= LAYOUT_MAX; count++) {
        place(LAYOUT_GRID, count, 1003, 601);
        expect_apart(0, count, 1003, 601);
        const struct fit_size cells = layout_grid(count, (struct fit_size){1003, 601});
        ck_assert_int_ge(cells.width * cells.height, (int)count);
        int right = 0, bottom = 0;
        for (uint32_t i = 0; i < count; i++) {
            right = area[i].x + area[i].width > right ? area[i].x + area[i].width : right;
            bottom = area[i].y + area[i].height > bottom ? area[i].y + area[i].height : bottom;
        }
        ck_assert_int_eq(right, 1003);
        ck_assert_int_eq(bottom, 601);
    }
}
END_TEST

START_TEST(small_pictures_lie_in_the_corners) {
    place(LAYOUT_PIP, 5, 640, 360);
    EXPECT(0, 0, 0, 640, 360);
    const int margin = 360 / 64;
    ck_assert_int_eq(area[1].x + area[1].width, 640 - margin);
    ck_assert_int_eq(area[1].y + area[1].height, 360 - margin);
    ck_assert_int_eq(area[2].x, margin);
    ck_assert_int_eq(area[2].y, area[1].y);
    ck_assert_int_eq(area[3].x, area[1].x);
    ck_assert_int_eq(area[3].y, margin);
    ck_assert_int_eq(area[4].x, margin);
    ck_assert_int_eq(area[4].y, margin);
    ck_assert_int_gt(area[1].width, 640 / 5);
}
END_TEST

START_TEST(small_pictures_never_lie_on_each_other) {
    for (uint32_t count = 2; count <= LAYOUT_MAX; count++) {
        place(LAYOUT_PIP, count, 800, 600);
        expect_apart(1, count, 800, 600);
    }
}
END_TEST

START_TEST(a_window_may_be_too_small_for_all) {
    place(LAYOUT_PIP, LAYOUT_MAX, 3, 1);
    for (uint32_t i = 0; i < LAYOUT_MAX; i++) {
        ck_assert_int_ge(area[i].width, 0);
        ck_assert_int_ge(area[i].height, 0);
    }
    place(LAYOUT_GRID, LAYOUT_MAX, 1, 1);
    expect_apart(0, LAYOUT_MAX, 1, 1);
}
END_TEST

START_TEST(a_point_finds_the_uppermost) {
    place(LAYOUT_PIP, 2, 640, 360);
    ck_assert_int_eq(layout_find(area, 2, (struct fit_point){10, 10}), 0);
    ck_assert_int_eq(layout_find(area, 2, (struct fit_point){area[1].x, area[1].y}), 1);
    ck_assert_int_eq(layout_find(area, 2, (struct fit_point){area[1].x - 1, area[1].y}), 0);
    ck_assert_int_eq(layout_find(area, 2, (struct fit_point){640, 10}), -1);
    ck_assert_int_eq(layout_find(area, 2, (struct fit_point){-1, -1}), -1);
}
END_TEST

static void expect_free(uint32_t count, uint32_t index, int left, int right) {
    const struct fit_area free = layout_free(area, count, index);
    ck_assert_int_eq(free.x, left);
    ck_assert_int_eq(free.width, right - left);
    ck_assert_int_eq(free.y, area[index].y);
    ck_assert_int_eq(free.height, area[index].height);
}

START_TEST(the_lower_edge_is_free_between_small_pictures) {
    place(LAYOUT_PIP, 1, 640, 360);
    expect_free(1, 0, 0, 640);
    place(LAYOUT_PIP, 2, 640, 360);
    expect_free(2, 0, 0, area[1].x);
    expect_free(2, 1, area[1].x, area[1].x + area[1].width);
    place(LAYOUT_PIP, 6, 640, 360); /* the sixth beside the second */
    expect_free(6, 0, area[2].x + area[2].width, area[5].x);
    place(LAYOUT_PIP, LAYOUT_MAX, 640, 360);
    ck_assert_int_le(layout_free(area, LAYOUT_MAX, 0).width, 2 * 360 / 64);
}
END_TEST

START_TEST(in_a_grid_nothing_lies_on_a_lower_edge) {
    place(LAYOUT_GRID, 4, 640, 360);
    for (uint32_t i = 0; i < 4; i++) {
        expect_free(4, i, area[i].x, area[i].x + 320);
    }
}
END_TEST

START_TEST(names_are_known) {
    ck_assert_int_eq(layout_parse("grid"), LAYOUT_GRID);
    ck_assert_int_eq(layout_parse("pip"), LAYOUT_PIP);
    ck_assert_int_eq(layout_parse("difference"), LAYOUT_DIFFERENCE);
    ck_assert_int_eq(layout_parse("heap"), LAYOUT_AUTO);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("layout");
    TCase *cases = tcase_create("layout");
    tcase_add_test(cases, one_picture_fills_the_window);
    tcase_add_test(cases, a_grid_has_the_columns_that_give_pictures_most_room);
    tcase_add_test(cases, a_grid_covers_every_pixel_once);
    tcase_add_test(cases, small_pictures_lie_in_the_corners);
    tcase_add_test(cases, small_pictures_never_lie_on_each_other);
    tcase_add_test(cases, a_window_may_be_too_small_for_all);
    tcase_add_test(cases, a_point_finds_the_uppermost);
    tcase_add_test(cases, the_lower_edge_is_free_between_small_pictures);
    tcase_add_test(cases, in_a_grid_nothing_lies_on_a_lower_edge);
    tcase_add_test(cases, names_are_known);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
