/* Demux: an input's tracks, decoded by a thread of its own ahead of the clock.
 *
 *   demux_begin_opening()    opens the input, chooses its tracks and finds their formats in the
 *                            thread
 *   demux_end_opening()      says what came of it
 *   demux_start()            starts decoding; the writers are open by then, since it decodes
 *                            straight into their slots
 *     demux_peek(), demux_pop()    frames in the order of each track
 *   demux_stop(), then what lends the slots is closed, then demux_close()
 *
 * A pass is one way through the file from a position on: each loop and each seek begins the next.
 *
 * Threads: demux_...() from one; the decoding thread, and that which reads a live input, are
 * inside.
 */
#ifndef PRODUCERS_DEMUX_H
#define PRODUCERS_DEMUX_H

#include "intake.h"
#include "selection.h"
#include "timeline.h"
#include "track.h"

enum { DEMUX_TRACKS_MAX = SELECTION_TRACKS_MAX, DEMUX_WHY_BYTES = 2 * INPUT_WHY_BYTES };

/* Decoded frames that wait to be published, at most: enough to bridge what a slow picture takes,
 * few enough to be cheap in slots. Live ones wait elsewhere. */
enum { DEMUX_PICTURES_AHEAD = 4, DEMUX_SOUND_AHEAD = 48, DEMUX_LIVE_AHEAD = 64 };

struct demux_item {
    AVFrame *frame;                 /* NULL: the track has no more frames in this pass */
    struct shmframe_format *format; /* of this frame and the following ones; NULL: as before in
                                       this pass */
    uint32_t pass;
    int64_t arrival_ns; /* when what it was decoded from came in */
    int64_t ready_ns;   /* when it came out of the decoder */
    bool is_jump;       /* the input's times jumped before it, or something is missing */
    uint32_t skipped;   /* packets before it that were too old to be decoded */
};

/* What came in so long ago of a live input is no news: the decoder does not keep up, or nobody was
 * there to look at it. */
#define DEMUX_STALE_NS INT64_C(2000000000)

/* What is wanted of an input. */
struct demux_params {
    const struct option_list *tracks; /* as selection_choose() takes them */
    int64_t start_ns;
    bool is_looping;
    bool is_mending; /* times that jump are made to go on */
};

struct demux {
    struct input *input;
    struct demux_params params;
    struct track track[DEMUX_TRACKS_MAX];
    uint32_t tracks;

    int ready_fd; /* readable: look again */
    pthread_t thread;
    bool is_running;
    bool is_openers; /* the thread is that of demux_begin_opening() */
    struct intake intake;
    struct timeline timeline;

    pthread_mutex_t mutex; /* guards the following */
    pthread_cond_t change;
    AVFifo *items[DEMUX_TRACKS_MAX];
    uint32_t pass;  /* the newest that has begun, or has been asked for */
    bool is_sought; /* a seek to seek_ns is due */
    int64_t seek_ns;
    bool is_sparse[DEMUX_TRACKS_MAX]; /* no frame is near: go on without */
    bool is_over;                     /* no pass will follow by itself */
    bool is_stopping;
    uint64_t changes;          /* counts what may give the thread work */
    char why[DEMUX_WHY_BYTES]; /* what went wrong with the file first; "": nothing */
    bool is_opening;
    int opened; /* what opening came to */

    /* The thread's own. */
    uint32_t decoded_pass;
    bool is_pass_empty;                 /* no frame of it came out yet */
    uint32_t skipped[DEMUX_TRACKS_MAX]; /* since the newest frame of each track */
    bool is_skipping[DEMUX_TRACKS_MAX]; /* up to the next key picture */
    bool is_cut_off; /* the newest packet is damaged: if it is the last, it was cut off */
};

/* Opens and looks at the input in the thread: ready_fd tells when that may be over. demux_stop()
 * and demux_close() are due afterwards, whatever came of it. */
void demux_begin_opening(struct demux *demux, struct input *input,
                         const struct demux_params *params);
/* What came of it; -EAGAIN: it is not over. Errors: -EINTR asked to stop; others: `why` says, in
 * one line, what is wrong. */
int demux_end_opening(struct demux *demux);

/* Leaves a track out; those behind it move up. */
void demux_drop_track(struct demux *demux, uint32_t track);

/* Starts decoding; a failure ends the program. */
void demux_start(struct demux *demux);
void demux_stop(struct demux *demux);
void demux_close(struct demux *demux);

bool demux_is_sound(const struct demux *demux, uint32_t track);

enum demux_head {
    DEMUX_WAIT = 0, /* nothing yet: ready_fd tells when */
    DEMUX_FRAME,    /* out_item is the next frame, still the queue's */
    DEMUX_END,      /* the track is over in this pass */
    DEMUX_SPARSE,   /* no frame within the next seconds of the file */
};

/* What a track has next in `pass`; what is left of earlier ones is dropped. */
enum demux_head demux_peek(struct demux *demux, uint32_t track, uint32_t pass,
                           struct demux_item *out_item);
/* Takes the frame that demux_peek() showed. */
void demux_pop(struct demux *demux, uint32_t track, struct demux_item *out_item);
void demux_item_finish(struct demux_item *item);

/* Waits no more: call before looking, so that what comes afterwards is not missed. */
void demux_clear_ready(struct demux *demux);

/* Whether a pass follows `pass`, or may still. */
bool demux_has_next_pass(struct demux *demux, uint32_t pass);

/* Goes to a position. Returns the pass that begins there, or 0 if the input cannot be sought in. */
uint32_t demux_seek(struct demux *demux, int64_t position_ns);

/* Length of the file; 0: not known. */
int64_t demux_length_ns(const struct demux *demux);
/* Position of a frame of a track: the file begins at 0. */
int64_t demux_position_ns(const struct demux *demux, uint32_t track, int64_t pts);

/* After demux_stop(): says what was wrong with the file, a line each. Returns whether anything was.
 */
bool demux_report(struct demux *demux);

#endif
