/* Stills: what a picture becomes in each type of file, and what comes back from it. */
#include "still.h"

#include "png_text.h"
#include "turn.h"

#include <check.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/common.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 34, HEIGHT = 18 };

/* Bytes that differ from one another; samples of more than 8 bits stay in their depth. */
static AVFrame *paint(enum AVPixelFormat format) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(format);
    const int depth = descriptor->comp[0].depth;
    AVFrame *frame = av_frame_alloc();
    frame->format = format;
    frame->width = WIDTH;
    frame->height = HEIGHT;
    ck_assert_int_eq(av_frame_get_buffer(frame, 0), 0);
    for (int plane = 0; plane < av_pix_fmt_count_planes(format); plane++) {
        const bool is_chroma = plane == 1 || plane == 2;
        const int rows = is_chroma ? AV_CEIL_RSHIFT(HEIGHT, descriptor->log2_chroma_h) : HEIGHT;
        for (int i = 0; i < frame->linesize[plane] * rows; i++)
            frame->data[plane][i] = (uint8_t)(i * 7 + i / 13 + plane * 50);
        for (int i = 1; depth > 8 && i < frame->linesize[plane] * rows; i += 2)
            frame->data[plane][i] &= (uint8_t)((1 << (depth - 8)) - 1);
    }
    return frame;
}

static AVFrame *decode(enum AVCodecID codec, const AVPacket *packet) {
    AVCodecContext *decoder = avcodec_alloc_context3(avcodec_find_decoder(codec));
    AVFrame *frame = av_frame_alloc();
    ck_assert_int_eq(avcodec_open2(decoder, NULL, NULL), 0);
    ck_assert_int_eq(avcodec_send_packet(decoder, packet), 0);
    avcodec_send_packet(decoder, NULL);
    ck_assert_int_eq(avcodec_receive_frame(decoder, frame), 0);
    avcodec_free_context(&decoder);
    return frame;
}

/* Fits and encodes. */
static AVPacket *make(const struct still_params *params, const AVFrame *from, int degrees,
                      unsigned *out_changes, AVFrame **out_fit) {
    struct stills *stills;
    AVPacket *packet;
    ck_assert_int_eq(stills_create(params, &stills), 0);
    ck_assert_int_eq(stills_fit(stills, from, degrees, out_fit, out_changes), 0);
    ck_assert_int_eq(stills_encode(stills, *out_fit, &packet), 0);
    stills_destroy(stills);
    return packet;
}

/* Sample by sample; a decoder may put out the other order of bytes. */
static void expect_same(const AVFrame *a, const AVFrame *b) {
    const AVPixFmtDescriptor *one = av_pix_fmt_desc_get(a->format),
                             *two = av_pix_fmt_desc_get(b->format);
    ck_assert_int_eq(a->width, b->width);
    ck_assert_int_eq(a->height, b->height);
    ck_assert_int_eq(one->nb_components, two->nb_components);
    ck_assert_int_eq(one->comp[0].depth, two->comp[0].depth);
    for (int c = 0; c < one->nb_components; c++) {
        const bool is_chroma = c == 1 || c == 2;
        const int width = AV_CEIL_RSHIFT(a->width, is_chroma ? one->log2_chroma_w : 0);
        const int height = AV_CEIL_RSHIFT(a->height, is_chroma ? one->log2_chroma_h : 0);
        for (int y = 0; y < height; y++) {
            uint16_t line[2][WIDTH];
            av_read_image_line(line[0], (const uint8_t **)a->data, a->linesize, one, 0, y, c, width,
                               0);
            av_read_image_line(line[1], (const uint8_t **)b->data, b->linesize, two, 0, y, c, width,
                               0);
            ck_assert_mem_eq(line[0], line[1], (size_t)width * 2);
        }
    }
}

static void expect_exact(enum still_type type, enum AVCodecID codec, enum AVPixelFormat format) {
    const struct still_params params = {.type = type};
    AVFrame *from = paint(format), *fit;
    unsigned changes;
    AVPacket *packet = make(&params, from, 0, &changes, &fit);
    ck_assert_uint_eq(changes, 0);
    ck_assert_ptr_eq(fit->data[0], from->data[0]); /* not copied */
    AVFrame *back = decode(codec, packet);
    expect_same(back, from);
    av_frame_free(&back);
    av_packet_free(&packet);
    av_frame_free(&fit);
    av_frame_free(&from);
}

