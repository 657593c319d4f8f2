/* What each test program's main() does. */
#ifndef TESTS_LIBRARY_SUITE_H
#define TESTS_LIBRARY_SUITE_H

#include <unistd.h>

#include "../region/descriptors.h"

struct suite_test {
    const TTest *test;
};

static inline int suite_run(const char *name, const struct suite_test *tests, unsigned count) {
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, descriptors_begin, descriptors_end);
    for (unsigned i = 0; i < count; i++)
        tcase_add_test(cases, tests[i].test);
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#define SUITE_COUNT(tests) (sizeof(tests) / sizeof((tests)[0]))

#endif
