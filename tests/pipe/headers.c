/* Headers of y4m and wav: what is written is read as it was, and what is broken is refused. */
#include "wav.h"
#include "y4m.h"

#include <check.h>
#include <errno.h>
#include <libavutil/pixdesc.h>
#include <shmframe/shmframe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char why[Y4M_WHY_BYTES];

static int parse(const char *line, struct shmframe_format *out_format) {
    why[0] = '\0';
    return y4m_parse(line, strlen(line), out_format, why);
}

static struct shmframe_format make_pictures(const char *pixel_format) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, pixel_format, 70, 50), 0);
    format.video.frame_rate = (struct shmframe_rational){30000, 1001};
    format.video.sample_aspect = (struct shmframe_rational){4, 3};
    format.video.field_order = SHMFRAME_BOTTOM_FIRST;
    strcpy(format.video.color_range, "tv");
    return format;
}

START_TEST(what_y4m_says_is_read_again) {
    for (const enum AVPixelFormat *at = y4m_pixel_formats(); *at != AV_PIX_FMT_NONE; at++) {
        const char *name = av_get_pix_fmt_name(*at);
        const struct shmframe_format format = make_pictures(name);
        struct shmframe_format read;
        char line[Y4M_LINE_MAX];
        const int length = y4m_print(&format, line);
        ck_assert_int_gt(length, 0);
        ck_assert_int_eq(line[length - 1], '\n');
        ck_assert_msg(y4m_parse(line, (size_t)length - 1, &read, why) == 0, "%s: %s", line, why);
        const bool is_full = strncmp(name, "yuvj", 4) == 0;
        if (!is_full) /* the same bytes by another name */
            ck_assert_str_eq(read.video.pixel_format, name);
        ck_assert_str_eq(read.video.color_range, is_full ? "pc" : "tv");
        ck_assert_uint_eq(read.video.width, 70);
        ck_assert_uint_eq(read.video.height, 50);
        ck_assert_int_eq(read.video.frame_rate.num, 30000);
        ck_assert_int_eq(read.video.frame_rate.den, 1001);
        ck_assert_int_eq(read.time_base.num, 1001);
        ck_assert_int_eq(read.video.sample_aspect.num, 4);
        ck_assert_uint_eq(read.video.field_order, SHMFRAME_BOTTOM_FIRST);
    }
    struct shmframe_format rgb = make_pictures("yuv420p");
    strcpy(rgb.video.pixel_format, "rgb24");
    char line[Y4M_LINE_MAX];
    ck_assert_int_eq(y4m_print(&rgb, line), -ENOTSUP);
}
END_TEST

START_TEST(where_chroma_lies_is_told) {
    static const char *const places[][2] = {
        {"left", "C420mpeg2"}, {"topleft", "C420paldv"}, {"center", "C420jpeg"}};
    for (int i = 0; i < 3; i++) {
        struct shmframe_format format = make_pictures("yuv420p"), read;
        char line[Y4M_LINE_MAX];
        strcpy(format.video.chroma_location, places[i][0]);
        ck_assert_int_gt(y4m_print(&format, line), 0);
        ck_assert_ptr_nonnull(strstr(line, places[i][1]));
        ck_assert_int_eq(parse(strtok(line, "\n"), &read), 0);
        ck_assert_str_eq(read.video.chroma_location, places[i][0]);
    }
}
END_TEST

START_TEST(a_header_that_says_little_is_enough) {
    struct shmframe_format read;
    ck_assert_int_eq(parse("YUV4MPEG2 W16 H8", &read), 0);
    ck_assert_str_eq(read.video.pixel_format, "yuv420p");
    ck_assert_int_eq(read.video.frame_rate.num, 0);
    ck_assert_str_eq(read.video.color_range, "");
    ck_assert_int_eq(parse("YUV4MPEG2  H8 W16 F0:0 A0:0 I? C444p10 XWHATEVER", &read), 0);
    ck_assert_str_eq(read.video.pixel_format, "yuv444p10le");
}
END_TEST

