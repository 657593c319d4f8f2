#include "screen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct fit_size alone_size = {640, 240};

struct screen {
    struct window *window;
    struct pane pane[LAYOUT_MAX];
    uint32_t panes;
    enum layout layout;
    int enlarged; /* the pane that fills the window; -1: none */
    struct fit_point pointer;
    struct inspector inspector;
    screen_leases *leases;
    void *user;
    bool has_overlay;
    bool is_stale; /* what the window shows */
};

int screen_create(const struct screen_params *params, struct screen **out_screen) {
    struct screen *const screen = calloc(1, sizeof *screen);
    if (!screen) {
        return -ENOMEM;
    }
    screen->has_overlay = params->has_overlay;
    screen->layout = params->layout;
    screen->leases = params->leases;
    screen->user = params->user;
    screen->enlarged = -1;
    screen->pointer = (struct fit_point){-1, -1};
    int error = window_create(&params->window, &screen->window);
    while (!error && screen->panes < params->panes) {
        error = pane_init(&screen->pane[screen->panes++], window_renderer(screen->window));
    }
    if (error) {
        screen_destroy(screen);
        return error;
    }
    screen->inspector.renderer = window_renderer(screen->window);
    *out_screen = screen;
    return 0;
}

void screen_destroy(struct screen *screen) {
    if (!screen) {
        return;
    }
    for (uint32_t i = 0; i < screen->panes; i++) {
        pane_finish(&screen->pane[i]);
    }
    window_destroy(screen->window);
    free(screen);
}

struct window *screen_window(struct screen *screen) {
    return screen->window;
}

uint32_t screen_panes(const struct screen *screen) {
    return screen->panes;
}

struct pane *screen_pane(struct screen *screen, uint32_t pane) {
    return &screen->pane[pane];
}

/* Large enough for pictures of the first format that is there. False: none is. */
static bool natural_size(const struct screen *screen, struct fit_size *out_size) {
    const struct shmframe_format *format = NULL;
    for (uint32_t i = 0; i < screen->panes && !format; i++) {
        format = canvas_format(screen->pane[i].canvas);
    }
    if (!format) {
        return false;
    }
    const struct fit_size one = fit_natural_size(&format->video);
    const bool is_grid = screen->layout == LAYOUT_AUTO || screen->layout == LAYOUT_GRID;
    const struct fit_size cells =
        is_grid ? layout_grid(screen->panes, one) : (struct fit_size){1, 1};
    *out_size = (struct fit_size){one.width * cells.width, one.height * cells.height};
    return true;
}

void screen_appear(struct screen *screen) {
    struct fit_size size;
    if (!window_is_shown(screen->window) && natural_size(screen, &size)) {
        window_fit(screen->window, size);
    }
}

void screen_show_alone(struct screen *screen) {
    if (window_is_shown(screen->window)) {
        return;
    }
    screen->has_overlay = true;
    window_fit(screen->window, alone_size);
}

static void update_title(struct screen *screen) {
    char title[1024];
    size_t used = 0;
    for (uint32_t i = 0; i < screen->panes && used < sizeof title; i++) {
        used += (size_t)snprintf(title + used, sizeof title - used, "%s%s", i > 0 ? " | " : "",
                                 screen->pane[i].caption);
    }
    window_set_title(screen->window, title);
}

void screen_set_caption(struct screen *screen, uint32_t pane, const char *text) {
    struct pane *const of = &screen->pane[pane];
    if (strcmp(of->caption, text) == 0) {
        return;
    }
    snprintf(of->caption, sizeof of->caption, "%s", text);
    update_title(screen);
    screen->is_stale |= screen->panes > 1;
}

/* ---- Drawing ---- */

static void place(struct screen *screen) {
    const struct fit_size size = window_size(screen->window);
    struct fit_area area[LAYOUT_MAX] = {{0}};
    if (screen->enlarged >= 0) {
        layout_place(LAYOUT_AUTO, 1, size, &area[screen->enlarged]);
    } else {
        layout_place(screen->layout, screen->panes, size, area);
    }
    for (uint32_t i = 0; i < screen->panes; i++) {
        screen->pane[i].area = area[i];
        screen->pane[i].free = layout_free(area, screen->panes, i);
    }
}

static int find_pane(const struct screen *screen, struct fit_point point) {
    struct fit_area area[LAYOUT_MAX];
    for (uint32_t i = 0; i < screen->panes; i++) {
        area[i] = screen->pane[i].area;
    }
    return layout_find(area, screen->panes, point);
}

static void inspect(struct screen *screen) {
    const int pane = find_pane(screen, screen->pointer);
    if (!screen->inspector.is_on || pane < 0) {
        return;
    }
    const struct shmframe_lease *lease[INSPECTOR_SOURCES] = {NULL};
    const uint32_t count = screen->leases(screen->user, (uint32_t)pane, lease);
    inspector_draw(&screen->inspector, &screen->pane[pane], lease, count, screen->pointer,
                   window_size(screen->window));
}

