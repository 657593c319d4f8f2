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
    /* Of the reader, before everything that is measured, and before this interval. */
    struct shmframe_reader_counters counted, told;
    bool is_over[2]; /* by enum pairing_side; the measures know of it */
};

/* Opens the stream, and its reference if it is a picture's. A failure ends the program with one
 * line. False: asked to stop. `settings` is kept. */
bool analysis_open(struct analysis *analysis, const struct analysis_settings *settings,
                   struct sources *sources, const struct selected_stream *stream);
void analysis_close(struct analysis *analysis);

/* Takes and measures what has come of it, by `ready` of sources_wait(), `frames_max` frames in all
 * since it began (0: no limit). */
void analysis_take(struct analysis *analysis, uint64_t ready, uint64_t frames_max);

/* Forgets everything that was measured, and begins anew. */
void analysis_reset(struct analysis *analysis);

/* Tells the last interval; nothing comes any more. */
void analysis_end(struct analysis *analysis);
/* The total so far; the caller's. */
json_t *analysis_make_total(struct analysis *analysis);

const char *analysis_stream(const struct analysis *analysis);

#endif
