/* Which encoder a stream gets, and with which options: what was asked for, or what suits the
 * container. */
#ifndef CONSUMERS_CODEC_H
#define CONSUMERS_CODEC_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>

struct codec_choice {
    const AVCodec *codec;  /* NULL: the stream is left out, or is_pcm */
    bool is_pcm;           /* the one that suits the samples, see codec_find_pcm() */
    bool is_asked;         /* by name, rather than by the container */
    AVDictionary *options; /* of the codec */
    /* Asked for; otherwise AV_PIX_FMT_NONE, AV_SAMPLE_FMT_NONE, 0. */
    enum AVPixelFormat pixel_format;
    enum AVSampleFormat sample_format;
    int sample_rate, channels;
};

/* `text` is CODEC[:NAME=VALUE,...], `none`, or NULL: what suits `format`. Without one that suits,
 * out_choice is empty. `is_exact`: only a codec that loses nothing suits. -EINVAL and fault_set():
 * a mistake in `text`. The choice is to be finished. */
int codec_choose(const char *text, enum AVMediaType type, const AVOutputFormat *format,
                 bool is_exact, struct codec_choice *out_choice);
void codec_choice_finish(struct codec_choice *choice);

/* Whether what comes out of it is what went in. */
bool codec_is_exact(const struct codec_choice *choice);

/* The PCM codec for samples that `format` takes; NULL: none. */
const AVCodec *codec_find_pcm(const AVOutputFormat *format, enum AVSampleFormat samples);

/* The lists of what an encoder takes; NULL: anything. Ended by -1, by 0, by an empty layout. */
const enum AVPixelFormat *codec_pixel_formats(const AVCodec *codec);
const enum AVSampleFormat *codec_sample_formats(const AVCodec *codec);
const int *codec_sample_rates(const AVCodec *codec);
const AVChannelLayout *codec_channel_layouts(const AVCodec *codec);
/* Ended by {0, 0}. */
const AVRational *codec_frame_rates(const AVCodec *codec);

#endif
