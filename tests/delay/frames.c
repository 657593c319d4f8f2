/* shmframe-delay between a writer and a reader of the test's own: what comes out is what went in.
 */
#include "world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WIDTH = 320, HEIGHT = 240 };

/* Runs the filter from "in" to "out" with these options; NULL ends them. */
static pid_t start(const char *const *options) {
    const pid_t parent = getpid(), pid = fork();
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    setenv("SHMFRAME_SOCKET", world.socket, 1);
    const char *argv[16] = {"shmframe-delay", "in", "out", "--format", "json"};
    for (int i = 0; options[i]; i++)
        argv[5 + i] = options[i];
    if (!freopen("/dev/null", "w", stdout))
        _exit(1);
    execv(getenv("DELAY"), (char *const *)argv);
    _exit(127);
}
#define START(...) start((const char *const[]){__VA_ARGS__, NULL})

static int finish(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static struct shmframe_writer *open_writer(const struct shmframe_format *format) {
    const struct shmframe_writer_params params = {.stream = "in", .format = *format};
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    return writer;
}

static struct shmframe_reader *open_out(void) {
    const struct shmframe_reader_params params = {
        .stream = "out", .policy = SHMFRAME_LOSSLESS, .deadline_ns = world_deadline()};
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader), 0);
    return reader;
}

static struct shmframe_format picture(const char *pixel_format) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_video(&format, pixel_format, WIDTH, HEIGHT), 0);
    return format;
}

/* Bytes that tell planes, places and frames apart. */
static uint8_t value_at(unsigned plane, size_t at, uint64_t number) {
    return (uint8_t)(at * 7 + at / 251 + plane * 31 + number * 13);
}

static size_t plane_bytes(const struct shmframe_plane *plane) {
    return (size_t)plane->line_bytes * (plane->rows - 1) + plane->row_bytes;
}

static void fill(const struct shmframe_loan *loan, uint64_t number) {
    for (unsigned i = 0; i < loan->format->plane_count; i++) {
        uint8_t *plane = shmframe_loan_plane(loan, i);
        const size_t bytes = plane_bytes(&loan->format->plane[i]);
        for (size_t at = 0; at < bytes; at++)
            plane[at] = value_at(i, at, number);
    }
}

static void expect_payload(const struct shmframe_lease *lease, uint64_t number) {
    for (unsigned i = 0; i < lease->format->plane_count; i++) {
        const uint8_t *plane = shmframe_lease_plane(lease, i);
        size_t bytes = plane_bytes(&lease->format->plane[i]);
        if (lease->format->kind == SHMFRAME_DATA)
            bytes = lease->frame.bytes;
        for (size_t at = 0; at < bytes; at++)
            if (plane[at] != value_at(i, at, number))
                ck_abort_msg("frame %llu: byte %zu of plane %u", (unsigned long long)number, at, i);
    }
}

static void publish(struct shmframe_writer *writer, uint64_t number) {
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
    fill(&loan, number);
    loan.frame.pts = (int64_t)number * 10;
    loan.frame.capture_ns = (int64_t)number * 1000;
    loan.frame.device_dropped = number == 3 ? 2 : 0;
    loan.frame.flags |= SHMFRAME_HAS_USER;
    memset(loan.frame.user, (int)number, sizeof(loan.frame.user));
    ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
}

static struct shmframe_lease take(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    return lease;
}

static void expect_end(struct shmframe_reader *reader) {
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), -ENODATA);
    shmframe_reader_close(reader);
}

START_TEST(payload_and_stamps_are_those_of_the_source) {
    const struct shmframe_format format = picture("yuv420p");
    struct shmframe_writer *writer = open_writer(&format);
    const pid_t filter = START("--delay", "3ms", "--wait-readers", "1");
    struct shmframe_reader *reader = open_out();
    for (uint64_t number = 1; number <= 8; number++) {
        publish(writer, number);
        struct shmframe_lease lease = take(reader);
        const struct shmframe_frame *frame = &lease.frame;
        ck_assert(shmframe_format_is_equal(lease.format, shmframe_writer_format(writer)));
        expect_payload(&lease, number);
        ck_assert_uint_eq(frame->sequence, number);
        ck_assert_int_eq(frame->pts, (int64_t)number * 10);
        ck_assert_int_eq(frame->capture_ns, (int64_t)number * 1000);
        ck_assert_uint_eq(frame->device_dropped, number == 3 ? 2 : 0);
        ck_assert_uint_eq(frame->user[63], number);
        ck_assert_str_eq(frame->origin.stream, "in");
        ck_assert_uint_eq(frame->origin.sequence, number);
        ck_assert_int_eq(frame->origin.capture_ns, (int64_t)number * 1000);
        ck_assert(frame->flags & SHMFRAME_HAS_STAGES);
        ck_assert_int_ge(frame->publish_ns - frame->stage_ns[0], 3000000);
        ck_assert_int_gt(frame->stage_ns[0], 0);
        shmframe_reader_release(reader, &lease);
    }
    shmframe_writer_close(writer);
    expect_end(reader);
    ck_assert_int_eq(finish(filter), 0);
}
END_TEST

