/* shmframe-pipe-in, whose pipe the test itself writes: times, breaks, what is cut off. */
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH = 6, HEIGHT = 4, PICTURE_BYTES = WIDTH * HEIGHT * 3 / 2, FILES_MAX = 8 };
static const char header[] = "YUV4MPEG2 W6 H4 F25:1 It C420jpeg\n";

static int to_fd; /* where its input is written */

static void begin(void) {
    stage_begin();
    to_fd = -1;
}

static void end(void) {
    if (to_fd >= 0)
        close(to_fd);
    stage_end();
}

/* Starts it with standard input from `stdin_fd`, and with up to 8 arguments. */
static void start(int stdin_fd, const char *const *arguments) {
    const char *argv[16] = {"shmframe-pipe-in", "--stream", "in"};
    int count = 3;
    while (*arguments)
        argv[count++] = *arguments++;
    stage_start(getenv("PIPE_IN"), stdin_fd, argv);
}

/* Starts it with a pipe that to_fd writes. */
#define START(...) start_piped((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
static void start_piped(const char *const *arguments) {
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    start(ends[0], arguments);
    close(ends[0]);
    to_fd = ends[1];
}

static void write_bytes(const void *bytes, size_t count) {
    ck_assert_int_eq(write(to_fd, bytes, count), (ssize_t)count);
}

static void write_text(const char *text) {
    write_bytes(text, strlen(text));
}

/* A picture of `value`, cut after `count` bytes. */
static void write_part(uint8_t value, size_t count) {
    uint8_t picture[PICTURE_BYTES];
    memset(picture, value, sizeof(picture));
    write_text("FRAME\n");
    write_bytes(picture, count);
}

static void write_picture(uint8_t value) {
    write_part(value, PICTURE_BYTES);
}

/* Waits until it has read all that was written. */
static void await_read(void) {
    const int64_t deadline_ns = world_deadline();
    int left = 1;
    while (ioctl(to_fd, FIONREAD, &left) == 0 && left) {
        ck_assert_msg(shmframe_now_ns() < deadline_ns, "%d bytes were not read", left);
        poll(NULL, 0, 1);
    }
}

static void close_input(void) {
    close(to_fd);
    to_fd = -1;
}

static void expect_said(const char *part) {
    ck_assert_msg(stage_count_said(part), "it did not say \"%s\"", part);
}

static struct shmframe_reader *open_reader(enum shmframe_policy policy) {
    const struct shmframe_reader_params params = {
        .stream = "in", .policy = policy, .depth = 16, .deadline_ns = world_deadline()};
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader), 0);
    return reader;
}

/* The next frame is all of `value`; the lease is over already. */
static struct shmframe_lease take(struct shmframe_reader *reader, uint8_t value) {
    struct shmframe_lease lease, copy;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    for (uint32_t i = 0; i < lease.format->plane_count; i++) {
        const struct shmframe_plane *plane = &lease.format->plane[i];
        for (uint32_t y = 0; y < plane->rows; y++)
            for (uint32_t x = 0; x < plane->row_bytes; x++)
                ck_assert_uint_eq(lease.data[plane->offset + (size_t)y * plane->line_bytes + x],
                                  value);
    }
    copy = lease;
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    return copy;
}

static void expect_end(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), -ENODATA);
    shmframe_reader_close(reader);
}

START_TEST(a_picture_is_captured_when_its_first_byte_comes) {
    START();
    write_text(header);
    struct shmframe_reader *reader = open_reader(SHMFRAME_IN_ORDER);
    for (uint8_t i = 0; i < 5; i++) {
        const int64_t before_ns = shmframe_now_ns();
        write_text("FR");
        await_read();
        const int64_t between_ns = shmframe_now_ns();
        uint8_t picture[PICTURE_BYTES];
        memset(picture, i, sizeof(picture));
        write_text("AME\n");
        write_bytes(picture, 10);
        await_read();
        write_bytes(picture + 10, sizeof(picture) - 10);
        const struct shmframe_lease lease = take(reader, i);
        ck_assert_int_ge(lease.frame.capture_ns, before_ns);
        ck_assert_int_le(lease.frame.capture_ns, between_ns);
        ck_assert_int_eq(lease.frame.pts, i);
        ck_assert_uint_eq(lease.frame.flags & (SHMFRAME_INTERLACED | SHMFRAME_TOP_FIELD_FIRST),
                          SHMFRAME_INTERLACED | SHMFRAME_TOP_FIELD_FIRST);
    }
    close_input();
    expect_end(reader);
    stage_expect_exit(0);
    expect_said("5 in place, 0 copied");
}
END_TEST

