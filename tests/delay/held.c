/* The order in which frames under way are published. */
#include "held.h"

#include <check.h>
#include <stdlib.h>

static struct held held;

static void add(uint64_t sequence, int64_t due_ns, enum schedule_action action, uint32_t ring) {
    const struct held_frame frame = {
        .loan.ring = ring, .sequence = sequence, .due_ns = due_ns, .action = action};
    held_add(&held, &frame);
}

/* All that is due by `now_ns` comes in this order; 0 ends the list. */
static void expect(int64_t now_ns, const uint64_t *sequences) {
    struct held_frame frame;
    for (; *sequences; sequences++) {
        ck_assert(held_take(&held, now_ns, &frame));
        ck_assert_uint_eq(frame.sequence, *sequences);
    }
    ck_assert(!held_take(&held, now_ns, &frame));
}
#define EXPECT(now_ns, ...) expect(now_ns, (const uint64_t[]){__VA_ARGS__, 0})

static void begin(void) {
    held = (struct held){0};
}

START_TEST(a_frame_comes_when_it_is_due_and_not_before) {
    ck_assert_int_eq(held_due_ns(&held), SHMFRAME_FOREVER);
    add(1, 10, SCHEDULE_PASS, 1);
    add(2, 20, SCHEDULE_PASS, 1);
    ck_assert_int_eq(held_due_ns(&held), 10);
    EXPECT(9, 0);
    EXPECT(10, 1);
    EXPECT(19, 0);
    EXPECT(25, 2);
}
END_TEST

START_TEST(who_is_due_earlier_overtakes_and_equals_keep_their_order) {
    add(1, 30, SCHEDULE_PASS, 1);
    add(2, 10, SCHEDULE_PASS, 1);
    add(3, 30, SCHEDULE_PASS, 1);
    add(4, 20, SCHEDULE_PASS, 1);
    EXPECT(30, 2, 4, 1, 3);
}
END_TEST

START_TEST(a_swapped_frame_goes_behind_its_successor) {
    add(1, 10, SCHEDULE_PASS, 1);
    add(2, 20, SCHEDULE_SWAP, 1);
    EXPECT(25, 1);
    ck_assert_int_eq(held_due_ns(&held), SHMFRAME_FOREVER);
    add(3, 30, SCHEDULE_PASS, 1);
    add(4, 40, SCHEDULE_PASS, 1);
    ck_assert_int_eq(held_due_ns(&held), 30);
    EXPECT(40, 3, 2, 4);
}
END_TEST

START_TEST(a_swapped_frame_does_not_keep_those_before_it) {
    add(1, 30, SCHEDULE_PASS, 1);
    add(2, 10, SCHEDULE_SWAP, 1);
    EXPECT(30, 1);
    add(3, 20, SCHEDULE_PASS, 1);
    EXPECT(20, 3, 2);
}
END_TEST

START_TEST(a_swapped_frame_without_a_successor_is_due_when_it_was) {
    add(1, 10, SCHEDULE_SWAP, 1);
    EXPECT(50, 0);
    held_settle(&held);
    ck_assert_int_eq(held_due_ns(&held), 10);
    EXPECT(10, 1);
}
END_TEST

START_TEST(loans_of_an_older_ring_come_first) {
    add(1, 50, SCHEDULE_PASS, 1);
    add(2, 60, SCHEDULE_SWAP, 1);
    add(3, 20, SCHEDULE_PASS, 2);
    ck_assert_int_eq(held_due_ns(&held), 50);
    EXPECT(50, 1);
    EXPECT(60, 2, 3);
}
END_TEST

START_TEST(all_that_is_held_moves_with_the_delay) {
    add(1, 10, SCHEDULE_PASS, 1);
    add(2, 20, SCHEDULE_SWAP, 1);
    held_shift(&held, 5);
    EXPECT(14, 0);
    EXPECT(15, 1);
    held_settle(&held);
    EXPECT(24, 0);
    EXPECT(25, 2);
}
END_TEST

START_TEST(there_is_room_for_as_many_as_a_writer_lends) {
    for (uint64_t i = HELD_MAX; i > 0; i--)
        add(i, (int64_t)i, SCHEDULE_PASS, 1);
    struct held_frame frame;
    for (uint64_t i = 1; i <= HELD_MAX; i++) {
        ck_assert(held_take(&held, HELD_MAX, &frame));
        ck_assert_uint_eq(frame.sequence, i);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("held");
    TCase *tests = tcase_create("held");
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, a_frame_comes_when_it_is_due_and_not_before);
    tcase_add_test(tests, who_is_due_earlier_overtakes_and_equals_keep_their_order);
    tcase_add_test(tests, a_swapped_frame_goes_behind_its_successor);
    tcase_add_test(tests, a_swapped_frame_does_not_keep_those_before_it);
    tcase_add_test(tests, a_swapped_frame_without_a_successor_is_due_when_it_was);
    tcase_add_test(tests, loans_of_an_older_ring_come_first);
    tcase_add_test(tests, all_that_is_held_moves_with_the_delay);
    tcase_add_test(tests, there_is_room_for_as_many_as_a_writer_lends);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
