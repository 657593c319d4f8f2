/* A picture that is larger than the room it has: which part is seen, and which of its pixels lies
 * under a point of the window. Pure.
 *
 * Two orientations occur: displayed, as the user sees the picture, and stored, as its pixels lie in
 * memory; a format's rotation leads from the latter to the former.
 */
#ifndef CONSUMERS_ZOOM_H
#define CONSUMERS_ZOOM_H

#include "fit.h"

/* All zero: the whole picture, as large as the room allows. */
struct zoom {
    double enlargement; /* times the size that fits; 0 is 1 */
    double x, y;        /* from the middle of the displayed picture to what is in the middle of the
                           room, in widths and heights of the picture */
};

/* Where the whole displayed picture lies, in pixels of the window; it may reach beyond the room. */
struct zoom_place {
    double left, top, width, height;
    int rotation_degrees;
};

/* A rectangle of stored pixels, and where it goes: `to` is what SDL_RenderCopyEx() wants, as in
 * fit.h. It may reach beyond the room by up to a pixel of the picture on each side. */
struct zoom_part {
    struct fit_area from, to;
};

struct zoom_place zoom_place(const struct zoom *zoom, const struct shmframe_video_format *video,
                             struct fit_area room);

/* The part of a picture of `stored` pixels that is seen. False: nothing is. */
bool zoom_visible(const struct zoom_place *place, struct fit_size stored, struct fit_area room,
                  struct zoom_part *out_part);

/* Screen pixels a stored one takes, the smaller of width and height. */
double zoom_scale(const struct zoom_place *place, struct fit_size stored);

/* The stored pixel under a point of the window. False: the picture is not there. */
bool zoom_pixel_at(const struct zoom_place *place, struct fit_size stored, struct fit_point point,
                   struct fit_point *out_pixel);

/* ---- What the user wants ---- */

/* `times` larger, so that what lies under `point` stays there. From half the size that fits, or one
 * to one if that is less, to 64 pixels of the window a pixel. */
void zoom_by(struct zoom *zoom, const struct shmframe_video_format *video, struct fit_area room,
             double times, struct fit_point point);
/* One pixel of the picture is one of the window, or two where it is not square. */
void zoom_to_natural(struct zoom *zoom, const struct shmframe_video_format *video,
                     struct fit_area room, struct fit_point point);
/* The picture moves by so many pixels of the window, as far as it has something to show there. */
void zoom_pan(struct zoom *zoom, const struct shmframe_video_format *video, struct fit_area room,
              struct fit_point distance);

#endif
