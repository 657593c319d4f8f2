/* The ring, as its readers see it: what they are given, and what they hold. */
#include "ring.h"

#include "rig.h"
#include "suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const struct rig_want LATEST = {0};

static bool has_room(const struct ring_reader *reader) {
    bool is_so = false;
    for (uint32_t cell = 0; cell < reader->leases; cell++)
        is_so |= atomic_load_explicit(&reader->held[cell], memory_order_relaxed) == 0;
    return is_so;
}

/* ---- delivery ---- */

START_TEST(I3_latest_takes_the_newest_and_counts_what_it_passed) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_frame frame;
    ck_assert_int_eq(rig_take(rig, link, &frame), -EAGAIN);
    rig_publish_many(rig, 3);
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    ck_assert_uint_eq(frame.sequence, 3); /* what was before it came is not lost to it */
    ck_assert_uint_eq(frame.passed, 0);
    ck_assert_int_eq(rig_give_back(link, &frame), 0);
    ck_assert_int_eq(rig_take(rig, link, &frame), -EAGAIN); /* never twice */
    rig_publish_many(rig, 5);
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    ck_assert_uint_eq(frame.sequence, 8);
    ck_assert_uint_eq(frame.passed, 4);
    ck_assert_int_eq(rig_give_back(link, &frame), 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(I3_in_order_gets_every_frame_up_to_its_depth) {
    enum { DEPTH = 5 };
    struct rig *rig = rig_create(16, 1, 0);
    struct rig_link *link =
        rig_join(rig, (struct rig_want){.depth = DEPTH, .begin = RING_BEGIN_FIRST});
    for (int64_t next = 1; next < 100; next += DEPTH) {
        rig_publish_many(rig, DEPTH);
        for (int64_t i = 0; i < DEPTH; i++)
            ck_assert_int_eq(rig_read(rig, link), next + i);
        ck_assert_int_eq(rig_read(rig, link), -EAGAIN);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(I3_in_order_counts_exactly_what_it_lost) {
    enum { DEPTH = 5 };
    struct rig *rig = rig_create(16, 1, 0);
    struct rig_link *link =
        rig_join(rig, (struct rig_want){.depth = DEPTH, .begin = RING_BEGIN_FIRST});
    uint64_t delivered = 0, passed = 0, last = 0;
    srandom(1);
    for (unsigned round = 0; round < 1000; round++) {
        const unsigned burst = 1 + (unsigned)random() % 12, reads = (unsigned)random() % 12;
        rig_publish_many(rig, burst);
        struct ring_frame frame;
        for (unsigned i = 0; i < reads && rig_take(rig, link, &frame) == 0; i++) {
            const uint64_t oldest =
                rig->sequence < DEPTH ? 1 : rig->sequence - DEPTH + 1; /* that is kept */
            ck_assert_uint_eq(frame.sequence, oldest > last + 1 ? oldest : last + 1);
            ck_assert_uint_eq(frame.passed, frame.sequence - last - 1);
            last = frame.sequence;
            passed += frame.passed;
            delivered++;
            ck_assert_int_eq(rig_give_back(link, &frame), 0);
        }
    }
    ck_assert_uint_eq(delivered + passed, last);
    ck_assert_uint_gt(passed, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_reader_begins_where_it_was_told_to) {
    struct rig *rig = rig_create(16, 4, 0);
    rig_publish_many(rig, 3);
    struct rig_link *newest = rig_join(rig, (struct rig_want){.depth = 4});
    struct rig_link *first =
        rig_join(rig, (struct rig_want){.depth = 4, .begin = RING_BEGIN_FIRST});
    struct rig_link *latest = rig_join(rig, (struct rig_want){.begin = RING_BEGIN_FIRST});
    ck_assert_int_eq(rig_read(rig, newest), 3);
    ck_assert_int_eq(rig_read(rig, first), 1);
    struct ring_frame frame;
    ck_assert_int_eq(rig_take(rig, latest, &frame), 0);
    ck_assert_uint_eq(frame.sequence, 3);
    ck_assert_uint_eq(frame.passed, 2);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_reader_holds_as_many_leases_as_it_was_granted) {
    for (uint32_t leases = 1; leases <= SHMFRAME_LEASES_MAX; leases++) {
        struct rig *rig = rig_create(2 + 8 + SHMFRAME_LEASES_MAX, 8, 0);
        struct rig_link *link = rig_join(
            rig, (struct rig_want){.leases = leases, .depth = 8, .begin = RING_BEGIN_FIRST});
        struct ring_frame held[SHMFRAME_LEASES_MAX], more;
        rig_publish_many(rig, 8);
        for (uint32_t i = 0; i < leases; i++) {
            ck_assert(has_room(&link->reader));
            ck_assert_int_eq(rig_take(rig, link, &held[i]), 0);
            ck_assert_uint_eq(held[i].sequence, i + 1);
        }
        ck_assert(!has_room(&link->reader));
        ck_assert_int_eq(rig_take(rig, link, &more), -EBUSY);
        const uint32_t middle = leases / 2;
        ck_assert_int_eq(rig_give_back(link, &held[middle]), 0);
        ck_assert_int_eq(rig_take(rig, link, &held[middle]), 0);
        ck_assert_uint_eq(held[middle].sequence, leases + 1);
        ck_assert(ring_reader_holds(&link->reader));
        for (uint32_t i = 0; i < leases; i++)
            ck_assert_int_eq(rig_give_back(link, &held[i]), 0);
        ck_assert(!ring_reader_holds(&link->reader));
        rig_destroy(rig);
    }
}
END_TEST

/* ---- batches ---- */

static struct rig_link *join_for_batches(struct rig *rig, uint32_t leases) {
    return rig_join(rig,
                    (struct rig_want){.leases = leases, .depth = 8, .begin = RING_BEGIN_FIRST});
}

static int take_batch(struct rig_link *link, struct ring_frame *frames, uint32_t count) {
    uint64_t retries = 0;
    return ring_acquire_batch(&link->reader, frames, count, &retries);
}

static void expect_frames(const struct rig *rig, const struct ring_frame *frames, uint64_t first,
                          uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(frames[i].sequence, first + i);
        ck_assert(rig_is_painted(rig->payload[frames[i].slot], first + i));
        for (uint32_t j = 0; j < i; j++)
            ck_assert_uint_ne(frames[j].cell, frames[i].cell);
    }
}

START_TEST(I3_a_batch_is_what_there_is_and_leases_allow) {
    struct rig *rig = rig_create(20, 8, 0);
    struct rig_link *link = join_for_batches(rig, 4);
    struct ring_frame frame[6];
    ck_assert_int_eq(take_batch(link, frame, 6), -EAGAIN);
    rig_publish_many(rig, 3);
    ck_assert_int_eq(take_batch(link, frame, 2), 2);
    expect_frames(rig, frame, 1, 2);
    ck_assert(!frame[0].is_newest && !frame[1].is_newest);
    ck_assert_int_eq(take_batch(link, &frame[2], 4), 1);
    expect_frames(rig, frame, 1, 3);
    ck_assert(frame[2].is_newest);
    rig_publish_many(rig, 4);
    ck_assert_int_eq(take_batch(link, &frame[3], 3), 1);
    expect_frames(rig, frame, 1, 4);
    ck_assert_int_eq(take_batch(link, &frame[4], 2), -EBUSY);
    for (unsigned i = 1; i < 3; i++)
        ck_assert_int_eq(rig_give_back(link, &frame[i]), 0);
    ck_assert_int_eq(take_batch(link, &frame[1], 6), 2);
    expect_frames(rig, &frame[1], 5, 2);
    rig_destroy(rig);
}
END_TEST

START_TEST(I3_what_was_lost_before_a_batch_is_counted_with_its_first) {
    struct rig *rig = rig_create(20, 8, 0);
    struct rig_link *link = join_for_batches(rig, 6);
    struct ring_frame frame[6];
    rig_publish_many(rig, 1);
    ck_assert_int_eq(rig_read(rig, link), 1);
    rig_publish_many(rig, 11);
    ck_assert_int_eq(take_batch(link, frame, 6), 6);
    expect_frames(rig, frame, 5, 6);
    ck_assert_uint_eq(frame[0].passed, 3);
    for (unsigned i = 1; i < 6; i++)
        ck_assert_uint_eq(frame[i].passed, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(I3_a_batch_for_who_wants_the_newest_is_that_one) {
    struct rig *rig = rig_create(20, 8, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.leases = 3});
    struct ring_frame frame[3];
    rig_publish_many(rig, 5);
    ck_assert_int_eq(take_batch(link, frame, 3), 1);
    expect_frames(rig, frame, 5, 1);
    rig_destroy(rig);
}
END_TEST

/* I2: as if the writer came round between two looks of the reader. */
START_TEST(I2_a_batch_ends_before_the_first_frame_that_is_not_there_any_more) {
    for (uint64_t gone = 1; gone <= 4; gone++) {
        struct rig *rig = rig_create(20, 8, 0);
        struct rig_link *link = join_for_batches(rig, 6);
        struct ring_frame frame[6];
        rig_publish_many(rig, 4);
        const uint32_t slot =
            place_slot(atomic_load_explicit(&rig->ring->index[gone], memory_order_relaxed));
        atomic_store_explicit(&rig->ring->slot[slot].state, slot_word(gone, SLOT_RETIRED),
                              memory_order_relaxed);
        if (gone == 1)
            ck_assert_int_eq(take_batch(link, frame, 6), -EPROTO); /* no writer does that alone */
        else
            ck_assert_int_eq(take_batch(link, frame, 6), (int)gone - 1);
        expect_frames(rig, frame, 1, (uint32_t)gone - 1);
        ck_assert_uint_eq(link->lease->cursor, gone - 1);
        for (uint32_t cell = 0; cell < 6; cell++)
            ck_assert_uint_eq(link->lease->lease[cell],
                              cell + 1 < gone ? lease_word(cell + 1, frame[cell].slot) : 0);
        rig_destroy(rig);
    }
}
END_TEST

START_TEST(what_is_put_back_comes_again) {
    struct rig *rig = rig_create(20, 8, 0);
    struct rig_link *link = join_for_batches(rig, 6);
    struct ring_frame frame[6];
    rig_publish_many(rig, 5);
    ck_assert_int_eq(take_batch(link, frame, 5), 5);
    ring_put_back(&link->reader, &frame[2], 3);
    ck_assert_uint_eq(link->lease->cursor, 2);
    ck_assert_int_eq(take_batch(link, &frame[2], 6), 3);
    expect_frames(rig, frame, 1, 5);
    ring_put_back(&link->reader, frame, 0);
    ck_assert_uint_eq(link->lease->cursor, 5);
    rig_destroy(rig);
}
END_TEST

/* The one way in which a cursor goes back: the writer may have gone by where it was before. */
START_TEST(what_a_lossless_reader_puts_back_too_late_is_told_as_lost_and_holds_nobody_up) {
    enum { DEPTH = 4 };
    struct rig *rig = rig_create(DEPTH + 3 + DEPTH, 1, 0);
    struct rig_link *link = rig_join(
        rig, (struct rig_want){
                 .depth = DEPTH, .leases = 3, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    struct ring_frame frame[3];
    rig_publish_many(rig, DEPTH);
    ck_assert_int_eq(take_batch(link, frame, 3), 3);
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    rig_publish_many(rig, 2); /* frames 1 and 2 are over */
    ring_put_back(&link->reader, &frame[1], 2);
    ck_assert_ptr_null(ring_writer_behind(rig->writer)); /* it goes by what it saw */
    rig_publish(rig);                                    /* and 3 */
    ck_assert_ptr_eq(ring_writer_behind(rig->writer), &link->core);
    ck_assert_int_eq(take_batch(link, &frame[1], 1), 1);
    ck_assert_uint_eq(frame[1].sequence, 4);
    ck_assert_uint_eq(frame[1].passed, 2);
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    rig_destroy(rig);
}
END_TEST

START_TEST(I1_slots_of_a_batch_stay_whole_until_each_is_given_back) {
    enum { LEASES = 6 };
    struct rig *rig = rig_create(1 + 8 + LEASES, 8, 0);
    struct rig_link *link = join_for_batches(rig, LEASES);
    struct ring_frame frame[LEASES];
    rig_publish_many(rig, LEASES);
    ck_assert_int_eq(take_batch(link, frame, LEASES), LEASES);
    for (unsigned i = 0; i < LEASES; i++) {
        rig_publish_many(rig, 20);
        expect_frames(rig, &frame[i], 1 + i, LEASES - i);
        ck_assert_int_eq(rig_give_back(link, &frame[i]), 0);
    }
    rig_destroy(rig);
}
END_TEST

/* ---- leases ---- */

START_TEST(I1_a_leased_slot_is_never_lent) {
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.leases = SHMFRAME_LEASES_MAX});
    struct ring_frame held[SHMFRAME_LEASES_MAX];
    for (unsigned i = 0; i < SHMFRAME_LEASES_MAX; i++) {
        rig_publish(rig);
        ck_assert_int_eq(rig_take(rig, link, &held[i]), 0);
    }
    for (unsigned round = 0; round < 100; round++) {
        rig_publish(rig);
        for (unsigned i = 0; i < SHMFRAME_LEASES_MAX; i++)
            ck_assert(rig_is_painted(rig->payload[held[i].slot], held[i].sequence));
    }
    for (unsigned i = 0; i < SHMFRAME_LEASES_MAX; i++)
        ck_assert_int_eq(rig_give_back(link, &held[i]), 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(I2_a_slot_that_is_being_written_cannot_be_leased) {
    struct rig *rig = rig_create(2, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.depth = 1, .begin = RING_BEGIN_FIRST});
    rig_publish_many(rig, 2); /* frame 1's slot is retired */
    uint32_t slot;
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    ck_assert_uint_eq(rig_slot_word(rig, slot), slot_word(0, SLOT_WRITING));
    /* As if this reader had read head and tail before all that. */
    atomic_store_explicit(&rig->ring->head, place_word(1, slot), memory_order_relaxed);
    atomic_store_explicit(&rig->ring->tail, 1, memory_order_relaxed);
    ck_assert_int_eq(rig_read(rig, link), -EPROTO); /* a head that stays so would be a lie */
    ck_assert(!ring_reader_holds(&link->reader));
    rig_destroy(rig);
}
END_TEST

START_TEST(I2_a_retired_slot_cannot_be_leased_but_stays_whole_for_who_holds_it) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *holder = rig_join(rig, LATEST), *late = rig_join(rig, LATEST);
    struct ring_frame held;
    rig_publish(rig);
    ck_assert_int_eq(rig_take(rig, holder, &held), 0);
    rig_publish(rig);
    ck_assert_uint_eq(rig_slot_word(rig, held.slot), slot_word(1, SLOT_RETIRED));
    atomic_store_explicit(&rig->ring->head, place_word(1, held.slot), memory_order_relaxed);
    ck_assert_int_eq(rig_read(rig, late), -EPROTO);
    ck_assert_int_eq(rig_give_back(holder, &held), 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_lease_is_given_back_once) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.leases = 2});
    struct ring_frame frame, other;
    rig_publish(rig);
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    ck_assert_int_eq(rig_give_back(link, &frame), 0);
    ck_assert_int_eq(rig_give_back(link, &frame), -EINVAL);
    rig_publish(rig);
    ck_assert_int_eq(rig_take(rig, link, &other), 0);
    ck_assert_uint_eq(other.cell, frame.cell);
    ck_assert_int_eq(rig_give_back(link, &frame), -EINVAL); /* the cell holds another frame */
    ck_assert(ring_reader_holds(&link->reader));
    ck_assert_int_eq(rig_give_back(link, &other), 0);
    rig_destroy(rig);
}
END_TEST

/* The page was made by the writer, who may have kept a way to write it. */
START_TEST(a_writer_that_writes_the_lease_page_takes_no_lease_away) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_frame frame;
    rig_publish(rig);
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    atomic_store(&link->lease->lease[frame.cell], 0);
    ck_assert(ring_reader_holds(&link->reader));
    ck_assert(!has_room(&link->reader));
    ck_assert_int_eq(rig_give_back(link, &frame), 0);
    atomic_store(&link->lease->lease[frame.cell], UINT64_MAX);
    ck_assert(!ring_reader_holds(&link->reader));
    ck_assert(has_room(&link->reader));
    rig_destroy(rig);
}
END_TEST

START_TEST(what_is_no_lease_cannot_be_given_back) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_frame frame;
    rig_publish(rig);
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    struct ring_reader *reader = &link->reader;
    ck_assert_int_eq(ring_release(reader, SHMFRAME_LEASES_MAX, 1, frame.slot), -EINVAL);
    ck_assert_int_eq(ring_release(reader, UINT32_MAX, 1, frame.slot), -EINVAL);
    ck_assert_int_eq(ring_release(reader, frame.cell, 1, 4), -EINVAL);
    ck_assert_int_eq(ring_release(reader, frame.cell, 1, UINT32_MAX), -EINVAL);
    ck_assert_int_eq(ring_release(reader, frame.cell, 2, frame.slot), -EINVAL);
    ck_assert_int_eq(ring_release(reader, frame.cell + 1, 1, frame.slot), -EINVAL);
    ck_assert_int_eq(rig_give_back(link, &frame), 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(an_evicted_reader_hears_that_its_frame_was_overwritten) {
    static const bool IS_PUBLISHED[] = {false, true};
    for (unsigned i = 0; i < 2; i++) {
        struct rig *rig = rig_create(2, 1, 0);
        struct rig_link *link = rig_join(rig, LATEST);
        struct ring_frame frame;
        rig_publish(rig);
        ck_assert_int_eq(rig_take(rig, link, &frame), 0);
        rig_end_grant(rig, link, ENTRY_EVICTED);
        rig_publish(rig);
        uint32_t slot;
        ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
        ck_assert_uint_eq(slot, frame.slot);
        struct shmframe_frame next = {0};
        if (IS_PUBLISHED[i])
            ring_put(rig->writer, slot, &next);
        ck_assert_int_eq(rig_give_back(link, &frame), -ESTALE);
        ck_assert(!ring_reader_holds(&link->reader));
        rig_destroy(rig);
    }
}
END_TEST

static struct rig_link *given_link;
static struct ring_frame given_frame;

static void *give_back(void *unused) {
    (void)unused;
    return (void *)(intptr_t)rig_give_back(given_link, &given_frame);
}

START_TEST(another_thread_may_give_a_lease_back) {
    struct rig *rig = rig_create(3, 1, 0);
    given_link = rig_join(rig, LATEST);
    for (unsigned round = 0; round < 50; round++) {
        rig_publish(rig);
        ck_assert_int_eq(rig_take(rig, given_link, &given_frame), 0);
        pthread_t thread;
        void *result;
        ck_assert_int_eq(pthread_create(&thread, NULL, give_back, NULL), 0);
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_int_eq((int)(intptr_t)result, 0);
    }
    rig_destroy(rig);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {I3_latest_takes_the_newest_and_counts_what_it_passed},
        {I3_in_order_gets_every_frame_up_to_its_depth},
        {I3_in_order_counts_exactly_what_it_lost},
        {a_reader_begins_where_it_was_told_to},
        {a_reader_holds_as_many_leases_as_it_was_granted},
        {I3_a_batch_is_what_there_is_and_leases_allow},
        {I3_what_was_lost_before_a_batch_is_counted_with_its_first},
        {I3_a_batch_for_who_wants_the_newest_is_that_one},
        {I2_a_batch_ends_before_the_first_frame_that_is_not_there_any_more},
        {what_is_put_back_comes_again},
        {what_a_lossless_reader_puts_back_too_late_is_told_as_lost_and_holds_nobody_up},
        {I1_slots_of_a_batch_stay_whole_until_each_is_given_back},
        {I1_a_leased_slot_is_never_lent},
        {I2_a_slot_that_is_being_written_cannot_be_leased},
        {I2_a_retired_slot_cannot_be_leased_but_stays_whole_for_who_holds_it},
        {a_lease_is_given_back_once},
        {a_writer_that_writes_the_lease_page_takes_no_lease_away},
        {what_is_no_lease_cannot_be_given_back},
        {an_evicted_reader_hears_that_its_frame_was_overwritten},
        {another_thread_may_give_a_lease_back},
    };
    return suite_run("ring_read", tests, SUITE_COUNT(tests));
}
