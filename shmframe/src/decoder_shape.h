/* Decoder: what memory looks like that one is given to write its frames to. */
#ifndef SHMFRAME_SRC_DECODER_SHAPE_H
#define SHMFRAME_SRC_DECODER_SHAPE_H

#include <libavcodec/avcodec.h>
#include <shmframe/writer.h>

/* What a ring looks like to FFmpeg; computed once a ring. */
struct decoder_shape {
    bool is_known;
    uint32_t ring;
    int av_format;                 /* enum AVPixelFormat or AVSampleFormat */
    struct shmframe_format format; /* a copy: the ring may go */
    uint64_t coded_offset[SHMFRAME_PLANES_MAX];
};
void decoder_shape_init(struct decoder_shape *shape, const struct shmframe_loan *loan);

enum decoder_fit {
    DECODER_FITS = 0,
    DECODER_FITS_NOT, /* another geometry or format */
    DECODER_TOO_LONG, /* more samples than there is room for */
};
/* Whether the frame that the decoder is about to make finds its place and alignment in memory of
 * that shape which begins at `base`. */
enum decoder_fit decoder_shape_hold(const struct decoder_shape *shape, uintptr_t base,
                                    AVCodecContext *codec, const AVFrame *frame);

/* Makes the planes of `frame` point into memory at `base`. Errors: -ENOMEM. */
int decoder_shape_point(const struct decoder_shape *shape, uint8_t *base, AVFrame *frame);

/* The lines of all pictures that the decoder makes of one size. It computes with the present one's
 * in its references too, so that they last until it changes the size. */
struct decoder_mould {
    enum AVPixelFormat pixel_format;
    int width, height; /* as the decoder asks for them; 0: none yet */
    struct decoder_shape shape;
};
/* Settles the lines for pictures of a size that is new: the ring's where it is for them, otherwise
 * those that a ring for them would have. Errors: as shmframe_format_video(). */
int decoder_mould_cast(struct decoder_mould *mould, const struct decoder_shape *ring,
                       AVCodecContext *codec, const AVFrame *frame);
bool decoder_mould_has_lines_of(const struct decoder_mould *mould,
                                const struct decoder_shape *shape);

/* Whether a frame in memory at `base` lies there as readers will look for it. */
bool decoder_shape_shows(const struct decoder_shape *shape, const uint8_t *base,
                         const AVFrame *frame);

#endif
