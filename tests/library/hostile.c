/* I8: whatever a peer writes, the other side keeps its bounds, its senses and its own truth. */
#include "rig.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t wild(void) {
    const uint64_t bits = (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
    switch (random() % 8) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX - bits % 4;
    case 2:
        return bits % 16;
    case 3:
        return bits % 4096;
    case 4:
        return UINT64_C(1) << bits % 64;
    default:
        return bits;
    }
}

/* ---- a hostile reader, the writer's view ---- */

START_TEST(I8_wild_lease_words_only_make_slots_look_busy) {
    enum { SLOTS = 16 };
    struct rig *rig = rig_create(SLOTS, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.leases = SHMFRAME_LEASES_MAX});
    struct rig_link *honest = rig_join(rig, (struct rig_want){.leases = 1});
    srandom(3);
    for (unsigned round = 0; round < 5000; round++) {
        for (unsigned cell = 0; cell < SHMFRAME_LEASES_MAX; cell++)
            atomic_store_explicit(&link->lease->lease[cell], wild(), memory_order_relaxed);
        rig_publish(rig); /* ends the process if there is no slot */
        ck_assert_int_eq(rig_read(rig, honest), (int64_t)rig->sequence);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(I8_lease_words_that_were_not_granted_do_not_count) {
    struct rig *rig = rig_create(2, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.leases = 2});
    struct rig_link *unused = rig_offer(rig);
    rig_publish(rig);
    for (unsigned cell = 0; cell < SHMFRAME_LEASES_MAX; cell++) {
        if (cell >= 2)
            atomic_store_explicit(&link->lease->lease[cell], lease_word(1, cell % 2),
                                  memory_order_relaxed);
        atomic_store_explicit(&unused->lease->lease[cell], lease_word(1, cell % 2),
                              memory_order_relaxed);
    }
    rig_publish_many(rig, 10);
    rig_destroy(rig);
}
END_TEST

