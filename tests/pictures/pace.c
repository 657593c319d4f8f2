/* Pace: a side whose pictures wait is read on after a while in which the other brought nothing. */
#include "pace.h"

#include "runner.h"

static const int64_t MS = 1000000;
static struct pace pace;

static void begin(void) {
    pace_begin(&pace);
}

static bool allows(enum pairing_room room, int64_t now_ms) {
    return pace_allows(&pace, PAIRING_REFERENCE, room, now_ms * MS);
}

START_TEST(where_there_is_room_nobody_waits) {
    ck_assert(allows(PAIRING_HAS_ROOM, 1));
    ck_assert_int_eq(pace_due_ns(&pace, MS), INT64_MAX);
}
END_TEST

START_TEST(copies_are_made_after_a_while_and_pictures_given_up_after_a_longer_one) {
    ck_assert(!allows(PAIRING_COPIES, 1));
    ck_assert_int_eq(pace_due_ns(&pace, MS), 201 * MS);
    ck_assert(!allows(PAIRING_COPIES, 200));
    ck_assert(allows(PAIRING_COPIES, 201));
    ck_assert(allows(PAIRING_COPIES, 210));
    ck_assert(!allows(PAIRING_GIVES_UP, 220));
    ck_assert(!allows(PAIRING_GIVES_UP, 1219));
    ck_assert(allows(PAIRING_GIVES_UP, 1220));
}
END_TEST

START_TEST(a_picture_of_the_other_begins_it_anew) {
    ck_assert(!allows(PAIRING_COPIES, 1));
    pace_step(&pace, PAIRING_MAIN, 150 * MS);
    ck_assert(!allows(PAIRING_COPIES, 150));
    ck_assert(!allows(PAIRING_COPIES, 349));
    ck_assert(allows(PAIRING_COPIES, 350));
}
END_TEST

START_TEST(what_helped_comes_sooner_the_next_time) {
    int64_t now_ns = 1;
    for (int64_t wait_ns = 200 * MS; wait_ns >= 2 * MS; wait_ns /= 2) {
        ck_assert(!pace_allows(&pace, PAIRING_REFERENCE, PAIRING_COPIES, now_ns));
        now_ns += wait_ns;
        ck_assert(pace_allows(&pace, PAIRING_REFERENCE, PAIRING_COPIES, now_ns));
        pace_step(&pace, PAIRING_MAIN, now_ns);
    }
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("pace");
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, where_there_is_room_nobody_waits);
    tcase_add_test(tests, copies_are_made_after_a_while_and_pictures_given_up_after_a_longer_one);
    tcase_add_test(tests, a_picture_of_the_other_begins_it_anew);
    tcase_add_test(tests, what_helped_comes_sooner_the_next_time);
    return run_tests(tests, "pace");
}
