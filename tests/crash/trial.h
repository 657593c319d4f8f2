/* Trial: one row of the table, with one of the signals. */
#ifndef TESTS_CRASH_TRIAL_H
#define TESTS_CRASH_TRIAL_H

#include "table.h"

#include <stdint.h>

/* Others go on for so long while one is stopped: more than any history keeps. */
enum { FRAMES_STOPPED = 24, FRAMES_OF_GRACE = 1100 };

struct trial {
    const struct row *row;
    enum action action;
    uint64_t skip; /* passes of the step to let go by, where frames flow */
    struct outcome seen;
    bool is_done; /* all that was to happen did, besides the outcome */
    int64_t
        told_ns; /* from the signal until the last of those who hear of it has; 0: nobody does */
    int64_t well_ns; /* ... until all is as before */
};

/* False: the world is not as it was; no further trial makes sense. */
bool trial_run(struct trial *trial);

#endif
