/* PNG: what was written can be read again, pixel by pixel; what cannot be written says why. */
#include "png.h"

#include <check.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/test-view-png-XXXXXX";
static char path[64];

static void set_up(void) {
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/picture.png", folder);
}

static void tear_down(void) {
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* and nothing else was left in it */
}

/* The file as an RGB24 frame. */
static AVFrame *read_png(void) {
    FILE *const file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    uint8_t bytes[65536];
    const size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    AVPacket *packet = av_packet_alloc();
    ck_assert_int_eq(av_new_packet(packet, (int)count), 0);
    memcpy(packet->data, bytes, count);
    AVCodecContext *decoder = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_PNG));
    AVFrame *const frame = av_frame_alloc();
    ck_assert_int_eq(avcodec_open2(decoder, NULL, NULL), 0);
    ck_assert_int_eq(avcodec_send_packet(decoder, packet), 0);
    avcodec_send_packet(decoder, NULL);
    ck_assert_int_eq(avcodec_receive_frame(decoder, frame), 0);
    avcodec_free_context(&decoder);
    av_packet_free(&packet);
    return frame;
}

START_TEST(pixels_come_back) {
    enum { WIDTH = 33, HEIGHT = 17, LINE = WIDTH * 3 + 5 };
    uint8_t rgb[HEIGHT * LINE];
    for (size_t i = 0; i < sizeof rgb; i++) {
        rgb[i] = (uint8_t)(i * 7);
    }
    ck_assert_int_eq(png_write(path, rgb, LINE, WIDTH, HEIGHT), 0);
    AVFrame *frame = read_png();
    ck_assert_int_eq(frame->format, AV_PIX_FMT_RGB24);
    ck_assert_int_eq(frame->width, WIDTH);
    ck_assert_int_eq(frame->height, HEIGHT);
    for (int y = 0; y < HEIGHT; y++) {
        ck_assert_mem_eq(frame->data[0] + y * frame->linesize[0], rgb + y * LINE, WIDTH * 3);
    }
    av_frame_free(&frame);
}
END_TEST

START_TEST(a_path_that_cannot_be_written_says_so) {
    const uint8_t rgb[3] = {1, 2, 3};
    char missing[128];
    snprintf(missing, sizeof missing, "%s/missing/picture.png", folder);
    ck_assert_int_eq(png_write(missing, rgb, 3, 1, 1), -ENOENT);
}
END_TEST

int main(void) {
    TCase *const tests = tcase_create("png");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, pixels_come_back);
    tcase_add_test(tests, a_path_that_cannot_be_written_says_so);
    Suite *const suite = suite_create("png");
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
