/* Quarter turns of pictures, sample by sample. */
#ifndef CONSUMERS_TURN_H
#define CONSUMERS_TURN_H

#include <libavutil/frame.h>
#include <stdbool.h>

/* Whether pictures of that format can be turned by 90 degrees: whole bytes a pixel, and chroma that
 * is as dense across as down. By 180 all can that have whole bytes. */
bool turn_can(enum AVPixelFormat format, int degrees);

/* Turns `from` clockwise by 0, 90, 180 or 270 degrees into a new frame with its properties, which
 * is the caller's; the shape of its pixels is turned too, and no display matrix is left.
 * Errors: -ENOTSUP the format cannot be; -ENOMEM. */
int turn_run(const AVFrame *from, int degrees, AVFrame **out_frame);

#endif