START_TEST(data_of_any_length_passes) {
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test/bytes", 300000), 0);
    struct shmframe_writer *writer = open_writer(&format);
    const pid_t filter = START("--wait-readers", "1");
    struct shmframe_reader *reader = open_out();
    static const uint32_t lengths[] = {1, 65535, 65536, 65537, 0, 300000};
    for (uint64_t number = 0; number < 6; number++) {
        struct shmframe_loan loan;
        ck_assert_int_eq(shmframe_writer_loan(writer, world_deadline(), &loan), 0);
        for (uint32_t at = 0; at < lengths[number]; at++)
            loan.data[loan.format->plane[0].offset + at] = value_at(0, at, number);
        loan.frame.bytes = lengths[number];
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        struct shmframe_lease lease = take(reader);
        ck_assert_uint_eq(lease.frame.bytes, lengths[number]);
        expect_payload(&lease, number);
        shmframe_reader_release(reader, &lease);
    }
    shmframe_writer_close(writer);
    expect_end(reader);
    ck_assert_int_eq(finish(filter), 0);
}
END_TEST

/* The frames of the first format are still held when the second one comes. */
START_TEST(a_change_of_format_passes_when_it_is_due) {
    const struct shmframe_format formats[3] = {picture("yuv420p"), picture("rgb24"),
                                               picture("gray")};
    struct shmframe_writer *writer = open_writer(&formats[0]);
    /* The last one of each format would be swapped with the first of the next. */
    const pid_t filter =
        START("--delay", "200ms", "--held", "20", "--wait-readers", "1", "--swap", "every=4");
    struct shmframe_reader *reader = open_out();
    for (uint64_t number = 1; number <= 12; number++) {
        if (number > 1 && number % 4 == 1)
            ck_assert_int_eq(
                shmframe_writer_set_format(writer, &formats[number / 4], world_deadline()), 0);
        publish(writer, number);
    }
    shmframe_writer_close(writer);
    for (uint64_t number = 1; number <= 12; number++) {
        struct shmframe_lease lease = take(reader);
        ck_assert_uint_eq(lease.frame.origin.sequence, number);
        ck_assert_str_eq(lease.format->video.pixel_format,
                         formats[(number - 1) / 4].video.pixel_format);
        expect_payload(&lease, number);
        ck_assert_int_ge(lease.frame.publish_ns - lease.frame.stage_ns[0], 200000000);
        shmframe_reader_release(reader, &lease);
    }
    expect_end(reader);
    ck_assert_int_eq(finish(filter), 0);
}
END_TEST

START_TEST(what_is_left_out_is_told_with_the_next_frame) {
    const struct shmframe_format format = picture("gray");
    struct shmframe_writer *writer = open_writer(&format);
    const pid_t filter = START("--drop", "every=3", "--wait-readers", "1");
    struct shmframe_reader *reader = open_out();
    /* Before the third, which is left out, two are missing at the source. */
    static const uint64_t expected[] = {1, 2, 4, 5, 7};
    static const uint32_t missing[] = {0, 0, 3, 0, 1};
    for (uint64_t number = 1; number <= 7; number++)
        publish(writer, number);
    for (int i = 0; i < 5; i++) {
        struct shmframe_lease lease = take(reader);
        ck_assert_uint_eq(lease.frame.origin.sequence, expected[i]);
        ck_assert_uint_eq(lease.frame.device_dropped, missing[i]);
        ck_assert_int_eq(!!(lease.frame.flags & SHMFRAME_DISCONTINUITY), missing[i] > 0);
        shmframe_reader_release(reader, &lease);
    }
    shmframe_writer_close(writer);
    expect_end(reader);
    ck_assert_int_eq(finish(filter), 0);
}
END_TEST

/* In a process of its own: a writer that dies. */
static void write_one(void) {
    world.session = world_open_session();
    const struct shmframe_format format = picture("gray");
    struct shmframe_writer *writer = open_writer(&format);
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    publish(writer, 1);
    world_tell();
    pause();
}

START_TEST(another_writer_of_the_source_is_followed) {
    const struct shmframe_format format = picture("gray");
    const pid_t child = world_fork(write_one);
    const pid_t filter = START("--wait-readers", "1");
    struct shmframe_reader *reader = open_out();
    world_await();
    struct shmframe_lease lease = take(reader);
    expect_payload(&lease, 1);
    ck_assert(!(lease.frame.flags & SHMFRAME_DISCONTINUITY));
    shmframe_reader_release(reader, &lease);
    world_kill(child);
    struct shmframe_writer *writer = open_writer(&format);
    publish(writer, 2);
    lease = take(reader);
    expect_payload(&lease, 2);
    ck_assert(lease.frame.flags & SHMFRAME_DISCONTINUITY);
    shmframe_reader_release(reader, &lease);
    shmframe_writer_close(writer);
    expect_end(reader);
    ck_assert_int_eq(finish(filter), 0);
}
END_TEST