START_TEST(a_broken_y4m_header_is_refused_by_name) {
    static const struct {
        const char *line, *why;
    } broken[] = {
        {"", "begin with"},
        {"YUV4MPEG", "begin with"},
        {"YUV4MPEG2X W16 H8", "begin with"},
        {"YUV4MPEG2", "no width"},
        {"YUV4MPEG2 W16", "no height"},
        {"YUV4MPEG2 H16", "no width"},
        {"YUV4MPEG2 W0 H8", "W0"},
        {"YUV4MPEG2 W-16 H8", "W-16"},
        {"YUV4MPEG2 W16385 H8", "W16385"},
        {"YUV4MPEG2 W99999999999999999999 H8", "W9999"},
        {"YUV4MPEG2 W16x H8", "W16x"},
        {"YUV4MPEG2 W16 H8 F25", "F25"},
        {"YUV4MPEG2 W16 H8 F25:0", "F25:0"},
        {"YUV4MPEG2 W16 H8 F25:-1", "F25:-1"},
        {"YUV4MPEG2 W16 H8 F25:1:1", "F25:1:1"},
        {"YUV4MPEG2 W16 H8 A4", "A4"},
        {"YUV4MPEG2 W16 H8 Iz", "Iz"},
        {"YUV4MPEG2 W16 H8 Q1", "Q1"},
        {"YUV4MPEG2 W16 H8 C420p11", "C420p11"},
        {"YUV4MPEG2 W16 H8 C12345678901234567890123456789012345", "C123"},
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct shmframe_format read;
        ck_assert_msg(parse(broken[i].line, &read) < 0, "%s", broken[i].line);
        ck_assert_msg(strstr(why, broken[i].why) != NULL, "%s: %s", broken[i].line, why);
    }
    char endless[2 * Y4M_LINE_MAX];
    struct shmframe_format read;
    memset(endless, 'X', sizeof(endless));
    memcpy(endless, "YUV4MPEG2 W16 H8 X", 18);
    ck_assert_int_eq(y4m_parse(endless, sizeof(endless), &read, why), -EINVAL);
    ck_assert_int_eq(y4m_parse("YUV4MPEG2 W16\0H8", 16, &read, why), -EINVAL);
}
END_TEST

START_TEST(a_picture_tells_its_own_fields) {
    static const struct {
        const char *line;
        uint32_t flags;
    } lines[] = {
        {"FRAME", SHMFRAME_INTERLACED},
        {"FRAME Itpp", SHMFRAME_INTERLACED | SHMFRAME_TOP_FIELD_FIRST},
        {"FRAME XA Ibip", SHMFRAME_INTERLACED},
        {"FRAME I1pp", 0},
    };
    const struct shmframe_format format = make_pictures("yuv420p");
    uint32_t flags;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ck_assert_int_eq(y4m_parse_frame(lines[i].line, strlen(lines[i].line), &format, &flags), 0);
        ck_assert_uint_eq(flags, lines[i].flags);
    }
    ck_assert_int_eq(y4m_parse_frame("FRAMES", 6, &format, &flags), -EINVAL);
    ck_assert_int_eq(y4m_parse_frame("FRAM", 4, &format, &flags), -EINVAL);
}
END_TEST

/* wav */

/* Gives all of it, as it is asked for; what is missing is 0. */
static int feed_wav(struct wav_parser *parser, const uint8_t *bytes, size_t count) {
    size_t at = 0;
    uint32_t wanted;
    while ((wanted = wav_wanted(parser))) {
        uint8_t step[WAV_STEP_MAX];
        ck_assert_uint_le(wanted, WAV_STEP_MAX);
        if (at + wanted > count)
            return -EPIPE;
        memcpy(step, bytes + at, wanted);
        at += wanted;
        const int result = wav_take(parser, step, wanted);
        if (result < 0)
            return result;
    }
    return (int)at;
}

