/* Batches: several frames in one call. Each is delivered, stamped and counted as by single calls.
 */
#include "world.h"

#include <errno.h>
#include <string.h>

enum { LOANS = 6 };

static uint8_t *ring_base; /* of the newest ring */

static int note_base(void *user, int ring_fd, const struct shmframe_ring_map *map) {
    (void)user;
    (void)ring_fd;
    ring_base = map->base;
    return 0;
}

static struct shmframe_writer *open_writer(uint32_t loans) {
    struct shmframe_writer_params params = world_writer_params("s");
    params.loans = loans;
    params.before_seal = note_base;
    struct shmframe_writer *writer = NULL;
    const int code = shmframe_writer_open(world.session, &params, &writer);
    ck_assert_msg(code == 0, "no writer: %s", shmframe_last_error());
    return writer;
}

/* Of a reader that has taken frame 1. */
static struct shmframe_reader *open_reader(struct shmframe_writer *writer,
                                           enum shmframe_policy policy, uint32_t depth,
                                           uint32_t leases) {
    const struct shmframe_reader_params params = {
        .stream = "s", .policy = policy, .depth = depth, .leases = leases};
    struct shmframe_reader *reader = NULL;
    const int code = shmframe_reader_open(world.session, &params, &reader);
    ck_assert_msg(code == 0, "no reader: %s", shmframe_last_error());
    world_publish(writer, 1);
    world_take(reader, 1);
    return reader;
}

/* The value of each frame is its sequence. */
static void publish(struct shmframe_writer *writer, uint64_t first, uint32_t count) {
    struct shmframe_loan loan[LOANS];
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, count), (int)count);
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t value = first + i;
        memcpy(loan[i].data, &value, sizeof(value));
    }
    ck_assert_int_eq(shmframe_writer_publish_batch(writer, loan, count), 0);
    for (uint64_t i = 0; i < count; i++)
        ck_assert_uint_eq(loan[i].frame.sequence, first + i);
}

static void expect_frames(const struct shmframe_lease *lease, uint64_t first, uint32_t count) {
    for (uint64_t i = 0; i < count; i++) {
        ck_assert_uint_eq(lease[i].frame.sequence, first + i);
        ck_assert_uint_eq(world_value(&lease[i]), first + i);
    }
}

/* Everyone's slots come by and by. */
static void warm_up(struct shmframe_writer *writer, uint32_t count) {
    struct shmframe_loan loan[LOANS];
    for (;;) {
        const int lent = shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, count);
        ck_assert_int_gt(lent, 0);
        for (int i = 0; i < lent; i++)
            ck_assert_int_eq(shmframe_writer_abandon(writer, &loan[i]), 0);
        if (lent == (int)count)
            return;
    }
}

/* ---- what there is ---- */

