/* Picture: paints the test picture straight into a slot.
 *
 * Life: create for one format; destroy. Painting only reads it.
 * Timing: a whole picture costs what writing its bytes costs; a repaint what has changed, which is
 * a few hundredths of it.
 */
#ifndef PRODUCERS_PICTURE_H
#define PRODUCERS_PICTURE_H

#include "scene.h"

struct picture;

/* For pictures of `format`, complete, at its frame_rate, which must be known.
 * Errors: -ENOTSUP a pixel format that cannot be painted; -EINVAL no frame rate; -ENOMEM. */
int picture_create(const struct shmframe_format *format, struct picture **out_picture);
void picture_destroy(struct picture *picture);

/* Paints frame number `frame` into a slot of which nothing is known. */
void picture_paint(const struct picture *picture, uint8_t *slot, int64_t frame);

/* Turns frame `held`, painted before and untouched since, into frame `frame`; earlier or later. The
 * bytes are the same that picture_paint() makes. */
void picture_repaint(const struct picture *picture, uint8_t *slot, int64_t held, int64_t frame);

/* What it is made of, for tests. */
const struct scene *picture_scene(const struct picture *picture);

#endif
