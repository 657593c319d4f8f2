/* What becomes of a frame's stamps in a trace. */
#include "tracing.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The microsecond of the event of that phase. */
static double time_of(const char *trace, char phase) {
    char begin[16];
    snprintf(begin, sizeof(begin), "{\"ph\":\"%c\"", phase);
    const char *event = strstr(trace, begin);
    ck_assert_msg(event != NULL, "no event %c in %s", phase, trace);
    const char *time = strstr(event, "\"ts\":");
    ck_assert_ptr_nonnull(time);
    return strtod(time + strlen("\"ts\":"), NULL);
}

/* The reader's look at the clock comes first: where it is off its processor after that, a frame may
 * be made and published before it looks at the stream. */
START_TEST(a_frame_that_came_after_the_look_at_the_clock_is_taken_once_it_was_there) {
    char *trace;
    size_t bytes;
    FILE *file = open_memstream(&trace, &bytes);
    ck_assert_ptr_nonnull(file);
    struct chrome chrome;
    struct tracing_writer writer;
    struct tracing_reader reader;
    chrome_begin(&chrome, file);
    tracing_writer_init(&writer, "cam");
    tracing_writer_begins(&writer, 12, "writer", 0);
    tracing_reader_init(&reader, "cam", 3, "reader", 13);
    const struct shmframe_flight flight = {.sequence = 7,
                                           .capture_ns = 30000,
                                           .publish_ns = 40000,
                                           .acquire_ns = 20000,
                                           .release_ns = 50000};
    tracing_add_flight(&chrome, &writer, &reader, &flight, 60000);
    tracing_writer_finish(&writer);
    chrome_end(&chrome, "{}");
    fclose(file);
    ck_assert_double_eq(time_of(trace, 's'), 30);
    ck_assert_double_eq(time_of(trace, 't'), 40);
    ck_assert_double_eq(time_of(trace, 'f'), 50);
    ck_assert_ptr_nonnull(strstr(trace, "\"acquire_ns\":20000")); /* the stamps are as they are */
    free(trace);
}
END_TEST

int main(void) {
    TCase *cases = tcase_create("tracing");
    tcase_add_test(cases, a_frame_that_came_after_the_look_at_the_clock_is_taken_once_it_was_there);
    Suite *suite = suite_create("tracing");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