START_TEST(a_live_stream_refuses_who_would_hold_it_up) {
    START();
    write_text(header);
    const struct shmframe_reader_params params = {
        .stream = "in", .policy = SHMFRAME_LOSSLESS, .deadline_ns = world_deadline()};
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader), -ENOTSUP);
    close_input();
    stage_expect_exit(0);
}
END_TEST

START_TEST(a_picture_that_is_cut_off_is_told_and_not_published) {
    START("--unpaced");
    write_text(header);
    struct shmframe_reader *reader = open_reader(SHMFRAME_LOSSLESS);
    write_picture(1);
    write_part(2, PICTURE_BYTES - 1);
    close_input();
    take(reader, 1);
    expect_end(reader);
    stage_expect_exit(1);
    expect_said("is cut off: it ends within a picture");
}
END_TEST

START_TEST(what_is_no_picture_ends_it) {
    START("--unpaced");
    write_text(header);
    struct shmframe_reader *reader = open_reader(SHMFRAME_LOSSLESS);
    write_picture(1);
    write_text("FRAMEWORK\n");
    take(reader, 1);
    expect_end(reader);
    stage_expect_exit(1);
    expect_said("picture 2 does not begin with FRAME");
}
END_TEST

START_TEST(a_broken_header_is_told_before_there_is_a_stream) {
    START("--as", "y4m");
    write_text("YUV4MPEG2 W0 H4\n");
    stage_expect_exit(1);
    expect_said("standard input: \"W0\" in its header makes no sense");
    close_input();
    START("--as", "y4m");
    char endless[4096];
    memset(endless, 'Y', sizeof(endless));
    write_bytes(endless, sizeof(endless));
    stage_expect_exit(1);
    expect_said("it does not begin with YUV4MPEG2");
    close_input();
    START();
    close_input();
    stage_expect_exit(1);
    expect_said("brings nothing");
    START("--as", "wav");
    write_text("RIFF\xff\xff\xff\xffWAVEfmt ");
    close_input();
    stage_expect_exit(1);
    expect_said("ends within its header");
}
END_TEST

START_TEST(sound_comes_in_blocks_and_ends_with_a_shorter_one) {
    START("--unpaced", "--sample-format", "s16", "--channels", "2", "--sample-rate", "8000",
          "--block", "100");
    struct shmframe_reader *reader = open_reader(SHMFRAME_LOSSLESS);
    uint8_t samples[4 * 100];
    memset(samples, 5, sizeof(samples));
    write_bytes(samples, sizeof(samples));
    write_bytes(samples, 4 * 30 + 3); /* three bytes are no sample */
    close_input();
    struct shmframe_lease lease = take(reader, 5);
    ck_assert_uint_eq(lease.frame.samples, 100);
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert_uint_eq(lease.frame.samples, 30);
    ck_assert_int_eq(lease.frame.pts, 100);
    for (int i = 0; i < 4 * 30; i++)
        ck_assert_uint_eq(lease.data[i], 5);
    shmframe_reader_release(reader, &lease);
    expect_end(reader);
    stage_expect_exit(1);
    expect_said("is cut off: its sound is shorter");
}
END_TEST

START_TEST(with_stay_a_fifo_goes_on_with_its_next_writer) {
    start(STDIN_FILENO, (const char *const[]){stage.fifo, "--unpaced", "--stay", NULL});
    struct shmframe_reader *reader = NULL;
    for (uint8_t i = 0; i < 3; i++) {
        to_fd = open(stage.fifo, O_WRONLY | O_CLOEXEC);
        ck_assert_int_ge(to_fd, 0);
        if (i == 2) /* another size */
            write_text("YUV4MPEG2 W2 H2 F25:1 C420jpeg\nFRAME\n\2\2\2\2\2\2");
        else
            write_text(header);
        if (!reader)
            reader = open_reader(SHMFRAME_LOSSLESS);
        if (i < 2) {
            write_picture(i);
            write_part(77, 5); /* the rest never comes */
        }
        close_input();
        if (i < 2)
            stage_await_said("is cut off", i + 1);
        const struct shmframe_lease lease = take(reader, i);
        ck_assert_uint_eq(lease.frame.flags & SHMFRAME_DISCONTINUITY,
                          i ? SHMFRAME_DISCONTINUITY : 0);
        ck_assert_uint_eq(lease.flags & SHMFRAME_LEASE_NEW_FORMAT,
                          i == 2 ? SHMFRAME_LEASE_NEW_FORMAT : 0);
        ck_assert_int_eq(lease.frame.pts, i);
    }
    kill(stage.program, SIGINT);
    expect_end(reader);
    stage_expect_exit(1); /* since two pictures were cut off */
}
END_TEST

