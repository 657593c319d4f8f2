/* The ring's promises, one thread being writer, readers and supervisor in turn. */
#include "ring.h"

#include "rig.h"
#include "suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct rig_want LATEST = {0};

static uint64_t tail_of(const struct rig *rig) {
    return atomic_load_explicit(&rig->ring->tail, memory_order_acquire);
}

static bool holds_slot(const struct rig *rig, uint32_t slot) {
    return ring_set_has(&rig->writer->kept, slot) || ring_set_has(&rig->writer->loaned, slot);
}

/* ---- loan and publish ---- */

START_TEST(a_frame_arrives_with_its_stamps) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    uint32_t slot;
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    rig_paint(rig->payload[slot], 1);
    struct shmframe_frame sent = {.capture_ns = 11,
                                  .loan_ns = 12,
                                  .publish_ns = 13,
                                  .pts = -7,
                                  .duration = 40,
                                  .bytes = 100,
                                  .samples = 5,
                                  .device_dropped = 3,
                                  .flags = SHMFRAME_KEY | SHMFRAME_HAS_ORIGIN |
                                           SHMFRAME_HAS_STAGES | SHMFRAME_HAS_USER,
                                  .origin = {.sequence = 99, .capture_ns = 98, .stream = "camera"}};
    memset(sent.user, 0xa5, sizeof(sent.user));
    for (int i = 0; i < SHMFRAME_STAGES; i++)
        sent.stage_ns[i] = 1000 + i;
    ring_put(rig->writer, slot, &sent);
    ring_announce(rig->writer);
    ck_assert_uint_eq(sent.sequence, 1);

    struct ring_frame frame;
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    struct shmframe_frame got;
    memset(&got, 0, sizeof(got));
    ring_copy_stamps(&link->reader, &frame, &got);
    ck_assert_mem_eq(&got, &sent, sizeof(got));
    ck_assert_int_eq(rig_give_back(link, &frame), 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(stamps_that_no_flag_announces_are_not_copied) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    uint32_t slot;
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    rig_paint(rig->payload[slot], 1);
    struct shmframe_frame sent = {.user = {1}, .stage_ns = {2}, .origin = {.sequence = 3}};
    ring_put(rig->writer, slot, &sent);
    ring_announce(rig->writer);
    struct ring_frame frame;
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    struct shmframe_frame got = {.user = {9}, .stage_ns = {9}, .origin = {.sequence = 9}};
    ring_copy_stamps(&link->reader, &frame, &got);
    ck_assert_uint_eq(got.user[0], 9);
    ck_assert_int_eq(got.stage_ns[0], 9);
    ck_assert_uint_eq(got.origin.sequence, 9);
    rig_destroy(rig);
}
END_TEST

