/* One stream under analysis: what it is measured by, and what is told of it.
 *
 * Everything is told as a JSON object with "stream": intervals and totals have "span", events have
 * "event". Times are the stream's own: pts where frames have one, capture times otherwise; an
 * interval ends where they say so, however fast the frames come.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_ANALYSIS_H
#define CONSUMERS_ANALYSIS_H

#include "pace.h"
#include "picture_measures.h"
#include "selection.h"
#include "sound_measures.h"
#include "sources.h"

struct analysis_settings {
    struct sound_settings sound;
    struct picture_settings picture;
    int64_t interval_ns;   /* 0: no intervals */
    const char *reference; /* stream that pictures are compared with; NULL: none */
    /* Takes `object`. */
    void (*tell)(void *user, json_t *object);
    void *user;
};

struct analysis_losses {
    uint64_t lost, skipped, device_dropped; /* frames */
};

struct analysis {
    const struct analysis_settings *settings;
    uint32_t kind;
    struct sources *sources;
    uint32_t source, reference;   /* of `sources`; equal: there is no reference */
    struct sound_measures *sound; /* one of the two */
    struct picture_measures *picture;

    struct shmframe_format format[2]; /* by enum pairing_side; slot_bytes 0: none yet */
    bool has_begun;
    int64_t start_ns;      /* in the stream's time, as the next three */
    int64_t part_start_ns; /* of what has come since times began anew */
    int64_t interval_start_ns, end_ns;
    int64_t earlier_ns; /* length of the parts before */
    uint64_t frames, interval_frames;
    struct analysis_losses losses;           /* before the frames of the interval */
    struct shmframe_reader_counters counted; /* of the reader, before everything measured */

    /* By enum pairing_side. */
    bool is_over[2];    /* the measures know of it */
    bool is_copying[2]; /* there are too few leases to keep pictures */
    struct pace pace;
    uint64_t frames_max; /* set by the owner; 0: no limit */
    int64_t came_ns;     /* when the newest frame did, of either side; shmframe_now_ns() */
};

/* Opens the stream, and its reference if it is a picture's. A failure ends the program with one
 * line. False: asked to stop. `settings` is kept. */
bool analysis_open(struct analysis *analysis, const struct analysis_settings *settings,
                   struct sources *sources, const struct selected_stream *stream);
void analysis_close(struct analysis *analysis);

/* Takes and measures one frame, and one of the reference, if `ready` of sources_wait() has them: a
 * stream that always has another one does not keep the program from the others. What cannot be
 * measured is the source's trouble. To be called when something is ready, and when it is due. */
void analysis_take(struct analysis *analysis, uint64_t ready);
int64_t analysis_due_ns(const struct analysis *analysis);

/* Whether `frames_max` frames were measured, and none of them waits for its partner any more. */
bool analysis_has_enough(const struct analysis *analysis);

/* Forgets everything that was measured, and begins anew. */
void analysis_reset(struct analysis *analysis);

/* Tells the last interval; nothing comes any more. */
void analysis_end(struct analysis *analysis);
/* The total so far; the caller's. */
json_t *analysis_make_total(struct analysis *analysis);

const char *analysis_stream(const struct analysis *analysis);

#endif
