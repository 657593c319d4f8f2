/* Playing: one track as a stream, from decoded frames to published ones. */
#ifndef PRODUCERS_PLAYING_H
#define PRODUCERS_PLAYING_H

#include "demux.h"
#include "producer.h"
#include "side_data.h"

struct playing {
    struct producer_stream *stream;
    int track; /* of the demux; -1: the input has it no more */
    bool is_sound;
    uint32_t ordinal;       /* of its kind */
    struct demux_item item; /* frame NULL: the next is still queued */
    int sample;             /* of sound: the first of the frame that was not published yet */
    enum demux_head head;
    int64_t due_ns;      /* where head is DEMUX_FRAME */
    int64_t duration_ns; /* of what was published last */

    AVFifo *waiting;                         /* of a live input: the items behind that one */
    struct shmframe_format *pending;         /* of frames that were dropped */
    struct shmframe_decoder_slots *slots;    /* of the present decoder */
    struct shmframe_decoder_counters copies; /* of earlier slots */
    char copied_why[256];
    struct side_data side_data;
};

/* Opens the stream; a failure ends the program. `ahead` decoded frames may wait at once. False:
 * asked to stop. */
bool playing_open(struct playing *playing, struct producer *producer, const char *name,
                  struct track *track, uint32_t ahead, bool is_live);

/* Goes on with another decoder. False: asked to stop. */
bool playing_attach(struct playing *playing, struct track *track);
/* Drops what is queued. The decoder is gone when the slots are taken from it. */
void playing_clear(struct playing *playing);
void playing_detach(struct playing *playing);
void playing_finish(struct playing *playing);

/* Drops the item, but for what it says of the format. */
void playing_drop(struct playing *playing, struct demux_item *item);

/* Position in the file of what is next. */
int64_t playing_position_ns(const struct playing *playing, const struct demux *demux);

/* Publishes the item, or of sound the next block of it. `capture_ns` 0: when it got its slot.
 * Returns whether it was; if not, it is dropped, was taken away by a request, or the program is to
 * stop. */
bool playing_publish(struct playing *playing, struct producer *producer, int64_t capture_ns,
                     int64_t *out_publish_ns);

#endif
