/* What a self-test found, as a table or as JSON. */
#ifndef TOOLS_SELF_TEST_REPORT_H
#define TOOLS_SELF_TEST_REPORT_H

#include "doctor.h"
#include "report.h"
#include "self_test.h"

enum { SELF_TEST_DELAYS = 10 };

struct self_test_results {
    struct doctor_wakes wakes;
    struct self_test_delay delay[SELF_TEST_DELAYS];
    uint32_t delays;
    struct self_test_faults faults;
    bool has_faults;
};

/* Prints it; returns whether all of it is right. */
bool self_test_report(const struct self_test_results *results, enum report_format format);

#endif