static struct shmframe_answer ask(const char *verb, const char *argument) {
    struct shmframe_answer answer;
    ck_assert_int_eq(
        shmframe_session_request(world.session, "out", verb, argument, world_deadline(), &answer),
        0);
    return answer;
}

START_TEST(a_delay_can_be_changed_while_frames_are_held) {
    struct shmframe_format format = picture("gray");
    format.video.frame_rate = (struct shmframe_rational){100, 1};
    struct shmframe_writer *writer = open_writer(&format);
    const pid_t filter = START("--delay", "600s", "--held", "10", "--wait-readers", "1");
    struct shmframe_reader *reader = open_out();
    publish(writer, 1);
    ck_assert_int_eq(ask("set", "delay 50ms").status, 0);
    struct shmframe_lease lease = take(reader);
    ck_assert_int_ge(lease.frame.publish_ns - lease.frame.stage_ns[0], 50000000);
    ck_assert_int_lt(lease.frame.publish_ns - lease.frame.stage_ns[0], WORLD_NS);
    shmframe_reader_release(reader, &lease);
    const struct shmframe_answer refused = ask("set", "delay 1s");
    ck_assert_int_eq(refused.status, -ENOSPC);
    ck_assert_ptr_nonnull(strstr(refused.text, "out has room for 10 frames"));
    ck_assert_int_eq(ask("set", "delay soon").status, -EINVAL);
    ck_assert_int_eq(ask("set", "colour 1").status, -EINVAL);
    ck_assert_int_eq(ask("dance", NULL).status, -ENOTSUP);
    ck_assert_int_eq(ask("quit", NULL).status, 0);
    expect_end(reader);
    ck_assert_int_eq(finish(filter), 0);
    shmframe_writer_close(writer);
}
END_TEST

/* The filter waits for room with a frame on lease, loses its place, and the frame is overwritten
 * before it is copied. */
START_TEST(a_frame_that_was_overwritten_is_not_sent_on) {
    enum { PATIENCE_NS = 300000000, LATER = 40 };
    const struct shmframe_format format = picture("gray");
    struct shmframe_writer *writer = open_writer(&format);
    const pid_t filter = START("--held", "2", "--wait-readers", "1");
    struct shmframe_reader *reader = open_out();
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    uint64_t number = 0;
    struct shmframe_loan loan;
    int result;
    while ((result = shmframe_writer_loan(writer, shmframe_deadline_ns(PATIENCE_NS), &loan)) == 0) {
        shmframe_writer_abandon(writer, &loan);
        publish(writer, ++number);
    }
    ck_assert_int_eq(result, -ETIMEDOUT);
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "in", world_deadline(), &info, 1), 1);
    ck_assert_int_eq(shmframe_session_evict(world.session, "in", info.number, world_deadline()), 0);
    for (int i = 0; i < LATER; i++)
        publish(writer, ++number);
    struct shmframe_lease lease;
    uint64_t taken = 0;
    while ((result = shmframe_reader_acquire(reader, world_deadline(), &lease)) == 0) {
        expect_payload(&lease, lease.frame.origin.sequence);
        taken = lease.frame.origin.sequence;
        shmframe_reader_release(reader, &lease);
    }
    ck_assert_int_eq(result, -ENODATA);
    ck_assert_uint_gt(taken, 0);
    shmframe_reader_close(reader);
    ck_assert_int_eq(finish(filter), 1); /* it is evicted */
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_signal_ends_it_at_once_and_the_stream_with_it) {
    const struct shmframe_format format = picture("gray");
    struct shmframe_writer *writer = open_writer(&format);
    const pid_t filter = START("--delay", "600s", "--held", "10", "--wait-readers", "1");
    struct shmframe_reader *reader = open_out();
    publish(writer, 1);
    /* Who answers has begun: a signal before that finds no stream to end. */
    ck_assert_int_eq(ask("help", NULL).status, 0);
    kill(filter, SIGTERM);
    expect_end(reader);
    ck_assert_int_eq(finish(filter), 0);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_name_that_is_taken_is_told) {
    const struct shmframe_format format = picture("gray");
    struct shmframe_writer *writer = open_writer(&format);
    struct shmframe_writer *taken = world_open_writer("out");
    const pid_t filter = START("--wait-readers", "1");
    ck_assert_int_eq(finish(filter), 1);
    shmframe_writer_close(taken);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("delay");
    TCase *tests = tcase_create("delay");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, payload_and_stamps_are_those_of_the_source);
    tcase_add_test(tests, data_of_any_length_passes);
    tcase_add_test(tests, a_change_of_format_passes_when_it_is_due);
    tcase_add_test(tests, what_is_left_out_is_told_with_the_next_frame);
    tcase_add_test(tests, another_writer_of_the_source_is_followed);
    tcase_add_test(tests, a_delay_can_be_changed_while_frames_are_held);
    tcase_add_test(tests, a_frame_that_was_overwritten_is_not_sent_on);
    tcase_add_test(tests, a_signal_ends_it_at_once_and_the_stream_with_it);
    tcase_add_test(tests, a_name_that_is_taken_is_told);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
