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
/* Likewise, with strips for marks. Errors: also -ERANGE the picture is too small for them:
 * `out_width` and `out_height` are what it takes. */
int picture_create_marked(const struct shmframe_format *format, struct picture **out_picture,
                          int32_t *out_width, int32_t *out_height);
void picture_destroy(struct picture *picture);

/* Paints frame number `frame` into a slot of which nothing is known; all but the marks. */
void picture_paint(const struct picture *picture, uint8_t *slot, int64_t frame);

/* Turns frame `held`, painted before and untouched since, into frame `frame`; earlier or later. The
 * bytes are the same that picture_paint() makes. */
void picture_repaint(const struct picture *picture, uint8_t *slot, int64_t held, int64_t frame);

/* Draws `mark` into the strips, which show the mark `held`, drawn before and untouched since; NULL:
 * of which nothing is known. For a picture that was created with them. */
void picture_draw_mark(const struct picture *picture, uint8_t *slot, const struct mark *held,
                       const struct mark *mark);

/* What it is made of, for tests. */
const struct scene *picture_scene(const struct picture *picture);

#endif
