/* When frames are due: hours of a live input within a moment. */
#include "pace.h"

#include <check.h>
#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)
#define MS_NS     INT64_C(1000000)

static struct pace pace;

static void set_up(void) {
    pace = (struct pace){.buffer_ns = 100 * MS_NS};
    srand(1);
}

/* So much later than it was sent, by up to 40 ms, a frame is there. */
static int64_t draw_jitter_ns(void) {
    return rand() % 40 * MS_NS;
}

START_TEST(a_sender_with_another_clock_makes_neither_delay_nor_lateness_grow) {
    static const int drifts_ppm[] = {0, 200, -200, 1000, -1000};
    const int64_t step_ns = 40 * MS_NS;
    int late = 0, jumps = 0;
    int64_t longest_ns = 0;
    for (int64_t i = 0; i < 4 * 3600 * 25; i++) {
        const int64_t position_ns = i * step_ns;
        const int64_t sent_ns = position_ns + position_ns / 1000000 * drifts_ppm[_i];
        const int64_t now_ns = SECOND_NS + sent_ns + draw_jitter_ns();
        jumps += pace_take(&pace, 0, position_ns, now_ns);
        const int64_t wait_ns = pace_due_ns(&pace, 0, position_ns) - now_ns;
        longest_ns = wait_ns > longest_ns ? wait_ns : longest_ns;
        late += wait_ns < 0;
    }
    ck_assert_int_eq(jumps, 0);
    /* The whole buffer, and what the network held up those least that came just before. */
    ck_assert_int_le(longest_ns, 150 * MS_NS);
    ck_assert_int_eq(late, 0);
}
END_TEST

START_TEST(what_comes_in_a_burst_at_first_makes_no_delay) {
    for (int i = 0; i < 50; i++) /* two seconds at once */
        ck_assert(!pace_take(&pace, 0, i * 40 * MS_NS, SECOND_NS + i));
    for (int i = 50; i < 100; i++)
        ck_assert(!pace_take(&pace, 0, i * 40 * MS_NS, SECOND_NS + (i - 49) * 40 * MS_NS));
    const int64_t wait_ns = pace_due_ns(&pace, 0, 99 * 40 * MS_NS) - (SECOND_NS + 2000 * MS_NS);
    ck_assert_int_le(wait_ns, 101 * MS_NS);
    ck_assert_int_ge(wait_ns, 99 * MS_NS);
}
END_TEST

START_TEST(sound_that_is_sent_early_waits_for_its_picture) {
    for (int i = 0; i < 500; i++) {
        const int64_t now_ns = SECOND_NS + i * 40 * MS_NS;
        ck_assert(!pace_take(&pace, 1, i * 40 * MS_NS + 700 * MS_NS, now_ns));
        ck_assert(!pace_take(&pace, 0, i * 40 * MS_NS, now_ns + MS_NS));
        const int64_t wait_ns = pace_due_ns(&pace, 0, i * 40 * MS_NS) - now_ns;
        if (i > 50)
            ck_assert_int_le(llabs(wait_ns - 100 * MS_NS), 2 * MS_NS);
    }
}
END_TEST

START_TEST(a_track_that_is_far_from_the_other_is_not_held) {
    int told = 0;
    for (int i = 0; i < 1000; i++) {
        const int64_t now_ns = SECOND_NS + i * 40 * MS_NS, far_ns = i * 40 * MS_NS + 60 * SECOND_NS;
        told += pace_take(&pace, 0, far_ns, now_ns);
        told += pace_take(&pace, 1, i * 40 * MS_NS, now_ns + MS_NS);
        if (i < 50)
            continue;
        ck_assert_int_le(llabs(pace_due_ns(&pace, 0, far_ns) - now_ns - 100 * MS_NS), 2 * MS_NS);
        ck_assert_int_le(llabs(pace_due_ns(&pace, 1, i * 40 * MS_NS) - now_ns - 100 * MS_NS),
                         2 * MS_NS);
    }
    ck_assert_int_eq(told, 1);
}
END_TEST

START_TEST(a_jump_sets_the_clock_and_is_told_once) {
    static const int64_t jumps_ns[] = {3 * SECOND_NS, -3 * SECOND_NS};
    int64_t position_ns = 100 * SECOND_NS;
    int told = 0;
    for (int i = 0; i < 200; i++, position_ns += 40 * MS_NS) {
        if (i == 100)
            position_ns += jumps_ns[_i];
        const int64_t now_ns = SECOND_NS + i * 40 * MS_NS;
        told += pace_take(&pace, 0, position_ns, now_ns);
        ck_assert_int_le(llabs(pace_due_ns(&pace, 0, position_ns) - now_ns - 100 * MS_NS),
                         2 * MS_NS);
    }
    ck_assert_int_eq(told, 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("media-pace");
    TCase *tests = tcase_create("pace");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_loop_test(tests, a_sender_with_another_clock_makes_neither_delay_nor_lateness_grow, 0,
                        5);
    tcase_add_test(tests, what_comes_in_a_burst_at_first_makes_no_delay);
    tcase_add_test(tests, sound_that_is_sent_early_waits_for_its_picture);
    tcase_add_test(tests, a_track_that_is_far_from_the_other_is_not_held);
    tcase_add_loop_test(tests, a_jump_sets_the_clock_and_is_told_once, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
