/* Policies: which frames a reader gets, and what is said of those it did not get. */
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static struct shmframe_reader *open_with(enum shmframe_policy policy, uint32_t depth,
                                         uint32_t leases) {
    const struct shmframe_reader_params params = {
        .stream = "s", .policy = policy, .depth = depth, .leases = leases};
    struct shmframe_reader *reader = NULL;
    const int code = shmframe_reader_open(world.session, &params, &reader);
    ck_assert_msg(code == 0, "no reader: %s", shmframe_last_error());
    return reader;
}

START_TEST(latest_takes_the_newest_and_counts_what_it_skips) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_with(SHMFRAME_LATEST, 0, 1);
    world_publish(writer, 1);
    ck_assert_uint_eq(world_take(reader, 1), 1);
    for (uint64_t i = 2; i <= 10; i++)
        world_publish(writer, i);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), 0);
    ck_assert_uint_eq(world_value(&lease), 10);
    ck_assert_uint_eq(lease.skipped, 8);
    ck_assert_uint_eq(lease.lost, 0);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.skipped, 8);
    ck_assert_uint_eq(counters.delivered, 2);
    ck_assert_uint_eq(counters.lost_late + counters.lost_restart, 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(in_order_loses_exactly_what_is_beyond_its_depth) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_with(SHMFRAME_IN_ORDER, 4, 1);
    world_publish(writer, 1);
    world_take(reader, 1);
    for (uint64_t i = 2; i <= 11; i++)
        world_publish(writer, i);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), 0);
    ck_assert_uint_eq(lease.frame.sequence, 8);
    ck_assert_uint_eq(lease.lost, 6);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    const struct shmframe_reader_event event = world_expect_event(reader, SHMFRAME_LOST);
    ck_assert_int_eq(event.cause, SHMFRAME_LOST_LATE);
    ck_assert_uint_eq(event.first, 2);
    ck_assert_uint_eq(event.count, 6);
    for (uint64_t i = 9; i <= 11; i++)
        ck_assert_uint_eq(world_take(reader, i), i);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.lost_late, 6);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(in_order_begins_when_it_was_opened) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *first = open_with(SHMFRAME_IN_ORDER, 8, 1);
    for (uint64_t i = 1; i <= 5; i++)
        world_publish(writer, i);
    struct shmframe_reader *second = open_with(SHMFRAME_IN_ORDER, 4, 1);
    for (uint64_t i = 6; i <= 7; i++)
        world_publish(writer, i);
    for (uint64_t i = 1; i <= 7; i++)
        ck_assert_uint_eq(world_take(first, i), i);
    for (uint64_t i = 5; i <= 7; i++) /* the newest that there was, and what followed */
        ck_assert_uint_eq(world_take(second, i), i);
    shmframe_reader_close(first);
    shmframe_reader_close(second);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(what_in_order_loses_before_its_first_frame_is_counted) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_with(SHMFRAME_IN_ORDER, 2, 1);
    for (uint64_t i = 1; i <= 7; i++)
        world_publish(writer, i);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), 0);
    ck_assert_uint_eq(lease.frame.sequence, 6);
    ck_assert_uint_eq(lease.lost, 5);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease), 0);
    const struct shmframe_reader_event event = world_expect_event(reader, SHMFRAME_LOST);
    ck_assert_uint_eq(event.first, 1);
    ck_assert_uint_eq(event.count, 5);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_lossless_reader_makes_the_writer_wait_until_its_deadline) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_with(SHMFRAME_LOSSLESS, 2, 1);
    world_publish(writer, 1);
    world_publish(writer, 2);
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), -EAGAIN);
    ck_assert_int_eq(shmframe_writer_loan(writer, shmframe_deadline_ns(1000000), &loan),
                     -ETIMEDOUT);
    world_take(reader, 1);
    world_publish(writer, 3);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    ck_assert_uint_eq(counters.loans_refused, 2);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

enum { FRAMES = 2000, READERS = 3 };

static void *take_all(void *user) {
    for (uint64_t i = 1; i <= FRAMES; i++)
        if (world_take(user, i) != i)
            return user;
    return NULL;
}

START_TEST(several_lossless_readers_get_every_frame) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader[READERS];
    pthread_t thread[READERS];
    for (unsigned i = 0; i < READERS; i++)
        reader[i] = open_with(SHMFRAME_LOSSLESS, 1 + i, 1);
    for (unsigned i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, take_all, reader[i]), 0);
    for (uint64_t i = 1; i <= FRAMES; i++)
        ck_assert_uint_eq(world_publish(writer, i), i);
    for (unsigned i = 0; i < READERS; i++) {
        void *bad;
        pthread_join(thread[i], &bad);
        ck_assert_ptr_null(bad);
        shmframe_reader_close(reader[i]);
    }
    shmframe_writer_close(writer);
}
END_TEST

