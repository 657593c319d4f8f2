/* A place in the window: a picture, what is said about it, and how it is looked at. */
#ifndef CONSUMERS_PANE_H
#define CONSUMERS_PANE_H

#include "canvas.h"
#include "overlay.h"
#include "strip.h"

struct pane {
    SDL_Renderer *renderer; /* borrowed */
    struct canvas *canvas;
    struct overlay *overlay;
    struct zoom zoom;
    struct fit_area area;        /* in the window; 0x0: it is not seen */
    struct fit_area free;        /* of it, where nothing lies on its lower edge */
    struct gauge_reading gauges; /* drawn, if there are channels */
    char caption[200];           /* for its lower edge and the window's title */
};

/* `renderer` must outlive it. Errors: -ENOMEM; pane_finish() is due in any case. */
int pane_init(struct pane *pane, SDL_Renderer *renderer);
void pane_finish(struct pane *pane);

/* Black, where others were drawn before. */
void pane_clear(const struct pane *pane);
void pane_draw(struct pane *pane, bool has_caption, bool has_overlay);
/* The renderer lost its textures. */
void pane_reset(struct pane *pane);

/* The stored pixel under a point of the window. False: the picture is not there. */
bool pane_pixel_at(const struct pane *pane, struct fit_point point, struct fit_point *out_pixel);

/* What the user wants to see of the picture; nothing, while there is none. */
void pane_zoom_by(struct pane *pane, double times, struct fit_point point);
void pane_zoom_to_natural(struct pane *pane, struct fit_point point);
void pane_pan(struct pane *pane, struct fit_point distance);

#endif
