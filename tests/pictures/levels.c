/* Levels: what values samples take, added up over pictures of any depth. */
#include "levels.h"

#include "runner.h"

static struct levels_counter *counter;

static void begin(void) {
    ck_assert_int_eq(levels_counter_create(&counter), 0);
}

static void end(void) {
    levels_counter_destroy(counter);
}

static double number(const struct levels *levels, const char *name) {
    json_t *object = json_object();
    levels_report(levels, "luma", 4, object);
    const json_t *value = json_object_get(object, name);
    ck_assert_ptr_nonnull(value);
    const double result = json_number_value(value);
    json_decref(object);
    return result;
}

static struct levels measure_bytes(const uint8_t *row, int width) {
    struct levels levels;
    levels_counter_begin(counter, 8);
    levels_counter_add(counter, row, width);
    levels_counter_read(counter, 16, 235, &levels);
    return levels;
}

START_TEST(range_mean_and_what_is_not_legal) {
    const uint8_t row[] = {15, 16, 16, 100, 100, 100, 235, 236, 255, 0, 200};
    const struct levels levels = measure_bytes(row, sizeof(row));
    ck_assert_double_eq(number(&levels, "luma_min"), 0);
    ck_assert_double_eq(number(&levels, "luma_max"), 255);
    ck_assert_double_eq_tol(number(&levels, "luma_mean"), 1273.0 / 11, 1e-9);
    ck_assert_double_eq_tol(number(&levels, "luma_below_share"), 2.0 / 11, 1e-9);
    ck_assert_double_eq_tol(number(&levels, "luma_above_share"), 2.0 / 11, 1e-9);
    ck_assert_uint_eq(levels_counter_up_to(counter, 16), 4);
    ck_assert_uint_eq(levels_counter_up_to(counter, 1000), 11);
}
END_TEST

START_TEST(a_histogram_has_all_samples) {
    const uint8_t row[] = {0, 63, 64, 127, 128, 192, 255, 255};
    const struct levels levels = measure_bytes(row, sizeof(row));
    json_t *object = json_object();
    levels_report(&levels, "luma", 4, object);
    const double wanted[] = {0.25, 0.25, 0.125, 0.375};
    const json_t *shares = json_object_get(object, "luma_histogram");
    ck_assert_uint_eq(json_array_size(shares), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_double_eq_tol(json_number_value(json_array_get(shares, i)), wanted[i], 1e-9);
    json_decref(object);
}
END_TEST

START_TEST(bits_above_the_depth_are_no_part_of_a_sample) {
    const uint16_t row[] = {0x0400 | 64, 0xfc00 | 940, 500, 500, 500};
    struct levels levels;
    levels_counter_begin(counter, 10);
    levels_counter_add(counter, row, 5);
    levels_counter_read(counter, 64, 940, &levels);
    ck_assert_double_eq(number(&levels, "luma_min"), 64);
    ck_assert_double_eq(number(&levels, "luma_max"), 940);
    ck_assert_uint_eq(levels.below + levels.above, 0);
}
END_TEST

START_TEST(sums_over_depths_are_told_in_the_newest) {
    const uint8_t bytes[] = {16, 32};
    const uint16_t words[] = {256, 1023};
    struct levels sum = {0}, levels = measure_bytes(bytes, 2);
    levels_add(&sum, &levels);
    levels_counter_begin(counter, 10);
    levels_counter_add(counter, words, 2);
    levels_counter_read(counter, 0, UINT32_MAX, &levels);
    levels_add(&sum, &levels);
    ck_assert_double_eq(number(&sum, "luma_min"), 64);
    ck_assert_double_eq(number(&sum, "luma_max"), 1023);
    ck_assert_double_eq_tol(number(&sum, "luma_mean"), (64 + 128 + 256 + 1023) / 4.0, 1e-9);
}
END_TEST

START_TEST(nothing_is_told_of_nothing) {
    const struct levels none = {0};
    json_t *object = json_object();
    levels_report(&none, "luma", 4, object);
    ck_assert_uint_eq(json_object_size(object), 0);
    json_decref(object);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("levels");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, range_mean_and_what_is_not_legal);
    tcase_add_test(tests, a_histogram_has_all_samples);
    tcase_add_test(tests, bits_above_the_depth_are_no_part_of_a_sample);
    tcase_add_test(tests, sums_over_depths_are_told_in_the_newest);
    tcase_add_test(tests, nothing_is_told_of_nothing);
    return run_tests(tests, "levels");
}