START_TEST(one_input_behind_another_goes_on) {
    START("--unpaced");
    write_text(header);
    struct shmframe_reader *reader = open_reader(SHMFRAME_LOSSLESS);
    write_picture(1);
    write_text(header);
    write_picture(2);
    write_text("YUV4MPEG2 W2 H2 F25:1 C420jpeg\nFRAME\n\3\3\3\3\3\3");
    close_input();
    ck_assert_uint_eq(take(reader, 1).frame.flags & SHMFRAME_DISCONTINUITY, 0);
    struct shmframe_lease lease = take(reader, 2);
    ck_assert_uint_ne(lease.frame.flags & SHMFRAME_DISCONTINUITY, 0);
    ck_assert_uint_eq(lease.flags & SHMFRAME_LEASE_NEW_FORMAT, 0);
    lease = take(reader, 3);
    ck_assert_uint_ne(lease.flags & SHMFRAME_LEASE_NEW_FORMAT, 0);
    ck_assert_int_eq(lease.frame.pts, 2);
    expect_end(reader);
    stage_expect_exit(0);
}
END_TEST

START_TEST(while_paused_a_live_input_is_dropped_and_counted) {
    START();
    write_text(header);
    struct shmframe_reader *reader = open_reader(SHMFRAME_IN_ORDER);
    struct shmframe_answer answer;
    write_picture(1);
    take(reader, 1);
    ck_assert_int_eq(
        shmframe_session_request(world.session, "in", "pause", NULL, world_deadline(), &answer), 0);
    write_picture(2);
    write_picture(3);
    await_read();
    ck_assert_int_eq(
        shmframe_session_request(world.session, "in", "resume", NULL, world_deadline(), &answer),
        0);
    write_picture(4);
    const struct shmframe_lease lease = take(reader, 4);
    ck_assert_uint_eq(lease.frame.device_dropped, 2);
    ck_assert_int_eq(lease.frame.pts, 3);
    close_input();
    expect_end(reader);
    stage_expect_exit(0);
}
END_TEST

START_TEST(its_duration_ends_it_within_a_picture) {
    START("--duration", "100ms");
    write_text(header);
    struct shmframe_reader *reader = open_reader(SHMFRAME_IN_ORDER);
    write_picture(1);
    take(reader, 1);
    write_part(2, 5);
    expect_end(reader);
    stage_expect_exit(0);
}
END_TEST

START_TEST(sound_that_ends_while_paused_is_not_cut_off) {
    START("--sample-format", "u8", "--channels", "1", "--sample-rate", "8000", "--block", "100");
    struct shmframe_reader *reader = open_reader(SHMFRAME_IN_ORDER);
    struct shmframe_answer answer;
    ck_assert_int_eq(
        shmframe_session_request(world.session, "in", "pause", NULL, world_deadline(), &answer), 0);
    uint8_t samples[130] = {0};
    write_bytes(samples, sizeof(samples));
    close_input();
    expect_end(reader);
    stage_expect_exit(0);
}
END_TEST

