/* What a recording says of itself: at its end, and on the way. */
#ifndef CONSUMERS_RECORDER_REPORT_H
#define CONSUMERS_RECORDER_REPORT_H

#include "recorder.h"
#include "report.h"

/* A new object; `ended_by` may be NULL. */
json_t *recorder_report_json(const struct recorder *recorder, const char *target,
                             const char *ended_by);
/* The same in words, on stdout. */
void recorder_report_print(const struct recorder *recorder, const char *target);

/* One short line: time, size, bit rate, speed, losses. */
enum { RECORDER_LINE_BYTES = 192 };
void recorder_report_line(const struct recorder *recorder, char line[RECORDER_LINE_BYTES]);

#endif