START_TEST(what_a_file_can_hold_comes_back_as_it_was) {
    static const enum AVPixelFormat all[] = {
        AV_PIX_FMT_RGB24, AV_PIX_FMT_RGBA,     AV_PIX_FMT_RGB48BE, AV_PIX_FMT_RGBA64BE,
        AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY16BE, AV_PIX_FMT_YA8,     AV_PIX_FMT_YA16BE};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        expect_exact(STILL_PNG, AV_CODEC_ID_PNG, all[i]);
        expect_exact(STILL_PAM, AV_CODEC_ID_PAM, all[i]);
    }
    expect_exact(STILL_PPM, AV_CODEC_ID_PPM, AV_PIX_FMT_RGB24);
    expect_exact(STILL_PNM, AV_CODEC_ID_PPM, AV_PIX_FMT_RGB24);
    expect_exact(STILL_PGM, AV_CODEC_ID_PGM, AV_PIX_FMT_GRAY8);
    expect_exact(STILL_PNM, AV_CODEC_ID_PGM, AV_PIX_FMT_GRAY8);
}
END_TEST

START_TEST(each_type_keeps_what_it_can) {
    static const struct {
        enum still_type type;
        enum AVPixelFormat from, to;
    } cases[] = {
        {STILL_PNG, AV_PIX_FMT_YUV420P, AV_PIX_FMT_RGB24},
        {STILL_PNG, AV_PIX_FMT_YUV420P10, AV_PIX_FMT_RGB48BE},
        {STILL_PNG, AV_PIX_FMT_P010, AV_PIX_FMT_RGB48BE},
        {STILL_PNG, AV_PIX_FMT_GBRAP12, AV_PIX_FMT_RGBA64BE},
        {STILL_PNG, AV_PIX_FMT_GRAY10, AV_PIX_FMT_GRAY16BE},
        {STILL_PNG, AV_PIX_FMT_GRAYF32, AV_PIX_FMT_GRAY16BE},
        {STILL_PNG, AV_PIX_FMT_MONOWHITE, AV_PIX_FMT_GRAY8},
        {STILL_PNG, AV_PIX_FMT_PAL8, AV_PIX_FMT_RGBA},
        {STILL_PAM, AV_PIX_FMT_BGRA, AV_PIX_FMT_RGBA},
        {STILL_PAM, AV_PIX_FMT_YA8, AV_PIX_FMT_YA8},
        {STILL_PNM, AV_PIX_FMT_YA8, AV_PIX_FMT_GRAY8},
        {STILL_PNM, AV_PIX_FMT_BGRA, AV_PIX_FMT_RGB24},
        {STILL_PGM, AV_PIX_FMT_RGB24, AV_PIX_FMT_GRAY8},
        {STILL_PPM, AV_PIX_FMT_GRAY16, AV_PIX_FMT_RGB48BE},
        {STILL_JPEG, AV_PIX_FMT_NV12, AV_PIX_FMT_YUV420P},
        {STILL_JPEG, AV_PIX_FMT_YUYV422, AV_PIX_FMT_YUV422P},
        {STILL_JPEG, AV_PIX_FMT_YUV444P10, AV_PIX_FMT_YUV444P},
        {STILL_JPEG, AV_PIX_FMT_BGR0, AV_PIX_FMT_YUV444P},
        {STILL_JPEG, AV_PIX_FMT_GRAY8, AV_PIX_FMT_YUV420P},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(still_type_choose(cases[i].type, cases[i].from, 0) == cases[i].to, "%s: %s",
                      still_type_suffix(cases[i].type), av_get_pix_fmt_name(cases[i].from));
    ck_assert_int_eq(still_type_choose(STILL_JPEG, AV_PIX_FMT_YUV422P, 90), AV_PIX_FMT_YUV444P);
}
END_TEST

START_TEST(a_file_is_known_by_its_name) {
    ck_assert_int_eq(still_type_of_path("a.b/shot-%05d.PNG"), STILL_PNG);
    ck_assert_int_eq(still_type_of_path("x.jpeg"), STILL_JPEG);
    ck_assert_int_eq(still_type_of_path("x.png/y"), STILL_NONE);
    ck_assert_int_eq(still_type_of_path("png"), STILL_NONE);
    ck_assert_str_eq(still_type_suffix(STILL_JPEG), "jpg");
}
END_TEST

/* Peak signal to noise of the samples of all planes. */
static double find_psnr(const AVFrame *a, const AVFrame *b) {
    double squares = 0, count = 0;
    for (int plane = 0; plane < 3; plane++) {
        for (int y = 0; y < a->height; y++) {
            for (int x = 0; x < a->width; x++) {
                const double error = a->data[plane][y * a->linesize[plane] + x] -
                                     b->data[plane][y * b->linesize[plane] + x];
                squares += error * error;
                count++;
            }
        }
    }
    return 10 * log10(255.0 * 255.0 * count / squares);
}

/* A smooth picture, as JPEG is made for. */
static AVFrame *paint_smooth(void) {
    AVFrame *frame = paint(AV_PIX_FMT_RGB24);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            uint8_t *pixel = frame->data[0] + y * frame->linesize[0] + 3 * x;
            pixel[0] = (uint8_t)(x * 7);
            pixel[1] = (uint8_t)(y * 14);
            pixel[2] = (uint8_t)(255 - x * 3 - y * 7);
        }
    }
    return frame;
}

