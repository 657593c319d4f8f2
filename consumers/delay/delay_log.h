/* Log: what became of each frame, a line each, as CSV. */
#ifndef CONSUMERS_DELAY_DELAY_LOG_H
#define CONSUMERS_DELAY_DELAY_LOG_H

#include "held.h"

/* Creates or empties the file; a failure ends the program. */
void delay_log_open(const char *path);
/* Whether all of it was written. */
bool delay_log_close(void);

/* The frame was published on `stream`. */
void delay_log_published(const char *stream, const struct held_frame *frame);
/* It was not: "drop" on purpose, "refused" without a slot, "torn" while it was
 * copied, "paused" meanwhile, "unsent" at the end. */
void delay_log_missing(const char *stream, const char *action, const struct held_frame *frame);

#endif
