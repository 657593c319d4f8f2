/* Following a stream: changes of format, ends, new writers. */
#include "world.h"

#include <errno.h>
#include <string.h>

START_TEST(loans_of_the_old_ring_are_published_until_the_new_one_begins) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.loans = 2;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    struct shmframe_loan first, second;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &first), 0);
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &second), 0);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "other", 64), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &first), 0);
    world_take(reader, 1);
    world_publish(writer, 2);
    expect_error(shmframe_writer_publish(writer, &second), -ESTALE, "'s'");
    world_take(reader, 2);
    world_expect_event(reader, SHMFRAME_FORMAT);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_reader_hears_of_the_end_once_and_follows_the_next_writer) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = world_open_reader("s", SHMFRAME_IN_ORDER);
    world_publish(writer, 1);
    shmframe_writer_close(writer);
    world_take(reader, 1);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), -ENODATA);
    writer = world_open_writer("s");
    ck_assert_uint_eq(world_publish(writer, 22), 2);
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), 0);
    ck_assert_uint_eq(world_value(&lease), 22);
    ck_assert_uint_eq(lease.lost, 0);
    ck_assert(lease.flags & SHMFRAME_LEASE_RESTARTED);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    world_expect_event(reader, SHMFRAME_ENDED);
    world_expect_event(reader, SHMFRAME_RESTARTED);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("follow");
    TCase *tests = tcase_create("follow");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, loans_of_the_old_ring_are_published_until_the_new_one_begins);
    tcase_add_test(tests, a_reader_hears_of_the_end_once_and_follows_the_next_writer);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
