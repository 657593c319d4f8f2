/* One stream on its way into a recording: frames of its source in, packets out.
 *
 *   track_open()    an encoder for what comes, at the beginning and after a change of format
 *     track_put()   each frame
 *   track_flush()   what the encoder still holds
 *
 * Frames are handed to the encoder as they are where it takes them, otherwise converted; both are
 * counted. Threads: one.
 */
#ifndef CONSUMERS_TRACK_H
#define CONSUMERS_TRACK_H

#include "bars.h"
#include "encoder.h"
#include "lent.h"
#include "recording.h"
#include "scaler.h"
#include "stamps.h"

#include <libavutil/audio_fifo.h>
#include <libswresample/swresample.h>

struct track_counters {
    uint64_t encoded;   /* frames handed to the encoder, as it takes them */
    uint64_t early;     /* frames of before the beginning, left out */
    uint64_t skipped;   /* frames that came in a pause, or after the end */
    uint64_t converted; /* frames */
    uint64_t raw_in_place;
};

struct track {
    const char *stream;
    struct recording *recording;
    uint32_t index;
    const struct codec_choice *choice;
    bool is_exact_time; /* stamps are those that the producer gave */
    enum sound_drift drift;
    int64_t limit_ns; /* what comes from then on is left out; INT64_MAX: all is wanted */
    bool is_done;     /* the limit was reached */

    struct shmframe_format format; /* of what comes; kind 0: nothing is known */
    struct lent lent;
    struct capture_times capture_times;
    bool is_false_told;
    struct stamps_place place;
    struct encoder *encoder; /* NULL: closed */
    AVFrame *shape;          /* what the encoder gets, without data */
    AVRational time_base;    /* of the packets */
    char why[192];           /* frames are converted; "": they are not */
    struct track_counters counters;

    /* Pictures. */
    struct picture_stamps picture_stamps;
    struct scaler *scaler; /* NULL: taken as they are */
    struct bars bars;      /* for a picture of another shape than the first */
    int64_t tick_ns;       /* how long a picture lasts, as far as known; 0: it is not */

    /* Sound. */
    struct sound_stamps sound_stamps;
    struct SwrContext *resampler; /* NULL: taken as it is */
    AVAudioFifo *gathered;        /* of the encoder's format */
    int64_t next;                 /* stamp of the next sample to be gathered */
    int64_t last;                 /* the last stamp given to the encoder */
    int block;                    /* samples of the last block that came */
};

/* A frame of the source, and what the lease said of it. */
struct track_frame {
    AVFrame *frame;
    int64_t time_ns; /* since the zero */
    uint64_t lost;   /* frames just before it */
    bool is_break;   /* time or content jumps before it */
};

/* What a frame needs an encoder for: of track->format. With an encoder that is open and is to be
 * kept, how to convert to what it takes. -EINVAL and fault_set(): the codec refuses. */
int track_open(struct track *track);
/* Takes the frame. Errors: fault_set(). */
int track_put(struct track *track, struct track_frame *frame);
/* Writes what is left, and closes the encoder. */
int track_flush(struct track *track);
/* Frees everything, without a word more to the recording. */
void track_close(struct track *track);

/* For recording_set_streams(). */
struct recording_stream track_describe(const struct track *track);

/* How long a frame lasts by its own account, or by its length; 0: unknown. */
int64_t track_duration_ns(const struct track *track, const AVFrame *frame);

/* Of track_open(), track_put(), track_flush(), by kind. */
int track_picture_open(struct track *track);
int track_picture_put(struct track *track, struct track_frame *frame);
int track_sound_open(struct track *track);
int track_sound_put(struct track *track, struct track_frame *frame);
int track_sound_flush(struct track *track);
/* A packet of the encoder's goes into the recording. An encoder_take. */
int track_take_packet(void *track, AVPacket *packet);

#endif