START_TEST(a_batch_has_one_instant_of_each_kind_and_statistics_for_each_frame) {
    struct shmframe_writer *writer = open_writer(4);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 8, 4);
    struct shmframe_loan loan[4];
    warm_up(writer, 4);
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, 4), 4);
    for (uint64_t i = 0; i < 4; i++) {
        const uint64_t value = i + 2;
        memcpy(loan[i].data, &value, sizeof(value));
        loan[i].frame.pts = (int64_t)i;
        loan[i].frame.device_dropped = (uint32_t)i;
        for (unsigned j = 0; j < i; j++)
            ck_assert_ptr_ne(loan[j].data, loan[i].data);
    }
    ck_assert_int_eq(shmframe_writer_publish_batch(writer, loan, 4), 0);
    struct shmframe_lease lease[4];
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 4), 4);
    expect_frames(lease, 2, 4);
    for (int i = 0; i < 4; i++) {
        const struct shmframe_frame *frame = &lease[i].frame;
        ck_assert_int_eq(frame->loan_ns, lease[0].frame.loan_ns);
        ck_assert_int_eq(frame->publish_ns, lease[0].frame.publish_ns);
        ck_assert_int_eq(lease[i].acquire_ns, lease[0].acquire_ns);
        ck_assert_int_eq(frame->pts, i);
        ck_assert_uint_eq(lease[i].lost + lease[i].skipped + lease[i].flags, 0);
    }
    ck_assert_int_eq(shmframe_reader_release_batch(reader, lease, 4), 0);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.delivered, 5);
    ck_assert_uint_eq(counters.device_dropped, 0 + 1 + 2 + 3);
    static const enum shmframe_hop hops[] = {SHMFRAME_HOP_PRODUCE, SHMFRAME_HOP_TRANSIT,
                                             SHMFRAME_HOP_AGE, SHMFRAME_HOP_HOLD};
    for (unsigned i = 0; i < 4; i++) {
        struct shmframe_histogram histogram;
        ck_assert_int_eq(shmframe_reader_histogram(reader, hops[i], &histogram), 0);
        ck_assert_msg(histogram.count == 5, "%s: %llu", shmframe_hop_name(hops[i]),
                      (unsigned long long)histogram.count);
    }
    struct shmframe_flight flight[5];
    ck_assert_int_eq(shmframe_reader_flights(reader, flight, 5), 5);
    for (uint64_t i = 1; i < 5; i++) {
        ck_assert_uint_eq(flight[i].sequence, i + 1);
        ck_assert_int_eq(flight[i].acquire_ns, lease[0].acquire_ns);
        ck_assert_int_ge(flight[i].release_ns, lease[0].acquire_ns);
        ck_assert_int_eq(flight[i].release_ns, flight[1].release_ns);
    }
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_batch_is_as_long_as_there_are_slots_frames_and_leases) {
    struct shmframe_writer *writer = open_writer(4);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 8, 3);
    struct shmframe_loan loan[LOANS];
    struct shmframe_lease lease[LOANS];
    warm_up(writer, 4);
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, LOANS), 4);
    expect_error(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, &loan[4], 2), -EBUSY, "'s'");
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(shmframe_writer_abandon(writer, &loan[i]), 0);
    publish(writer, 2, 4);
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 2), 2);
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, &lease[2], 4), 1);
    expect_frames(lease, 2, 3);
    expect_error(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, &lease[3], 3), -EBUSY, "'s'");
    ck_assert_int_eq(shmframe_reader_release_batch(reader, &lease[1], 2), 0);
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, &lease[1], UINT32_MAX), 1);
    ck_assert_uint_eq(lease[1].frame.sequence, 5);
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, &lease[2], 3), -EAGAIN);
    ck_assert_uint_eq(world_value(&lease[0]), 2);
    ck_assert_int_eq(shmframe_reader_release_batch(reader, lease, 2), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_batch_of_none_is_refused) {
    struct shmframe_writer *writer = open_writer(2);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 4, 2);
    struct shmframe_loan loan;
    struct shmframe_lease lease;
    expect_error(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, &loan, 0), -EINVAL, "no loans");
    expect_error(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, &lease, 0), -EINVAL,
                 "no frames");
    ck_assert_int_eq(shmframe_writer_publish_batch(writer, &loan, 0), 0);
    ck_assert_int_eq(shmframe_reader_release_batch(reader, &lease, 0), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_latest_reader_gets_the_newest_of_a_batch) {
    struct shmframe_writer *writer = open_writer(4);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_LATEST, 0, 3);
    warm_up(writer, 4);
    publish(writer, 2, 4);
    struct shmframe_lease lease[3];
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 3), 1);
    ck_assert_uint_eq(world_value(&lease[0]), 5);
    ck_assert_uint_eq(lease[0].skipped, 3);
    ck_assert_int_eq(shmframe_reader_release_batch(reader, lease, 1), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(what_is_lost_before_a_batch_is_told_with_its_first) {
    struct shmframe_writer *writer = open_writer(2);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 4, 6);
    for (uint64_t i = 2; i <= 11; i++)
        world_publish(writer, i);
    struct shmframe_lease lease[6];
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 6), 4);
    expect_frames(lease, 8, 4);
    ck_assert_uint_eq(lease[0].lost, 6);
    ck_assert_uint_eq(lease[1].lost + lease[2].lost + lease[3].lost, 0);
    const struct shmframe_reader_event event = world_expect_event(reader, SHMFRAME_LOST);
    ck_assert_uint_eq(event.first, 2);
    ck_assert_uint_eq(event.count, 6);
    ck_assert_int_eq(shmframe_reader_release_batch(reader, lease, 4), 0);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.lost_late, 6);
    ck_assert_uint_eq(counters.delivered, 5);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_batch_is_of_one_ring) {
    struct shmframe_writer *writer = open_writer(2);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 4, 6);
    world_publish(writer, 2);
    world_publish(writer, 3);
    struct shmframe_format format;
    ck_assert_int_eq(shmframe_format_data(&format, "test", 4096), 0);
    ck_assert_int_eq(shmframe_writer_set_format(writer, &format, world_deadline()), 0);
    world_publish(writer, 4);
    world_publish(writer, 5);
    struct shmframe_lease lease[6];
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 6), 2);
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, &lease[2], 4), 2);
    expect_frames(lease, 2, 4);
    ck_assert_uint_lt(lease[1].format->slot_bytes, lease[2].format->slot_bytes);
    ck_assert_uint_eq(lease[2].flags, SHMFRAME_LEASE_NEW_FORMAT);
    ck_assert_uint_eq(lease[3].flags, 0);
    /* Leases of both rings at once. */
    ck_assert_int_eq(shmframe_reader_release_batch(reader, lease, 4), 0);
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, world_deadline(), lease, 6), -ENODATA);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* ---- errors ---- */

