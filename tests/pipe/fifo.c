/* shmframe-pipe, whose FIFO the test itself reads, and whose stream it writes: what becomes of a
 * reader that pauses or leaves, of a FIFO that is removed, of a stream that changes or ends
 * meanwhile.
 */
#include "stage.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 64, HEIGHT = 48, PICTURE_BYTES = WIDTH * HEIGHT * 3 / 2, BYTES_MAX = 1 << 22 };

static uint8_t got[BYTES_MAX];
static int from_fd;

static void begin(void) {
    stage_begin();
    from_fd = -1;
}

static void end(void) {
    if (from_fd >= 0)
        close(from_fd);
    stage_end();
}

#define START(...) start((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
static void start(const char *const *arguments) {
    const char *argv[16] = {"shmframe-pipe", "pictures", stage.fifo, "--as", "y4m"};
    int count = 5;
    while (*arguments)
        argv[count++] = *arguments++;
    stage_start(getenv("PIPE"), STDIN_FILENO, argv);
}

static struct shmframe_writer_params describe(uint32_t width) {
    struct shmframe_writer_params params = {.stream = "pictures"};
    ck_assert_int_eq(shmframe_format_video(&params.format, "yuv420p", width, HEIGHT), 0);
    params.format.video.frame_rate = (struct shmframe_rational){25, 1};
    params.format.time_base = (struct shmframe_rational){1, 25};
    strcpy(params.format.video.color_range, "tv");
    return params;
}

static struct shmframe_writer *open_writer(const struct shmframe_writer_params *params) {
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, params, &writer), 0);
    return writer;
}

static void publish(struct shmframe_writer *writer) {
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    memset(loan.data, 100, loan.format->slot_bytes);
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
}

static void await_readers(struct shmframe_writer *writer) {
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
}

static void open_fifo(void) {
    from_fd = open(stage.fifo, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(from_fd, 0);
}

static void close_fifo(void) {
    close(from_fd);
    from_fd = -1;
}

/* Reads a header and as many pictures. */
static void read_pictures(unsigned count) {
    size_t bytes = 0, line = 0;
    while (!line || bytes < line + count * (PICTURE_BYTES + 6)) {
        const ssize_t more = read(from_fd, got + bytes, line ? sizeof(got) - bytes : 1);
        ck_assert_int_gt(more, 0);
        bytes += (size_t)more;
        line = line ? line : got[bytes - 1] == '\n' ? bytes : 0;
    }
}

START_TEST(a_stream_that_ends_while_nobody_reads_ends_it) {
    const struct shmframe_writer_params params = describe(WIDTH);
    struct shmframe_writer *writer = open_writer(&params);
    START("--stay");
    open_fifo();
    await_readers(writer);
    publish(writer);
    read_pictures(1);
    close_fifo();
    stage_await_said("waiting for the next one", 1);
    shmframe_writer_close(writer);
    stage_expect_exit(0);
    ck_assert(stage_count_said("ended by end of stream"));
}
END_TEST

START_TEST(a_fifo_that_is_removed_ends_it_and_no_file_takes_its_place) {
    const struct shmframe_writer_params params = describe(WIDTH);
    struct shmframe_writer *writer = open_writer(&params);
    START("--stay");
    open_fifo();
    await_readers(writer);
    publish(writer);
    read_pictures(1);
    ck_assert_int_eq(unlink(stage.fifo), 0);
    close_fifo();
    stage_expect_exit(1);
    ck_assert(stage_count_said("is no FIFO any more"));
    ck_assert_int_eq(access(stage.fifo, F_OK), -1);
    shmframe_writer_close(writer);
}
END_TEST

/* The picture is larger than the pipe. */
START_TEST(the_last_frame_is_whole_for_a_reader_that_pauses) {
    enum { WIDE = 16384, WIDE_BYTES = WIDE * HEIGHT * 3 / 2 };
    const struct shmframe_writer_params params = describe(WIDE);
    struct shmframe_writer *writer = open_writer(&params);
    START("--duration", "200ms");
    open_fifo();
    await_readers(writer);
    publish(writer);
    size_t bytes = 0;
    for (int i = 0;; i++) {
        if (i < 2) /* past the end, and again */
            poll(NULL, 0, 400);
        const ssize_t more = read(from_fd, got + bytes, 4096);
        ck_assert_int_ge(more, 0);
        if (!more)
            break;
        bytes += (size_t)more;
    }
    const uint8_t *line = memchr(got, '\n', bytes);
    ck_assert_ptr_nonnull(line);
    ck_assert_uint_eq(bytes, (size_t)(line + 1 - got) + WIDE_BYTES + 6);
    stage_expect_exit(0);
    ck_assert(!stage_count_said("cut off"));
    shmframe_writer_close(writer);
}
END_TEST

static void change_range(struct shmframe_video_format *video) {
    strcpy(video->color_range, "pc");
}
static void change_matrix(struct shmframe_video_format *video) {
    strcpy(video->color_space, "bt709");
}
static void change_rate(struct shmframe_video_format *video) {
    video->frame_rate = (struct shmframe_rational){50, 1};
}
static void change_aspect(struct shmframe_video_format *video) {
    video->sample_aspect = (struct shmframe_rational){4, 3};
}
static void change_fields(struct shmframe_video_format *video) {
    video->field_order = SHMFRAME_TOP_FIRST;
}
static const struct {
    const char *name;
    void (*make)(struct shmframe_video_format *video);
} changes[] = {
    {"range", change_range},   {"matrix", change_matrix}, {"rate", change_rate},
    {"aspect", change_aspect}, {"fields", change_fields},
};

static void change(struct shmframe_writer *writer, void (*make)(struct shmframe_video_format *)) {
    struct shmframe_writer_params params = describe(WIDTH);
    make(&params.format.video);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &params.format, world_deadline()), 0);
    publish(writer);
}

START_TEST(a_header_that_is_not_true_any_more_ends_it) {
    const struct shmframe_writer_params params = describe(WIDTH);
    struct shmframe_writer *writer = open_writer(&params);
    START();
    open_fifo();
    await_readers(writer);
    publish(writer);
    read_pictures(1);
    change(writer, changes[_i].make);
    shmframe_writer_close(writer);
    stage_expect_exit(1);
    ck_assert_msg(stage_count_said("pictures changed to"), "%s", changes[_i].name);
}
END_TEST

START_TEST(another_range_is_converted_if_that_is_wanted) {
    const struct shmframe_writer_params params = describe(WIDTH);
    struct shmframe_writer *writer = open_writer(&params);
    START("--on-change", "convert", "--format", "json");
    open_fifo();
    await_readers(writer);
    publish(writer);
    change(writer, change_range);
    read_pictures(2);
    shmframe_writer_close(writer);
    stage_expect_exit(0);
    ck_assert(stage_count_said("\"converted\":1"));
    /* 100 of 255 is 16 + 100 * 219 / 255. */
    ck_assert_int_le(abs(got[strcspn((char *)got, "\n") + 1 + PICTURE_BYTES + 6 + 6] - 102), 1);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("fifo");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_stream_that_ends_while_nobody_reads_ends_it);
    tcase_add_test(tests, a_fifo_that_is_removed_ends_it_and_no_file_takes_its_place);
    tcase_add_test(tests, the_last_frame_is_whole_for_a_reader_that_pauses);
    tcase_add_loop_test(tests, a_header_that_is_not_true_any_more_ends_it, 0, 5);
    tcase_add_test(tests, another_range_is_converted_if_that_is_wanted);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create("fifo");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