START_TEST(jpeg_is_near_and_nearer_by_quality) {
    AVFrame *from = paint_smooth(), *fit;
    unsigned changes;
    int last_bytes = 0;
    static const struct {
        int quality;
        double psnr;
    } cases[] = {{10, 24}, {50, 34}, {0, 38}, {100, 41}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct still_params params = {.type = STILL_JPEG, .quality = cases[i].quality};
        AVPacket *packet = make(&params, from, 0, &changes, &fit);
        ck_assert_uint_eq(changes, STILL_CONVERTED);
        ck_assert_int_gt(packet->size, last_bytes);
        last_bytes = packet->size;
        AVFrame *back = decode(AV_CODEC_ID_MJPEG, packet);
        ck_assert_int_eq(back->format, AV_PIX_FMT_YUVJ444P);
        const double psnr = find_psnr(back, fit);
        ck_assert_msg(psnr > cases[i].psnr, "quality %d: %.1f dB", cases[i].quality, psnr);
        av_frame_free(&back);
        av_packet_free(&packet);
        av_frame_free(&fit);
    }
    av_frame_free(&from);
}
END_TEST

START_TEST(a_jpeg_picture_in_a_slot_is_not_converted) {
    AVFrame *from = paint(AV_PIX_FMT_YUVJ420P), *fit;
    const struct still_params params = {.type = STILL_JPEG};
    unsigned changes;
    AVPacket *packet = make(&params, from, 0, &changes, &fit);
    ck_assert_uint_eq(changes, 0);
    av_packet_free(&packet);
    av_frame_free(&fit);
    from->colorspace = AVCOL_SPC_BT709; /* JFIF's is BT.601 */
    packet = make(&params, from, 0, &changes, &fit);
    ck_assert_uint_eq(changes, STILL_CONVERTED);
    av_packet_free(&packet);
    av_frame_free(&fit);
    av_frame_free(&from);
}
END_TEST

static unsigned find_changes(enum still_type type, enum AVPixelFormat format,
                             enum AVColorRange range) {
    const struct still_params params = {.type = type};
    AVFrame *from = paint(format), *fit;
    from->color_range = range;
    from->colorspace = AVCOL_SPC_SMPTE170M;
    unsigned changes;
    AVPacket *packet = make(&params, from, 0, &changes, &fit);
    av_packet_free(&packet);
    av_frame_free(&fit);
    av_frame_free(&from);
    return changes;
}