START_TEST(a_lossless_reader_keeps_a_batch_waiting) {
    struct shmframe_writer *writer = open_writer(2);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_LOSSLESS, 2, 2);
    struct shmframe_loan loan[2];
    struct shmframe_lease lease[2];
    warm_up(writer, 2);
    publish(writer, 2, 2);
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, 2), -EAGAIN);
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, shmframe_now_ns() + 1000000, loan, 2),
                     -ETIMEDOUT);
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 2), 2);
    expect_frames(lease, 2, 2);
    ck_assert_int_eq(shmframe_reader_release_batch(reader, lease, 2), 0);
    publish(writer, 4, 2);
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 2), 2);
    expect_frames(lease, 4, 2);
    ck_assert_int_eq(shmframe_reader_release_batch(reader, lease, 2), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(an_ended_stream_lends_no_batch) {
    struct shmframe_writer *writer = open_writer(2);
    struct shmframe_loan loan[2];
    ck_assert_int_eq(shmframe_writer_end(writer), 0);
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, 2), -ENODATA);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(a_batch_with_what_is_no_loan_publishes_nothing) {
    struct shmframe_writer *writer = open_writer(2);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 4, 1);
    struct shmframe_loan loan[3];
    struct shmframe_lease lease;
    warm_up(writer, 2);
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, 2), 2);
    loan[2] = loan[0];
    expect_error(shmframe_writer_publish_batch(writer, loan, 3), -EINVAL, "'s'");
    ck_assert_int_eq(shmframe_reader_acquire(reader, SHMFRAME_NOW, &lease), -EAGAIN);
    ck_assert_int_eq(shmframe_writer_publish_batch(writer, loan, 2), 0);
    expect_error(shmframe_writer_publish_batch(writer, loan, 2), -EINVAL, "'s'");
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(what_is_no_lease_does_not_keep_the_others_from_ending) {
    struct shmframe_writer *writer = open_writer(2);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 8, 3);
    for (uint64_t i = 2; i <= 7; i++)
        world_publish(writer, i);
    struct shmframe_lease lease[3];
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 3), 3);
    ck_assert_int_eq(shmframe_reader_release(reader, &lease[1]), 0);
    expect_error(shmframe_reader_release_batch(reader, lease, 3), -EINVAL, "lease");
    expect_error(shmframe_reader_release_batch(reader, lease, 3), -EINVAL, "lease");
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 3), 3);
    expect_frames(lease, 5, 3);
    /* Nor does what is there twice: the second time it is over. */
    struct shmframe_lease twice[] = {lease[0], lease[1], lease[0], lease[2]};
    expect_error(shmframe_reader_release_batch(reader, twice, 4), -EINVAL, "lease");
    for (unsigned i = 0; i < 4; i++)
        ck_assert_ptr_null(twice[i].link);
    struct shmframe_histogram hold;
    ck_assert_int_eq(shmframe_reader_histogram(reader, SHMFRAME_HOP_HOLD, &hold), 0);
    ck_assert_uint_eq(hold.count, 7);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.stale, 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* Two leases of a reader that is evicted then. Returns which of them was overwritten. */
static unsigned overwrite_one(struct shmframe_writer *writer, struct shmframe_reader *reader,
                              struct shmframe_lease *lease) {
    world_publish(writer, 2);
    world_publish(writer, 3);
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 2), 2);
    struct shmframe_reader_info info;
    ck_assert_int_eq(shmframe_session_readers(world.session, "s", world_deadline(), &info, 1), 1);
    ck_assert_int_eq(shmframe_session_evict(world.session, "s", info.number, world_deadline()), 0);
    /* Its slots are the writer's again, which takes the lower one. */
    for (uint64_t i = 4; i <= 12; i++)
        world_publish(writer, i);
    const bool is_second = world_value(&lease[1]) != 3;
    ck_assert(is_second != (world_value(&lease[0]) != 2));
    return is_second;
}

