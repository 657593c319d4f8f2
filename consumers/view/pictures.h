/* The pictures of a stream: taken, held until they are due, brought to their canvas, measured.
 *
 *   pictures_bring()       -> the canvas has another picture
 *     (the window is drawn and handed to the display)
 *   pictures_presented()
 *
 * Pictures that only take part in another one have no canvas; then the steps in between are the
 * user's.
 *
 * The picture on the screen stays on lease until the next one is there: nothing is copied to keep
 * it, and its own values can be looked at. (With a single lease it goes as soon as it is shown.)
 *
 * While paused, the picture and those that come right after it are held, as many as may be but one,
 * to be stepped through; all that comes later is taken and passed over by means of that one. A
 * writer that waits for its readers waits instead, and none is passed over.
 */
#ifndef CONSUMERS_PICTURES_H
#define CONSUMERS_PICTURES_H

#include "canvas.h"
#include "listener.h"
#include "meter.h"
#include "source.h"
#include <libavutil/frame.h>

enum { REMARK_BYTES = 96 };

struct held_picture {
    struct shmframe_lease lease;
    AVFrame *frame; /* NULL: not made; otherwise it is what holds the lease */
    bool was_shown;
};

struct pictures {
    struct source source;
    struct canvas *canvas;                 /* borrowed; NULL: see below */
    struct listener *listener;             /* borrowed; NULL: nothing to be in step with */
    char title[SHMFRAME_NAME_BYTES + 130]; /* stream and format; "": none was shown yet */
    uint64_t sequence;                     /* of the picture on the screen; 0: none yet */
    uint64_t shown, unshown, converted;
    uint64_t passed; /* over, while paused */
    uint64_t missed; /* never taken, since they came while the stream was opened in another way */
    uint64_t taken;  /* sequence of the last one that was; 0: none yet of this stream */
    struct meter age, display, skew;
    struct shmframe_histogram skew_sizes; /* without the sign, since the beginning */

    /* In order: first those that were on the screen, the last of them is there now; then from
     * `next` on those that wait. */
    struct held_picture held[SHMFRAME_LEASES_MAX];
    uint32_t held_count;
    uint32_t next;
    bool is_paused;
    uint32_t steps; /* asked for, not yet taken */
    bool is_brought;
    int64_t brought_ns; /* when it was begun to bring it */

    int64_t later_ns;       /* pictures are to be shown so much later than they have to be */
    int64_t sound_later_ns; /* so is their sound */
    int64_t interval_ns;    /* between two pictures; 0: none was shown yet */
    int64_t cost_ns;        /* to bring one to the screen */
    int64_t short_ns;       /* since when delay_max_ns has not been enough; 0: it is */
    int64_t judge_next_ns;
    int64_t ahead_ns; /* by how much a capture time was later than its picture; 0: by little */
    char remark[REMARK_BYTES]; /* the last one that was told */
};

/* Opens `params->stream`. Errors: as source_open(). */
int pictures_open(struct pictures *pictures, struct shmframe_session *session,
                  const struct shmframe_reader_params *params);
/* Reads the same stream in another way. Pictures that are held are gone, and counted as unshown if
 * they were not; those that come meanwhile are counted as missed. Errors: as source_reopen(). */
int pictures_reopen(struct pictures *pictures, struct shmframe_session *session,
                    const struct shmframe_reader_params *params);
void pictures_close(struct pictures *pictures);

/* Takes what there is, and brings to the canvas what is due next. True: there is another picture;
 * the window is to be drawn, then pictures_presented() called. What cannot be shown is the
 * source's trouble, and the end of it. */
bool pictures_bring(struct pictures *pictures);
void pictures_presented(struct pictures *pictures, int64_t present_ns);

/* In place of pictures_bring(), for pictures without a canvas. Takes what there is. */
void pictures_take(struct pictures *pictures);
/* The picture that is next, and wanted now; NULL: none. */
const struct shmframe_lease *pictures_peek(const struct pictures *pictures);
/* That one is on the screen, or is passed over. */
void pictures_advance(struct pictures *pictures);
void pictures_skip(struct pictures *pictures);
/* Between two pictures of such a stream. */
int64_t pictures_interval_ns(const struct shmframe_lease *lease);

/* The picture on the screen; NULL: none is held. */
const struct shmframe_lease *pictures_on_screen(const struct pictures *pictures);

/* The same for FFmpeg, in place; borrowed until the next call. NULL: none is held, or no memory. */
const AVFrame *pictures_frame_on_screen(struct pictures *pictures);

/* Pausing holds what is on the screen; afterwards the newest picture is next. */
void pictures_set_paused(struct pictures *pictures, bool is_paused);
/* While paused: the next picture, as soon as there is one, or the one before if it is held. Of
 * steps beyond what is held one is kept for the next picture to come. */
void pictures_step(struct pictures *pictures, bool is_back);

/* The canvas lost its picture: it is brought again, if it is held. */
void pictures_renew(struct pictures *pictures);

/* Whether one more could be held, or passed over. */
bool pictures_has_room(const struct pictures *pictures);
/* When the next picture is to be shown; INT64_MAX: there is none. */
int64_t pictures_due_ns(struct pictures *pictures);
/* Whether pictures wait to be shown. */
bool pictures_are_waiting(const struct pictures *pictures);
/* The depth that is needed to hold pictures until their sound is heard; 0: the present one does, or
 * it is not known. */
uint32_t pictures_wanted_depth(struct pictures *pictures, int64_t now_ns);
/* To be called now and then: tells the listener by how much pictures are later than their sound. */
void pictures_judge_lateness(struct pictures *pictures, int64_t now_ns);

#endif
