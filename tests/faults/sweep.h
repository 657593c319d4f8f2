/* Sweep: a scenario is run once for each call that it makes and each way in which that can fail.
 *
 * A scenario is what a program does with the library, from its first session to its last close.
 * Each run is a process of its own. A call of the library that fails must say why and what helps,
 * and must go well when it is made again; whatever happens, everything must be given back in the
 * end.
 */
#ifndef TESTS_FAULTS_SWEEP_H
#define TESTS_FAULTS_SWEEP_H

#include "fault.h"

#include <shmframe/shmframe.h>

#define SWEEP_NS INT64_C(10000000000) /* how long anything may take */

enum { ANSWERS_MAX = 4 };

struct scenario {
    const char *name;
    void (*act)(void);
    /* Errors that the header has of a call, and that some of the runs must get from it. */
    struct {
        const char *call;
        int code;
    } answers[ANSWERS_MAX];
};

/* Runs it with all faults that the environment asks for, see README.md; returns how many runs went
 * wrong, and tells of each on stderr. */
unsigned sweep(const struct scenario *scenario);

/* ---- within a scenario ---- */

/* From here on calls count, or fail; and no more. */
void sweep_arm(void);
void sweep_disarm(void);
bool sweep_has_fired(void);
int sweep_error(void); /* what the fault is */

int64_t sweep_deadline(void);

/* The run is wrong: does not return. */
_Noreturn void sweep_wrong(const char *text, ...) __attribute__((format(printf, 1, 2)));

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sweep_wrong(__VA_ARGS__);                                                              \
    } while (0)

/* A call under test has answered `code` < 0. */
void sweep_judge(const char *call, int code);

/* Without a fault any more, a second try must do. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        const int first_ = (call);                                                                 \
        if (first_ >= 0)                                                                           \
            break;                                                                                 \
        sweep_judge(#call, first_);                                                                \
        const int second_ = (call);                                                                \
        MUST(second_ >= 0, "%s answers %s again: %s", #call, strerrorname_np(-second_),            \
             shmframe_last_error());                                                               \
    } while (0)

/* What is not under test must go well. */
#define DO(call)                                                                                   \
    do {                                                                                           \
        const int code_ = (call);                                                                  \
        MUST(code_ >= 0, "%s answers %s: %s", #call, strerrorname_np(-code_),                      \
             shmframe_last_error());                                                               \
    } while (0)

#endif
