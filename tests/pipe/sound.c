/* shmframe-pipe and sound that is lost: silence of the same length, and not a sample more. */
#include "world.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RATE = 8000, BLOCK = 80, BYTES_MAX = 1 << 20 };
#define BLOCK_NS INT64_C(10000000)

static char path[128];
static uint8_t written[BYTES_MAX];
static pid_t program;

static void begin(void) {
    world_begin();
    snprintf(path, sizeof(path), "%s/sound.raw", world.folder);
    program = -1;
}

static void end(void) {
    if (program > 0)
        world_kill(program);
    unlink(path);
    world_end();
}

static void start(void) {
    const pid_t parent = getpid();
    program = fork();
    ck_assert_int_ge(program, 0);
    if (program > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (getppid() != parent || setenv("SHMFRAME_SOCKET", world.socket, 1) < 0)
        _exit(99);
    dup2(nowhere, STDOUT_FILENO);
    execl(getenv("PIPE"), "shmframe-pipe", "sound", path, (char *)NULL);
    _exit(98);
}

static struct shmframe_writer *open_writer(const char *sample_format) {
    struct shmframe_writer_params params = {.stream = "sound"};
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_format_audio(&params.format, sample_format, 1, RATE, BLOCK), 0);
    params.format.time_base = (struct shmframe_rational){1, RATE};
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    return writer;
}

/* A whole block of bytes of 7, which begins at sample `pts`, and was captured when that says. */
static void publish(struct shmframe_writer *writer, int64_t pts, int64_t capture_ns,
                    uint32_t dropped) {
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    memset(loan.data, 7, loan.format->plane[0].row_bytes);
    loan.frame.pts = pts;
    loan.frame.capture_ns = capture_ns;
    loan.frame.device_dropped = dropped;
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
}

/* The program ends well; returns how many bytes it wrote. */
static size_t read_written(void) {
    world_join(program);
    program = -1;
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    const size_t bytes = fread(written, 1, sizeof(written), file);
    fclose(file);
    return bytes;
}

/* From `from` on there are so many bytes of `value`; returns where they end. */
static size_t expect_run(size_t from, uint8_t value, size_t bytes) {
    for (size_t i = from; i < from + bytes; i++)
        ck_assert_msg(written[i] == value, "byte %zu is %d, not %d", i, written[i], value);
    return from + bytes;
}

/* Publishes two blocks between which two are lost; the second one's stamps are given. */
static size_t lose_two(const char *sample_format, int64_t pts, int64_t capture_ns) {
    struct shmframe_writer *writer = open_writer(sample_format);
    start();
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    const int64_t base_ns = shmframe_now_ns();
    publish(writer, pts == SHMFRAME_NO_PTS ? pts : 0, base_ns, 0);
    publish(writer, pts, base_ns + capture_ns, 2);
    shmframe_writer_close(writer);
    return read_written();
}

START_TEST(what_was_lost_is_silent_for_as_long) {
    ck_assert_uint_eq(lose_two("s16", 3 * BLOCK, 0), 2 * 4 * BLOCK);
    size_t at = expect_run(0, 7, 2 * BLOCK);
    at = expect_run(at, 0, 2 * 2 * BLOCK);
    expect_run(at, 7, 2 * BLOCK);
}
END_TEST

START_TEST(silence_of_bytes_is_in_their_middle) {
    ck_assert_uint_eq(lose_two("u8", 3 * BLOCK, 0), 4 * BLOCK);
    expect_run(expect_run(expect_run(0, 7, BLOCK), 0x80, 2 * BLOCK), 7, BLOCK);
}
END_TEST

START_TEST(without_numbers_the_times_tell) {
    ck_assert_uint_eq(lose_two("s16", SHMFRAME_NO_PTS, 3 * BLOCK_NS / 2),
                      2 * (2 * BLOCK + BLOCK / 2));
}
END_TEST

START_TEST(stamps_are_believed_up_to_what_can_be_lost) {
    ck_assert_uint_eq(lose_two("s16", INT64_MAX - 1000, 0), 2 * 4 * BLOCK);
}
END_TEST

