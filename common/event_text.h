/* A line of the supervisor's journal in words. */
#ifndef COMMON_EVENT_TEXT_H
#define COMMON_EVENT_TEXT_H

#include <shmframe/supervisor.h>

enum {
    EVENT_TEXT_BYTES = 640,
    EVENT_TIME_BYTES = 32,
};

/* What happened, to whom and by whom, such as "cam: shmframe-view (pid 12, reader 3) lost 5 frames,
 * 4711 to 4715: it held leases for 96.0 ms in all since it was last up to date". */
void event_describe(const struct shmframe_event *event, char text[EVENT_TEXT_BYTES]);

/* When it happened, in local time: "12:03:01.123", or "2026-11-21 12:03:01.123". */
void event_format_time(const struct shmframe_event *event, bool has_date,
                       char text[EVENT_TIME_BYTES]);

#endif
