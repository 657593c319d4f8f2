/* One encoder of libavcodec: frames in, packets out.
 *
 * Raw pictures whose rows lie one behind the other are not copied: the packet refers to the frame.
 */
#ifndef CONSUMERS_ENCODER_H
#define CONSUMERS_ENCODER_H

#include "codec.h"

struct encoder;

struct encoder_params {
    const struct codec_choice *choice;
    const AVCodec *codec;
    const AVOutputFormat *format;
    const AVFrame *frame; /* as all will be: format, size, colours, aspect, rate, channels */
    AVRational time_base;
    AVRational frame_rate; /* pictures; 0/1: not known */
    enum AVFieldOrder field_order;
    int key_frames; /* a key frame every so many pictures, if the user does not say; 0: the codec's
                     */
};

/* Called for each packet, in the encoder's time base; takes the reference. */
typedef int encoder_take(void *user, AVPacket *packet);

/* -EINVAL and fault_set(): the codec refuses options or format; others: failed. */
int encoder_create(const struct encoder_params *params, struct encoder **out_encoder);
/* NULL is allowed. */
void encoder_destroy(struct encoder *encoder);

/* Encodes the frame, NULL: what is left. Negative and fault_set() on failure, of `take` too. */
int encoder_send(struct encoder *encoder, const AVFrame *frame, encoder_take *take, void *user);

/* Borrowed. */
const AVCodecContext *encoder_context(const struct encoder *encoder);
const AVCodecParameters *encoder_parameters(const struct encoder *encoder);
/* Raw pictures that were not copied. */
uint64_t encoder_raw_in_place(const struct encoder *encoder);

#endif
