/* Numbers and a curve over the picture. Drawn into a texture a few times a second and copied from
 * there, so that it costs little at any frame rate. */
#ifndef CONSUMERS_OVERLAY_H
#define CONSUMERS_OVERLAY_H

#include "fit.h"
#include "meter.h"
#include "sound.h"
#include <SDL.h>

struct overlay;

/* What is shown. Meters may be NULL: there is no picture. */
struct overlay_facts {
    const char *picture_title;   /* "demo  1920x1080 yuv420p 60 fps"; NULL: none */
    const char *sound_title;     /* NULL: none */
    const struct meter *age;     /* acquire - capture */
    const struct meter *display; /* present - capture */
    const struct meter *skew;    /* picture shown - its sound heard; NULL: no sound */
    uint64_t shown, unshown, converted;
    uint64_t lost, skipped; /* of the picture's reader */
    uint64_t sound_lost;
    struct sound_state sound;
    uint64_t sequence; /* of the picture on the screen */
    bool is_paused;
    const char *wishes; /* of the user for the sound, to be put before its title; "": none */
};

/* `renderer` must outlive it. Errors: -ENOMEM. */
int overlay_create(SDL_Renderer *renderer, struct overlay **out_overlay);
void overlay_destroy(struct overlay *overlay);

/* Whether the numbers are old enough to be worth gathering again. */
bool overlay_is_due(const struct overlay *overlay, int64_t now_ns);
void overlay_update(struct overlay *overlay, const struct overlay_facts *facts, int64_t now_ns);
/* Draws as much of it as leaves most of `room` to the picture into its upper left corner; returns
 * how high that is, 0 if it could not be read. */
int overlay_draw(struct overlay *overlay, struct fit_area room);
/* The renderer lost its textures. */
void overlay_reset(struct overlay *overlay);

#endif