START_TEST(times_of_no_sense_make_no_silence) {
    ck_assert_uint_eq(lose_two("s16", SHMFRAME_NO_PTS, -INT64_C(5000000000000)), 2 * 2 * BLOCK);
}
END_TEST

START_TEST(a_pause_that_lost_nothing_is_none) {
    struct shmframe_writer *writer = open_writer("s16");
    start();
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    const int64_t base_ns = shmframe_now_ns();
    publish(writer, 0, base_ns, 0);
    publish(writer, BLOCK, base_ns + 100 * BLOCK_NS, 0);
    shmframe_writer_close(writer);
    ck_assert_uint_eq(read_written(), 2 * 2 * BLOCK);
}
END_TEST

/* An empty block, between two that follow each other. */
START_TEST(a_block_without_samples_adds_nothing_and_holds_up_nobody) {
    struct shmframe_writer *writer = open_writer("s16");
    start();
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    const int64_t base_ns = shmframe_now_ns();
    publish(writer, 0, base_ns, 0);
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    loan.frame.pts = BLOCK;
    loan.frame.samples = 0;
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
    publish(writer, BLOCK, base_ns + BLOCK_NS, 0);
    shmframe_writer_close(writer);
    ck_assert_uint_eq(read_written(), 2 * 2 * BLOCK);
}
END_TEST

/* Counts and stamps that together mean days are believed up to the time that has passed. */
START_TEST(a_writer_cannot_order_silence_without_end) {
    struct shmframe_writer *writer = open_writer("s16");
    const int64_t before_ns = shmframe_now_ns();
    start();
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    publish(writer, 0, shmframe_now_ns(), 0);
    publish(writer, INT64_MAX - 1000, shmframe_now_ns(), 100000);
    shmframe_writer_close(writer);
    const size_t bytes = read_written();
    const int64_t passed_ns = shmframe_now_ns() - before_ns + INT64_C(1000000000);
    ck_assert_int_le((int64_t)bytes / 2, 2 * BLOCK + passed_ns * RATE / INT64_C(1000000000));
}
END_TEST

static void publish_and_wait(void) {
    world.session = world_open_session();
    struct shmframe_writer *writer = open_writer("s16");
    if (shmframe_writer_wait_readers(writer, 1, world_deadline()) < 0)
        _exit(3);
    publish(writer, 0, shmframe_now_ns(), 0);
    world_tell();
    for (;;)
        pause();
}

START_TEST(while_a_writer_is_gone_it_is_silent) {
    const int64_t before_ns = shmframe_now_ns();
    const pid_t first = world_fork(publish_and_wait);
    start();
    world_await();
    world_kill(first);
    struct shmframe_writer *second = open_writer("s16");
    ck_assert_int_eq(shmframe_writer_wait_readers(second, 1, world_deadline()), 0);
    /* From the future: believed up to what has passed. */
    publish(second, 0, shmframe_now_ns() + 1000 * BLOCK_NS, 0);
    shmframe_writer_close(second);
    const size_t bytes = read_written();
    const int64_t passed_ns = shmframe_now_ns() - before_ns;
    ck_assert_uint_gt(bytes, 2 * 2 * BLOCK);
    const size_t silence = bytes - 2 * 2 * BLOCK;
    ck_assert_int_le((int64_t)silence / 2, passed_ns * RATE / INT64_C(1000000000));
    expect_run(expect_run(expect_run(0, 7, 2 * BLOCK), 0, silence), 7, 2 * BLOCK);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("sound");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, what_was_lost_is_silent_for_as_long);
    tcase_add_test(tests, silence_of_bytes_is_in_their_middle);
    tcase_add_test(tests, without_numbers_the_times_tell);
    tcase_add_test(tests, stamps_are_believed_up_to_what_can_be_lost);
    tcase_add_test(tests, times_of_no_sense_make_no_silence);
    tcase_add_test(tests, a_pause_that_lost_nothing_is_none);
    tcase_add_test(tests, a_block_without_samples_adds_nothing_and_holds_up_nobody);
    tcase_add_test(tests, a_writer_cannot_order_silence_without_end);
    tcase_add_test(tests, while_a_writer_is_gone_it_is_silent);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create("sound");
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
