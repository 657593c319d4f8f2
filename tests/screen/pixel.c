/* How X pixels are named, and how a cursor is laid over them. */
#include "x_pixel.h"

#include <check.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>

static const struct x_pixel kinds[] = {
    {NULL, 32, false, {0xff0000, 0xff00, 0xff}},
    {NULL, 32, false, {0xff, 0xff00, 0xff0000}},
    {NULL, 32, false, {0xff000000, 0xff0000, 0xff00}},
    {NULL, 32, false, {0xff00, 0xff0000, 0xff000000}},
    {NULL, 32, false, {0x3ff00000, 0xffc00, 0x3ff}},
    {NULL, 32, false, {0x3ff, 0xffc00, 0x3ff00000}},
    {NULL, 24, false, {0xff0000, 0xff00, 0xff}},
    {NULL, 24, false, {0xff, 0xff00, 0xff0000}},
    {NULL, 16, false, {0xf800, 0x7e0, 0x1f}},
    {NULL, 16, false, {0x1f, 0x7e0, 0xf800}},
    {NULL, 16, false, {0x7c00, 0x3e0, 0x1f}},
    {NULL, 16, false, {0x1f, 0x3e0, 0x7c00}},
    {NULL, 8, false, {0x7, 0x38, 0xc0}},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* A colour's component of `pixel`, as libavutil reads it from memory. */
static uint16_t read_component(const struct x_pixel *pixel, const uint8_t *data, int component) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(av_get_pix_fmt(pixel->name));
    ck_assert_msg(descriptor, "%s", pixel->name);
    const uint8_t *planes[4] = {data};
    const int lines[4] = {16};
    uint16_t value;
    av_read_image_line(&value, planes, lines, descriptor, 0, 0, component, 1, 0);
    return value;
}

static uint32_t full(const struct x_pixel *pixel, int i) {
    return pixel->mask[i] >> __builtin_ctz(pixel->mask[i]);
}

/* libavutil's own reading of the named format finds each colour where the masks say it is. Its
 * big-endian 10-bit formats are no part of FFmpeg 5.1. */
START_TEST(names_mean_the_masks) {
    for (int order = 0; order < 2; order++) {
        struct x_pixel pixel = kinds[_i];
        pixel.is_msb_first = order;
        ck_assert(x_pixel_name(&pixel));
        if (order && av_get_pix_fmt(pixel.name) == AV_PIX_FMT_NONE)
            continue;
        for (int colour = 0; colour < 3; colour++) {
            uint8_t data[8] = {0};
            x_pixel_blend(&pixel, data, 0xff000000 | 0xffu << (16 - 8 * colour));
            for (int component = 0; component < 3; component++)
                ck_assert_msg(read_component(&pixel, data, component) ==
                                  (component == colour ? full(&pixel, colour) : 0),
                              "%s, colour %d, component %d: %u", pixel.name, colour, component,
                              read_component(&pixel, data, component));
        }
    }
}
END_TEST

START_TEST(unknown_layouts_have_no_name) {
    struct x_pixel pixel = {.bits = 32, .mask = {0xff, 0xff, 0xff}};
    ck_assert(!x_pixel_name(&pixel));
    pixel = (struct x_pixel){.bits = 16, .mask = {0xff0000, 0xff00, 0xff}};
    ck_assert(!x_pixel_name(&pixel));
}
END_TEST

START_TEST(a_cursor_is_laid_over_by_its_alpha) {
    struct x_pixel pixel = kinds[0];
    ck_assert(x_pixel_name(&pixel));
    uint8_t data[4] = {200, 100, 0, 77};
    x_pixel_blend(&pixel, data, 0);
    ck_assert_mem_eq(data, ((uint8_t[]){200, 100, 0, 77}), 4);
    /* Half of a premultiplied grey, over half of what was there. */
    x_pixel_blend(&pixel, data, 0x80404040);
    ck_assert_mem_eq(data, ((uint8_t[]){64 + 100, 64 + 50, 64, 77}), 4);
    x_pixel_blend(&pixel, data, 0xff010203);
    ck_assert_mem_eq(data, ((uint8_t[]){3, 2, 1, 77}), 4);
    /* A colour above its alpha does not flow over into the next. */
    x_pixel_blend(&pixel, data, 0x01ffffff);
    ck_assert_mem_eq(data, ((uint8_t[]){255, 255, 255, 77}), 4);
}
END_TEST

START_TEST(few_bits_are_scaled) {
    struct x_pixel pixel = kinds[8];
    ck_assert(x_pixel_name(&pixel));
    uint8_t data[2] = {0xff, 0xff};
    x_pixel_blend(&pixel, data, 0xff800000); /* half a red: 16 of 31 */
    ck_assert_uint_eq(data[0] | data[1] << 8, 16 << 11);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pixel");
    TCase *pixel = tcase_create("pixel");
    tcase_add_loop_test(pixel, names_mean_the_masks, 0, KINDS);
    tcase_add_test(pixel, unknown_layouts_have_no_name);
    tcase_add_test(pixel, a_cursor_is_laid_over_by_its_alpha);
    tcase_add_test(pixel, few_bits_are_scaled);
    suite_add_tcase(suite, pixel);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
