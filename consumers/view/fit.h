/* Where a picture goes in a window: aspect ratio and rotation kept, the rest left black. Pure. */
#ifndef CONSUMERS_FIT_H
#define CONSUMERS_FIT_H

#include <shmframe/format.h>
#include <stdbool.h>

struct fit_size {
    int width, height;
};

struct fit_point {
    int x, y;
};

struct fit_area {
    int x, y, width, height;
};

/* What SDL_RenderCopyEx() wants: a rectangle for the picture as it lies in memory, which is then
 * turned about its centre. With a quarter turn it is therefore not the rectangle that is covered.
 */
struct fit_rectangle {
    int x, y, width, height;
    int rotation_degrees; /* clockwise: 0, 90, 180, 270 */
};

/* The size at which every pixel of the picture is at least one pixel wide and high on the screen,
 * after sample aspect and rotation. At least 1x1. */
struct fit_size fit_natural_size(const struct shmframe_video_format *video);

/* `natural` shrunk, never enlarged, to at most `bounds`, in the same proportion. */
struct fit_size fit_within(struct fit_size natural, struct fit_size bounds);

/* The largest rectangle for the picture inside `window`, centred. */
struct fit_rectangle fit_picture(const struct shmframe_video_format *video, struct fit_size window);

#endif
