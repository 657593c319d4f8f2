/* A slot that was never used, and gets no memory. Linked so that what the writer takes memory for
 * goes through here. */
#include "world.h"

#include "region.h"

#include <errno.h>

static bool is_memory_short; /* for who writes */

int __real_region_populate(const struct region *region, uint64_t offset, uint64_t bytes,
                           bool is_writable);
int __wrap_region_populate(const struct region *region, uint64_t offset, uint64_t bytes,
                           bool is_writable);

int __wrap_region_populate(const struct region *region, uint64_t offset, uint64_t bytes,
                           bool is_writable) {
    return is_writable && is_memory_short
               ? -ENOMEM
               : __real_region_populate(region, offset, bytes, is_writable);
}

/* A history that has grown needs more slots than there are with memory. */
START_TEST(a_loan_without_memory_is_refused_and_the_next_one_is_as_if_it_had_not_been) {
    enum { LOANS = 2, SLOTS_MAX = 256 };
    struct shmframe_writer_params params = world_writer_params("s");
    params.loans = LOANS;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    is_memory_short = true;
    const struct shmframe_reader_params reader_params = {
        .stream = "s", .policy = SHMFRAME_IN_ORDER, .depth = 64};
    struct shmframe_reader *reader;
    ck_assert_int_eq(shmframe_reader_open(world.session, &reader_params, &reader), 0);
    ck_assert_int_eq(shmframe_writer_wait_readers(writer, 1, world_deadline()), 0);
    struct shmframe_loan loan[LOANS];
    uint64_t published = 0;
    while (shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[0]) == 0) {
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan[0]), 0);
        ck_assert_uint_lt(++published, 64);
    }
    /* None of the refusals keeps a slot. */
    for (unsigned i = 0; i < SLOTS_MAX; i++)
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[0]), -ENOMEM);
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, LOANS), -ENOMEM);
    ck_assert_uint_eq(published, counters.slots_used);
    is_memory_short = false;
    for (unsigned i = 0; i < LOANS; i++)
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[i]), 0);
    ck_assert_int_eq(shmframe_writer_publish_batch(writer, loan, LOANS), 0);
    for (uint64_t i = 1; i <= published + LOANS; i++)
        world_take(reader, i);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("cold");
    TCase *tests = tcase_create("cold");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests,
                   a_loan_without_memory_is_refused_and_the_next_one_is_as_if_it_had_not_been);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
