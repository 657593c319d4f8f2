/* Metrics as text: both dialects, what is escaped, and how fine buckets become few. */
#include "openmetrics.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct openmetrics metrics;
static char *text;
static size_t bytes;
static FILE *file;

static void begin(enum openmetrics_dialect dialect) {
    file = open_memstream(&text, &bytes);
    openmetrics_begin(&metrics, file, dialect);
}

static void finish(const char *expected) {
    openmetrics_end(&metrics);
    fclose(file);
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(a_counter_is_named_by_the_rules_of_each_dialect) {
    begin(OPENMETRICS_PROMETHEUS);
    openmetrics_family(&metrics, OPENMETRICS_COUNTER, "x_seconds", "seconds", "Help.");
    openmetrics_count(&metrics, NULL, UINT64_MAX);
    finish("# HELP x_seconds_total Help.\n# TYPE x_seconds_total counter\n"
           "x_seconds_total 18446744073709551615\n");
    begin(OPENMETRICS_1_0);
    openmetrics_family(&metrics, OPENMETRICS_COUNTER, "x_seconds", "seconds", "Help.");
    openmetrics_value(&metrics, NULL, 0.25);
    finish("# HELP x_seconds Help.\n# TYPE x_seconds counter\n# UNIT x_seconds seconds\n"
           "x_seconds_total 0.25\n# EOF\n");
}
END_TEST

static const struct {
    const char *value, *written;
} values[] = {
    {"plain", "plain"},
    {"", ""},
    {"a\"b\\c\nd", "a\\\"b\\\\c\\nd"},
    {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\xa5",
     "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\xa5"},
    {"caf\xe9", "caf?"},          /* Latin-1 */
    {"\xc0\xaf", "??"},           /* longer than need be */
    {"\xe0\x80\xaf", "???"},      /* likewise */
    {"\xf0\x80\x80\xaf", "????"}, /* likewise */
    {"\xed\xa0\x80", "???"},      /* a surrogate */
    {"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF */
    {"\xf5\x80\x80\x80", "????"}, /* likewise */
    {"x\xe2\x82", "x??"},         /* cut */
    {"\xef\xbf\xbf\xee\x80\x80", "\xef\xbf\xbf\xee\x80\x80"},
};

START_TEST(label_values_are_escaped_and_utf8) {
    char expected[256];
    snprintf(expected, sizeof(expected), "# HELP x Help.\n# TYPE x gauge\nx{a=\"%s\",b=\"\"} 1\n",
             values[_i].written);
    begin(OPENMETRICS_PROMETHEUS);
    openmetrics_family(&metrics, OPENMETRICS_GAUGE, "x", NULL, "Help.");
    openmetrics_count(
        &metrics, (const struct openmetrics_label[]){{"a", values[_i].value}, {"b", ""}, {0}}, 1);
    finish(expected);
}
END_TEST

static uint64_t bucket_of(const char *edge) {
    char key[64];
    snprintf(key, sizeof(key), "h_bucket{le=\"%s\"} ", edge);
    const char *line = strstr(text, key);
    ck_assert_msg(line, "%s in %s", key, text);
    return strtoull(line + strlen(key), NULL, 10);
}

START_TEST(a_histogram_counts_each_value_once_and_never_too_early) {
    static struct shmframe_histogram histogram;
    /* 1003 is in a step that reaches from 992 to 1007: above 1 us, perhaps. */
    static const int64_t values_ns[] = {0, 900, 1003, 2600, 7000000, 900000000, INT64_C(1) << 50};
    for (unsigned i = 0; i < sizeof(values_ns) / sizeof(values_ns[0]); i++)
        shmframe_histogram_add(&histogram, values_ns[i]);
    begin(OPENMETRICS_1_0);
    openmetrics_family(&metrics, OPENMETRICS_HISTOGRAM, "h", NULL, "Help.");
    openmetrics_histogram(&metrics, NULL, &histogram);
    openmetrics_end(&metrics);
    fclose(file);
    ck_assert_uint_eq(bucket_of("1e-06"), 2);
    ck_assert_uint_eq(bucket_of("2.5e-06"), 3);
    ck_assert_uint_eq(bucket_of("5e-06"), 4);
    ck_assert_uint_eq(bucket_of("0.005"), 4);
    ck_assert_uint_eq(bucket_of("0.01"), 5);
    ck_assert_uint_eq(bucket_of("1.0"), 6);
    ck_assert_uint_eq(bucket_of("10.0"), 6);
    ck_assert_uint_eq(bucket_of("+Inf"), 7);
    ck_assert_ptr_nonnull(strstr(text, "\nh_count 7\n"));
    /* The last bucket counts with what it has at least: 63 << 34 ns. */
    const double sum = strtod(strstr(text, "\nh_sum ") + 7, NULL);
    const double known =
        900e-9 + 1003e-9 + 2600e-9 + 7e-3 + 0.9 + (double)(INT64_C(63) << 34) / 1e9;
    ck_assert_double_eq_tol(sum, known, known / 64);
    free(text);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("openmetrics");
    tcase_add_test(cases, a_counter_is_named_by_the_rules_of_each_dialect);
    tcase_add_loop_test(cases, label_values_are_escaped_and_utf8, 0,
                        sizeof(values) / sizeof(values[0]));
    tcase_add_test(cases, a_histogram_counts_each_value_once_and_never_too_early);
    Suite *suite = suite_create("openmetrics");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
