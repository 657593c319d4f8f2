/* Camera codec: the pictures of a camera that compresses them, decoded into slots.
 *
 *   camera_codec_open()
 *   camera_codec_probe()    packet by packet, until the format is known
 *   camera_codec_start()    with a writer of that format; decoding begins anew, into its slots
 *     camera_codec_send()   a packet
 *     camera_codec_next()   its pictures
 *   camera_codec_close()
 *
 * A picture comes out before the next packet is sent, unless the camera reorders them.
 */
#ifndef PRODUCERS_CAMERA_CODEC_H
#define PRODUCERS_CAMERA_CODEC_H

#include "camera_format.h"

#include <libavcodec/avcodec.h>
#include <shmframe/avframe.h>

struct camera_codec {
    const AVCodec *decoder;
    AVCodecContext *context;
    AVFrame *frame;
    struct shmframe_decoder_slots *slots; /* NULL: not started */
    struct camera_picture picture;        /* what the driver says of the pictures */
    struct shmframe_format format;        /* of the newest picture */
    bool is_known;                        /* `format` counts */
    uint32_t loans;                       /* what the writer needs */
};

/* What FFmpeg said last of what is wrong; "": nothing. It says no more on standard error. */
struct camera_codec_words {
    char text[160];
};
struct camera_codec_words camera_codec_words(void);

/* `picture` is what the driver says. Errors: -ENOTSUP, -ENOMEM with `why`. */
int camera_codec_open(struct camera_codec *codec, const struct camera_picture *picture,
                      char why[CAMERA_WHY_BYTES]);
void camera_codec_close(struct camera_codec *codec);

/* Returns 0 once the format is known, -EAGAIN if it takes more packets. */
int camera_codec_probe(struct camera_codec *codec, const uint8_t *data, uint32_t bytes);

int camera_codec_start(struct camera_codec *codec, struct shmframe_writer *writer,
                       char why[CAMERA_WHY_BYTES]);

/* Decodes a packet that was captured at `capture_ns`. Errors: -EBADMSG it cannot be decoded. */
int camera_codec_send(struct camera_codec *codec, const uint8_t *data, uint32_t bytes,
                      int64_t capture_ns);

/* The next picture, decoded: -EAGAIN there is none, -EBADMSG it is damaged, -ESTALE its format is
 * another one, and `format` says which: go on in that and call camera_codec_loan(). */
int camera_codec_next(struct camera_codec *codec);
/* Its slot, with its capture time. Errors: as shmframe_decoder_slots_loan(). */
int camera_codec_loan(struct camera_codec *codec, struct shmframe_loan *out_loan,
                      bool *out_is_copied);

/* Adds why pictures were copied to `sum`. */
void camera_codec_count_copies(const struct camera_codec *codec,
                               struct shmframe_decoder_counters *sum);
/* In words; "": none were. */
void camera_codec_explain_copies(const struct shmframe_decoder_counters *counters,
                                 char text[CAMERA_WHY_BYTES]);

#endif
