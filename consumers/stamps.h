/* The times of a recording: one zero for all its streams, stamps that never go back, and sound that
 * stays beside its picture.
 *
 * Times that come in are nanoseconds of one clock, the same for all streams: when frames were
 * captured, or when their producer says that they are to be presented. Pure: no clock is read here.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_STAMPS_H
#define CONSUMERS_STAMPS_H

#include <libavutil/rational.h>
#include <stdbool.h>
#include <stdint.h>

/* What the frames of one stream say about when they were captured. */
struct capture_times {
    int64_t latency_ns; /* from capture to publish, of the last frame that was believed */
    bool has_latency;
    uint64_t not_believed;
};

/* `capture_ns`, which is its writer's word, of a frame that was published at `publish_ns`, by the
 * reader's clock: at most a second after that (some stamp what they paint when it is due), and at
 * most two minutes before it, for whatever filters and queues lie between. False: it cannot be.
 * Then the frame was published as long after its capture as those before it. */
bool capture_times_believe(struct capture_times *times, int64_t capture_ns, int64_t publish_ns);

struct stamps {
    bool has_begun;
    int64_t zero_ns;
    int64_t skipped_ns; /* pauses so far */
    int64_t end_ns;     /* how far any stream has come */
    uint32_t jumps;     /* how often the zero was set anew */
    bool is_jumping;    /* the times that come in may begin anew: where a file does */
};

/* Where one stream is on it. */
struct stamps_place {
    int64_t zero_ns;
    int64_t end_ns;
    uint32_t jumps;
    bool has_begun;
    bool is_doubted;    /* the last time jumped, and nobody said that it would */
    int64_t doubted_ns; /* that time */
    int64_t resume_ns;  /* and how far the recording was then */
};

/* Times are within that of 0, so that sums of them fit. */
#define STAMPS_MAX_NS (INT64_MAX / 8)

/* The time since the zero of a frame that begins at `time_ns` and lasts `duration_ns`. Where times
 * may jump and do, back, or far ahead, all streams go on from where the recording is; but not for
 * one frame alone that comes with a strange time, which follows the one before it.
 * `is_break`: the producer says that something is missing, or it is a new one. */
int64_t stamps_find(struct stamps *stamps, struct stamps_place *place, int64_t time_ns,
                    int64_t duration_ns, bool is_break);
/* Leaves out a pause: what comes `length_ns` later is next. */
void stamps_skip(struct stamps *stamps, int64_t length_ns);

/* Stamps of pictures. */
struct picture_stamps {
    AVRational time_base;
    int64_t last;
    bool has_begun;
    uint64_t moved; /* that came with a time not after the one before */
};

/* The stamp, in time_base units, of a picture at `time_ns` since the zero: each is after the one
 * before it. */
int64_t picture_stamps_next(struct picture_stamps *stamps, int64_t time_ns);

/* What sound does when its device's clock is not that of the times. */
enum sound_drift {
    SOUND_KEEP = 0, /* its samples stay as they are, stamps follow the line of times */
    SOUND_STRETCH,  /* it is resampled, by as little as keeps it beside the line */
};

struct sound_stamps_params {
    uint32_t rate_hz;    /* of the samples that come */
    uint32_t to_rate_hz; /* of those that are written */
    enum sound_drift drift;
};

/* Where the sound is on its line: the times that blocks came with, freed from jitter. Numbers of
 * samples are of those that are written. */
struct sound_stamps {
    struct sound_stamps_params params;
    bool has_begun;
    int64_t blocks;
    double line_ns;        /* where the next sample that comes should be, if nothing is lost */
    double drift;          /* of the clock of all against the device's clock, a fraction */
    int64_t end;           /* stamp of the next sample to be written */
    int64_t overlap;       /* samples still to be cut, as they come in */
    uint64_t silence, cut; /* samples in all; silence only where there had been sound */
    uint64_t gaps;
    uint64_t shifts; /* how often stamps were moved onto the line */
};

/* What to do with a block of sound, in this order. */
struct sound_step {
    int64_t silence; /* to be written before it */
    int64_t cut;     /* samples of it that are left out, at its beginning, as they come in */
    int64_t shift;   /* added to the stamps from now on; never makes them go back */
    double stretch;  /* a fraction by which to make it longer; SOUND_KEEP: 0 */
};

/* A block of `samples` that begins at `time_ns` since the zero. `lost`: samples known to be missing
 * before it, if their number is known; `is_break`: some may be. The first block's silence is what
 * lies between the zero and it. */
struct sound_step sound_stamps_next(struct sound_stamps *stamps, int64_t time_ns, uint32_t samples,
                                    uint64_t lost, bool is_break);
/* Tells the stamp at which the sound that was handed on ends, what the resampler still holds
 * included. Silence and shifts have been added by sound_stamps_next(). */
void sound_stamps_set_end(struct sound_stamps *stamps, int64_t end);
/* How far the sound is ahead of its line. */
int64_t sound_stamps_skew_ns(const struct sound_stamps *stamps);

#endif