START_TEST(what_is_no_lease_is_told_before_what_was_overwritten) {
    struct shmframe_writer *writer = open_writer(2);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 4, 2);
    struct shmframe_lease lease[2];
    const unsigned torn = overwrite_one(writer, reader, lease);
    struct shmframe_lease mixed[] = {lease[!torn], lease[!torn], lease[torn]};
    expect_error(shmframe_reader_release_batch(reader, mixed, 3), -EINVAL, "is not on lease");
    ck_assert_uint_eq(mixed[0].flags, 0);
    ck_assert_uint_eq(mixed[2].flags, SHMFRAME_LEASE_STALE);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

START_TEST(each_frame_that_an_evicted_reader_may_have_read_torn_says_so) {
    struct shmframe_writer *writer = open_writer(2);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 4, 2);
    struct shmframe_lease lease[2];
    const unsigned torn = overwrite_one(writer, reader, lease);
    expect_error(shmframe_reader_release_batch(reader, lease, 2), -ESTALE, "overwritten");
    ck_assert_uint_eq(lease[torn].flags, SHMFRAME_LEASE_STALE);
    ck_assert_uint_eq(lease[!torn].flags, 0);
    struct shmframe_reader_counters counters;
    shmframe_reader_counters(reader, &counters);
    ck_assert_uint_eq(counters.stale, 1);
    expect_error(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 2), -ESTALE, "'s'");
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

/* Where the stamps of a frame say how many bytes it has: docs/memory-layout.md. */
static void write_bytes(uint32_t slot, uint32_t bytes) {
    memcpy(ring_base + 8192 + 320 * slot + 48, &bytes, sizeof(bytes));
}

START_TEST(a_frame_that_breaks_the_layout_ends_a_batch_and_is_the_next_calls_error) {
    struct shmframe_writer *writer = open_writer(4);
    struct shmframe_reader *reader = open_reader(writer, SHMFRAME_IN_ORDER, 8, 4);
    struct shmframe_loan loan[4];
    struct shmframe_lease lease[4];
    warm_up(writer, 4);
    ck_assert_int_eq(shmframe_writer_loan_batch(writer, SHMFRAME_NOW, loan, 4), 4);
    for (uint64_t i = 0; i < 4; i++) {
        const uint64_t value = i + 2;
        memcpy(loan[i].data, &value, sizeof(value));
    }
    ck_assert_int_eq(shmframe_writer_publish_batch(writer, loan, 4), 0);
    write_bytes(loan[2].slot, 9); /* of 8 */
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 4), 2);
    expect_frames(lease, 2, 2);
    ck_assert_int_eq(shmframe_reader_release_batch(reader, lease, 2), 0);
    expect_error(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 4), -EPROTO, "frame 4");
    ck_assert_int_eq(shmframe_reader_acquire_batch(reader, SHMFRAME_NOW, lease, 4), 1);
    expect_frames(lease, 5, 1);
    ck_assert_uint_eq(lease[0].lost, 0);
    ck_assert_int_eq(shmframe_reader_release_batch(reader, lease, 1), 0);
    shmframe_reader_close(reader);
    shmframe_writer_close(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("batch");
    TCase *tests = tcase_create("batch");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, world_begin, world_end);
    tcase_add_test(tests, a_batch_has_one_instant_of_each_kind_and_statistics_for_each_frame);
    tcase_add_test(tests, a_batch_is_as_long_as_there_are_slots_frames_and_leases);
    tcase_add_test(tests, a_batch_of_none_is_refused);
    tcase_add_test(tests, a_latest_reader_gets_the_newest_of_a_batch);
    tcase_add_test(tests, what_is_lost_before_a_batch_is_told_with_its_first);
    tcase_add_test(tests, a_batch_is_of_one_ring);
    tcase_add_test(tests, a_lossless_reader_keeps_a_batch_waiting);
    tcase_add_test(tests, an_ended_stream_lends_no_batch);
    tcase_add_test(tests, a_batch_with_what_is_no_loan_publishes_nothing);
    tcase_add_test(tests, what_is_no_lease_does_not_keep_the_others_from_ending);
    tcase_add_test(tests, what_is_no_lease_is_told_before_what_was_overwritten);
    tcase_add_test(tests, each_frame_that_an_evicted_reader_may_have_read_torn_says_so);
    tcase_add_test(tests, a_frame_that_breaks_the_layout_ends_a_batch_and_is_the_next_calls_error);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
