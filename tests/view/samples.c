/* Samples: a queue between two threads that loses, doubles and tears nothing. */
#include "samples.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

static struct samples samples;

static void set_up(void) {
    ck_assert_int_eq(samples_init(&samples, 2, 100), 0);
    ck_assert_uint_eq(samples.capacity, 128);
}

static void tear_down(void) {
    samples_finish(&samples);
}

START_TEST(what_goes_in_comes_out) {
    const float in[] = {1, -1, 2, -2, 3, -3};
    float out[6] = {0};
    ck_assert_uint_eq(samples_append(&samples, in, 3), 3);
    ck_assert_uint_eq(samples_fill(&samples), 3);
    ck_assert_uint_eq(samples_take(&samples, out, 5), 3);
    for (int i = 0; i < 6; i++) {
        ck_assert_float_eq(out[i], in[i]);
    }
    ck_assert_uint_eq(samples_take(&samples, out, 5), 0);
}
END_TEST

START_TEST(positions_go_on_over_the_end) {
    float out[200];
    uint64_t position = 0;
    for (int round = 0; round < 50; round++) {
        ck_assert_uint_eq(samples_head(&samples), position);
        ck_assert_uint_eq(samples_append(&samples, NULL, 93), 93);
        ck_assert_uint_eq(samples_tail(&samples), position);
        ck_assert_uint_eq(samples_take(&samples, out, 93), 93);
        position += 93;
    }
}
END_TEST

START_TEST(a_full_queue_takes_no_more) {
    ck_assert_uint_eq(samples_append(&samples, NULL, 100), 100);
    ck_assert_uint_eq(samples_append(&samples, NULL, 100), 28);
    ck_assert_uint_eq(samples_append(&samples, NULL, 1), 0);
    ck_assert_uint_eq(samples_take(&samples, NULL, 10), 10);
    ck_assert_uint_eq(samples_append(&samples, NULL, 100), 10);
}
END_TEST

START_TEST(silence_is_zero) {
    const float loud[] = {1, 1};
    float out[2] = {9, 9};
    for (int i = 0; i < 128; i++) {
        samples_append(&samples, loud, 1);
        samples_take(&samples, NULL, 1);
    }
    samples_append(&samples, NULL, 1);
    samples_take(&samples, out, 1);
    ck_assert_float_eq(out[0], 0);
    ck_assert_float_eq(out[1], 0);
}
END_TEST

enum { MANY = 2000000 };

static void *append_many(void *unused) {
    (void)unused;
    float block[2 * 37];
    for (uint32_t next = 0; next < MANY;) {
        const uint32_t count = MANY - next < 37 ? MANY - next : 37;
        for (uint32_t i = 0; i < count; i++) {
            block[2 * i] = (float)(next + i);
            block[2 * i + 1] = -(float)(next + i);
        }
        const uint32_t appended = samples_append(&samples, block, count);
        if (appended == 0) {
            sched_yield();
        }
        next += appended;
    }
    return NULL;
}

/* Numbers up to 2^24 are exact in a float. */
START_TEST(two_threads_see_every_sample_once) {
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, append_many, NULL), 0);
    float out[2 * 53];
    uint32_t wrong = 0;
    for (uint32_t next = 0; next < MANY;) {
        const uint32_t count = samples_take(&samples, out, 53);
        if (count == 0) {
            sched_yield();
        }
        for (uint32_t i = 0; i < count; i++) {
            wrong += out[2 * i] != (float)(next + i) || out[2 * i + 1] != -(float)(next + i);
        }
        next += count;
    }
    pthread_join(thread, NULL);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(samples_fill(&samples), 0);
}
END_TEST

int main(void) {
    TCase *const tests = tcase_create("samples");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_goes_in_comes_out);
    tcase_add_test(tests, positions_go_on_over_the_end);
    tcase_add_test(tests, a_full_queue_takes_no_more);
    tcase_add_test(tests, silence_is_zero);
    tcase_add_test(tests, two_threads_see_every_sample_once);
    Suite *const suite = suite_create("samples");
    suite_add_tcase(suite, tests);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
