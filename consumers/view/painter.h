/* Pictures that SDL does not take as they are, painted as RGB of 8 bits by libswscale, and graded
 * where a window does not have their colours.
 */
#ifndef CONSUMERS_PAINTER_H
#define CONSUMERS_PAINTER_H

#include <shmframe/reader.h>

struct painter;

/* Paints pictures of `format` in `width` x `height` pixels. Errors: -ENOTSUP libswscale does not
 * read the pixel format; -ENOMEM. */
int painter_create(const struct shmframe_format *format, int width, int height,
                   struct painter **out_painter);
void painter_destroy(struct painter *painter);

/* NULL, or what of its colours is not shown as it is: a line. */
const char *painter_remark(const struct painter *painter);

/* Into SDL_PIXELFORMAT_ARGB8888. Errors: -ENOTSUP; -ENOMEM. */
int painter_run(struct painter *painter, const struct shmframe_lease *lease, uint8_t *pixels,
                int line_bytes);

#endif
