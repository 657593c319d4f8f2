/* Histograms: where values fall, and what is said of them, against the sorted values themselves. */
#include "histogram.h"

#include "suite.h"

#include <stdlib.h>
#include <string.h>

static const int64_t LAST_EDGE_NS = (INT64_C(1) << 40) - 1;

static struct shmframe_histogram *make_histogram(void) {
    struct shmframe_histogram *histogram = calloc(1, sizeof(*histogram));
    ck_assert_ptr_nonnull(histogram);
    return histogram;
}

START_TEST(values_below_32_are_kept_as_they_are) {
    for (int64_t value = 0; value < 32; value++) {
        ck_assert_uint_eq(histogram_bucket(value), (uint32_t)value);
        ck_assert_int_eq(histogram_edge_ns((uint32_t)value), value);
        ck_assert_int_eq(shmframe_histogram_edge_ns((uint32_t)value), value);
    }
    ck_assert_uint_eq(histogram_bucket(-1), 0);
    ck_assert_uint_eq(histogram_bucket(INT64_MIN), 0);
}
END_TEST

START_TEST(buckets_meet_without_gap_or_overlap) {
    for (uint32_t bucket = 0; bucket + 1 < SHMFRAME_HISTOGRAM_BUCKETS; bucket++) {
        const int64_t edge_ns = histogram_edge_ns(bucket);
        ck_assert_uint_eq(histogram_bucket(edge_ns), bucket);
        ck_assert_uint_eq(histogram_bucket(edge_ns + 1), bucket + 1);
    }
    ck_assert_int_eq(histogram_edge_ns(SHMFRAME_HISTOGRAM_BUCKETS - 1), LAST_EDGE_NS);
    ck_assert_int_eq(shmframe_histogram_edge_ns(SHMFRAME_HISTOGRAM_BUCKETS - 2),
                     histogram_edge_ns(SHMFRAME_HISTOGRAM_BUCKETS - 2));
    ck_assert_int_eq(shmframe_histogram_edge_ns(SHMFRAME_HISTOGRAM_BUCKETS - 1), INT64_MAX);
    ck_assert_int_eq(shmframe_histogram_edge_ns(UINT32_MAX), INT64_MAX);
}
END_TEST

START_TEST(the_last_bucket_takes_all_that_is_larger) {
    static const int64_t values[] = {INT64_C(1) << 40, INT64_C(1) << 41, INT64_MAX};
    for (unsigned i = 0; i < SUITE_COUNT(values); i++)
        ck_assert_uint_eq(histogram_bucket(values[i]), SHMFRAME_HISTOGRAM_BUCKETS - 1);
    struct shmframe_histogram *histogram = make_histogram();
    shmframe_histogram_add(histogram, INT64_MAX);
    ck_assert_int_eq(shmframe_histogram_quantile_ns(histogram, 0.5), INT64_MAX);
    free(histogram);
}
END_TEST

START_TEST(a_step_is_at_most_a_32nd_of_its_value) {
    srandom(1);
    for (unsigned i = 0; i < 20000; i++) {
        const int64_t value =
            (int64_t)((uint64_t)random() << 31 ^ (uint64_t)random()) >> (22 + random() % 35);
        const int64_t edge_ns = histogram_edge_ns(histogram_bucket(value));
        ck_assert_int_ge(edge_ns, value);
        ck_assert_int_le(edge_ns - value, value / 32);
    }
}
END_TEST

START_TEST(an_empty_histogram_says_0) {
    struct shmframe_histogram *histogram = make_histogram();
    ck_assert_int_eq(shmframe_histogram_quantile_ns(histogram, 0), 0);
    ck_assert_int_eq(shmframe_histogram_quantile_ns(histogram, 1), 0);
    free(histogram);
}
END_TEST

