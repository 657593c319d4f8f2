/* Pictures in another format or size, by libswscale, with the colours that both formats mean.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_SCALER_H
#define CONSUMERS_SCALER_H

#include <libavutil/frame.h>

struct scaler;

/* Zero means: as the picture that comes. */
struct scaler_params {
    enum AVPixelFormat pixel_format; /* always given */
    int width, height;
    enum AVColorSpace
        color_space; /* AVCOL_SPC_RGB is zero, and means the same; for RGB it is ignored */
    enum AVColorRange color_range; /* zero is AVCOL_RANGE_UNSPECIFIED; RGB and grey become full */
};

/* Errors: -ENOMEM; -ENOTSUP libswscale cannot write that pixel format. */
int scaler_create(const struct scaler_params *params, struct scaler **out_scaler);
void scaler_destroy(struct scaler *scaler);

/* Converts `from`, whose format and size may differ each time, into a new frame with its properties
 * (stamps, aspect, flags), which is the caller's. Where `from` does not say its matrix or range,
 * they are taken as picture_colors() says. Errors: -ENOMEM; -ENOTSUP libswscale cannot read it. */
int scaler_run(struct scaler *scaler, const AVFrame *from, AVFrame **out_frame);

/* The matrix and range that a picture's samples have, by what it says of itself or by custom: RGB
 * and grey are full; YUV is limited, BT.601 up to 576 lines and BT.709 above. */
void picture_colors(const AVFrame *picture, enum AVColorSpace *out_space,
                    enum AVColorRange *out_range);

#endif
