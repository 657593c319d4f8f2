/* Stills: a picture made fit for a file of its own - its format, size, way up - and encoded, by
 * libswscale and libavcodec.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_STILL_H
#define CONSUMERS_STILL_H

#include "still_type.h"

#include <libavcodec/packet.h>
#include <libavutil/frame.h>

struct still_params {
    enum still_type type;
    int width, height; /* of the file's picture, the right way up; 0: as the picture that comes */
    bool is_square;    /* enlarge it until its pixels are square; not with a size */
    int quality;       /* JPEG: 1 to 100, as libjpeg's users know it; 0: the default of 90 */
};

/* What had to be done to a picture before it could be encoded. */
enum still_change {
    STILL_CONVERTED = 1 << 0, /* another pixel format, matrix or range */
    STILL_SCALED = 1 << 1,
    STILL_TURNED = 1 << 2,
};

struct stills;

/* Errors: -ENOMEM. */
int stills_create(const struct still_params *params, struct stills **out_stills);
void stills_destroy(struct stills *stills);

/* Makes `from` fit, to be turned clockwise by `degrees` (0, 90, 180, 270): a new frame, or another
 * reference to the same where nothing had to be done; `out_changes` (enum still_change) tells.
 * Errors: -ENOMEM; -ENOTSUP libswscale cannot read it; -EINVAL it would become larger than 65500 on
 * a side. */
int stills_fit(struct stills *stills, const AVFrame *from, int degrees, AVFrame **out_frame,
               unsigned *out_changes);

/* Encodes a frame that was made fit into the bytes of a file.
 * Errors: -ENOMEM; -ENOTSUP this FFmpeg cannot write that type, or not such a picture. */
int stills_encode(const struct stills *stills, const AVFrame *frame, AVPacket **out_packet);

#endif
