/* All that was analyzed as one picture, in a PNG file. */
#ifndef CONSUMERS_ANALYSIS_CHART_H
#define CONSUMERS_ANALYSIS_CHART_H

#include "analysis.h"

/* Replaces `path` once the picture is complete. `has_history` was set for sound and pictures.
 * Errors: a negative errno; -ENOMEM also if the page is too high. */
int analysis_chart_write(struct analysis *analyses, uint32_t count, const char *path);

#endif
