/* What a picture shows, as metrics: which there are, and what they are called. */
#ifndef TOOLS_EXPOSITION_H
#define TOOLS_EXPOSITION_H

#include "event_tally.h"
#include "gather.h"
#include "openmetrics.h"

/* Readers, and processes, that are shown singly: each is some hundred samples. */
enum { EXPOSITION_READERS_MAX = 128, EXPOSITION_STREAMS_MAX = 256 };

/* Writes all metrics of `gather`; NULL: no supervisor answered. `tally`, of what was told before,
 * may take up its streams; NULL: nobody has listened. */
void exposition_write(FILE *file, enum openmetrics_dialect dialect, const struct gather *gather,
                      struct event_tally *tally);

#endif