START_TEST(an_abandoned_slot_is_lent_again_and_never_seen) {
    struct rig *rig = rig_create(2, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    uint32_t first, again;
    ck_assert_int_eq(ring_loan(rig->writer, &first), 0);
    ring_abandon(rig->writer, first);
    ck_assert_int_eq(ring_loan(rig->writer, &again), 0);
    ck_assert_uint_eq(again, first);
    ring_abandon(rig->writer, again);
    ck_assert_int_eq(rig_read(rig, link), -EAGAIN);
    ck_assert_int_eq(rig_publish(rig), 1); /* no number was used up */
    ck_assert_int_eq(rig_read(rig, link), 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(several_loans_are_different_slots_published_in_any_order) {
    struct rig *rig = rig_create(8, 4, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.depth = 4, .begin = RING_BEGIN_FIRST});
    uint32_t slot[3];
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(ring_loan(rig->writer, &slot[i]), 0);
    ck_assert(slot[0] != slot[1] && slot[1] != slot[2] && slot[0] != slot[2]);
    for (int i = 2; i >= 0; i--) {
        struct shmframe_frame frame = {0};
        rig_paint(rig->payload[slot[i]], rig->sequence + 1);
        ring_put(rig->writer, slot[i], &frame);
        ring_announce(rig->writer);
    }
    for (int64_t sequence = 1; sequence <= 3; sequence++)
        ck_assert_int_eq(rig_read(rig, link), sequence);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_pinned_slot_is_not_lent) {
    struct rig *rig = rig_create(3, 1, 0);
    const uint32_t pinned = 1;
    ring_set_add(&rig->writer->pinned, pinned);
    for (unsigned i = 0; i < 10; i++) {
        rig_publish(rig);
        ck_assert_uint_ne(place_slot(rig->ring->head), pinned);
    }
    ring_set_remove(&rig->writer->pinned, pinned);
    bool is_used = false;
    for (unsigned i = 0; i < 10; i++) {
        rig_publish(rig);
        is_used |= place_slot(rig->ring->head) == pinned;
    }
    ck_assert(is_used);
    rig_destroy(rig);
}
END_TEST

START_TEST(no_slot_free_is_an_error_that_changes_nothing) {
    struct rig *rig = rig_create(3, 1, 0);
    uint32_t slot, more = 77;
    rig_publish(rig);
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    const struct ring_set loaned = rig->writer->loaned;
    ck_assert_int_eq(ring_loan(rig->writer, &more), -ENOSPC);
    ck_assert_uint_eq(more, 77);
    ck_assert_mem_eq(&loaned, &rig->writer->loaned, sizeof(loaned));
    ring_abandon(rig->writer, slot);
    ck_assert_int_eq(ring_loan(rig->writer, &more), 0);
    ck_assert_uint_eq(more, slot);
    rig_destroy(rig);
}
END_TEST

START_TEST(slots_with_memory_come_first_the_lowest_of_all) {
    struct rig *rig = rig_create(200, 1, 0);
    rig->writer->warm = 3;
    uint32_t slot[200];
    for (uint32_t i = 0; i < 200; i++) {
        ck_assert_int_eq(ring_loan(rig->writer, &slot[i]), 0);
        ck_assert_uint_eq(slot[i], i);
    }
    ring_abandon(rig->writer, 150);
    ring_abandon(rig->writer, 2);
    uint32_t next;
    ck_assert_int_eq(ring_loan(rig->writer, &next), 0);
    ck_assert_uint_eq(next, 2);
    ck_assert_int_eq(ring_loan(rig->writer, &next), 0);
    ck_assert_uint_eq(next, 150);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_ring_of_256_slots_lends_each_of_them) {
    struct rig *rig = rig_create(RING_SLOTS_MAX, 1, 0);
    uint32_t slot;
    for (uint32_t i = 0; i < RING_SLOTS_MAX; i++) {
        ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
        ck_assert_uint_eq(slot, i);
    }
    ck_assert_int_eq(ring_loan(rig->writer, &slot), -ENOSPC);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_batch_is_put_and_announced_once) {
    struct rig *rig = rig_create(12, 8, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.depth = 8, .begin = RING_BEGIN_FIRST});
    rig_publish(rig);
    ck_assert_int_eq(rig_read(rig, link), 1);
    ck_assert(bell_arm(&link->reader));
    for (unsigned i = 0; i < 5; i++)
        rig_put(rig);
    ck_assert_uint_eq(rig->writer->rings, 0);
    ring_announce(rig->writer);
    ck_assert_uint_eq(rig->writer->rings, 1);
    for (int64_t sequence = 2; sequence <= 6; sequence++)
        ck_assert_int_eq(rig_read(rig, link), sequence);
    ck_assert_int_eq(rig_read(rig, link), -EAGAIN);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_batch_deeper_than_the_history_leaves_its_newest) {
    struct rig *rig = rig_create(12, 2, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.depth = 2, .begin = RING_BEGIN_FIRST});
    for (unsigned i = 0; i < 9; i++)
        rig_put(rig);
    ring_announce(rig->writer);
    ck_assert_uint_eq(tail_of(rig), 8);
    struct ring_frame frame;
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    ck_assert_uint_eq(frame.sequence, 8);
    ck_assert_uint_eq(frame.passed, 7);
    rig_destroy(rig);
}
END_TEST

