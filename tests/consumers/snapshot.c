/* shmframe-snapshot against a writer whose pixels are known: what is in the file is what was in the
 * ring. */
#include "world.h"

#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <libavutil/common.h>
#include <libavutil/pixdesc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WIDTH = 32, HEIGHT = 24 };

static char file[128];

static void begin(void) {
    world_begin();
    snprintf(file, sizeof(file), "%s/picture.png", world.folder);
}

static void end(void) {
    unlink(file);
    world_end();
}

static struct shmframe_writer *open_writer(const struct shmframe_format *format) {
    const struct shmframe_writer_params params = {.stream = "cam", .format = *format};
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    return writer;
}

static struct shmframe_format describe(const char *pixel_format) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, pixel_format, WIDTH, HEIGHT), 0);
    return format;
}

typedef unsigned sample(int plane, int x, int y);

/* Publishes one frame whose samples are what `value` says, by plane (packed: by component). */
static void publish(struct shmframe_writer *writer, const char *pixel_format, sample *value) {
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(av_get_pix_fmt(pixel_format));
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    for (int c = 0; c < descriptor->nb_components; c++) {
        const AVComponentDescriptor *component = &descriptor->comp[c];
        const struct shmframe_plane *plane = &loan.format->plane[component->plane];
        const bool is_chroma = (c == 1 || c == 2) && !(descriptor->flags & AV_PIX_FMT_FLAG_RGB);
        const int width = is_chroma ? AV_CEIL_RSHIFT(WIDTH, descriptor->log2_chroma_w) : WIDTH;
        const int height = is_chroma ? AV_CEIL_RSHIFT(HEIGHT, descriptor->log2_chroma_h) : HEIGHT;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                uint8_t *at = loan.data + plane->offset + (size_t)y * plane->line_bytes +
                              x * component->step + component->offset;
                const uint16_t wide = (uint16_t)value(c, x, y);
                if (component->depth > 8)
                    memcpy(at, &wide, 2);
                else
                    *at = (uint8_t)wide;
            }
        }
    }
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
}

static pid_t start(const char *option, const char *argument) {
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("SHMFRAME_SOCKET", world.socket, 1);
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        execl(getenv("SNAPSHOT"), "shmframe-snapshot", "cam", file, "--wait", "10", "--deadline",
              "20", option, argument, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* Its exit code. */
static int finish(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int run(const char *option, const char *argument) {
    return finish(start(option, argument));
}

static AVFrame *read_png(void) {
    FILE *stream = fopen(file, "re");
    ck_assert_ptr_nonnull(stream);
    AVPacket *packet = av_packet_alloc();
    ck_assert_int_eq(av_new_packet(packet, 1 << 16), 0);
    packet->size = (int)fread(packet->data, 1, 1 << 16, stream);
    fclose(stream);
    AVCodecContext *decoder = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_PNG));
    AVFrame *frame = av_frame_alloc();
    ck_assert_int_eq(avcodec_open2(decoder, NULL, NULL), 0);
    ck_assert_int_eq(avcodec_send_packet(decoder, packet), 0);
    avcodec_send_packet(decoder, NULL);
    ck_assert_int_eq(avcodec_receive_frame(decoder, frame), 0);
    avcodec_free_context(&decoder);
    av_packet_free(&packet);
    return frame;
}

/* The sample of a component; x, y count in the file's picture. */
static unsigned look(const AVFrame *frame, int c, int x, int y) {
    uint16_t value;
    av_read_image_line(&value, (const uint8_t **)frame->data, frame->linesize,
                       av_pix_fmt_desc_get(frame->format), x, y, c, 1, 0);
    return value;
}

static AVFrame *snap(const struct shmframe_format *format, sample *value) {
    struct shmframe_writer *writer = open_writer(format);
    publish(writer, format->video.pixel_format, value);
    ck_assert_int_eq(run("--overwrite", NULL), 0);
    shmframe_writer_close(writer);
    return read_png();
}

static unsigned noise(int c, int x, int y) {
    return (unsigned)(x * 37 + y * 101 + c * 59 + x * y) & 0xff;
}
static unsigned noise10(int c, int x, int y) {
    return (unsigned)(x * 37 + y * 101 + c * 259 + x * y) & 0x3ff;
}
static unsigned noise16(int c, int x, int y) {
    return (unsigned)(x * 1237 + y * 3101 + c * 259 + x * y) & 0xffff;
}

/* `to` names the file's format; `order` its component of each of the ring's. */
static void expect(const char *from, sample *value, const char *to, unsigned tolerance) {
    const struct shmframe_format format = describe(from);
    const AVPixFmtDescriptor *descriptor = av_pix_fmt_desc_get(av_get_pix_fmt(from));
    const int depth = descriptor->comp[0].depth;
    AVFrame *picture = snap(&format, value);
    ck_assert_str_eq(av_get_pix_fmt_name(picture->format), to);
    const double scale = (av_pix_fmt_desc_get(picture->format)->comp[0].depth > 8 ? 65535. : 255.) /
                         ((1 << depth) - 1);
    for (int c = 0; c < descriptor->nb_components; c++) {
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                const double wanted = value(c, x, y) * scale, found = look(picture, c, x, y);
                ck_assert_msg(found >= wanted - tolerance && found <= wanted + tolerance,
                              "%s, component %d, %d,%d: %g instead of %g", from, c, x, y, found,
                              wanted);
            }
        }
    }
    av_frame_free(&picture);
}