START_TEST(samples_of_limited_range_do_not_stay_as_they_are) {
    ck_assert_uint_eq(find_changes(STILL_JPEG, AV_PIX_FMT_YUV420P, AVCOL_RANGE_JPEG), 0);
    ck_assert_uint_eq(find_changes(STILL_JPEG, AV_PIX_FMT_YUV420P, AVCOL_RANGE_MPEG),
                      STILL_CONVERTED);
    ck_assert_uint_eq(find_changes(STILL_PNG, AV_PIX_FMT_GRAY8, AVCOL_RANGE_JPEG), 0);
    ck_assert_uint_eq(find_changes(STILL_PNG, AV_PIX_FMT_GRAY8, AVCOL_RANGE_MPEG), STILL_CONVERTED);
}
END_TEST

/* Turning. */

static void expect_pixel(const AVFrame *a, int ax, int ay, const AVFrame *b, int bx, int by) {
    ck_assert_mem_eq(a->data[0] + ay * a->linesize[0] + 3 * ax,
                     b->data[0] + by * b->linesize[0] + 3 * bx, 3);
}

START_TEST(each_pixel_goes_where_the_turn_takes_it) {
    AVFrame *from = paint(AV_PIX_FMT_RGB24), *to;
    from->sample_aspect_ratio = (AVRational){4, 3};
    for (int degrees = 0; degrees < 360; degrees += 90) {
        ck_assert_int_eq(turn_run(from, degrees, &to), 0);
        ck_assert_int_eq(to->width, degrees % 180 ? HEIGHT : WIDTH);
        ck_assert_int_eq(to->sample_aspect_ratio.num, degrees % 180 ? 3 : 4);
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                const int right = WIDTH - 1 - x, down = HEIGHT - 1 - y;
                const int to_x = degrees == 0     ? x
                                 : degrees == 90  ? down
                                 : degrees == 180 ? right
                                                  : y;
                const int to_y = degrees == 0     ? y
                                 : degrees == 90  ? x
                                 : degrees == 180 ? down
                                                  : right;
                expect_pixel(from, x, y, to, to_x, to_y);
            }
        }
        av_frame_free(&to);
    }
    av_frame_free(&from);
}
END_TEST

START_TEST(four_turns_are_none_in_every_kind_of_format) {
    static const enum AVPixelFormat all[] = {AV_PIX_FMT_GRAY8,     AV_PIX_FMT_RGBA64BE,
                                             AV_PIX_FMT_YUV420P,   AV_PIX_FMT_NV12,
                                             AV_PIX_FMT_YUV444P10, AV_PIX_FMT_GBRAP};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        AVFrame *from = paint(all[i]), *at = av_frame_clone(from), *to;
        for (int turn = 0; turn < 4; turn++) {
            ck_assert_int_eq(turn_run(at, 90, &to), 0);
            av_frame_free(&at);
            at = to;
        }
        expect_same(at, from);
        av_frame_free(&at);
        av_frame_free(&from);
    }
    AVFrame *dense = paint(AV_PIX_FMT_YUV422P), *to;
    ck_assert_int_eq(turn_run(dense, 90, &to), -ENOTSUP);
    ck_assert(turn_can(AV_PIX_FMT_YUV422P, 180));
    ck_assert(!turn_can(AV_PIX_FMT_YUYV422, 180));
    ck_assert(!turn_can(AV_PIX_FMT_MONOBLACK, 180));
    av_frame_free(&dense);
}
END_TEST

/* Sizes. */

static void expect_size(struct still_params params, AVRational aspect, int degrees, int width,
                        int height, AVRational wanted) {
    params.type = STILL_PNG;
    AVFrame *from = paint(AV_PIX_FMT_RGB24), *fit;
    from->sample_aspect_ratio = aspect;
    unsigned changes;
    AVPacket *packet = make(&params, from, degrees, &changes, &fit);
    AVFrame *back = decode(AV_CODEC_ID_PNG, packet);
    ck_assert_int_eq(back->width, width);
    ck_assert_int_eq(back->height, height);
    /* The file tells it. */
    ck_assert_int_eq(back->sample_aspect_ratio.num, wanted.num);
    ck_assert_int_eq(back->sample_aspect_ratio.den, wanted.den);
    av_frame_free(&back);
    av_packet_free(&packet);
    av_frame_free(&fit);
    av_frame_free(&from);
}