START_TEST(what_wav_says_is_read_again) {
    static const char *const names[] = {"u8", "s16", "s32", "s64", "flt", "dbl"};
    for (unsigned i = 0; i < 6; i++) {
        for (uint32_t channels = 1; channels <= 8; channels++) {
            struct shmframe_format format;
            struct wav_parser parser = {.block_samples = 128};
            uint8_t header[WAV_HEADER_MAX];
            ck_assert_int_eq(shmframe_format_audio(&format, names[i], channels, 44100, 100), 0);
            const int length = wav_print(&format, header);
            ck_assert_int_eq(feed_wav(&parser, header, (size_t)length), length);
            ck_assert_str_eq(parser.format.audio.sample_format, names[i]);
            ck_assert_uint_eq(parser.format.audio.channels, channels);
            ck_assert_uint_eq(parser.format.audio.sample_rate, 44100);
            ck_assert_uint_eq(parser.format.audio.samples_max, 128);
            ck_assert_str_eq(parser.format.audio.channel_layout, format.audio.channel_layout);
            ck_assert_uint_eq(parser.data_bytes, UINT64_MAX);
        }
    }
    struct shmframe_format planar;
    uint8_t header[WAV_HEADER_MAX];
    ck_assert_int_eq(shmframe_format_audio(&planar, "fltp", 2, 44100, 100), 0);
    ck_assert_int_eq(wav_print(&planar, header), -ENOTSUP);
}
END_TEST

/* What is not PCM tells how long its extension is, be it 0 (Multimedia Data Standards Update). */
START_TEST(a_wav_of_floats_has_the_longer_chunk) {
    static const struct {
        const char *name;
        int length;
    } kinds[] = {{"s16", 44}, {"flt", 46}, {"dbl", 46}};
    for (int i = 0; i < 3; i++) {
        struct shmframe_format format;
        uint8_t header[WAV_HEADER_MAX];
        ck_assert_int_eq(shmframe_format_audio(&format, kinds[i].name, 2, 44100, 100), 0);
        const int length = wav_print(&format, header);
        ck_assert_int_eq(length, kinds[i].length);
        ck_assert_int_eq(header[16], length - 28);
        ck_assert_mem_eq(&header[length - 8], "data", 4);
        if (length > 44)
            ck_assert_mem_eq(&header[36], "\0\0", 2);
    }
}
END_TEST

static size_t print_stereo(uint8_t header[WAV_HEADER_MAX]) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_audio(&format, "s16", 2, 44100, 100), 0);
    const int length = wav_print(&format, header);
    ck_assert_int_eq(length, 44);
    return (size_t)length;
}

START_TEST(a_wav_may_tell_its_length_and_other_things) {
    uint8_t header[WAV_HEADER_MAX], longer[WAV_HEADER_MAX + 16];
    struct wav_parser parser = {0};
    const size_t length = print_stereo(header);
    memcpy(&header[length - 4], (uint8_t[]){0x10, 0x20, 0, 0}, 4);
    ck_assert_int_eq(feed_wav(&parser, header, length), (int)length);
    ck_assert_uint_eq(parser.data_bytes, 0x2010);
    /* A chunk of odd length, with its padding, before the samples. */
    memcpy(longer, header, length - 8);
    memcpy(&longer[length - 8], "LIST\3\0\0\0abc\0", 12);
    memcpy(&longer[length + 4], &header[length - 8], 8);
    parser = (struct wav_parser){0};
    ck_assert_int_eq(feed_wav(&parser, longer, length + 12), (int)length + 12);
    ck_assert_uint_eq(parser.data_bytes, 0x2010);
    /* What sox and others write into a pipe. */
    for (int i = 0; i < 3; i++) {
        static const uint8_t open[3][4] = {{0, 0xf0, 0xff, 0x7f}, {0xfc, 0xff, 0xff, 0xff}};
        memcpy(&header[length - 4], open[i], 4);
        parser = (struct wav_parser){0};
        feed_wav(&parser, header, length);
        ck_assert_uint_eq(parser.data_bytes, UINT64_MAX);
    }
}
END_TEST

