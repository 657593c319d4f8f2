/* Statistics: what a producer says at its end of each of its streams. */
#ifndef PRODUCERS_STATISTICS_H
#define PRODUCERS_STATISTICS_H

#include "producer.h"

/* Prints a line for each stream, or one JSON object for --format json. `counters` has one for each,
 * `seconds` is how long the run was. */
void statistics_print(const struct producer *producer,
                      const struct shmframe_writer_counters *counters, double seconds);

#endif
