/* Component: every format that is read in place is read as libavutil reads it. */
#include "component.h"

#include "runner.h"
#include "scaler.h"

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

enum { WIDTH = 37, HEIGHT = 6 };

static uint8_t buffer[COMPONENT_ROW_BYTES];

/* Random bytes wherever there is room: bits around the samples too. */
static AVFrame *make_noise(enum AVPixelFormat format) {
    AVFrame *picture = make_picture(format, WIDTH, HEIGHT);
    uint32_t random = 1;
    for (int i = 0; i < AV_NUM_DATA_POINTERS && picture->buf[i]; i++) {
        for (size_t n = 0; n < picture->buf[i]->size; n++) {
            random = random * 1664525 + 1013904223;
            picture->buf[i]->data[n] = (uint8_t)(random >> 24);
        }
    }
    return picture;
}

static void expect_row(const AVFrame *picture, const struct component *component, int index,
                       int y) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(picture->format);
    const uint32_t mask = (1u << component->depth) - 1;
    uint32_t wanted[WIDTH];
    av_read_image_line2(wanted, (const uint8_t **)picture->data, picture->linesize, descriptor, 0,
                        y, index, component->width, 0, sizeof(wanted[0]));
    const void *row = component_row(component, y, buffer);
    for (int x = 0; x < component->width; x++) {
        const uint32_t value =
            component->depth > 8 ? ((const uint16_t *)row)[x] : ((const uint8_t *)row)[x];
        ck_assert_msg((value & mask) == wanted[x], "%s, component %d at %d, %d: %u, not %u",
                      descriptor->name, index, x, y, value, wanted[x]);
    }
}

START_TEST(rows_are_what_libavutil_reads) {
    int formats = 0;
    const AVPixFmtDescriptor *descriptor = NULL;
    while ((descriptor = av_pix_fmt_desc_next(descriptor))) {
        const enum AVPixelFormat format = av_pix_fmt_desc_get_id(descriptor);
        if (!components_can_read(format))
            continue;
        AVFrame *picture = make_noise(format);
        struct components components;
        components_read(picture, &components);
        for (int i = 0; i < components.count; i++)
            for (int y = 0; y < components.component[i].height; y++)
                expect_row(picture, &components.component[i], i, y);
        av_frame_free(&picture);
        formats++;
    }
    ck_assert_int_gt(formats, 90);
}
END_TEST

START_TEST(what_cannot_be_read_is_converted_to_what_can) {
    static const struct {
        enum AVPixelFormat from, to;
    } cases[] = {
        {AV_PIX_FMT_YUV420P10BE, AV_PIX_FMT_YUV420P10LE},
        {AV_PIX_FMT_PAL8, AV_PIX_FMT_GBRP},
        {AV_PIX_FMT_MONOBLACK, AV_PIX_FMT_GRAY8},
        {AV_PIX_FMT_RGB565LE, AV_PIX_FMT_GBRP},
        {AV_PIX_FMT_GBRPF32LE, AV_PIX_FMT_GBRP16LE},
        {AV_PIX_FMT_GRAY16BE, AV_PIX_FMT_GRAY16LE},
        {AV_PIX_FMT_VAAPI, AV_PIX_FMT_NONE},
        {AV_PIX_FMT_P010LE, AV_PIX_FMT_P010LE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(components_nearest_format(cases[i].from) == cases[i].to, "%s becomes %s",
                      av_get_pix_fmt_name(cases[i].from),
                      av_get_pix_fmt_name(components_nearest_format(cases[i].from)));
    const AVPixFmtDescriptor *descriptor = NULL;
    while ((descriptor = av_pix_fmt_desc_next(descriptor))) {
        const enum AVPixelFormat format = av_pix_fmt_desc_get_id(descriptor);
        const enum AVPixelFormat nearest = components_nearest_format(format);
        struct scaler *scaler;
        if (nearest == AV_PIX_FMT_NONE || nearest == format)
            continue;
        ck_assert(components_can_read(nearest));
        const struct scaler_params params = {.pixel_format = nearest};
        ck_assert_msg(scaler_create(&params, &scaler) == 0, "%s", descriptor->name);
        scaler_destroy(scaler);
    }
}
END_TEST

START_TEST(grey_has_the_luma_it_is_made_of) {
    for (int depth = 8; depth <= 16; depth += 8) {
        for (uint32_t value = 0; value < 1u << depth; value += 251) {
            uint16_t samples[2] = {(uint16_t)value, (uint16_t)value}, luma[2];
            if (depth == 8)
                ((uint8_t *)samples)[0] = (uint8_t)value;
            const void *const rows[] = {samples, samples, samples};
            component_rgb_luma(rows, luma, 1, depth);
            ck_assert_uint_eq(depth == 8 ? ((uint8_t *)luma)[0] : luma[0], value);
        }
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("component");
    tcase_add_test(tests, rows_are_what_libavutil_reads);
    tcase_add_test(tests, what_cannot_be_read_is_converted_to_what_can);
    tcase_add_test(tests, grey_has_the_luma_it_is_made_of);
    return run_tests(tests, "component");
}
