/* What frames of a format look like to libav*: descriptions without data. */
#ifndef CONSUMERS_SHAPE_H
#define CONSUMERS_SHAPE_H

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <shmframe/format.h>
#include <stdbool.h>

/* A frame with the format, size, colours, aspect, rate and channels that each lease of `format`
 * has, and no data; sound is as long as a block. NULL: this FFmpeg does not know the format, or no
 * memory. */
AVFrame *shape_create(const struct shmframe_format *format);

/* Whether both say the same of what a frame means: where its bytes lie in the slot, its pace and
 * the length of blocks do not matter. */
bool shape_is_equal(const struct shmframe_format *a, const struct shmframe_format *b);

enum AVFieldOrder shape_field_order(const struct shmframe_format *format);

#endif