START_TEST(I8_a_wild_grant_is_cut_to_what_the_layout_has) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_offer(rig);
    srandom(4);
    for (unsigned round = 0; round < 2000; round++) {
        const uint64_t word = (uint64_t)link->core.serial << 32 | (uint32_t)wild();
        atomic_store_explicit(&rig->notice->entry[link->core.entry].word, word,
                              memory_order_release);
        atomic_fetch_add_explicit(&rig->notice->word, 1, memory_order_release);
        link->core.state = RING_LINK_OFFERED;
        ring_writer_refresh(rig->writer);
        ck_assert_uint_le(rig->writer->leased_slots, SHMFRAME_LEASES_MAX);
        ck_assert_uint_ge(rig->writer->history, 1);
        ck_assert_uint_le(rig->writer->history, 3);
        ck_assert_uint_le(rig->writer->active_count, 1);
        if (rig->writer->lossless == 0)
            rig_publish(rig);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(I8_a_wild_cursor_neither_pushes_frames_out_nor_crashes) {
    enum { DEPTH = 3 };
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *link = rig_join(
        rig, (struct rig_want){.depth = DEPTH, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    ring_writer_refresh(rig->writer);
    srandom(5);
    uint64_t tail_before = 0;
    for (unsigned round = 0; round < 5000; round++) {
        atomic_store_explicit(&link->lease->cursor, wild(), memory_order_relaxed);
        if (ring_writer_behind(rig->writer))
            atomic_store_explicit(&link->lease->cursor, UINT64_MAX, memory_order_relaxed);
        ck_assert_ptr_null(ring_writer_behind(rig->writer));
        rig_publish(rig);
        const uint64_t tail = atomic_load_explicit(&rig->ring->tail, memory_order_relaxed);
        ck_assert_uint_ge(tail, tail_before);
        ck_assert_uint_le(tail, rig->sequence);
        ck_assert_uint_le(rig->sequence - tail, DEPTH + 1);
        tail_before = tail;
    }
    rig_destroy(rig);
}
END_TEST

/* They say that they have taken everything, and hold other frames than those: the writer knows whom
 * it waits for, and whom no longer. */
START_TEST(I8_lossless_readers_that_hold_more_than_they_take_are_named) {
    enum { HISTORY = 2, LEASES = 2, LIARS = 2, SLOTS = 1 + HISTORY + LIARS * (LEASES - 1) + 1 };
    struct rig *rig = rig_create(SLOTS, HISTORY, 0);
    struct rig_link *liar[LIARS];
    for (unsigned i = 0; i < LIARS; i++) {
        liar[i] = rig_join(rig, (struct rig_want){.leases = LEASES,
                                                  .depth = HISTORY,
                                                  .is_lossless = true,
                                                  .begin = RING_BEGIN_FIRST});
        atomic_store_explicit(&liar[i]->lease->cursor, UINT64_MAX, memory_order_relaxed);
    }
    rig_publish_many(rig, 10);
    ck_assert_ptr_null(ring_writer_overdrawn(rig->writer));
    uint32_t slot = 0, cell = 0;
    for (; slot < SLOTS; slot++) {
        if (ring_set_has(&rig->writer->kept, slot))
            continue;
        atomic_store_explicit(&liar[cell / LEASES]->lease->lease[cell % LEASES],
                              lease_word(1, slot), memory_order_relaxed);
        cell++;
    }
    ck_assert_uint_eq(cell, SLOTS - HISTORY);
    ck_assert_int_eq(ring_loan(rig->writer, &slot), -ENOSPC);
    ck_assert_ptr_null(ring_writer_behind(rig->writer));
    ck_assert_ptr_nonnull(ring_writer_overdrawn(rig->writer));
    atomic_store_explicit(&liar[1]->lease->lease[0], 0, memory_order_relaxed);
    ck_assert_ptr_eq(ring_writer_overdrawn(rig->writer), &liar[0]->core);
    atomic_store_explicit(&liar[0]->lease->lease[1], 0, memory_order_relaxed);
    ck_assert_ptr_null(ring_writer_overdrawn(rig->writer));
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(I8_a_wild_waiting_word_costs_one_ring_a_change) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){0});
    srandom(6);
    uint32_t before = 0;
    uint64_t expected = 0;
    char byte;
    for (unsigned round = 0; round < 5000; round++) {
        const uint32_t word = (uint32_t)wild();
        atomic_store_explicit(&link->lease->waiting, word, memory_order_relaxed);
        rig_publish(rig);
        if (word != 0 && word != before) {
            expected++;
            before = word;
        }
        ck_assert_uint_eq(rig->writer->rings, expected);
        if (round % 3 == 0)
            while (recv(link->wake, &byte, 1, MSG_DONTWAIT) == 1) {
            }
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(I8_a_full_or_closed_socket_neither_blocks_nor_kills_the_writer) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){0});
    uint64_t rings = 0;
    /* Nobody takes a byte out; what remains is sent into a full socket. */
    for (uint32_t episode = 1; episode < 2000; episode++, rings++) {
        atomic_store_explicit(&link->lease->waiting, wait_word(episode, WAIT_SOCKET),
                              memory_order_relaxed);
        rig_publish(rig);
    }
    ck_assert_int_eq(send(link->core.wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL), -1);
    ck_assert(errno == EAGAIN);
    close(link->wake);
    link->wake = open("/dev/null", O_RDONLY | O_CLOEXEC);
    atomic_store_explicit(&link->lease->waiting, wait_word(5000, WAIT_SOCKET),
                          memory_order_relaxed);
    rig_publish(rig);
    ck_assert_uint_eq(rig->writer->rings, rings + 1);
    rig_destroy(rig);
}
END_TEST

/* ---- a hostile writer, the reader's view ---- */

static int acquire_code(struct rig_link *link, uint64_t *out_retries) {
    struct ring_frame frame;
    *out_retries = 0;
    const int code = ring_acquire(&link->reader, &frame, out_retries);
    if (code == 0)
        ck_assert_int_ne(rig_give_back(link, &frame), -EINVAL);
    return code;
}

