/* Track: the pictures or the sound of a file, from packets to frames with a format and a time.
 *
 *   track_open()             finds what it is; the decoder is not running yet
 *   track_probe()            packet by packet, until the format is known from a decoded frame
 *   track_start()            opens the decoder that plays; the packets probed are decoded again,
 *                            into slots now, since no writer could be opened before
 *   track_step()             a frame, or what is missing for one
 *   track_close()
 *
 * Threads: one at a time.
 */
#ifndef PRODUCERS_TRACK_H
#define PRODUCERS_TRACK_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/fifo.h>
#include <shmframe/avframe.h>

enum { TRACK_WHY_BYTES = 256 };

/* What of a picture or of sound makes another format, if it changes. */
struct track_shape {
    int format, width, height, sample_rate, channels;
    AVRational aspect;
    int range, primaries, transfer, space, location;
};

struct track {
    AVStream *stream;              /* the file's */
    AVCodecContext *codec;         /* of what plays; not opened before track_start() */
    struct shmframe_format format; /* of the newest frame */
    bool is_known;                 /* `format` counts */
    uint64_t damaged;              /* packets and frames that could not be decoded */
    char why[TRACK_WHY_BYTES];     /* why the track cannot be played, after a failure */

    AVCodecContext *probe;
    AVFifo *packets;
    size_t packet_bytes;
    struct track_shape shape;
    bool is_telling;   /* the next frame tells its format, also if it is the same */
    int64_t next_pts;  /* where a frame without a time belongs; AV_NOPTS_VALUE: not known */
    int64_t first_pts; /* frames that end before are dropped; AV_NOPTS_VALUE: none */
    uint32_t failures; /* in a row */
    bool is_complete;  /* no packets will follow in this pass */
    bool is_ended;     /* all frames of this pass came out */
};

/* Returns 0, or a negative errno with `why`. `codec` is the decoder to use. */
int track_open(struct track *track, AVStream *stream, const AVCodec *codec);
void track_close(struct track *track);

/* Looks at a packet (NULL: there are no more) until `is_known`, and keeps it for track_step().
 * Returns 0, or a negative errno with `why` if the track cannot be played. */
int track_probe(struct track *track, AVFormatContext *input, const AVPacket *packet);

/* Takes sound that has shown nothing yet for what the file says that it is, where it does. */
void track_assume_sound(struct track *track, AVFormatContext *input);

/* Slots that the decoder keeps at once. */
uint32_t track_loans(const struct track *track);

/* Returns 0, or a negative errno with `why`. */
int track_start(struct track *track);

/* Keeps a packet for decoding. Errors: -ENOMEM. */
int track_add_packet(struct track *track, const AVPacket *packet);
/* Nanoseconds that the packets kept span. */
int64_t track_ahead_ns(const struct track *track);

enum track_step {
    TRACK_NEEDS_PACKET = 0,
    TRACK_BUSY,  /* went on: step again */
    TRACK_FRAME, /* `frame` is the next one: pts, duration and time_base are set */
    TRACK_ENDED,
};
enum track_step track_step(struct track *track, AVFrame *frame);

/* Whether the format of `frame` is to be told: another than before, or of the first frame since
 * track_tell_format(). `format` is up to date then. */
bool track_changes_format(struct track *track, AVFormatContext *input, const AVFrame *frame);
/* Frames may have been thrown away that told a format. */
void track_tell_format(struct track *track);

/* Frames that end before `position_ns` are dropped. */
void track_begin_at(struct track *track, AVFormatContext *input, int64_t position_ns);
/* Begins a new pass after a seek: forgets packets and what the decoder has. */
void track_restart(struct track *track, AVFormatContext *input, int64_t position_ns);

/* Position in the file of a time of this track: the file begins at 0. */
int64_t track_position_ns(const struct track *track, const AVFormatContext *input, int64_t pts);

#endif
