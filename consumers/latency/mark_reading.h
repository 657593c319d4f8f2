/* Measuring by the marks in pictures and the bursts in sounds, of several streams at once. */
#ifndef CONSUMERS_LATENCY_MARK_READING_H
#define CONSUMERS_LATENCY_MARK_READING_H

#include "measurement.h"

struct mark_reading_params {
    char *const *names; /* streams, or groups */
    uint32_t count;
    const char *source; /* whose marks count; NULL: the first that are seen */
    bool has_policy;    /* --policy was given; otherwise no block of a sound is passed over */
};

/* Finds the streams, adds them to `m`, and reads them until the measurement is over; returns the
 * exit code. */
int mark_reading_run(struct measurement *m, struct shmframe_session *session,
                     const struct mark_reading_params *params);

#endif