START_TEST(I8_a_head_that_lies_breaks_the_protocol) {
    static const struct {
        uint64_t head;
        int code;
    } lies[] = {
        {((uint64_t)10 << 8) | 4, -EPROTO},       /* a slot that is not there */
        {((uint64_t)10 << 8) | 255, -EPROTO},     /* likewise */
        {((uint64_t)4 << 8) | 1, -EPROTO},        /* goes back */
        {1, -EPROTO},                             /* a place without a sequence */
        {((SEQUENCE_MAX + 1) << 8) | 1, -EPROTO}, /* more than fits a lease word */
        {UINT64_MAX & ~UINT64_C(0xff), -EPROTO},  /* likewise */
        {((uint64_t)5 << 8) | 1, -EAGAIN},        /* the one it has: nothing new */
        {0, -EAGAIN},                             /* a ring without a frame */
        {((uint64_t)9 << 8) | 2, -EPROTO},        /* a slot with another frame in it */
    };
    for (unsigned policy = 0; policy < 2; policy++) {
        for (unsigned i = 0; i < SUITE_COUNT(lies); i++) {
            struct rig *rig = rig_create(4, 2, 0);
            struct rig_link *link = rig_join(rig, (struct rig_want){.depth = policy * 2});
            rig_publish_many(rig, 5);
            ck_assert_int_eq(rig_read(rig, link), 5);
            atomic_store_explicit(&rig->ring->head, lies[i].head, memory_order_relaxed);
            uint64_t retries;
            ck_assert_int_eq(acquire_code(link, &retries), lies[i].code);
            ck_assert_uint_le(retries, 64);
            ck_assert(!ring_reader_holds(&link->reader));
            rig_destroy(rig);
        }
    }
}
END_TEST

