/* Meet: between the functions that stand before others and the page that says what they do. */
#ifndef TESTS_FAULTS_MEET_H
#define TESTS_FAULTS_MEET_H

#include "fault.h"

/* Counts the call; returns what it is to fail with, or 0. Leaves errno alone. */
int fault_meet(enum fault_kind kind, const void *caller);

/* Whether `caller` is the product's code. */
bool fault_is_ours(const void *caller);

/* The function that was to be called. */
void *fault_real(const char *name);

#define CALLER           __builtin_return_address(0)
#define REAL(name, type) ((type)fault_real(#name))
#define MEET(name)       fault_meet(FAULT_##name, CALLER)
#define FAIL_IF_MET(kind, failed)                                                                  \
    do {                                                                                           \
        const int met_ = fault_meet(FAULT_##kind, CALLER);                                         \
        if (met_) {                                                                                \
            errno = met_;                                                                          \
            return failed;                                                                         \
        }                                                                                          \
    } while (0)

#endif
