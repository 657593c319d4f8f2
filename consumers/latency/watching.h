/* Measuring by looking at what another reader measures, which that reader does not notice. */
#ifndef CONSUMERS_LATENCY_WATCHING_H
#define CONSUMERS_LATENCY_WATCHING_H

#include "measurement.h"

/* Watches reader `m->of` of m->stream[0] until the measurement is over, or the reader leaves;
 * returns the exit code. */
int watching_run(struct measurement *m, struct shmframe_session *session);

#endif
