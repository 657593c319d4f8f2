/* Which SDL texture takes a pixel format as it lies in the slot, and which colours it means. Pure.
 */
#ifndef CONSUMERS_TEXTURE_H
#define CONSUMERS_TEXTURE_H

#include <SDL.h>
#include <shmframe/format.h>

enum texture_layout {
    TEXTURE_CONVERTED =
        0,              /* SDL has nothing alike: libswscale makes SDL_PIXELFORMAT_ARGB8888 of it */
    TEXTURE_PACKED = 1, /* one plane */
    TEXTURE_YUV = 2,    /* three planes */
    TEXTURE_NV = 3,     /* luma, interleaved chroma */
};

struct texture_choice {
    enum texture_layout layout;
    uint32_t sdl_format;              /* enum SDL_PixelFormatEnum */
    SDL_YUV_CONVERSION_MODE yuv_mode; /* counts for YUV formats only */
};

/* SDL knows the matrices of BT.601 and BT.709 with limited range, and BT.601 with full range; YUV
 * of other colours is converted, and so is what is to be graded (grade.h). Colours that the format
 * does not tell are as colors_complete() says. */
struct texture_choice texture_choose(const struct shmframe_video_format *video);

#endif
