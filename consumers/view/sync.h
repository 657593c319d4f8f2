/* Picture and sound in step: all decisions, without any device. Pure.
 *
 * Sound is the master. A queue of samples stands between stream and sound device; two lines run
 * through its positions: when each was captured, and when each is heard. Their distance is the
 * delay of the sound, and a picture is due that long after its capture. The queue's length is kept
 * at what is needed by playing up to 0.2 % faster or slower, which also absorbs that the sound
 * card's clock and the source's differ.
 */
#ifndef CONSUMERS_SYNC_H
#define CONSUMERS_SYNC_H

#include <stdbool.h>
#include <stdint.h>

/* ---- From a position in the queue to an instant ---- */

/* Learns a line of known slope from observations that jitter; follows slow changes within some 16
 * observations and a jump after a few. */
struct sync_line {
    double frame_ns; /* the slope */
    double base_ns;  /* instant of position 0 */
    uint32_t observations;
    uint32_t strays; /* far from the line, in a row */
};

void sync_line_reset(struct sync_line *line, uint32_t rate_hz);
void sync_line_observe(struct sync_line *line, uint64_t position, int64_t instant_ns);
/* All instants are so much later. */
void sync_line_shift(struct sync_line *line, int64_t later_ns);
bool sync_line_is_known(const struct sync_line *line);
/* Only when known. */
int64_t sync_line_at_ns(const struct sync_line *line, uint64_t position);

/* How long after its capture sound is heard. Only when both are known. */
int64_t sync_delay_ns(const struct sync_line *captured, const struct sync_line *heard);

/* The instant at which the first frame of a buffer is heard, from what PortAudio tells in its
 * call-back: a current time and a time of the buffer, both by some clock of the device, or 0 where
 * it has none. Then `latency_ns`, told at open, must do. */
int64_t sync_heard_ns(int64_t now_ns, double current_s, double heard_s, int64_t latency_ns);

/* ---- How much sound to keep in the queue ---- */

struct sync_cushion {
    int64_t margin_ns;     /* what is to be left at the worst moment */
    int64_t margin_min_ns; /* where it comes down to in quiet times */
    int64_t margin_max_ns;
    int64_t
        least_ns; /* what was left at the worst moment of this window; INT64_MAX: not seen yet */
    int64_t window_ends_ns;
    int64_t excess_ns; /* so much too much that it is to be thrown away: the user's to take down */
    double speed;      /* to be played at: 1 as captured, above: faster */
};

void sync_cushion_init(struct sync_cushion *cushion, int64_t margin_min_ns, int64_t margin_max_ns);
/* The device has just taken a buffer; `left_ns` of sound are left. */
void sync_cushion_observe(struct sync_cushion *cushion, int64_t left_ns);
/* The device found too little. */
void sync_cushion_ran_dry(struct sync_cushion *cushion);
/* Ends a window when it is time to: true if `speed` may have changed. `picture_late_ns` is by how
 * much pictures are typically shown later than the sound they belong to: they cannot be had
 * earlier, so the sound has to wait. */
bool sync_cushion_step(struct sync_cushion *cushion, int64_t now_ns, int64_t picture_late_ns);

/* ---- Whether a block of sound follows the one before ---- */

enum sync_gap {
    SYNC_FOLLOWS = 0, /* yes, as far as a source's jitter lets one tell */
    SYNC_FILL = 1,    /* something is missing: play silence of that length */
    SYNC_JUMP = 2,    /* another time line begins here */
};

enum sync_gap sync_gap_judge(int64_t expected_ns, int64_t captured_ns, bool is_lost);

/* ---- When to show a picture ---- */

enum sync_verdict {
    SYNC_WAIT = 0,
    SYNC_SHOW = 1,
    SYNC_DROP = 2, /* the one after it is due already */
};

/* `due_ns` of this picture and of the one after it, INT64_MAX if there is none yet. */
enum sync_verdict sync_picture_judge(int64_t due_ns, int64_t next_due_ns, int64_t now_ns);

/* Running mean of what it costs to bring a picture to the screen. */
int64_t sync_cost_update_ns(int64_t cost_ns, int64_t measured_ns);

#endif
