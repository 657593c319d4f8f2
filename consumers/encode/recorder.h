/* A recording: the sources of a program, a track for each, and where their packets go.
 *
 *   recorder_add()       once for each stream
 *   recorder_take()      whenever something can be taken
 *   recorder_look()      now and then
 *   recorder_finish()
 *
 * It begins when each source has shown a frame with a time that can be, or none has come from it
 * for a moment: the first of them is the zero of all. Until then frames wait.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_RECORDER_H
#define CONSUMERS_RECORDER_H

#include "sources.h"
#include "track.h"

enum recorder_time {
    RECORDER_TIME_AUTO = 0, /* pts where all streams are lossless and have them */
    RECORDER_TIME_CAPTURE,
    RECORDER_TIME_PTS,
};

enum recorder_drift {
    RECORDER_DRIFT_AUTO = 0, /* stretch lossy sound of live sources */
    RECORDER_DRIFT_KEEP,
    RECORDER_DRIFT_STRETCH,
};

struct recorder_params {
    struct sources *sources; /* borrowed, as the others */
    struct recording *recording;
    const struct codec_choice *video, *audio;
    enum recorder_time time;
    enum recorder_drift drift;
    bool is_rescaling; /* a change of format changes nothing of what is written */
    uint32_t frames;   /* to end after; 0: no limit */
    int64_t duration_ns;
};

enum { RECORDER_WAITING_MAX = 128 }; /* frames of a track, before the beginning */

struct recorder_frame {
    AVFrame *frame;
    int64_t capture_ns;
    int64_t publish_ns;
    bool is_believed; /* what it says of its capture */
    int64_t pts_ns;   /* SHMFRAME_NO_PTS: has none */
    uint64_t lost;
    bool is_break;
};

struct recorder {
    struct recorder_params params;
    struct track track[RECORDING_STREAMS_MAX]; /* as the sources */
    uint32_t order[RECORDING_STREAMS_MAX];     /* of the tracks in the container: pictures first */
    uint32_t tracks;
    struct stamps stamps;
    bool has_begun;
    bool is_exact_time;  /* stamps are the producers' */
    bool is_other_clock; /* captures are not of this machine's: only their differences count */
    bool is_paused, is_resuming;
    bool is_after_pause[RECORDING_STREAMS_MAX]; /* nothing has come since */
    int64_t first_ns;                           /* when the first frame of all was taken */
    int64_t done_ns;                            /* when the first track had all that was wanted */
    int64_t paused_ns;                          /* in all, of pauses that are over */
    int64_t pause_ns;                           /* when this one began */
    int64_t length_ns;                          /* of what was written */
    uint32_t changes;                           /* of format */
    uint32_t changes_now;                       /* since changed_ns */
    int64_t changed_ns;
    struct recorder_frame waiting[RECORDING_STREAMS_MAX][RECORDER_WAITING_MAX];
    uint32_t waits[RECORDING_STREAMS_MAX];
};

/* The next source becomes a track; all before the first frame is taken. */
void recorder_add(struct recorder *recorder, struct source *source);

/* Takes a frame of source `index`, if there is one and it is wanted yet. 1: it did; 0: there is
 * none now. Errors: fault_set(); -EINVAL: codec, container and formats do not go together. */
int recorder_take(struct recorder *recorder, uint32_t index);
/* Begins where that is due. Errors as recorder_take(). */
int recorder_look(struct recorder *recorder);
/* Whether all that was wanted is there. */
bool recorder_is_done(const struct recorder *recorder);

void recorder_pause(struct recorder *recorder);
void recorder_resume(struct recorder *recorder);

/* Writes what is left. The recording is finished afterwards, by its owner. */
int recorder_finish(struct recorder *recorder);
/* When nothing refers to frames any more: after recording_destroy(). */
void recorder_close(struct recorder *recorder);

/* How much has been recorded. */
int64_t recorder_length_ns(const struct recorder *recorder);
uint64_t recorder_lost(const struct recorder *recorder);

#endif