/* Each time that it is asked: not only as long as the lie is new to the reader. */
START_TEST(I8_frames_beyond_what_a_lease_word_holds_are_refused_each_time) {
    struct rig *rig = rig_create(4, 2, SEQUENCE_MAX - 2);
    struct rig_link *link = rig_join(rig, (struct rig_want){.depth = 2});
    rig_publish_many(rig, 2);
    ck_assert_int_eq(rig_read(rig, link), (int64_t)SEQUENCE_MAX);
    const uint64_t next = SEQUENCE_MAX + 1;
    atomic_store(&rig->ring->index[next % RING_INDEX], place_word(next, 1));
    atomic_store(&rig->ring->slot[1].state, slot_word(next, SLOT_PUBLISHED));
    atomic_store(&rig->ring->head, place_word(next + 4, 1));
    for (unsigned i = 0; i < 3; i++) {
        uint64_t retries;
        ck_assert_int_eq(acquire_code(link, &retries), -EPROTO);
        ck_assert(!ring_reader_holds(&link->reader));
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(I8_index_tail_and_first_that_lie_end_in_an_error) {
    struct rig *rig = rig_create(8, 4, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.depth = 4, .begin = RING_BEGIN_FIRST});
    rig_publish_many(rig, 4);
    struct ring *ring = rig->ring;
    uint64_t retries;
    const uint64_t index = ring->index[1];
    atomic_store_explicit(&ring->index[1], place_word(1, 200), memory_order_relaxed);
    ck_assert_int_eq(acquire_code(link, &retries), -EPROTO);
    atomic_store_explicit(&ring->index[1], place_word(257, 1), memory_order_relaxed);
    ck_assert_int_eq(acquire_code(link, &retries), -EPROTO);
    ck_assert_uint_eq(retries, 64);
    atomic_store_explicit(&ring->index[1], index, memory_order_relaxed);
    atomic_store_explicit(&ring->first, 1000, memory_order_relaxed);
    ck_assert_int_eq(acquire_code(link, &retries), -EPROTO);
    atomic_store_explicit(&ring->first, 1, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, UINT64_MAX, memory_order_relaxed);
    ck_assert_int_eq(acquire_code(link, &retries), -EPROTO);
    atomic_store_explicit(&ring->tail, 1, memory_order_relaxed);
    ck_assert_int_eq(rig_read(rig, link), 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(I8_a_wild_ring_state_means_closed) {
    struct rig *rig = rig_create(4, 1, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){0});
    atomic_store_explicit(&rig->ring->state, 0xdeadbeef, memory_order_relaxed);
    enum ring_state state;
    ck_assert_int_eq(ring_look(&link->reader, &state), RING_OVER);
    ck_assert_int_eq(state, RING_CLOSED);
    rig_destroy(rig);
}
END_TEST

/* What a writer may write: all of head's line, the index, slot states, and its bell page. */
static void lie_about(struct rig *rig, struct rig_link *link) {
    struct ring *ring = rig->ring;
    const uint64_t sequence = random() % 2 ? wild() : link->reader.cursor + (uint64_t)random() % 8;
    const uint32_t slot = (uint32_t)random() % 10;
    switch (random() % 8) {
    case 0:
        atomic_store_explicit(&ring->head, place_word(sequence, slot), memory_order_relaxed);
        break;
    case 1:
        atomic_store_explicit(&ring->tail, sequence, memory_order_relaxed);
        break;
    case 2:
        atomic_store_explicit(&ring->first, sequence, memory_order_relaxed);
        break;
    case 3:
        atomic_store_explicit(&ring->state, (uint32_t)wild(), memory_order_relaxed);
        break;
    case 4:
        atomic_store_explicit(&link->bell->start, sequence, memory_order_relaxed);
        break;
    case 5:
        atomic_store_explicit(&ring->head, wild(), memory_order_relaxed);
        break;
    case 6:
        atomic_store_explicit(&ring->index[sequence % RING_INDEX], place_word(sequence, slot),
                              memory_order_relaxed);
        break;
    default: {
        const uint64_t place = atomic_load_explicit(&ring->head, memory_order_relaxed);
        atomic_store_explicit(&ring->slot[place_slot(place)].state,
                              slot_word(place_sequence(place), (enum slot_state)(random() % 4)),
                              memory_order_relaxed);
    }
    }
}

START_TEST(I8_no_lie_of_the_writer_takes_a_reader_out_of_bounds) {
    static const struct rig_want wants[] = {
        {.leases = 2},
        {.leases = 2, .depth = 3},
        {.leases = 1, .depth = 3, .begin = RING_BEGIN_FIRST},
        {.leases = 6, .depth = 3, .is_lossless = true, .begin = RING_BEGIN_TOLD},
    };
    srandom(7);
    unsigned taken = 0;
    for (unsigned life = 0; life < 1500; life++) {
        struct rig *rig = rig_create(4, 1, 0);
        struct rig_link *link = rig_join(rig, wants[life % SUITE_COUNT(wants)]);
        for (unsigned round = 0; round < 100; round++) {
            lie_about(rig, link);
            const uint64_t cursor = link->reader.cursor;
            const bool was_begun = link->reader.is_begun;
            struct ring_frame frame;
            uint64_t retries = 0;
            const int code = ring_acquire(&link->reader, &frame, &retries);
            ck_assert(code == 0 || code == -EAGAIN || code == -EPROTO);
            ck_assert_uint_le(retries, 64);
            ring_look(&link->reader, NULL);
            if (code < 0)
                continue;
            taken++;
            ck_assert_uint_lt(frame.slot, 4);
            ck_assert_uint_le(frame.sequence, SEQUENCE_MAX);
            ck_assert(!was_begun || frame.sequence > cursor);
            ck_assert(!was_begun || frame.passed == frame.sequence - cursor - 1);
            const int released = rig_give_back(link, &frame);
            ck_assert(released == 0 || released == -ESTALE);
        }
        ck_assert(!ring_reader_holds(&link->reader));
        rig_destroy(rig);
    }
    ck_assert_uint_gt(taken, 200);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {I8_wild_lease_words_only_make_slots_look_busy},
        {I8_lease_words_that_were_not_granted_do_not_count},
        {I8_a_wild_grant_is_cut_to_what_the_layout_has},
        {I8_a_wild_cursor_neither_pushes_frames_out_nor_crashes},
        {I8_lossless_readers_that_hold_more_than_they_take_are_named},
        {I8_a_wild_waiting_word_costs_one_ring_a_change},
        {I8_a_full_or_closed_socket_neither_blocks_nor_kills_the_writer},
        {I8_a_head_that_lies_breaks_the_protocol},
        {I8_frames_beyond_what_a_lease_word_holds_are_refused_each_time},
        {I8_index_tail_and_first_that_lie_end_in_an_error},
        {I8_a_wild_ring_state_means_closed},
        {I8_no_lie_of_the_writer_takes_a_reader_out_of_bounds},
    };
    return suite_run("hostile", tests, SUITE_COUNT(tests));
}