static void open_fifo(void) {
    to_fd = open(stage.fifo, O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(to_fd, 0);
}

/* Mono, u8, 8 kHz; 0 bytes: until the end. */
static void write_wav(uint8_t bytes) {
    write_bytes("RIFF\0\0\0\0WAVEfmt \20\0\0\0\1\0\1\0\100\37\0\0\100\37\0\0\1\0\10\0"
                "data",
                40);
    write_bytes((const uint8_t[]){bytes, 0, 0, 0}, 4);
}

START_TEST(a_first_writer_that_brings_nothing_is_not_the_last) {
    start(STDIN_FILENO, (const char *const[]){stage.fifo, "--unpaced", "--stay", NULL});
    open_fifo();
    close_input();
    open_fifo();
    uint8_t samples[61];
    memset(samples, 7, sizeof(samples));
    write_wav(sizeof(samples));
    write_bytes(samples, sizeof(samples));
    write_bytes("\0LIST\3\0\0\0abc", 1 + 8 + 3);
    struct shmframe_reader *reader = open_reader(SHMFRAME_LOSSLESS);
    write_bytes("\0", 1);
    close_input();
    open_fifo();
    write_wav(0);
    write_bytes(samples, 2);
    close_input();
    struct shmframe_lease lease;
    do {
        ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
        shmframe_reader_release(reader, &lease);
    } while (lease.frame.samples != 2);
    kill(stage.program, SIGINT);
    expect_end(reader);
    stage_expect_exit(0);
    ck_assert_int_eq(stage_count_said("does not begin"), 0);
}
END_TEST

/* More than can be thrown away byte by byte in the time of a test. */
START_TEST(what_is_damaged_is_passed_over_at_once) {
    start(STDIN_FILENO, (const char *const[]){stage.fifo, "--unpaced", "--stay", NULL});
    open_fifo();
    write_text(header);
    struct shmframe_reader *reader = open_reader(SHMFRAME_LOSSLESS);
    write_picture(1);
    take(reader, 1);
    enum { STEP = 1 << 20, STEPS = 64 };
    char *damaged = calloc(1, STEP);
    for (int i = 0; i < STEPS; i++)
        for (size_t sent = 0; sent < STEP;) {
            const ssize_t bytes = write(to_fd, damaged + sent, STEP - sent);
            ck_assert_int_gt(bytes, 0);
            sent += (size_t)bytes;
        }
    free(damaged);
    close_input();
    /* Who comes before the last one's leaving was noticed is taken for its rest. */
    struct shmframe_lease lease;
    do {
        open_fifo();
        write_text(header);
        write_picture(2);
        close_input();
    } while (shmframe_reader_acquire(reader, shmframe_deadline_ns(100000000), &lease) < 0);
    ck_assert_uint_eq(lease.data[0], 2);
    shmframe_reader_release(reader, &lease);
    kill(stage.program, SIGINT);
    shmframe_reader_close(reader);
    stage_expect_exit(1);
}
END_TEST

START_TEST(what_media_cannot_take_is_a_mistake) {
    START("--rate", "50");
    write_text("what is this, a file of another kind");
    close_input();
    stage_expect_exit(2);
    expect_said("leave --rate and --block out");
}
END_TEST

START_TEST(paced_pictures_are_captured_when_they_are_due) {
    char path[128];
    snprintf(path, sizeof(path), "%s/said.y4m", world.folder);
    to_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    write_text(header);
    for (uint8_t i = 0; i < 4; i++)
        write_picture(i);
    close_input();
    start(STDIN_FILENO, (const char *const[]){path, "--wait-readers", "1", NULL});
    struct shmframe_reader *reader = open_reader(SHMFRAME_LOSSLESS);
    int64_t first_ns = 0;
    for (uint8_t i = 0; i < 4; i++) {
        const struct shmframe_lease lease = take(reader, i);
        if (i == 0)
            first_ns = lease.frame.capture_ns;
        ck_assert_int_eq(lease.frame.capture_ns - first_ns, i * INT64_C(40000000));
        ck_assert_int_ge(lease.frame.publish_ns, lease.frame.capture_ns);
    }
    expect_end(reader);
    stage_expect_exit(0);
    unlink(path);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("in");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_picture_is_captured_when_its_first_byte_comes);
    tcase_add_test(tests, a_live_stream_refuses_who_would_hold_it_up);
    tcase_add_test(tests, a_picture_that_is_cut_off_is_told_and_not_published);
    tcase_add_test(tests, what_is_no_picture_ends_it);
    tcase_add_test(tests, a_broken_header_is_told_before_there_is_a_stream);
    tcase_add_test(tests, sound_comes_in_blocks_and_ends_with_a_shorter_one);
    tcase_add_test(tests, with_stay_a_fifo_goes_on_with_its_next_writer);
    tcase_add_test(tests, one_input_behind_another_goes_on);
    tcase_add_test(tests, while_paused_a_live_input_is_dropped_and_counted);
    tcase_add_test(tests, its_duration_ends_it_within_a_picture);
    tcase_add_test(tests, sound_that_ends_while_paused_is_not_cut_off);
    tcase_add_test(tests, a_first_writer_that_brings_nothing_is_not_the_last);
    tcase_add_test(tests, what_is_damaged_is_passed_over_at_once);
    tcase_add_test(tests, what_media_cannot_take_is_a_mistake);
    tcase_add_test(tests, paced_pictures_are_captured_when_they_are_due);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create("in");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
