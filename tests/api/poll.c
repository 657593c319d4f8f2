/* Descriptors to poll: readable for what there is to hear of, quiet otherwise. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct shmframe_writer *writer;
static struct shmframe_reader *reader;
static unsigned mails;
enum { MAILS_MAX = 8 };

/* Nothing is there: arms the descriptor, which is quiet from here on. Mail to its session, such as
 * word to the writer of who joined, comes when it comes, and is read by the next acquire: a few
 * times in a test, not once a frame. */
static int arm(void) {
    const int fd = shmframe_reader_fd(reader);
    ck_assert_int_ge(fd, 0);
    struct shmframe_lease lease;
    for (;;) {
        ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), -EAGAIN);
        if (!world_is_readable(fd))
            return fd;
        ck_assert_msg(mails++ < MAILS_MAX, "the descriptor is readable, though nothing is there");
    }
}

static void begin(void) {
    world_begin();
    writer = NULL;
    reader = NULL;
    mails = 0;
}

static void end(void) {
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
    world_end();
}

static void open_both(void) {
    writer = world_open_writer("s");
    reader = world_open_reader("s", SHMFRAME_IN_ORDER);
}

/* Acquires whenever the descriptor says so, until the answer is another than -EAGAIN. */
static int await_answer(int fd, struct shmframe_lease *lease) {
    int code;
    do {
        world_expect_readable(fd);
        code = shmframe_reader_acquire(reader, SHMFRAME_NOW, lease);
    } while (code == -EAGAIN);
    return code;
}

START_TEST(a_frame_makes_the_descriptor_readable) {
    open_both();
    const int fd = arm();
    world_publish(writer, 7);
    struct shmframe_lease lease;
    ck_assert_int_eq(await_answer(fd, &lease), 0);
    ck_assert_uint_eq(world_value(&lease), 7);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    arm();
}
END_TEST

START_TEST(a_wait_of_another_kind_leaves_the_descriptor_working) {
    open_both();
    const int fd = arm();
    ck_assert_int_eq(shmframe_reader_wait(reader, shmframe_deadline_ns(1000000)), -ETIMEDOUT);
    world_publish(writer, 7);
    struct shmframe_lease lease;
    ck_assert_int_eq(await_answer(fd, &lease), 0);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    arm();
}
END_TEST

START_TEST(each_of_many_frames_makes_the_descriptor_readable_again) {
    open_both();
    const int fd = arm();
    for (uint64_t i = 1; i <= 200; i++) {
        world_publish(writer, i);
        struct shmframe_lease lease;
        ck_assert_int_eq(await_answer(fd, &lease), 0);
        ck_assert_uint_eq(lease.frame.sequence, i);
        shmframe_reader_release(reader, &lease);
        arm();
    }
}
END_TEST

START_TEST(the_end_makes_the_descriptor_readable_and_is_told_once) {
    open_both();
    const int fd = arm();
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    struct shmframe_lease lease;
    ck_assert_int_eq(await_answer(fd, &lease), -ENODATA);
    world_expect_event(reader, SHMFRAME_ENDED);
    while (shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease) == -ENODATA)
        ck_abort_msg("the end was told twice");
}
END_TEST

START_TEST(a_new_format_makes_the_descriptor_readable) {
    open_both();
    world_publish(writer, 1);
    world_take(reader, 1);
    const int fd = arm();
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "other", 64), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    world_publish(writer, 2);
    struct shmframe_lease lease;
    ck_assert_int_eq(await_answer(fd, &lease), 0);
    ck_assert_uint_eq(lease.flags, SHMFRAME_LEASE_NEW_FORMAT);
    ck_assert_str_eq(lease.format->data.type, "other");
    shmframe_reader_release(reader, &lease);
    arm();
}
END_TEST

static void write_until_killed(void) {
    world.session = world_open_session();
    world_open_writer("s");
    world_tell();
    for (;;) {
        shmframe_session_dispatch(world.session);
        world_expect_readable(shmframe_session_fd(world.session));
    }
}

START_TEST(an_eviction_makes_the_descriptor_readable) {
    const pid_t pid = world_fork(write_until_killed); /* its session hears of other things */
    world_await();
    reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    const int fd = arm();
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    struct shmframe_session *other = world_open_session();
    ck_assert_int_eq(shmframe_session_evict(other, "s", info.number, world_deadline()), 0);
    shmframe_session_close(other);
    struct shmframe_lease lease;
    expect_error(await_answer(fd, &lease), -ESTALE, "'s'");
    world_expect_event(reader, SHMFRAME_EVICTED);
    world_kill(pid);
}
END_TEST