START_TEST(size_and_shape_of_pixels_are_the_upright_pictures) {
    const struct still_params as_is = {0}, square = {.is_square = true},
                              small = {.width = 17, .height = 18};
    const AVRational wide = {4, 3}, tall = {3, 4}, one = {1, 1}, none = {0, 1};
    expect_size(as_is, none, 0, WIDTH, HEIGHT, none);
    expect_size(as_is, wide, 0, WIDTH, HEIGHT, wide);
    expect_size(as_is, wide, 90, HEIGHT, WIDTH, tall);
    expect_size(square, wide, 0, 45, HEIGHT, one);
    expect_size(square, tall, 0, WIDTH, 24, one);
    expect_size(square, wide, 270, HEIGHT, 45, one);
    expect_size(square, none, 0, WIDTH, HEIGHT, none);
    expect_size(small, one, 0, 17, 18, (AVRational){2, 1});
    expect_size(small, one, 90, 17, 18, (AVRational){162, 289});
}
END_TEST

START_TEST(a_picture_too_large_for_a_file_is_refused) {
    const struct still_params params = {.type = STILL_PNG, .is_square = true};
    AVFrame *from = paint(AV_PIX_FMT_RGB24), *fit;
    from->sample_aspect_ratio = (AVRational){100000, 1};
    struct stills *stills;
    unsigned changes;
    ck_assert_int_eq(stills_create(&params, &stills), 0);
    ck_assert_int_eq(stills_fit(stills, from, 0, &fit, &changes), -EINVAL);
    stills_destroy(stills);
    av_frame_free(&from);
}
END_TEST

START_TEST(words_in_a_png_can_be_read_back) {
    const struct still_params params = {.type = STILL_PNG};
    AVFrame *from = paint(AV_PIX_FMT_RGB24), *fit;
    unsigned changes;
    AVPacket *packet = make(&params, from, 0, &changes, &fit);
    ck_assert_int_eq(png_text_add(packet, "Source", "cam"), 0);
    ck_assert_int_eq(png_text_add(packet, "Empty", ""), 0);
    ck_assert_int_eq(png_text_add(packet, "", "x"), -EINVAL);
    AVCodecContext *decoder = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_PNG));
    decoder->err_recognition = AV_EF_CRCCHECK | AV_EF_EXPLODE;
    AVFrame *back = av_frame_alloc();
    ck_assert_int_eq(avcodec_open2(decoder, NULL, NULL), 0);
    ck_assert_int_eq(avcodec_send_packet(decoder, packet), 0);
    ck_assert_int_eq(avcodec_receive_frame(decoder, back), 0);
    ck_assert_str_eq(av_dict_get(back->metadata, "Source", NULL, 0)->value, "cam");
    ck_assert_str_eq(av_dict_get(back->metadata, "Empty", NULL, 0)->value, "");
    expect_same(back, from);
    memset(packet->data, 0, 8);
    ck_assert_int_eq(png_text_add(packet, "Source", "cam"), -EINVAL);
    avcodec_free_context(&decoder);
    av_frame_free(&back);
    av_packet_free(&packet);
    av_frame_free(&fit);
    av_frame_free(&from);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("still");
    tcase_add_test(tests, what_a_file_can_hold_comes_back_as_it_was);
    tcase_add_test(tests, each_type_keeps_what_it_can);
    tcase_add_test(tests, a_file_is_known_by_its_name);
    tcase_add_test(tests, jpeg_is_near_and_nearer_by_quality);
    tcase_add_test(tests, a_jpeg_picture_in_a_slot_is_not_converted);
    tcase_add_test(tests, samples_of_limited_range_do_not_stay_as_they_are);
    tcase_add_test(tests, each_pixel_goes_where_the_turn_takes_it);
    tcase_add_test(tests, four_turns_are_none_in_every_kind_of_format);
    tcase_add_test(tests, size_and_shape_of_pixels_are_the_upright_pictures);
    tcase_add_test(tests, a_picture_too_large_for_a_file_is_refused);
    tcase_add_test(tests, words_in_a_png_can_be_read_back);
    Suite *suite = suite_create("still");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
