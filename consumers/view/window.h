/* A window, or the lack of a display: SDL's video driver, its renderer, and what the user wants.
 *
 * Threads: the one that created it.
 */
#ifndef CONSUMERS_WINDOW_H
#define CONSUMERS_WINDOW_H

#include "fit.h"
#include <SDL.h>
#include <stdbool.h>

struct window;

/* Zero means the documented default. */
struct window_params {
    const char *title;
    struct fit_size size; /* 0x0: as window_fit() says */
    bool is_fullscreen;
    bool has_vsync; /* pictures wait for the screen's next refresh: no tearing, but later */
};

/* What the user wants. Where it is about a picture, it is the one at `point`. */
enum window_command {
    WINDOW_NOTHING = 0,
    WINDOW_QUIT,
    WINDOW_PAUSE,
    WINDOW_STEP,
    WINDOW_STEP_BACK,
    WINDOW_OVERLAY,
    WINDOW_LAYOUT,  /* the other one */
    WINDOW_ENLARGE, /* the picture fills the window, or no longer */
    WINDOW_INSPECT,
    WINDOW_POINT, /* the mouse moved, or left: then `point` is outside */
    WINDOW_ZOOM,  /* `times` larger */
    WINDOW_ZOOM_FIT,
    WINDOW_ZOOM_NATURAL,
    WINDOW_PAN, /* by `distance` */
    WINDOW_SCREENSHOT,
    WINDOW_SAVE, /* the picture itself */
    WINDOW_MUTE,
    WINDOW_VOLUME,        /* a `step` up or down */
    WINDOW_SOUND_DELAY,   /* likewise */
    WINDOW_PICTURE_DELAY, /* likewise */
    WINDOW_GAUGES,
    WINDOW_GROUND, /* the next one */
    WINDOW_SOUND,  /* of the picture `number`, from 0 */
    WINDOW_REDRAW, /* its contents were lost, or its size changed */
    WINDOW_RESET,  /* the renderer lost its textures too */
};

/* Points are in pixels of the window, as window_size() is. */
struct window_event {
    enum window_command command;
    struct fit_point point;    /* where the mouse is */
    struct fit_point distance; /* WINDOW_PAN */
    double times;              /* WINDOW_ZOOM */
    int step;                  /* 1 or -1 */
    uint32_t number;           /* WINDOW_SOUND */
};

/* Opens SDL's display and a window that stays hidden until window_fit(). Without a display, SDL
 * draws into memory: window_trouble() says so. Errors: -ENOTSUP nothing can be drawn at all,
 * *out_window is NULL and SDL_GetError() says why; -ENOMEM. */
int window_create(const struct window_params *params, struct window **out_window);
void window_destroy(struct window *window);

/* NULL, or why nobody sees what is drawn. */
const char *window_trouble(const struct window *window);
SDL_Renderer *window_renderer(const struct window *window);

/* Shows the window; the first time it takes the size of a picture, as far as the screen allows,
 * unless a size was asked for. */
void window_fit(struct window *window, struct fit_size natural);
/* Another size is wanted. What the user has chosen stays: a size, before or since, or full screen.
 */
void window_refit(struct window *window, struct fit_size natural);
bool window_is_shown(const struct window *window);
void window_set_title(struct window *window, const char *title);

/* The size to draw in, in pixels. */
struct fit_size window_size(const struct window *window);

/* What the user did next; WINDOW_NOTHING: no more. Full screen (f) is dealt with here. */
struct window_event window_next_event(struct window *window);

/* Writes what has been drawn since the last present to a PNG file. Call before present: afterwards
 * it is undefined. Errors: as png_write(); -ENOTSUP the renderer cannot be read. */
int window_save(const struct window *window, const char *path);

#endif
