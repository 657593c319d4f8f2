/* Inspection: the values of a pixel in every kind of pixel format, as they lie in memory. */
#include "inspection.h"

#include <check.h>
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct shmframe_format format;
static uint8_t *slot;

static struct shmframe_lease make(const char *pixel_format, uint32_t width, uint32_t height) {
    ck_assert_int_eq(shmframe_format_video(&format, pixel_format, width, height), 0);
    free(slot);
    slot = calloc(1, (size_t)format.slot_bytes);
    ck_assert_ptr_nonnull(slot);
    return (struct shmframe_lease){
        .data = slot, .format = &format, .stream = "demo", .frame = {.sequence = 5}};
}

static uint8_t *at(unsigned plane, uint32_t y, uint32_t byte) {
    return slot + format.plane[plane].offset + (size_t)y * format.plane[plane].line_bytes + byte;
}

static void expect(const struct shmframe_lease *lease, int x, int y, const char *wanted) {
    struct inspection inspection;
    char text[128];
    ck_assert_int_eq(inspection_read(&inspection, lease, (struct fit_point){x, y}), 0);
    inspection_describe(&inspection, text, sizeof text);
    ck_assert_str_eq(text, wanted);
    ck_assert_str_eq(inspection.stream, "demo");
    ck_assert_uint_eq(inspection.sequence, 5);
}

START_TEST(planes_of_chroma_are_read_where_the_pixel_lies) {
    const struct shmframe_lease lease = make("yuv420p", 33, 17);
    *at(0, 16, 32) = 200;
    *at(1, 8, 16) = 90;
    *at(2, 8, 16) = 240;
    expect(&lease, 32, 16, "Y 200  U 90  V 240");
    expect(&lease, 31, 15, "Y 0  U 0  V 0");
}
END_TEST

START_TEST(interleaved_and_packed_formats_are_read) {
    const struct shmframe_lease nv12 = make("nv12", 16, 16);
    *at(1, 3, 4) = 10;
    *at(1, 3, 5) = 20;
    expect(&nv12, 5, 7, "Y 0  U 10  V 20");
    const struct shmframe_lease bgra = make("bgra", 8, 8);
    memcpy(at(0, 2, 4 * 3), (uint8_t[]){1, 2, 3, 4}, 4);
    expect(&bgra, 3, 2, "R 3  G 2  B 1  A 4");
    const struct shmframe_lease yuyv = make("yuyv422", 8, 8);
    memcpy(at(0, 2, 4), (uint8_t[]){11, 12, 13, 14}, 4);
    expect(&yuyv, 3, 2, "Y 13  U 12  V 14");
}
END_TEST

START_TEST(deep_samples_keep_their_bits) {
    const struct shmframe_lease ten = make("yuv422p10le", 8, 8);
    memcpy(at(0, 1, 2 * 2), (uint8_t[]){0xff, 0x03}, 2);
    expect(&ten, 2, 1, "Y 1023  U 0  V 0");
    const struct shmframe_lease p010 = make("p010le", 8, 8);
    memcpy(at(0, 0, 0), (uint8_t[]){0x40, 0x80}, 2); /* the upper ten bits count */
    expect(&p010, 0, 0, "Y 513  U 0  V 0");
    const struct shmframe_lease gray = make("gray16be", 8, 8);
    memcpy(at(0, 0, 2), (uint8_t[]){0x12, 0x34}, 2);
    expect(&gray, 1, 0, "Y 4660");
}
END_TEST

START_TEST(a_palette_has_an_index_and_what_is_there) {
    const struct shmframe_lease lease = make("pal8", 8, 8);
    const uint32_t color = 0x80112233;
    *at(0, 3, 5) = 7;
    memcpy(at(1, 0, 4 * 7), &color, sizeof color);
    expect(&lease, 5, 3, "index 7  R 17  G 34  B 51  A 128");
    expect(&lease, 4, 3, "index 0  R 0  G 0  B 0  A 0");
}
END_TEST

START_TEST(a_mosaic_has_one_sample_a_pixel) {
    const struct shmframe_lease eight = make("bayer_rggb8", 8, 8);
    *at(0, 2, 2) = 171;
    *at(0, 2, 3) = 172;
    *at(0, 3, 2) = 173;
    *at(0, 3, 3) = 174;
    expect(&eight, 2, 2, "R 171");
    expect(&eight, 3, 2, "G 172");
    expect(&eight, 2, 3, "G 173");
    expect(&eight, 3, 3, "B 174");
    const struct shmframe_lease little = make("bayer_bggr16le", 8, 8);
    memcpy(at(0, 0, 2 * 4), (uint8_t[]){0x34, 0x12}, 2);
    expect(&little, 4, 0, "B 4660");
    const struct shmframe_lease big = make("bayer_gbrg16be", 8, 8);
    memcpy(at(0, 1, 2 * 4), (uint8_t[]){0x12, 0x34}, 2);
    expect(&big, 4, 1, "R 4660");
}
END_TEST

START_TEST(floats_are_numbers) {
    const struct shmframe_lease lease = make("gbrpf32le", 8, 8);
    const float green = 0.25F, blue = -1.5F, red = 2;
    memcpy(at(0, 4, 4 * 3), &green, sizeof green);
    memcpy(at(1, 4, 4 * 3), &blue, sizeof blue);
    memcpy(at(2, 4, 4 * 3), &red, sizeof red);
    expect(&lease, 3, 4, "R 2  G 0.25  B -1.5");
}
END_TEST

START_TEST(a_pixel_that_is_not_there_is_an_error) {
    const struct shmframe_lease lease = make("gray", 4, 4);
    struct inspection inspection;
    static const struct fit_point outside[] = {{-1, 0}, {0, -1}, {4, 0}, {0, 4}};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        ck_assert_int_eq(inspection_read(&inspection, &lease, outside[i]), -EINVAL);
    }
}
END_TEST

/* The corners of every format that there is, under a sanitizer. */
START_TEST(every_format_is_read_to_its_corners) {
    int formats = 0;
    for (const AVPixFmtDescriptor *next = av_pix_fmt_desc_next(NULL); next;
         next = av_pix_fmt_desc_next(next)) {
        if (shmframe_format_video(&format, next->name, 33, 19) != 0) {
            continue;
        }
        const struct shmframe_lease lease = make(next->name, 33, 19);
        memset(slot, 255, (size_t)format.slot_bytes);
        struct inspection inspection;
        ck_assert_int_eq(inspection_read(&inspection, &lease, (struct fit_point){0, 0}), 0);
        ck_assert_int_eq(inspection_read(&inspection, &lease, (struct fit_point){32, 18}), 0);
        ck_assert_uint_gt(inspection.components, 0);
        formats++;
    }
    ck_assert_int_gt(formats, 150);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("inspection");
    TCase *cases = tcase_create("inspection");
    tcase_add_test(cases, planes_of_chroma_are_read_where_the_pixel_lies);
    tcase_add_test(cases, interleaved_and_packed_formats_are_read);
    tcase_add_test(cases, deep_samples_keep_their_bits);
    tcase_add_test(cases, a_palette_has_an_index_and_what_is_there);
    tcase_add_test(cases, a_mosaic_has_one_sample_a_pixel);
    tcase_add_test(cases, floats_are_numbers);
    tcase_add_test(cases, a_pixel_that_is_not_there_is_an_error);
    tcase_add_test(cases, every_format_is_read_to_its_corners);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
