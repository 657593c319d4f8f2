#include "pane.h"

#include <SDL2_gfxPrimitives.h>
#include <stdio.h>
#include <string.h>

enum { LETTER_WIDTH = 8, LETTER_HEIGHT = 8, PADDING = 4 };

int pane_init(struct pane *pane, SDL_Renderer *renderer) {
    *pane = (struct pane){.renderer = renderer};
    const int error = canvas_create(renderer, &pane->canvas);
    return error ? error : overlay_create(renderer, &pane->overlay);
}

void pane_finish(struct pane *pane) {
    overlay_destroy(pane->overlay);
    canvas_destroy(pane->canvas);
    *pane = (struct pane){0};
}

static void draw_caption(const struct pane *pane) {
    char text[sizeof pane->caption];
    const struct fit_area *const area = &pane->free;
    const int letters = (area->width - 2 * PADDING) / LETTER_WIDTH;
    if (letters < 1 || pane->caption[0] == '\0') {
        return;
    }
    snprintf(text, sizeof text, "%.*s", letters, pane->caption);
    const int height = LETTER_HEIGHT + 2 * PADDING;
    /* At the right: what pictures tell of themselves is mostly at the left. */
    const int width = (int)strlen(text) * LETTER_WIDTH + 2 * PADDING;
    const SDL_Rect strip = {area->x + area->width - width, area->y + area->height - height, width,
                            height};
    SDL_SetRenderDrawBlendMode(pane->renderer, SDL_BLENDMODE_BLEND);
    SDL_SetRenderDrawColor(pane->renderer, 0, 0, 0, 220);
    SDL_RenderFillRect(pane->renderer, &strip);
    stringRGBA(pane->renderer, (Sint16)(strip.x + PADDING), (Sint16)(strip.y + PADDING), text, 255,
               255, 255, 255);
}

void pane_clear(const struct pane *pane) {
    const struct fit_area *const area = &pane->area;
    const SDL_Rect room = {area->x, area->y, area->width, area->height};
    SDL_SetRenderDrawBlendMode(pane->renderer, SDL_BLENDMODE_NONE);
    SDL_SetRenderDrawColor(pane->renderer, 0, 0, 0, 255);
    SDL_RenderFillRect(pane->renderer, &room);
}

void pane_draw(struct pane *pane, bool has_caption, bool has_overlay) {
    const struct fit_area *const area = &pane->area;
    if (area->width < 1 || area->height < 1) {
        return;
    }
    canvas_draw(pane->canvas, *area, &pane->zoom);
    const int above = has_overlay ? overlay_draw(pane->overlay, *area) : 0;
    struct fit_area below = pane->free;
    below.y += above;
    below.height -= above;
    strip_draw(pane->renderer, &pane->gauges, below);
    if (has_caption) {
        draw_caption(pane);
    }
}

void pane_reset(struct pane *pane) {
    overlay_reset(pane->overlay);
    canvas_reset(pane->canvas);
}

static const struct shmframe_video_format *video_of(const struct pane *pane) {
    const struct shmframe_format *const format = canvas_format(pane->canvas);
    return format && pane->area.width > 0 && pane->area.height > 0 ? &format->video : NULL;
}

bool pane_pixel_at(const struct pane *pane, struct fit_point point, struct fit_point *out_pixel) {
    const struct shmframe_video_format *const video = video_of(pane);
    if (!video || !canvas_has_picture(pane->canvas)) {
        return false;
    }
    const struct zoom_place place = zoom_place(&pane->zoom, video, pane->area);
    const struct fit_size stored = {(int)video->width, (int)video->height};
    return zoom_pixel_at(&place, stored, point, out_pixel);
}

void pane_zoom_by(struct pane *pane, double times, struct fit_point point) {
    const struct shmframe_video_format *const video = video_of(pane);
    if (video) {
        zoom_by(&pane->zoom, video, pane->area, times, point);
    }
}

void pane_zoom_to_natural(struct pane *pane, struct fit_point point) {
    const struct shmframe_video_format *const video = video_of(pane);
    if (video) {
        zoom_to_natural(&pane->zoom, video, pane->area, point);
    }
}

void pane_pan(struct pane *pane, struct fit_point distance) {
    const struct shmframe_video_format *const video = video_of(pane);
    if (video) {
        zoom_pan(&pane->zoom, video, pane->area, distance);
    }
}