static void read_nothing(void) {
    world.session = world_open_session();
    world_open_reader("s", SHMFRAME_LOSSLESS);
    world_tell();
    for (;;)
        world_expect_readable(-1);
}

START_TEST(the_writer_goes_on_when_its_lossless_reader_dies) {
    struct shmframe_writer *writer = world_open_writer("s");
    const pid_t pid = world_fork(read_nothing);
    world_await();
    struct shmframe_loan loan;
    uint64_t published = 0;
    while (shmframe_writer_loan(writer, SHMFRAME_NOW, &loan) == 0) {
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        ck_assert_uint_le(++published, 4);
    }
    world_kill(pid);
    for (unsigned i = 0; i < 20; i++)
        world_publish(writer, i);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_reader_holds_as_many_leases_as_it_asked_for) {
    const uint32_t leases = (uint32_t)_i;
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_with(SHMFRAME_IN_ORDER, 8, leases);
    struct shmframe_lease lease[SHMFRAME_LEASES_MAX + 1];
    /* Who joins a stream that runs begins with its newest frame. */
    world_publish(writer, 1);
    world_take(reader, 1);
    for (uint64_t i = 2; i <= leases + 2; i++)
        world_publish(writer, i);
    for (uint32_t i = 0; i < leases; i++)
        ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease[i]), 0);
    expect_error(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease[leases]), -EBUSY, "'s'");
    /* However much follows, what is on lease stays as it is. */
    for (uint64_t i = 0; i < 50; i++)
        world_publish(writer, 100 + i);
    for (uint32_t i = 0; i < leases; i++) {
        ck_assert_uint_eq(world_value(&lease[i]), lease[i].frame.sequence);
        ck_assert_int_eq(shmframe_reader_release(reader, &lease[i]), 0);
        ck_assert_int_eq(shmframe_reader_release(reader, &lease[i]), -EINVAL);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(batches_go_both_ways) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.loans = 4;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_reader *reader = open_with(SHMFRAME_IN_ORDER, 8, 6);
    world_publish(writer, 1);
    world_take(reader, 1);
    struct shmframe_loan loan[5];
    for (uint64_t i = 0; i < 4; i++) {
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[i]), 0);
        const uint64_t value = 10 + i;
        memcpy(loan[i].data, &value, sizeof(value));
    }
    expect_error(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan[4]), -EBUSY, "'s'");
    ck_assert_int_eq(shmframe_writer_publish_batch(writer, loan, 4), 0);
    expect_error(shmframe_writer_publish(writer, &loan[0]), -EINVAL, "'s'");
    struct shmframe_lease lease[6];
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 6), 4);
    for (uint64_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(lease[i].frame.sequence, i + 2);
        ck_assert_uint_eq(world_value(&lease[i]), 10 + i);
        ck_assert_int_eq(shmframe_reader_release(reader, &lease[i]), 0);
    }
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 6), -EAGAIN);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(an_abandoned_loan_leaves_no_gap) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_loan loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
    ck_assert_int_eq(shmframe_writer_abandon(writer, &loan), 0);
    expect_error(shmframe_writer_abandon(writer, &loan), -EINVAL, "'s'");
    ck_assert_uint_eq(world_publish(writer, 1), 1);
    struct shmframe_writer_counters counters;
    shmframe_writer_counters(writer, &counters);
    ck_assert_uint_eq(counters.abandoned, 1);
    ck_assert_uint_eq(counters.published, 1);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_pinned_slot_is_not_lent_until_the_last_unpin) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.loans = 2;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_loan pinned, loan;
    ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &pinned), 0);
    ck_assert_int_eq(shmframe_writer_pin(writer, &pinned), 0);
    ck_assert_int_eq(shmframe_writer_pin(writer, &pinned), 0);
    ck_assert_int_eq(shmframe_writer_publish(writer, &pinned), 0);
    for (unsigned i = 0; i < 300; i++) {
        ck_assert_int_eq(shmframe_writer_loan(writer, SHMFRAME_NOW, &loan), 0);
        ck_assert_uint_ne(loan.slot, pinned.slot);
        ck_assert_int_eq(shmframe_writer_publish(writer, &loan), 0);
        if (i == 150)
            ck_assert_int_eq(shmframe_writer_unpin(writer, pinned.ring, pinned.slot), 0);
    }
    ck_assert_int_eq(shmframe_writer_unpin(writer, pinned.ring, pinned.slot), 0);
    expect_error(shmframe_writer_unpin(writer, pinned.ring, pinned.slot), -EINVAL, "'s'");
    shmframe_writer_close(writer);
}
END_TEST