START_TEST(loans_of_a_batch_are_different_slots_as_many_as_are_free) {
    struct rig *rig = rig_create(6, 2, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_frame held;
    rig_publish(rig);
    ck_assert_int_eq(rig_take(rig, link, &held), 0);
    rig_publish_many(rig, 2);
    /* Of six, two are in the history and one on lease. */
    uint32_t slot[6], more;
    ck_assert_int_eq(ring_loan_batch(rig->writer, slot, 6), 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_ne(slot[i], held.slot);
        ck_assert_uint_eq(rig_slot_word(rig, slot[i]), slot_word(0, SLOT_WRITING));
        for (unsigned j = 0; j < i; j++)
            ck_assert_uint_lt(slot[j], slot[i]);
    }
    ck_assert_int_eq(ring_loan_batch(rig->writer, &more, 1), -ENOSPC);
    ring_abandon(rig->writer, slot[1]);
    ck_assert_int_eq(ring_loan_batch(rig->writer, &slot[3], 3), 1);
    ck_assert_uint_eq(slot[3], slot[1]);
    rig_destroy(rig);
}
END_TEST

/* Slots that were found free while many frames were kept, and were lent while few were. */
START_TEST(I1_what_was_free_before_the_history_shrank_may_not_be_so_after_it_grew) {
    enum { DEEP = 9 };
    struct rig *rig = rig_create(2 * DEEP, 1, 0);
    for (unsigned round = 0; round < 10; round++) {
        struct rig_link *deep = rig_join(rig, (struct rig_want){.depth = DEEP});
        rig_publish_many(rig, 1 + round);
        rig_end_grant(rig, deep, ENTRY_GONE);
        rig_publish_many(rig, 3);
        struct rig_link *link =
            rig_join(rig, (struct rig_want){.leases = 2, .depth = DEEP, .begin = RING_BEGIN_FIRST});
        struct ring_frame frame;
        rig_publish(rig);
        ck_assert_int_eq(rig_take(rig, link, &frame), 0);
        for (unsigned i = 0; i < 2 * DEEP; i++) {
            rig_publish(rig);
            ck_assert(rig_is_painted(rig->payload[frame.slot], frame.sequence));
        }
        ck_assert_int_eq(rig_give_back(link, &frame), 0);
        rig_end_grant(rig, link, ENTRY_GONE);
    }
    rig_destroy(rig);
}
END_TEST

/* I6, with not one slot to spare: 1 loan, the history, each reader's leases. */
START_TEST(I6_loan_succeeds_whatever_the_readers_hold) {
    enum { DEPTH = 3, READERS = 4, LEASES = 2 };
    struct rig *rig = rig_create(1 + DEPTH + READERS * LEASES, 1, 0);
    struct rig_link *link[READERS];
    struct ring_frame held[READERS][LEASES];
    for (unsigned i = 0; i < READERS; i++)
        link[i] = rig_join(rig, (struct rig_want){.leases = LEASES, .depth = i % 2 ? DEPTH : 0});
    for (unsigned round = 0; round < 50; round++) {
        const unsigned who = round % READERS, which = round / READERS % LEASES;
        rig_publish(rig); /* ends the process if there is no slot */
        if (round >= READERS * LEASES)
            ck_assert_int_eq(rig_give_back(link[who], &held[who][which]), 0);
        ck_assert_int_eq(rig_take(rig, link[who], &held[who][which]), 0);
    }
    rig_destroy(rig);
}
END_TEST

/* ---- grants ---- */

START_TEST(I5_a_granted_link_is_scanned_by_the_next_loan) {
    struct rig *rig = rig_create(3, 1, 0);
    rig_publish(rig);
    struct rig_link *link = rig_offer(rig);
    rig_grant(rig, link, LATEST);
    struct ring_frame frame;
    ck_assert_int_eq(rig_take(rig, link, &frame), 0); /* before the writer knows of it */
    for (unsigned i = 0; i < 20; i++)
        rig_publish(rig);
    ck_assert(rig_is_painted(rig->payload[frame.slot], frame.sequence));
    ck_assert_int_eq(rig_give_back(link, &frame), 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(I7_what_the_dead_held_is_free_at_the_next_loan) {
    struct rig *rig = rig_create(2, 1, 0);
    struct rig_link *link = rig_join(rig, LATEST);
    struct ring_frame frame;
    rig_publish(rig);
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    rig_publish(rig);
    uint32_t slot;
    ck_assert_int_eq(ring_loan(rig->writer, &slot), -ENOSPC);
    rig_end_grant(rig, link, ENTRY_GONE);
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    ck_assert_uint_eq(slot, frame.slot);
    ck_assert_uint_eq(rig->writer->links_over, 1);
    const struct ring_link *over = ring_writer_take_over(rig->writer);
    ck_assert_ptr_eq(over, &link->core);
    ck_assert_ptr_null(over->next);
    ck_assert_ptr_null(ring_writer_take_over(rig->writer));
    rig_destroy(rig);
}
END_TEST

START_TEST(a_word_with_another_serial_is_not_about_the_link) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_offer(rig);
    struct grant grant = {
        .serial = link->core.serial + 1, .leases = 1, .depth = 1, .state = ENTRY_GRANTED};
    rig_tell(rig, link, grant);
    ring_writer_refresh(rig->writer);
    ck_assert_uint_eq(rig->writer->active_count, 0);
    ck_assert_int_eq(link->core.state, RING_LINK_OFFERED);
    rig_grant(rig, link, LATEST);
    ring_writer_refresh(rig->writer);
    ck_assert_uint_eq(rig->writer->active_count, 1);
    /* The entry was given to a later link: this one's reader is gone. */
    rig_tell(rig, link, grant);
    ring_writer_refresh(rig->writer);
    ck_assert_uint_eq(rig->writer->active_count, 0);
    ck_assert_int_eq(link->core.state, RING_LINK_OVER);
    rig_destroy(rig);
}
END_TEST

START_TEST(the_history_is_as_deep_as_the_deepest_grant_and_the_ring_allow) {
    struct rig *rig = rig_create(10, 2, 0);
    ring_writer_refresh(rig->writer);
    ck_assert_uint_eq(rig->writer->history, 2);
    struct rig_link *five = rig_join(rig, (struct rig_want){.depth = 5});
    struct rig_link *deep = rig_join(rig, (struct rig_want){.depth = 192});
    ring_writer_refresh(rig->writer);
    ck_assert_uint_eq(rig->writer->history, 9); /* one slot stays for a loan */
    rig_end_grant(rig, deep, ENTRY_GONE);
    ring_writer_refresh(rig->writer);
    ck_assert_uint_eq(rig->writer->history, 5);
    rig_end_grant(rig, five, ENTRY_GONE);
    ring_writer_refresh(rig->writer);
    ck_assert_uint_eq(rig->writer->history, 2);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_new_notice_page_is_read_even_if_its_word_is_the_same) {
    struct rig *rig = rig_create(4, 1, 0);
    rig_join(rig, LATEST);
    ring_writer_refresh(rig->writer);
    ck_assert(!ring_writer_has_notice(rig->writer));
    struct notice_page *page = rig_map(NOTICE_BYTES);
    atomic_store_explicit(&page->word, rig->writer->notice_seen, memory_order_relaxed);
    ring_writer_set_notice(rig->writer, page);
    ck_assert(ring_writer_has_notice(rig->writer));
    ring_writer_refresh(rig->writer);
    ck_assert_uint_eq(rig->writer->active_count, 0); /* nothing is granted there */
    ring_writer_set_notice(rig->writer, rig->notice);
    rig_destroy(rig);
}
END_TEST

/* A lossless reader's frames begin with the one on loan, if it came before. */
START_TEST(a_grant_before_the_loan_begins_with_its_frame) {
    struct rig *rig = rig_create(6, 1, 0);
    rig_publish(rig);
    const struct rig_link *link =
        rig_join(rig, (struct rig_want){.depth = 1, .is_lossless = true, .begin = RING_BEGIN_TOLD});
    uint32_t slot;
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    ck_assert_uint_eq(rig->writer->active_count, 1);
    ck_assert_uint_eq(atomic_load(&link->bell->start), 2);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_grant_between_loan_and_publish_keeps_what_its_reader_may_begin_with) {
    struct rig *rig = rig_create(6, 1, 0);
    rig_publish(rig);
    uint32_t slot;
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    rig_join(rig, (struct rig_want){.depth = 3});
    struct shmframe_frame frame = {0};
    ring_put(rig->writer, slot, &frame);
    ring_announce(rig->writer);
    ck_assert_uint_eq(tail_of(rig), 1);
    rig_destroy(rig);
}
END_TEST

/* As many slots as are asked for: four loans, four frames, a lease, and the one to spare. */
START_TEST(I6_what_a_lossless_reader_took_since_the_last_publish_is_free) {
    enum { LOANS = 4 };
    struct rig *rig = rig_create(2 * LOANS + 2, 1, 0);
    struct rig_link *link = rig_join(
        rig, (struct rig_want){.depth = LOANS, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    rig_publish_many(rig, LOANS - 1);
    uint32_t slot[LOANS];
    for (unsigned i = 0; i < LOANS; i++)
        ck_assert_int_eq(ring_loan(rig->writer, &slot[i]), 0);
    for (unsigned i = 0; i < LOANS; i++) {
        struct shmframe_frame frame = {0};
        rig_paint(rig->payload[slot[i]], rig->sequence + 1);
        ring_put(rig->writer, slot[i], &frame);
    }
    ring_announce(rig->writer);
    for (unsigned i = 1; i <= LOANS; i++)
        ck_assert_int_eq(rig_read(rig, link), i);
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    for (unsigned i = 0; i < LOANS; i++)
        ck_assert_int_eq(ring_loan(rig->writer, &slot[i]), 0);
    rig_destroy(rig);
}
END_TEST

/* ---- tail, and what the models found ---- */

/* B2: tail neither wraps, nor names another ring's frames, nor goes back. */
START_TEST(B2_tail_begins_with_the_ring_and_never_goes_back) {
    struct rig *rig = rig_create(16, 4, 1000);
    for (uint64_t i = 1; i <= 10; i++) {
        rig_publish(rig);
        ck_assert_uint_eq(tail_of(rig), i <= 4 ? 1001 : 1000 + i - 3);
    }
    rig_join(rig, (struct rig_want){.depth = 8});
    uint64_t before = tail_of(rig);
    for (unsigned i = 0; i < 12; i++) {
        rig_publish(rig);
        ck_assert_uint_ge(tail_of(rig), before);
        before = tail_of(rig);
        const uint32_t slot = place_slot(rig->ring->index[before % RING_INDEX]);
        ck_assert_uint_eq(rig_slot_word(rig, slot), slot_word(before, SLOT_PUBLISHED));
        ck_assert(holds_slot(rig, slot));
    }
    ck_assert_uint_eq(before, rig->sequence - 7);
    rig_destroy(rig);
}
END_TEST

START_TEST(B2_a_deeper_grant_does_not_send_readers_after_retired_frames) {
    struct rig *rig = rig_create(16, 1, 0);
    struct rig_link *slow = rig_join(rig, (struct rig_want){.depth = 2, .begin = RING_BEGIN_FIRST});
    rig_publish(rig);
    ck_assert_int_eq(rig_read(rig, slow), 1);
    rig_publish_many(rig, 9);
    rig_join(rig, (struct rig_want){.depth = 8});
    rig_publish(rig); /* 10 and 11 are there, 4 to 9 are not again */
    struct ring_frame frame;
    uint64_t retries = 0;
    ck_assert_int_eq(ring_acquire(&slow->reader, &frame, &retries), 0);
    ck_assert_uint_eq(retries, 0);
    ck_assert_uint_ge(frame.sequence, 9);
    rig_destroy(rig);
}
END_TEST

/* B4: the writer says where a lossless reader begins. */
START_TEST(B4_a_lossless_reader_that_joins_begins_with_the_frame_the_writer_names) {
    struct rig *rig = rig_create(8, 1, 0);
    rig_publish_many(rig, 10);
    uint32_t slot;
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0); /* out when the reader comes */
    struct rig_link *link =
        rig_join(rig, (struct rig_want){.depth = 1, .is_lossless = true, .begin = RING_BEGIN_TOLD});
    struct ring_frame frame;
    ck_assert_int_eq(rig_take(rig, link, &frame), -EAGAIN); /* the writer has not noticed it */
    ck_assert_int_eq(ring_look(&link->reader, NULL), RING_NOTHING);
    rig_paint(rig->payload[slot], 11);
    struct shmframe_frame eleven = {0};
    ring_put(rig->writer, slot, &eleven);
    ring_announce(rig->writer);
    ck_assert_uint_eq(link->bell->start, 12);
    ck_assert_int_eq(rig_take(rig, link, &frame), -EAGAIN);
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    rig_publish(rig);
    ck_assert_ptr_eq(ring_writer_behind(rig->writer), &link->core);
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    ck_assert_uint_eq(frame.sequence, 12);
    ck_assert_uint_eq(frame.passed, 0);
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    rig_destroy(rig);
}
END_TEST

START_TEST(B4_nothing_is_lost_between_the_grant_and_the_first_frame_taken) {
    struct rig *rig = rig_create(8, 1, 0);
    rig_publish_many(rig, 10);
    struct rig_link *link =
        rig_join(rig, (struct rig_want){.depth = 2, .is_lossless = true, .begin = RING_BEGIN_TOLD});
    rig_publish(rig); /* the loan notices it: 11 is kept, 12 too, then it is the reader's turn */
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    rig_publish(rig);
    ck_assert_ptr_eq(ring_writer_behind(rig->writer), &link->core);
    ck_assert_int_eq(rig_read(rig, link), 11);
    ck_assert_int_eq(rig_read(rig, link), 12);
    rig_destroy(rig);
}
END_TEST

/* B5: loans that were out when the history shrank do not push out what is still to be read. */
START_TEST(B5_tail_waits_for_a_lossless_reader_though_loans_were_out) {
    struct rig *rig = rig_create(12, 1, 0);
    struct rig_link *deep = rig_join(rig, (struct rig_want){.depth = 4});
    struct rig_link *link = rig_join(
        rig, (struct rig_want){.depth = 1, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    uint32_t slot[3];
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(ring_loan(rig->writer, &slot[i]), 0);
    rig_end_grant(rig, deep, ENTRY_GONE);
    for (unsigned i = 0; i < 3; i++) {
        struct shmframe_frame frame = {0};
        rig_paint(rig->payload[slot[i]], rig->sequence + 1);
        ring_put(rig->writer, slot[i], &frame);
        ring_announce(rig->writer);
    }
    ck_assert_uint_eq(rig->writer->history, 1);
    ck_assert_uint_eq(tail_of(rig), 1);
    struct ring_frame frame;
    for (uint64_t sequence = 1; sequence <= 3; sequence++) {
        ck_assert_int_eq(rig_take(rig, link, &frame), 0);
        ck_assert_uint_eq(frame.sequence, sequence);
        ck_assert_uint_eq(frame.passed, 0);
        ck_assert_int_eq(rig_give_back(link, &frame), 0);
    }
    rig_publish(rig);
    ck_assert_uint_eq(tail_of(rig), 4); /* and then it follows */
    rig_destroy(rig);
}
END_TEST

/* B8: a decoder that keeps buffers does not wait for itself. */
START_TEST(B8_a_writer_does_not_wait_for_its_own_loans) {
    struct rig *rig = rig_create(12, 1, 0);
    struct rig_link *link = rig_join(
        rig, (struct rig_want){.depth = 1, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    rig_publish(rig);
    ck_assert_int_eq(rig_read(rig, link), 1);
    uint32_t slot;
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_ptr_null(ring_writer_behind(rig->writer));
        ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(lossless_loses_nothing_and_its_frames_stay_within_the_history) {
    enum { DEPTH = 4 };
    struct rig *rig = rig_create(DEPTH + 4, 1, 0);
    struct rig_link *link = rig_join(
        rig, (struct rig_want){.depth = DEPTH, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    struct rig_link *latest = rig_join(rig, LATEST);
    uint64_t last = 0;
    srandom(2);
    while (last < 2000) {
        if (random() % 2) {
            ring_writer_refresh(rig->writer);
            const bool is_full = rig->sequence - last >= DEPTH;
            ck_assert_int_eq(ring_writer_behind(rig->writer) != NULL, is_full);
            if (!is_full)
                rig_publish(rig);
        } else {
            struct ring_frame frame;
            if (rig_take(rig, link, &frame) == 0) {
                ck_assert_uint_eq(frame.sequence, ++last);
                ck_assert_uint_eq(frame.passed, 0);
                ck_assert_int_eq(rig_give_back(link, &frame), 0);
            } else {
                ck_assert_uint_eq(last, rig->sequence);
            }
            rig_read(rig, latest);
        }
        ck_assert(rig->sequence == 0 || rig->sequence - tail_of(rig) < DEPTH);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(a_lossless_reader_that_is_gone_holds_nobody_up) {
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *link = rig_join(
        rig, (struct rig_want){.depth = 1, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    rig_publish(rig);
    ck_assert_ptr_eq(ring_writer_behind(rig->writer), &link->core);
    rig_end_grant(rig, link, ENTRY_GONE);
    ring_writer_refresh(rig->writer);
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    ck_assert_uint_eq(rig->writer->lossless, 0);
    rig_destroy(rig);
}
END_TEST

/* A lossless reader of two rings: frames of the older one do not count in the newer. */
START_TEST(lossless_follows_to_a_ring_that_begins_later) {
    struct rig *rig = rig_create(8, 1, 500);
    struct rig_link *link = rig_join(
        rig, (struct rig_want){.depth = 2, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    ring_writer_refresh(rig->writer);
    rig->sequence += 20; /* the old ring's loans, published meanwhile */
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    rig_publish_many(rig, 2);
    ck_assert_ptr_eq(ring_writer_behind(rig->writer), &link->core);
    ck_assert_int_eq(rig_read(rig, link), 521);
    ck_assert_int_eq(rig_read(rig, link), 522);
    rig_destroy(rig);
}
END_TEST

START_TEST(the_end_is_told_once_everything_is_taken) {
    static const enum ring_state STATES[] = {RING_ENDED, RING_CLOSED};
    for (unsigned i = 0; i < 2; i++) {
        struct rig *rig = rig_create(8, 4, 0);
        struct rig_link *link =
            rig_join(rig, (struct rig_want){.depth = 4, .begin = RING_BEGIN_FIRST});
        enum ring_state state;
        ck_assert_int_eq(ring_look(&link->reader, &state), RING_NOTHING);
        ck_assert_int_eq(state, RING_OPEN);
        rig_publish_many(rig, 2);
        ring_end(rig->writer, STATES[i]);
        ck_assert_int_eq(ring_look(&link->reader, NULL), RING_FRAME);
        ck_assert_int_eq(rig_read(rig, link), 1);
        ck_assert_int_eq(ring_look(&link->reader, NULL), RING_FRAME);
        ck_assert_int_eq(rig_read(rig, link), 2);
        ck_assert_int_eq(ring_look(&link->reader, &state), RING_OVER);
        ck_assert_int_eq(state, STATES[i]);
        ck_assert_int_eq(rig_read(rig, link), -EAGAIN);
        rig_destroy(rig);
    }
}
END_TEST

START_TEST(sequences_go_on_past_where_the_index_begins_again) {
    struct rig *rig = rig_create(RING_SLOTS_MAX, 1, UINT64_C(1) << 40);
    struct rig_link *link =
        rig_join(rig, (struct rig_want){.depth = 192, .begin = RING_BEGIN_FIRST});
    for (unsigned round = 0; round < 8; round++) {
        rig_publish_many(rig, 192);
        for (unsigned i = 0; i < 192; i++)
            ck_assert_int_gt(rig_read(rig, link), INT64_C(1) << 40);
        ck_assert_int_eq(rig_read(rig, link), -EAGAIN);
    }
    ck_assert_uint_eq(link->reader.cursor, (UINT64_C(1) << 40) + 8 * 192);
    rig_destroy(rig);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {a_frame_arrives_with_its_stamps},
        {stamps_that_no_flag_announces_are_not_copied},
        {an_abandoned_slot_is_lent_again_and_never_seen},
        {several_loans_are_different_slots_published_in_any_order},
        {a_pinned_slot_is_not_lent},
        {no_slot_free_is_an_error_that_changes_nothing},
        {slots_with_memory_come_first_the_lowest_of_all},
        {a_ring_of_256_slots_lends_each_of_them},
        {a_batch_is_put_and_announced_once},
        {a_batch_deeper_than_the_history_leaves_its_newest},
        {loans_of_a_batch_are_different_slots_as_many_as_are_free},
        {I1_what_was_free_before_the_history_shrank_may_not_be_so_after_it_grew},
        {I6_loan_succeeds_whatever_the_readers_hold},
        {I5_a_granted_link_is_scanned_by_the_next_loan},
        {I7_what_the_dead_held_is_free_at_the_next_loan},
        {a_word_with_another_serial_is_not_about_the_link},
        {the_history_is_as_deep_as_the_deepest_grant_and_the_ring_allow},
        {a_new_notice_page_is_read_even_if_its_word_is_the_same},
        {a_grant_before_the_loan_begins_with_its_frame},
        {I6_what_a_lossless_reader_took_since_the_last_publish_is_free},
        {a_grant_between_loan_and_publish_keeps_what_its_reader_may_begin_with},
        {B2_tail_begins_with_the_ring_and_never_goes_back},
        {B2_a_deeper_grant_does_not_send_readers_after_retired_frames},
        {B4_a_lossless_reader_that_joins_begins_with_the_frame_the_writer_names},
        {B4_nothing_is_lost_between_the_grant_and_the_first_frame_taken},
        {B5_tail_waits_for_a_lossless_reader_though_loans_were_out},
        {B8_a_writer_does_not_wait_for_its_own_loans},
        {lossless_loses_nothing_and_its_frames_stay_within_the_history},
        {a_lossless_reader_that_is_gone_holds_nobody_up},
        {lossless_follows_to_a_ring_that_begins_later},
        {the_end_is_told_once_everything_is_taken},
        {sequences_go_on_past_where_the_index_begins_again},
    };
    return suite_run("ring", tests, SUITE_COUNT(tests));
}
