/* Measuring by reading the stream. */
#ifndef CONSUMERS_LATENCY_READING_H
#define CONSUMERS_LATENCY_READING_H

#include "measurement.h"

/* Reads m->stream[0] until the measurement is over; returns the exit code. */
int reading_run(struct measurement *m, struct shmframe_session *session);

#endif
