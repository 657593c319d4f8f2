/* What the unit tests of the picture measures do alike. */
#ifndef TESTS_PICTURES_RUNNER_H
#define TESTS_PICTURES_RUNNER_H

#include <check.h>
#include <libavutil/frame.h>
#include <stdlib.h>
#include <string.h>

static inline AVFrame *make_picture(enum AVPixelFormat format, int width, int height) {
    AVFrame *picture = av_frame_alloc();
    picture->format = format;
    picture->width = width;
    picture->height = height;
    ck_assert_int_eq(av_frame_get_buffer(picture, 0), 0);
    return picture;
}

/* A grey picture of 8 bits, of one value. */
static inline AVFrame *make_grey(int width, int height, uint8_t value) {
    AVFrame *picture = make_picture(AV_PIX_FMT_GRAY8, width, height);
    memset(picture->data[0], value, (size_t)picture->linesize[0] * (size_t)height);
    return picture;
}

static inline int run_tests(TCase *tests, const char *name) {
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