static void draw(struct screen *screen) {
    SDL_Renderer *const renderer = window_renderer(screen->window);
    place(screen);
    SDL_SetRenderDrawColor(renderer, 0, 0, 0, 255);
    SDL_RenderClear(renderer);
    for (uint32_t i = 0; i < screen->panes; i++) {
        if (screen->layout == LAYOUT_PIP && i > 0) {
            pane_clear(&screen->pane[i]);
        }
        pane_draw(&screen->pane[i], screen->panes > 1, screen->has_overlay);
    }
    inspect(screen);
    screen->is_stale = false;
}

int64_t screen_present(struct screen *screen) {
    draw(screen);
    SDL_RenderPresent(window_renderer(screen->window));
    return shmframe_now_ns();
}

int screen_save(struct screen *screen, const char *path) {
    draw(screen);
    const int error = window_save(screen->window, path);
    SDL_RenderPresent(window_renderer(screen->window));
    return error;
}

const struct inspector *screen_inspector(const struct screen *screen) {
    return &screen->inspector;
}

bool screen_wants_facts(const struct screen *screen, uint32_t pane, int64_t now_ns) {
    return screen->has_overlay && overlay_is_due(screen->pane[pane].overlay, now_ns);
}

/* ---- What the user wants ---- */

int screen_pointed(const struct screen *screen) {
    const int found = find_pane(screen, screen->pointer);
    if (found >= 0) {
        return found;
    }
    return screen->enlarged >= 0 ? screen->enlarged : screen->panes == 1 ? 0 : -1;
}

/* Keys act where the mouse is; without it in the middle of the first picture. */
static struct pane *aim(struct screen *screen, struct fit_point *out_point) {
    const int found = screen_pointed(screen);
    struct pane *const pane = &screen->pane[found >= 0 ? found : 0];
    const struct fit_area *const area = &pane->area;
    *out_point = find_pane(screen, screen->pointer) >= 0
                     ? screen->pointer
                     : (struct fit_point){area->x + area->width / 2, area->y + area->height / 2};
    return pane;
}

static void enlarge(struct screen *screen) {
    struct fit_point point;
    const struct pane *const pane = aim(screen, &point);
    if (screen->panes > 1) {
        screen->enlarged = screen->enlarged >= 0 ? -1 : (int)(pane - screen->pane);
    }
}

static void change_layout(struct screen *screen) {
    if (screen->layout == LAYOUT_DIFFERENCE) {
        return;
    }
    screen->layout = screen->layout == LAYOUT_PIP ? LAYOUT_GRID : LAYOUT_PIP;
    struct fit_size size;
    if (natural_size(screen, &size)) {
        window_refit(screen->window, size);
    }
}

static void look(struct screen *screen, const struct window_event *event) {
    struct fit_point point;
    struct pane *const pane = aim(screen, &point);
    if (event->command == WINDOW_ZOOM) {
        pane_zoom_by(pane, event->times, point);
    } else if (event->command == WINDOW_ZOOM_NATURAL) {
        pane_zoom_to_natural(pane, point);
    } else if (event->command == WINDOW_ZOOM_FIT) {
        pane->zoom = (struct zoom){0};
    } else if (event->command == WINDOW_PAN) {
        pane_pan(pane, event->distance);
    }
}

/* Whether it was for the screen. */
static bool obey(struct screen *screen, const struct window_event *event) {
    screen->pointer = event->point;
    switch (event->command) {
    case WINDOW_ZOOM:
    case WINDOW_ZOOM_FIT:
    case WINDOW_ZOOM_NATURAL:
    case WINDOW_PAN:
        look(screen, event);
        return true;
    case WINDOW_ENLARGE:
        enlarge(screen);
        return true;
    case WINDOW_LAYOUT:
        change_layout(screen);
        return true;
    case WINDOW_OVERLAY:
        screen->has_overlay = !screen->has_overlay;
        return true;
    case WINDOW_INSPECT:
        screen->inspector.is_on = !screen->inspector.is_on;
        return true;
    case WINDOW_REDRAW:
        return true;
    case WINDOW_RESET:
        for (uint32_t i = 0; i < screen->panes; i++) {
            pane_reset(&screen->pane[i]);
        }
        return false;
    case WINDOW_NOTHING:
    case WINDOW_QUIT:
    case WINDOW_PAUSE:
    case WINDOW_STEP:
    case WINDOW_STEP_BACK:
    case WINDOW_POINT:
    case WINDOW_SCREENSHOT:
    case WINDOW_SAVE:
    case WINDOW_MUTE:
    case WINDOW_VOLUME:
    case WINDOW_SOUND_DELAY:
    case WINDOW_PICTURE_DELAY:
    case WINDOW_GAUGES:
    case WINDOW_GROUND:
    case WINDOW_SOUND:
        break;
    }
    return false;
}

struct window_event screen_next_event(struct screen *screen) {
    for (;;) {
        const struct window_event event = window_next_event(screen->window);
        if (event.command == WINDOW_NOTHING) {
            if (screen->is_stale && window_is_shown(screen->window)) {
                screen_present(screen);
            }
            return event;
        }
        const bool is_done = obey(screen, &event);
        screen->is_stale |= is_done || screen->inspector.is_on;
        if (!is_done) {
            return event;
        }
    }
}