START_TEST(rgb_and_grey_are_exact) {
    expect("rgb24", noise, "rgb24", 0);
    expect("bgr24", noise, "rgb24", 0);
    expect("gbrp", noise, "rgb24", 0);
    expect("bgra", noise, "rgba", 0);
    expect("gray", noise, "gray", 0);
    expect("ya8", noise, "ya8", 0);
}
END_TEST

START_TEST(more_than_8_bits_become_16) {
    expect("gbrp10le", noise10, "rgb48be", 1);
    expect("gray10le", noise10, "gray16be", 1);
    expect("gray16le", noise16, "gray16be", 0);
    expect("rgba64le", noise16, "rgba64be", 0);
}
END_TEST

/* Steps between black and white of limited range, finer than 8 bits could tell. */
static unsigned ramp10(int c, int x, int y) {
    (void)y;
    return c ? 512 : (unsigned)(64 + x * 28);
}

START_TEST(ten_bits_of_yuv_are_told_from_one_another) {
    struct shmframe_format format = describe("yuv420p10le");
    AVFrame *picture = snap(&format, ramp10);
    ck_assert_str_eq(av_get_pix_fmt_name(picture->format), "rgb48be");
    for (int x = 0; x < WIDTH; x++) {
        for (int c = 0; c < 3; c++) {
            const double wanted = x * 28 / 876. * 65535, found = look(picture, c, x, HEIGHT / 2);
            ck_assert_msg(found >= wanted - 6 && found <= wanted + 6, "%d: %g instead of %g", x,
                          found, wanted);
        }
    }
    av_frame_free(&picture);
}
END_TEST

/* Red, by the formulas of BT.709 and BT.601 in full and limited range, rounded. */
static unsigned red709(int c, int x, int y) {
    (void)x, (void)y;
    return c == 0 ? 63 : c == 1 ? 102 : 240;
}
static unsigned red601_full(int c, int x, int y) {
    (void)x, (void)y;
    return c == 0 ? 76 : c == 1 ? 85 : 255;
}

static void expect_red(const struct shmframe_format *format, sample *value) {
    AVFrame *picture = snap(format, value);
    ck_assert_uint_ge(look(picture, 0, 9, 9), 253);
    ck_assert_uint_le(look(picture, 1, 9, 9), 2);
    ck_assert_uint_le(look(picture, 2, 9, 9), 2);
    av_frame_free(&picture);
}

