/* Where the pictures of several streams go in one window. Pure. */
#ifndef CONSUMERS_LAYOUT_H
#define CONSUMERS_LAYOUT_H

#include "fit.h"
#include <stdint.h>

enum {
    LAYOUT_MAX = 16, /* pictures in one window */
};

enum layout {
    LAYOUT_AUTO = 0,   /* a grid, which for one picture is the window */
    LAYOUT_GRID,       /* side by side, all of one size */
    LAYOUT_PIP,        /* the first fills the window, the others lie in its corners */
    LAYOUT_DIFFERENCE, /* one picture, made of two */
};

/* "grid", "pip", "difference"; LAYOUT_AUTO: it is none of them. */
enum layout layout_parse(const char *text);

/* How many columns and rows a grid of `count` pictures has in a window: those that give pictures of
 * 16:9 the most room. */
struct fit_size layout_grid(uint32_t count, struct fit_size window);

/* Places `count` pictures, at most LAYOUT_MAX. Later ones lie above earlier ones. */
void layout_place(enum layout layout, uint32_t count, struct fit_size window,
                  struct fit_area out_area[]);

/* What later areas leave free of the lower edge of one, in its full height. */
struct fit_area layout_free(const struct fit_area area[], uint32_t count, uint32_t index);

/* The uppermost of the areas that holds a point; -1: none does. */
int layout_find(const struct fit_area area[], uint32_t count, struct fit_point point);

#endif
