/* Which files single pictures are written to, and which pixel format each takes. Pure. */
#ifndef CONSUMERS_STILL_TYPE_H
#define CONSUMERS_STILL_TYPE_H

#include <libavutil/pixfmt.h>
#include <stdbool.h>

enum still_type {
    STILL_NONE = 0,
    STILL_PNG,
    STILL_JPEG,
    STILL_PNM, /* PGM for grey pictures, PPM for all others */
    STILL_PPM,
    STILL_PGM,
    STILL_PAM,
};

#define STILL_TYPE_NAMES "png, jpeg, pnm, ppm, pgm or pam"

/* "png", "jpeg", "jpg", "pnm", "ppm", "pgm", "pam", in letters of any size. */
enum still_type still_type_find(const char *name);
/* By what stands after the last dot; STILL_NONE if there is none, or another. */
enum still_type still_type_of_path(const char *path);
/* As files are called: "png", "jpg" ... */
const char *still_type_suffix(enum still_type type);

/* The one that keeps most of what `from` has: more than 8 bits become 16, grey stays grey, alpha
 * stays where the file can have it, JPEG keeps the density of chroma. `degrees` is the turn that
 * will follow. */
enum AVPixelFormat still_type_choose(enum still_type type, enum AVPixelFormat from, int degrees);

#endif