START_TEST(a_broken_wav_header_is_refused_by_name) {
    static const struct {
        size_t at;
        uint8_t byte;
        const char *why;
        int error;
    } broken[] = {
        {0, 'X', "RIFF", -EINVAL},
        {8, 'X', "RIFF", -EINVAL},
        {12, 'X', "come before", -EINVAL},
        {16, 14, "size of", -EINVAL},
        {17, 1, "size of", -EINVAL},
        {20, 6, "kind 6 with 16", -ENOTSUP},
        {22, 0, "block size", -EINVAL},
        {22, 65, "block size", -EINVAL},
        {34, 24, "kind 1 with 24", -ENOTSUP},
        {34, 0, "kind 1 with 0", -ENOTSUP},
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        uint8_t header[WAV_HEADER_MAX];
        struct wav_parser parser = {0};
        const size_t length = print_stereo(header);
        header[broken[i].at] = broken[i].byte;
        ck_assert_int_eq(feed_wav(&parser, header, length), broken[i].error);
        ck_assert_msg(strstr(parser.why, broken[i].why) != NULL, "%zu: %s", i, parser.why);
    }
    uint8_t header[WAV_HEADER_MAX];
    struct wav_parser parser = {0};
    const size_t length = print_stereo(header);
    memset(&header[24], 0, 4); /* no rate */
    ck_assert_int_lt(feed_wav(&parser, header, length), 0);
    ck_assert_str_ne(parser.why, "");
}
END_TEST

/* Whatever comes: an answer, in bounds, and a format that holds together or none. */

static void damage(uint8_t *bytes, size_t count) {
    const int changes = 1 + rand() % 6;
    for (int i = 0; i < changes; i++)
        bytes[(size_t)rand() % count] = (uint8_t)rand();
}

START_TEST(damaged_headers_are_read_or_refused) {
    static const char line[] = "YUV4MPEG2 W70 H50 F30000:1001 Ip A4:3 C420p10 XCOLORRANGE=FULL";
    srand(1);
    for (int i = 0; i < 40000; i++) {
        /* Of its own size on the heap, so that a sanitizer sees one byte too much. */
        const size_t length = (size_t)rand() % sizeof(line);
        uint8_t *copy = malloc(length + 1);
        memcpy(copy, line, length);
        if (length)
            damage(copy, length);
        struct shmframe_format format;
        if (y4m_parse((char *)copy, length, &format, why) == 0)
            ck_assert_int_eq(shmframe_format_complete(&format), 0);
        else
            ck_assert_str_ne(why, "");
        free(copy);
    }
    for (int i = 0; i < 40000; i++) {
        uint8_t header[WAV_HEADER_MAX] = {0};
        struct wav_parser parser = {0};
        const size_t length = print_stereo(header);
        damage(header, length);
        if (feed_wav(&parser, header, sizeof(header)) >= 0)
            ck_assert_int_eq(shmframe_format_complete(&parser.format), 0);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("headers");
    tcase_add_test(tests, what_y4m_says_is_read_again);
    tcase_add_test(tests, where_chroma_lies_is_told);
    tcase_add_test(tests, a_header_that_says_little_is_enough);
    tcase_add_test(tests, a_broken_y4m_header_is_refused_by_name);
    tcase_add_test(tests, a_picture_tells_its_own_fields);
    tcase_add_test(tests, what_wav_says_is_read_again);
    tcase_add_test(tests, a_wav_of_floats_has_the_longer_chunk);
    tcase_add_test(tests, a_wav_may_tell_its_length_and_other_things);
    tcase_add_test(tests, a_broken_wav_header_is_refused_by_name);
    tcase_add_test(tests, damaged_headers_are_read_or_refused);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create("headers");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
