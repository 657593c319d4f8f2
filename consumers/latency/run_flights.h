/* Flights: a run's frames, taken from the record that its reader keeps, each once. The stamps are
 * the ones that the reader's histograms are of, and its frame path is left alone.
 *
 * The record has room for 1024 frames: it is to be looked at before as many have come. Those that
 * were overwritten before are counted as not seen.
 */
#ifndef CONSUMERS_LATENCY_RUN_FLIGHTS_H
#define CONSUMERS_LATENCY_RUN_FLIGHTS_H

#include "run.h"

struct run_flights;

/* Of a reader of one's own, or of a record; the other one is NULL. Frames taken since the run
 * began. NULL: no memory. */
struct run_flights *run_flights_create(struct run *run, const struct shmframe_reader *reader,
                                       const struct shmframe_record *record);
void run_flights_destroy(struct run_flights *flights);

/* What was read in the picture of a frame, before the frame is looked at. At most so many wait. */
void run_flights_add_mark(struct run_flights *flights, uint64_t sequence,
                          const struct run_mark *mark);

/* Whether half of the record was written anew since the last look, or a second went by. */
bool run_flights_are_due(const struct run_flights *flights, int64_t now_ns);
/* Adds what is new to the run; `is_last`: also frames that are still held. Errors: -ENOMEM. */
int run_flights_look(struct run_flights *flights, int64_t now_ns, bool is_last);

/* Frames of the run that were overwritten before they were looked at. */
uint64_t run_flights_missed(const struct run_flights *flights);

#endif
