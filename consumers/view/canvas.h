/* The picture on the screen: from a lease into an SDL texture, from there to where it fits. */
#ifndef CONSUMERS_CANVAS_H
#define CONSUMERS_CANVAS_H

#include "zoom.h"
#include <SDL.h>
#include <shmframe/reader.h>

struct canvas;

/* What is behind pictures that are transparent. */
enum canvas_ground {
    CANVAS_CHECKS = 0,
    CANVAS_BLACK = 1,
    CANVAS_OPAQUE = 2, /* nothing: their alpha is ignored */
    CANVAS_GROUNDS = 3,
};

/* `renderer` must outlive it. Errors: -ENOMEM. */
int canvas_create(SDL_Renderer *renderer, struct canvas **out_canvas);
void canvas_destroy(struct canvas *canvas);

/* Makes a texture for pictures of `format`; nothing is shown until the next upload. Errors:
 * -ENOTSUP neither SDL nor libswscale can do it; canvas_trouble() says what. The earlier texture
 * is gone. */
int canvas_set_format(struct canvas *canvas, const struct shmframe_format *format);
/* What was set; NULL: nothing, or what failed. */
const struct shmframe_format *canvas_format(const struct canvas *canvas);
const char *canvas_trouble(const struct canvas *canvas);
/* NULL, or what of its colours is not shown as it is: a line. */
const char *canvas_remark(const struct canvas *canvas);
/* Whether pictures of this format are converted by libswscale. */
bool canvas_is_converted(const struct canvas *canvas);

/* Copies the picture out of the slot into the texture; the lease can be released afterwards. Its
 * format must be the one that was set. Errors: -ENOTSUP as above. */
int canvas_upload(struct canvas *canvas, const struct shmframe_lease *lease);

/* Whether there is a picture to draw. */
bool canvas_has_picture(const struct canvas *canvas);

void canvas_set_ground(struct canvas *canvas, enum canvas_ground ground);

/* Draws what is seen of the last uploaded picture, and nothing around it. Above twice its size the
 * picture's pixels are shown as they are, below they are smoothed. */
void canvas_draw(struct canvas *canvas, struct fit_area room, const struct zoom *zoom);

/* Draws the pixels up to `radius` around one of them, as they lie in memory, as squares of `scale`
 * pixels of the window; black beyond the picture's edges. */
void canvas_magnify(struct canvas *canvas, struct fit_point pixel, int radius, int scale,
                    struct fit_point corner);

/* The renderer lost its textures: empty until the next upload. */
void canvas_reset(struct canvas *canvas);

#endif