START_TEST(the_writers_death_makes_the_descriptor_readable) {
    const pid_t pid = world_fork(write_until_killed);
    world_await();
    reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    const int fd = arm();
    world_kill(pid);
    struct shmframe_reader_event event;
    struct shmframe_lease lease;
    while (shmframe_reader_next_event(reader, &event) == -EAGAIN) {
        world_expect_readable(fd);
        ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), -EAGAIN);
    }
    ck_assert_int_eq(event.type, SHMFRAME_WRITER_GONE);
    arm(); /* nobody writes: no busy loop */
}
END_TEST

START_TEST(the_next_writers_frame_makes_the_descriptor_readable) {
    const pid_t pid = world_fork(write_until_killed);
    world_await();
    reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    const int fd = arm();
    world_kill(pid);
    writer = world_open_writer("s");
    world_publish(writer, 9);
    struct shmframe_lease lease;
    ck_assert_int_eq(await_answer(fd, &lease), 0);
    ck_assert_uint_eq(world_value(&lease), 9);
    ck_assert(lease.flags & SHMFRAME_LEASE_RESTARTED);
    shmframe_reader_release(reader, &lease);
    world_expect_event(reader, SHMFRAME_WRITER_GONE);
    world_expect_event(reader, SHMFRAME_RESTARTED);
}
END_TEST

/* As with arm(): mail may come at any time, but not for ever. */
static void dispatch_until_quiet(void) {
    const int fd = shmframe_session_fd(world.session);
    for (shmframe_session_dispatch(world.session); world_is_readable(fd);
         shmframe_session_dispatch(world.session))
        ck_assert_msg(mails++ < MAILS_MAX, "the descriptor is readable, though nothing is there");
}

START_TEST(the_sessions_descriptor_is_readable_for_an_event_and_quiet_after_dispatch) {
    writer = world_open_writer("s");
    dispatch_until_quiet();
    struct shmframe_session *other = world_open_session();
    const struct shmframe_reader_params params = {.stream = "s", .name = "guest"};
    struct shmframe_reader *guest;
    ck_assert_int_eq(shmframe_reader_open(other, &params, &guest), 0);
    const struct shmframe_writer_event event =
        world_expect_writer_event(writer, SHMFRAME_READER_JOINED);
    ck_assert_str_eq(event.name, "guest");
    shmframe_reader_close(guest);
    world_expect_writer_event(writer, SHMFRAME_READER_LEFT);
    shmframe_session_close(other);
    dispatch_until_quiet();
}
END_TEST

/* Rings that this process has mapped to read. */
static unsigned count_rings_read(void) {
    FILE *maps = fopen("/proc/self/maps", "re");
    ck_assert_ptr_nonnull(maps);
    char line[512];
    unsigned count = 0;
    while (fgets(line, sizeof(line), maps))
        count += strstr(line, "memfd:shmframe-ring") && strstr(line, " r--s ");
    fclose(maps);
    return count;
}

START_TEST(a_former_ring_goes_once_its_lease_is_over) {
    const struct shmframe_reader_params params = {
        .stream = "s", .policy = SHMFRAME_IN_ORDER, .leases = 2};
    writer = world_open_writer("s");
    ck_assert_int_eq(shmframe_reader_open(world.session, &params, &reader), 0);
    const int fd = arm();
    world_publish(writer, 1);
    struct shmframe_lease former, later;
    ck_assert_int_eq(await_answer(fd, &former), 0);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 4096), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    world_publish(writer, 2);
    ck_assert_int_eq(await_answer(fd, &later), 0);
    ck_assert_int_eq(shmframe_reader_release(reader, &later), 0);
    arm();
    ck_assert_uint_eq(count_rings_read(), 2);
    ck_assert_int_eq(shmframe_reader_release(reader, &former), 0);
    arm();
    ck_assert_uint_eq(count_rings_read(), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("poll");
    TCase *tests = tcase_create("poll");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_frame_makes_the_descriptor_readable);
    tcase_add_test(tests, a_wait_of_another_kind_leaves_the_descriptor_working);
    tcase_add_test(tests, each_of_many_frames_makes_the_descriptor_readable_again);
    tcase_add_test(tests, the_end_makes_the_descriptor_readable_and_is_told_once);
    tcase_add_test(tests, a_new_format_makes_the_descriptor_readable);
    tcase_add_test(tests, a_former_ring_goes_once_its_lease_is_over);
    tcase_add_test(tests, an_eviction_makes_the_descriptor_readable);
    tcase_add_test(tests, the_writers_death_makes_the_descriptor_readable);
    tcase_add_test(tests, the_next_writers_frame_makes_the_descriptor_readable);
    tcase_add_test(tests,
                   the_sessions_descriptor_is_readable_for_an_event_and_quiet_after_dispatch);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
