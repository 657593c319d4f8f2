/* Pace: when a frame is due, by its position, on a clock in nanoseconds.
 *
 * Of a file: as the positions say, from where and when it was tied. Of a live input: the time at
 * which frames come out of the decoder, put in even steps by a buffer. The sender's clock is not
 * ours, and the network's delay changes: the slack of a frame is how long before it is due it was
 * there, and the least slack of the last seconds is kept between a quarter of the buffer and all of
 * it. So neither lateness nor delay can grow, however long it runs.
 */
#ifndef PRODUCERS_PACE_H
#define PRODUCERS_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { PACE_TRACKS = 16 };

struct pace {
    bool is_tied;
    int64_t base_ns;   /* this position */
    int64_t origin_ns; /* is due at this time */
    int64_t buffer_ns; /* of a live input */

    int64_t tied_ns;   /* when it was tied */
    int64_t window_ns; /* when the window began in which least_ns is the least slack */
    int64_t least_ns;
    struct {
        bool is_seen;
        int64_t slack_ns, at_ns; /* of the newest frame */
        int64_t offset_ns;       /* of its own: its positions are not those of the others */
    } track[PACE_TRACKS];
};

/* Far behind its time, or before it, a frame is not waited or hurried for: the clock is set. */
#define PACE_JUMP_NS INT64_C(500000000)

/* Sound is sent so long before its picture, or after it, at most. What would have to wait longer
 * for the others is due without them: frames that wait cost memory. */
#define PACE_APART_NS INT64_C(2000000000)

void pace_untie(struct pace *pace);
void pace_tie(struct pace *pace, int64_t position_ns, int64_t due_ns);
int64_t pace_due_ns(const struct pace *pace, int track, int64_t position_ns);

/* A live frame is there at `now_ns`. Returns whether the clock had to be set, which readers are
 * told. */
bool pace_take(struct pace *pace, int track, int64_t position_ns, int64_t now_ns);

#endif