enum { THREADS = 4, A_THREAD = 2000 };

static void *publish_some(void *user) {
    for (uint64_t i = 0; i < A_THREAD; i++)
        world_publish(user, i);
    return NULL;
}

START_TEST(threads_of_a_threaded_writer_lose_no_frame) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.loans = THREADS;
    params.flags = SHMFRAME_WRITER_THREADED;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_reader *reader = open_with(SHMFRAME_LOSSLESS, 4, 1);
    pthread_t thread[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, publish_some, writer), 0);
    for (uint64_t i = 1; i <= THREADS * A_THREAD; i++)
        world_take(reader, i);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(the_smallest_ring_that_opens_has_room_for_a_reader) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.history = 3;
    struct shmframe_writer *writer;
    int code = -ENOSPC;
    for (params.ring_bytes = 4096; code == -ENOSPC; params.ring_bytes += 4096)
        code = shmframe_writer_open(world.session, &params, &writer);
    ck_assert_int_eq(code, 0);
    struct shmframe_reader *reader = open_with(SHMFRAME_LATEST, 0, 1);
    for (uint64_t i = 1; i <= 20; i++) {
        world_publish(writer, i);
        world_take(reader, i);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

static _Atomic unsigned lent;
static _Atomic bool is_full;

static void *lend_once(void *user) {
    struct shmframe_loan loan;
    const int code = shmframe_writer_loan(user, world_deadline(), &loan);
    if (code == 0)
        lent++;
    is_full = is_full || code == -EBUSY;
    return NULL;
}

START_TEST(threads_that_waited_for_a_reader_stay_within_the_loans) {
    enum { WAITERS = 4 };
    struct shmframe_writer_params params = world_writer_params("s");
    params.flags = SHMFRAME_WRITER_THREADED;
    struct shmframe_writer *writer;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    struct shmframe_reader *reader = open_with(SHMFRAME_LOSSLESS, 1, 1);
    world_publish(writer, 1);
    pthread_t thread[WAITERS];
    for (unsigned i = 0; i < WAITERS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, lend_once, writer), 0);
    world_take(reader, 1);
    for (unsigned i = 0; i < WAITERS; i++)
        pthread_join(thread[i], NULL);
    ck_assert_uint_eq(lent, 1);
    ck_assert(is_full);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_refusal_that_comes_while_acquire_waits_is_told) {
    struct shmframe_writer *writer = world_open_writer("s");
    struct shmframe_reader *reader = open_with(SHMFRAME_LOSSLESS, 1, 1);
    world_publish(writer, 1);
    world_take(reader, 1);
    shmframe_writer_close(writer);
    struct shmframe_lease lease;
    ck_assert_int_eq(shmframe_reader_acquire(reader, world_deadline(), &lease), -ENODATA);
    struct shmframe_writer_params params = world_writer_params("s");
    params.flags = SHMFRAME_WRITER_LIVE;
    ck_assert_int_eq(shmframe_writer_open(world.session, &params, &writer), 0);
    expect_error(shmframe_reader_acquire(reader, world_deadline(), &lease), -ENOTSUP, "'s'");
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("policy");
    TCase *tests = tcase_create("policy");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, latest_takes_the_newest_and_counts_what_it_skips);
    tcase_add_test(tests, in_order_loses_exactly_what_is_beyond_its_depth);
    tcase_add_test(tests, in_order_begins_when_it_was_opened);
    tcase_add_test(tests, what_in_order_loses_before_its_first_frame_is_counted);
    tcase_add_test(tests, a_lossless_reader_makes_the_writer_wait_until_its_deadline);
    tcase_add_test(tests, several_lossless_readers_get_every_frame);
    tcase_add_test(tests, the_writer_goes_on_when_its_lossless_reader_dies);
    tcase_add_loop_test(tests, a_reader_holds_as_many_leases_as_it_asked_for, 1,
                        SHMFRAME_LEASES_MAX + 1);
    tcase_add_test(tests, batches_go_both_ways);
    tcase_add_test(tests, an_abandoned_loan_leaves_no_gap);
    tcase_add_test(tests, a_pinned_slot_is_not_lent_until_the_last_unpin);
    tcase_add_test(tests, threads_of_a_threaded_writer_lose_no_frame);
    tcase_add_test(tests, the_smallest_ring_that_opens_has_room_for_a_reader);
    tcase_add_test(tests, threads_that_waited_for_a_reader_stay_within_the_loans);
    tcase_add_test(tests, a_refusal_that_comes_while_acquire_waits_is_told);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
