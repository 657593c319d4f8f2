#include "pace.h"

#include <string.h>

#define SECOND_NS INT64_C(1000000000)

/* What a server has kept for a newcomer, and what was read to find the tracks, comes at once: for
 * so long the clock follows the newest frames. */
#define SETTLING_NS SECOND_NS
/* Long enough to see the jitter, short enough for clocks that differ by 1/1000 to be a few
 * milliseconds apart at its end. */
#define WINDOW_NS (5 * SECOND_NS)
/* A track without a frame for so long does not count. */
#define SILENT_NS (2 * SECOND_NS)

void pace_untie(struct pace *pace) {
    *pace = (struct pace){.buffer_ns = pace->buffer_ns};
}

void pace_tie(struct pace *pace, int64_t position_ns, int64_t due_ns) {
    pace->is_tied = true;
    pace->base_ns = position_ns;
    pace->origin_ns = due_ns;
}

int64_t pace_due_ns(const struct pace *pace, int track, int64_t position_ns) {
    return pace->origin_ns + position_ns - pace->base_ns + pace->track[track].offset_ns;
}

static void begin_window(struct pace *pace, int64_t now_ns) {
    pace->window_ns = now_ns;
    pace->least_ns = INT64_MAX;
}

static void tie_live(struct pace *pace, int64_t position_ns, int64_t now_ns) {
    pace_tie(pace, position_ns, now_ns + pace->buffer_ns);
    pace->tied_ns = now_ns;
    memset(pace->track, 0, sizeof(pace->track));
    begin_window(pace, now_ns);
}

/* Makes everything due later by that. */
static void shift(struct pace *pace, int64_t by_ns) {
    pace->origin_ns += by_ns;
    for (int i = 0; i < PACE_TRACKS; i++)
        pace->track[i].slack_ns += by_ns;
}

/* The least slack that the newest frames of the tracks have: sound may be sent long before its
 * picture, and has to wait for it. */
static int64_t find_slack_ns(const struct pace *pace, int64_t now_ns) {
    int64_t least_ns = INT64_MAX;
    for (int i = 0; i < PACE_TRACKS; i++)
        if (pace->track[i].is_seen && now_ns - pace->track[i].at_ns < SILENT_NS &&
            pace->track[i].slack_ns < least_ns)
            least_ns = pace->track[i].slack_ns;
    return least_ns;
}

/* A quarter of the buffer is for what the clocks drift apart until the next window's end. */
static void keep_bounds(struct pace *pace, int64_t least_ns) {
    if (least_ns < pace->buffer_ns / 4)
        shift(pace, pace->buffer_ns / 4 - least_ns);
    else if (least_ns > pace->buffer_ns)
        shift(pace, pace->buffer_ns - least_ns);
}

bool pace_take(struct pace *pace, int track, int64_t position_ns, int64_t now_ns) {
    const bool is_first = !pace->is_tied;
    if (is_first)
        tie_live(pace, position_ns, now_ns);
    const int64_t slack_ns = pace_due_ns(pace, track, position_ns) - now_ns;
    pace->track[track].is_seen = true;
    pace->track[track].slack_ns = slack_ns;
    pace->track[track].at_ns = now_ns;
    const int64_t least_ns = find_slack_ns(pace, now_ns);
    if (now_ns - pace->tied_ns < SETTLING_NS) {
        shift(pace, pace->buffer_ns - least_ns);
        begin_window(pace, now_ns);
        return false;
    }
    if (slack_ns < -PACE_JUMP_NS || least_ns > pace->buffer_ns + PACE_JUMP_NS) {
        tie_live(pace, position_ns, now_ns);
        pace->track[track].is_seen = true;
        pace->track[track].slack_ns = pace->buffer_ns;
        pace->track[track].at_ns = now_ns;
        return !is_first;
    }
    if (slack_ns > pace->buffer_ns + PACE_APART_NS) {
        pace->track[track].offset_ns += pace->buffer_ns - slack_ns;
        pace->track[track].slack_ns = pace->buffer_ns;
        return true;
    }
    pace->least_ns = slack_ns < pace->least_ns ? slack_ns : pace->least_ns;
    if (now_ns - pace->window_ns >= WINDOW_NS) {
        keep_bounds(pace, pace->least_ns);
        begin_window(pace, now_ns);
    }
    return false;
}
