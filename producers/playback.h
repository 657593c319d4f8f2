/* Playback: all tracks of an input, each frame when it is due.
 *
 * A file: a frame is captured at the instant at which it is due on the producer's clock; it was
 * decoded some frames before. Unpaced there is no such clock: pictures are captured when the
 * decoder gets their slot, sound when its block does. What comes late is published at once and
 * counted. Where it is so late that the rest of the file would have to be hurried through, the
 * clock is set back instead.
 *
 * A live input: a frame is captured when the packet with it came in, and due when pace.h says. It
 * is opened again when it is lost; the streams stay.
 */
#ifndef PRODUCERS_PLAYBACK_H
#define PRODUCERS_PLAYBACK_H

#include "pace.h"
#include "playing.h"

struct playback {
    struct producer producer;
    struct input input;
    struct demux_params params;
    bool is_reconnecting;

    struct demux demux;
    bool is_open; /* the demux is */
    struct playing playing[DEMUX_TRACKS_MAX];
    uint32_t playings;
    struct pace pace;
    uint32_t pass;
    bool begins_anew;    /* the pass does not go on where the one before has ended */
    int64_t end_ns;      /* media time at which what was published ends */
    int64_t position_ns; /* of the newest frame */
    bool has_news;       /* frames came since the input was lost last */
    uint32_t tries;      /* to reach it, since then */
};

/* Opens a stream for each track of the demux, which is open. False: asked to stop. */
bool playback_open(struct playback *playback);
/* Plays until it is over. */
void playback_run(struct playback *playback);
/* Closes everything; the exit code. */
int playback_finish(struct playback *playback);

/* Goes to a position. False: the input has none to go to. */
bool playback_seek(struct playback *playback, int64_t position_ns);

/* From inside: */

/* The next frames of all streams are no continuation. */
void playback_mark_jump(struct playback *playback);
/* Lets the input go, for good or to open it again. Returns whether something was wrong with it. */
bool playback_close_input(struct playback *playback, bool is_reported);
/* Returns whether the input is over; if not, the program is to end. */
bool playback_run_live(struct playback *playback);
/* Opens the input again and again until it is there. False: asked to stop. */
bool playback_reconnect(struct playback *playback);

#endif
