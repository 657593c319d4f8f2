/* Pictures in another format or size, by libswscale, with the colours that both formats mean.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_SCALER_H
#define CONSUMERS_SCALER_H

#include <libavutil/frame.h>
#include <stdbool.h>

struct scaler;

/* Zero means: as the picture that comes. */
struct scaler_params {
    enum AVPixelFormat pixel_format; /* always given */
    int width, height;
    enum AVColorSpace
        color_space; /* AVCOL_SPC_RGB is zero, and means the same; for RGB it is ignored */
    enum AVColorRange color_range; /* zero is AVCOL_RANGE_UNSPECIFIED; RGB and grey become full */
    bool is_quick; /* for the eye: up to 3 levels of 255 off, chroma by half a pixel, several times
                      as quick */
};

/* Whether pictures of that format can be converted. */
bool scaler_reads(enum AVPixelFormat format);

/* Errors: -ENOMEM; -ENOTSUP libswscale cannot write that pixel format. */
int scaler_create(const struct scaler_params *params, struct scaler **out_scaler);
void scaler_destroy(struct scaler *scaler);

/* Converts `from`, whose format and size may differ each time, into a new frame with its properties
 * (stamps, aspect, flags), which is the caller's. Where `from` does not say its matrix or range,
 * they are taken as picture_colors() says. Errors: -ENOMEM; -ENOTSUP libswscale cannot read it. */
int scaler_run(struct scaler *scaler, const AVFrame *from, AVFrame **out_frame);

/* Likewise into `to`, whose format, size, colours and planes are given. */
int scaler_run_into(struct scaler *scaler, const AVFrame *from, AVFrame *to);

/* What a picture does not say of its matrix and range (RGB, the zero, unspecified or reserved;
 * unspecified) is set by custom: RGB and grey are full; YUV is limited, BT.601 up to 576 lines and
 * BT.709 above. RGB is full in any case. */
void colors_complete(enum AVPixelFormat format, int height, enum AVColorSpace *space,
                     enum AVColorRange *range);
/* Both of a picture, completed. */
void picture_colors(const AVFrame *picture, enum AVColorSpace *out_space,
                    enum AVColorRange *out_range);

#endif
