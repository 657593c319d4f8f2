/* Reporting: notes a measurement frame by frame while it runs, and writes its report at the end.
 * Without --report, none of these does anything. */
#ifndef CONSUMERS_LATENCY_REPORTING_H
#define CONSUMERS_LATENCY_REPORTING_H

#include "measurement.h"
#include "run.h"

/* There is to be a report in that folder: creates it, or ends the program with the reason. `title`:
 * NULL: none. All is borrowed. */
void reporting_prepare(const char *folder, const char *title, char *const *arguments);

/* When the measurement begins; no memory ends the program. */
void reporting_start(const struct measurement *m);
/* What was read in the picture `sequence` of m->stream[stream], before the next look. */
void reporting_add_mark(uint32_t stream, uint64_t sequence, const struct run_mark *mark);
void reporting_add_skew(uint32_t stream, const struct run_skew *skew);
/* Now and then: after each frame, or each look at a reader. */
void reporting_look(int64_t now_ns);
/* After the whole was told, its totals being in `shown` of each stream, before readers are closed.
 * A report that cannot be written ends the program. */
void reporting_end(const struct measurement *m);

#endif