START_TEST(colours_are_those_that_the_format_tells) {
    struct shmframe_format format = describe("yuv444p");
    strcpy(format.video.color_space, "bt709");
    expect_red(&format, red709);
    strcpy(format.video.color_space, "smpte170m");
    strcpy(format.video.color_range, "pc");
    expect_red(&format, red601_full);
}
END_TEST

START_TEST(a_turned_picture_is_upright_in_the_file) {
    struct shmframe_format format = describe("rgb24");
    format.video.rotation_degrees = 90;
    format.video.sample_aspect = (struct shmframe_rational){4, 3};
    AVFrame *picture = snap(&format, noise);
    ck_assert_int_eq(picture->width, HEIGHT);
    ck_assert_int_eq(picture->height, WIDTH);
    ck_assert_int_eq(picture->sample_aspect_ratio.num, 3);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            ck_assert_uint_eq(look(picture, 1, HEIGHT - 1 - y, x), noise(1, x, y));
    av_frame_free(&picture);
}
END_TEST

START_TEST(the_file_tells_what_frame_it_is) {
    const struct shmframe_format format = describe("rgb24");
    struct shmframe_writer *writer = open_writer(&format);
    publish(writer, "rgb24", noise);
    publish(writer, "rgb24", noise);
    ck_assert_int_eq(run(NULL, NULL), 0);
    AVFrame *picture = read_png();
    ck_assert_str_eq(av_dict_get(picture->metadata, "Source", NULL, 0)->value, "cam");
    ck_assert_str_eq(av_dict_get(picture->metadata, "shmframe sequence", NULL, 0)->value, "2");
    ck_assert_ptr_nonnull(av_dict_get(picture->metadata, "Creation Time", NULL, 0));
    av_frame_free(&picture);
    ck_assert_int_eq(run(NULL, NULL), 1); /* the name exists */
    ck_assert_int_eq(run("--overwrite", NULL), 0);
    shmframe_writer_close(writer);
}
END_TEST

static void expect_size(const char *name, int width, int height) {
    snprintf(file, sizeof(file), "%s/%s", world.folder, name);
    AVFrame *picture = read_png();
    ck_assert_int_eq(picture->width, width);
    ck_assert_int_eq(picture->height, height);
    av_frame_free(&picture);
    unlink(file);
}

START_TEST(a_series_goes_on_when_the_format_changes) {
    struct shmframe_format format = describe("rgb24");
    struct shmframe_writer *writer = open_writer(&format);
    snprintf(file, sizeof(file), "%s/%%d.png", world.folder);
    const pid_t pid = start("--count", "3");
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    publish(writer, "rgb24", noise);
    format.video.rotation_degrees = 90;
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    publish(writer, "rgb24", noise);
    format = describe("gray10le");
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    publish(writer, "gray10le", noise10);
    ck_assert_int_eq(finish(pid), 0);
    shmframe_writer_close(writer);
    expect_size("1.png", WIDTH, HEIGHT);
    expect_size("2.png", HEIGHT, WIDTH);
    expect_size("3.png", WIDTH, HEIGHT);
}
END_TEST

START_TEST(the_slot_is_given_back) {
    const struct shmframe_format format = describe("rgb24");
    struct shmframe_writer *writer = open_writer(&format);
    publish(writer, "rgb24", noise);
    ck_assert_int_eq(run("--every", "1"), 2); /* a series needs a number */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(run("--overwrite", NULL), 0);
        publish(writer, "rgb24", noise);
    }
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    ck_assert_uint_le(counters.slots_used, 4);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("snapshot");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, rgb_and_grey_are_exact);
    tcase_add_test(tests, more_than_8_bits_become_16);
    tcase_add_test(tests, ten_bits_of_yuv_are_told_from_one_another);
    tcase_add_test(tests, colours_are_those_that_the_format_tells);
    tcase_add_test(tests, a_turned_picture_is_upright_in_the_file);
    tcase_add_test(tests, the_file_tells_what_frame_it_is);
    tcase_add_test(tests, a_series_goes_on_when_the_format_changes);
    tcase_add_test(tests, the_slot_is_given_back);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create("snapshot");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