static int compare(const void *left, const void *right) {
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int64_t draw_value(unsigned shape) {
    const int64_t bits = (int64_t)random() << 16 ^ (int64_t)random();
    switch (shape) {
    case 0: /* around a microsecond */
        return 1000 + bits % 500;
    case 1: /* from nothing to seconds, evenly in powers */
        return bits >> (random() % 46);
    case 2: /* a few values, often */
        return (random() % 4) * 100;
    default: /* a tail: one in a hundred is a thousand times as long */
        return (200 + bits % 100) * (random() % 100 ? 1 : 1000);
    }
}

/* The smallest of `count` sorted values that at least `quantile` of them do not exceed. */
static int64_t quantile_of(const int64_t *sorted, unsigned count, double quantile) {
    unsigned at = 0;
    while (at + 1 < count && (double)(at + 1) < quantile * count)
        at++;
    return sorted[at];
}

START_TEST(quantiles_are_those_of_the_sorted_values_up_to_a_step) {
    enum { VALUES = 3000 };
    static const double quantiles[] = {0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    static int64_t values[VALUES];
    srandom(2);
    for (unsigned round = 0; round < 24; round++) {
        struct shmframe_histogram *histogram = make_histogram();
        const unsigned count = 1 + (unsigned)random() % VALUES;
        for (unsigned i = 0; i < count; i++) {
            values[i] = draw_value(round % 4);
            shmframe_histogram_add(histogram, values[i]);
        }
        qsort(values, count, sizeof(values[0]), compare);
        ck_assert_uint_eq(histogram->count, count);
        ck_assert_int_eq(histogram->max_ns, values[count - 1]);
        for (unsigned i = 0; i < SUITE_COUNT(quantiles); i++) {
            const int64_t exact_ns = quantile_of(values, count, quantiles[i]);
            const uint32_t bucket = histogram_bucket(exact_ns);
            const int64_t edge_ns = bucket == SHMFRAME_HISTOGRAM_BUCKETS - 1
                                        ? INT64_MAX /* it has no upper edge of its own */
                                        : histogram_edge_ns(bucket);
            const int64_t said_ns = shmframe_histogram_quantile_ns(histogram, quantiles[i]);
            ck_assert_int_eq(said_ns, edge_ns < histogram->max_ns ? edge_ns : histogram->max_ns);
        }
        free(histogram);
    }
}
END_TEST

START_TEST(quantiles_out_of_range_are_the_ends) {
    struct shmframe_histogram *histogram = make_histogram();
    shmframe_histogram_add(histogram, 5);
    shmframe_histogram_add(histogram, 1000);
    ck_assert_int_eq(shmframe_histogram_quantile_ns(histogram, -3), 5);
    ck_assert_int_eq(shmframe_histogram_quantile_ns(histogram, 7), 1000);
    free(histogram);
}
END_TEST

START_TEST(what_came_between_two_snapshots_is_their_difference) {
    srandom(3);
    for (unsigned round = 0; round < 50; round++) {
        struct shmframe_histogram *all = make_histogram(), *before = make_histogram(),
                                  *between = make_histogram();
        for (unsigned i = 0; i < 500; i++)
            shmframe_histogram_add(all, draw_value(round % 4));
        *before = *all;
        const unsigned more = (unsigned)random() % 300;
        for (unsigned i = 0; i < more; i++) {
            const int64_t value = draw_value((round + 1) % 4);
            shmframe_histogram_add(all, value);
            shmframe_histogram_add(between, value);
        }
        shmframe_histogram_subtract(all, before);
        ck_assert_uint_eq(all->count, more);
        ck_assert_mem_eq(all->bucket, between->bucket, sizeof(all->bucket));
        ck_assert_int_ge(all->max_ns, between->max_ns);
        ck_assert_int_le(all->max_ns - between->max_ns, between->max_ns / 32);
        free(all);
        free(before);
        free(between);
    }
}
END_TEST

START_TEST(hops_have_names) {
    for (unsigned hop = 0; hop < SHMFRAME_HOPS; hop++)
        ck_assert_uint_gt(strlen(shmframe_hop_name(hop)), 0);
    ck_assert_str_eq(shmframe_hop_name(SHMFRAME_HOP_TRANSIT), "transit");
    ck_assert_ptr_null(shmframe_hop_name(SHMFRAME_HOPS));
    ck_assert_ptr_null(shmframe_hop_name(UINT32_MAX));
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {values_below_32_are_kept_as_they_are},
        {buckets_meet_without_gap_or_overlap},
        {the_last_bucket_takes_all_that_is_larger},
        {a_step_is_at_most_a_32nd_of_its_value},
        {an_empty_histogram_says_0},
        {quantiles_are_those_of_the_sorted_values_up_to_a_step},
        {quantiles_out_of_range_are_the_ends},
        {what_came_between_two_snapshots_is_their_difference},
        {hops_have_names},
    };
    return suite_run("histogram", tests, SUITE_COUNT(tests));
}
