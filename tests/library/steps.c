/* A writer, one instruction at a time: after each, all that other processes can see is looked at,
 * as if the writer had been killed there. On x86 other processors see the stores in this order too.
 */
#include "rig.h"
#include "suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* What is stepped through, in a child. */
typedef void (*work_fn)(struct rig *rig);
/* What must hold after each step. */
typedef void (*look_fn)(const struct rig *rig);

static uint64_t load(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_acquire);
}

static void work_between_stops(struct rig *rig, work_fn work) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(2);
    raise(SIGSTOP);
    work(rig);
    raise(SIGSTOP);
    _exit(0);
}

/* Starts the child and stops it where the work begins. */
static pid_t begin_steps(struct rig *rig, work_fn work) {
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        work_between_stops(rig, work);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSTOPPED(status), "a child cannot be traced here: status 0x%x", status);
    return child;
}

/* One instruction, or (PTRACE_CONT) all that remain; false: that was the last. */
static bool step(pid_t child, enum __ptrace_request how) {
    int status;
    ck_assert_int_eq(ptrace(how, child, NULL, NULL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSTOPPED(status));
    return WSTOPSIG(status) != SIGSTOP;
}

static void end_steps(pid_t child) {
    int status;
    ck_assert_int_eq(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void step_through(struct rig *rig, work_fn work, look_fn look) {
    const pid_t child = begin_steps(rig, work);
    unsigned steps = 0;
    for (; step(child, PTRACE_SINGLESTEP); steps++)
        look(rig);
    end_steps(child);
    ck_assert_uint_gt(steps, 100);
}

/* ---- what holds at any instruction ---- */

/* P: head names a frame that is there: its state, its index entry, its stamps, its payload. */
static void look_at_head(const struct rig *rig) {
    const uint64_t place = load(&rig->ring->head);
    if (place == 0)
        return;
    const uint64_t sequence = place_sequence(place);
    const uint32_t slot = place_slot(place);
    ck_assert_uint_eq(load(&rig->ring->index[sequence % RING_INDEX]), place);
    ck_assert_uint_eq(rig_slot_word(rig, slot), slot_word(sequence, SLOT_PUBLISHED));
    ck_assert(rig_is_painted(rig->payload[slot], sequence));
    ck_assert_int_eq(rig->ring->slot[slot].capture_ns, (int64_t)sequence * 10);
}

/* B3, B7: head never shows without tail and first; tail has moved on before a frame is retired. */
static void look_at_tail(const struct rig *rig) {
    const uint64_t head = load(&rig->ring->head), tail = load(&rig->ring->tail);
    if (head == 0)
        return;
    ck_assert_uint_gt(tail, 0);
    ck_assert_uint_gt(load(&rig->ring->first), 0);
    ck_assert_uint_le(tail, place_sequence(head));
    for (uint64_t sequence = tail; sequence <= place_sequence(head); sequence++) {
        const uint64_t place = load(&rig->ring->index[sequence % RING_INDEX]);
        ck_assert_uint_eq(place_sequence(place), sequence);
        ck_assert_uint_eq(rig_slot_word(rig, place_slot(place)),
                          slot_word(sequence, SLOT_PUBLISHED));
    }
}

/* I2, E: a slot whose state names a frame holds that frame, whole. */
static void look_at_slots(const struct rig *rig) {
    for (uint32_t slot = 0; slot < rig->writer->slots; slot++) {
        const uint64_t word = rig_slot_word(rig, slot);
        if ((word & 3) != SLOT_WRITING && word != 0)
            ck_assert(rig_is_painted(rig->payload[slot], word >> 2));
    }
}

/* I7: a reader that comes now, to what may be a dead writer's ring, gets the newest frame. */
static void look_as_reader(const struct rig *rig) {
    const uint64_t head = load(&rig->ring->head);
    for (unsigned policy = 0; policy < 2; policy++) {
        struct lease_page lease = {0};
        struct bell_page bell = {0};
        struct ring_reader reader = {.ring = rig->ring,
                                     .lease = &lease,
                                     .bell = &bell,
                                     .slots = rig->writer->slots,
                                     .leases = 1,
                                     .is_latest = policy == 0,
                                     .begin = RING_BEGIN_FIRST};
        struct ring_frame frame;
        uint64_t retries = 0, last = 0;
        int code;
        while ((code = ring_acquire(&reader, &frame, &retries)) == 0) {
            ck_assert_uint_gt(frame.sequence, last);
            last = frame.sequence;
            ck_assert(rig_is_painted(rig->payload[frame.slot], frame.sequence));
            ck_assert_int_eq(ring_release(&reader, frame.cell, frame.sequence, frame.slot), 0);
        }
        ck_assert_int_eq(code, -EAGAIN);
        ck_assert_uint_eq(retries, 0);
        ck_assert_uint_eq(last, place_sequence(head));
    }
}

static void look_at_all(const struct rig *rig) {
    look_at_head(rig);
    look_at_tail(rig);
    look_at_slots(rig);
    look_as_reader(rig);
}

/* I1, L: what is leased stays whole; the state says so until the lease ends. */
static const struct ring_frame *leased;

static void look_at_leased(const struct rig *rig) {
    ck_assert(rig_is_painted(rig->payload[leased->slot], leased->sequence));
    ck_assert_uint_eq(rig_slot_word(rig, leased->slot) >> 2, leased->sequence);
    look_at_all(rig);
}

/* ---- what is stepped through ---- */

static void publish_one(struct rig *rig) {
    rig_publish(rig);
}

static void publish_batch(struct rig *rig) {
    rig_put(rig);
    rig_put(rig);
    rig_put(rig);
    ring_announce(rig->writer);
}

START_TEST(B3_the_first_frame_of_a_later_ring_shows_head_tail_and_first_together) {
    struct rig *rig = rig_create(4, 2, 56);
    step_through(rig, publish_one, look_at_all);
    ck_assert_uint_eq(place_sequence(load(&rig->ring->head)), 57);
    rig_destroy(rig);
}
END_TEST

START_TEST(I7_a_writer_may_die_at_any_instruction_of_a_publish) {
    for (unsigned before = 0; before < 6; before++) {
        struct rig *rig = rig_create(4, 2, 0);
        rig_publish_many(rig, before);
        step_through(rig, publish_one, look_at_all);
        rig_destroy(rig);
    }
}
END_TEST

START_TEST(I7_a_writer_may_die_at_any_instruction_of_a_batch) {
    struct rig *rig = rig_create(6, 2, 0);
    rig_publish_many(rig, 5);
    step_through(rig, publish_batch, look_at_all);
    rig_destroy(rig);
}
END_TEST

START_TEST(I1_no_instruction_of_the_writer_touches_what_is_leased) {
    struct rig *rig = rig_create(6, 2, 0);
    struct rig_link *link = rig_join(rig, (struct rig_want){.leases = 1});
    struct ring_frame frame;
    rig_publish(rig);
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    leased = &frame;
    rig_publish_many(rig, 3); /* it is retired by now */
    step_through(rig, publish_batch, look_at_leased);
    ck_assert_int_eq(rig_give_back(link, &frame), 0);
    rig_destroy(rig);
}
END_TEST

/* The lossless reader has taken nothing: all stays. */
static void look_at_kept(const struct rig *rig) {
    ck_assert_uint_le(load(&rig->ring->tail), 3);
    look_at_all(rig);
}

START_TEST(I3_no_instruction_retires_what_a_lossless_reader_has_to_take) {
    struct rig *rig = rig_create(12, 1, 0);
    rig_publish_many(rig, 2);
    rig_join(rig, (struct rig_want){.depth = 1, .is_lossless = true, .begin = RING_BEGIN_TOLD});
    ring_writer_refresh(rig->writer);
    step_through(rig, publish_batch, look_at_kept);
    ck_assert_uint_eq(load(&rig->ring->tail), 3);
    rig_destroy(rig);
}
END_TEST

/* ---- readers ---- */

static uint32_t lent; /* painted, and published first */

static void publish_lent_and_one_more(struct rig *rig) {
    struct shmframe_frame frame = {0};
    ring_put(rig->writer, lent, &frame);
    ring_announce(rig->writer);
    rig_publish(rig);
}

/* Whether frame 5 has its slot: nothing more is lent after that. */
static bool is_lent_again(const struct rig *rig) {
    bool is_so = false;
    for (uint32_t slot = 0; slot < rig->writer->slots; slot++)
        is_so |= rig_slot_word(rig, slot) == slot_word(0, SLOT_WRITING);
    return is_so && place_sequence(load(&rig->ring->head)) == 4;
}

/* Joins after `steps` instructions, takes the oldest frame there is, and looks at it once the
 * writer is through. False: that is too late to matter. */
static bool join_after(unsigned steps) {
    struct rig *rig = rig_create(3, 1, 0);
    struct rig_link *link = rig_offer(rig);
    rig_publish_many(rig, 3);
    ck_assert_int_eq(ring_loan(rig->writer, &lent), 0);
    rig_paint(rig->payload[lent], 4);
    const pid_t child = begin_steps(rig, publish_lent_and_one_more);
    for (unsigned i = 0; i < steps; i++)
        ck_assert(step(child, PTRACE_SINGLESTEP));
    const bool is_in_time = !is_lent_again(rig);
    struct ring_frame frame;
    rig_grant(rig, link, (struct rig_want){.depth = 1, .begin = RING_BEGIN_FIRST});
    ck_assert_int_eq(rig_take(rig, link, &frame), 0);
    step(child, PTRACE_CONT);
    ck_assert_msg(rig_is_painted(rig->payload[frame.slot], frame.sequence),
                  "overwritten, joined after %u instructions", steps);
    ck_assert_int_eq(rig_give_back(link, &frame), 0);
    end_steps(child);
    rig_destroy(rig);
    return is_in_time;
}

START_TEST(I5_a_reader_may_join_at_any_instruction_of_its_writer) {
    unsigned steps = 0;
    while (join_after(steps))
        steps++;
    ck_assert_uint_gt(steps, 100);
}
END_TEST

static void loan_one(struct rig *rig) {
    uint32_t slot;
    if (ring_loan(rig->writer, &slot) < 0)
        _exit(3);
    rig_paint(rig->payload[slot], 999);
}

/* Joins after `steps` instructions of a loan for which a slot must first be retired, and takes the
 * oldest frame there is. False: that is too late to matter. */
static bool join_while_lending(unsigned steps) {
    struct rig *rig = rig_create(8, 1, 0);
    struct rig_link *deep = rig_join(rig, (struct rig_want){.depth = 6});
    struct rig_link *lossless = rig_join(
        rig, (struct rig_want){.depth = 1, .is_lossless = true, .begin = RING_BEGIN_FIRST});
    struct rig_link *late = rig_offer(rig);
    uint32_t slot;
    rig_publish_many(rig, 6);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_int_gt(rig_read(rig, lossless), 0);
    rig_end_grant(rig, deep, ENTRY_GONE);
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    ck_assert_int_eq(ring_loan(rig->writer, &slot), 0);
    const pid_t child = begin_steps(rig, loan_one);
    for (unsigned i = 0; i < steps; i++)
        ck_assert(step(child, PTRACE_SINGLESTEP));
    struct ring_frame frame;
    rig_grant(rig, late, (struct rig_want){.depth = 3, .begin = RING_BEGIN_FIRST});
    ck_assert_int_eq(rig_take(rig, late, &frame), 0);
    step(child, PTRACE_CONT);
    ck_assert_msg(rig_is_painted(rig->payload[frame.slot], frame.sequence),
                  "overwritten, joined after %u instructions", steps);
    ck_assert_int_eq(rig_give_back(late, &frame), 0);
    end_steps(child);
    const bool is_in_time = frame.sequence < 6;
    rig_destroy(rig);
    return is_in_time;
}

START_TEST(I5_a_reader_may_join_while_a_loan_retires_frames) {
    unsigned steps = 0;
    while (join_while_lending(steps))
        steps++;
    ck_assert_uint_gt(steps, 100);
}
END_TEST

static struct rig_link *reading;

static void take_and_give_back(struct rig *rig) {
    if (rig_read(rig, reading) != 4)
        _exit(3);
}

static bool was_leased;

/* I7: dying here, a reader leaves words behind that make at most one slot look busy, and that one
 * cannot be lent while it looks at it. */
static void look_at_lease(const struct rig *rig) {
    const uint64_t word = load(&reading->lease->lease[0]);
    ck_assert(word == 0 || word == lease_word(4, place_slot(load(&rig->ring->head))));
    was_leased |= word != 0;
    const uint64_t cursor = load(&reading->lease->cursor);
    ck_assert(cursor == 0 || cursor == 4);
    ck_assert(cursor == 0 || was_leased);
}

START_TEST(I7_a_reader_may_die_at_any_instruction) {
    struct rig *rig = rig_create(4, 2, 0);
    reading = rig_join(rig, (struct rig_want){.leases = 1});
    rig_publish_many(rig, 4);
    was_leased = false;
    step_through(rig, take_and_give_back, look_at_lease);
    ck_assert(was_leased);
    ck_assert_uint_eq(load(&reading->lease->lease[0]), 0);
    rig_destroy(rig);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {B3_the_first_frame_of_a_later_ring_shows_head_tail_and_first_together},
        {I7_a_writer_may_die_at_any_instruction_of_a_publish},
        {I7_a_writer_may_die_at_any_instruction_of_a_batch},
        {I1_no_instruction_of_the_writer_touches_what_is_leased},
        {I3_no_instruction_retires_what_a_lossless_reader_has_to_take},
        {I5_a_reader_may_join_at_any_instruction_of_its_writer},
        {I5_a_reader_may_join_while_a_loan_retires_frames},
        {I7_a_reader_may_die_at_any_instruction},
    };
    return suite_run("steps", tests, SUITE_COUNT(tests));
}
