#include "screen.h"

#include "canvas.h"
#include <errno.h>
#include <stdlib.h>

static const struct fit_size alone_size = {640, 240};

struct screen {
    struct window *window;
    struct canvas *canvas;
    struct overlay *overlay;
    struct shmframe_format format; /* kind SHMFRAME_NONE: no picture yet */
    bool has_overlay;
};

int screen_create(const struct window_params *params, bool has_overlay,
                  struct screen **out_screen) {
    struct screen *const screen = calloc(1, sizeof *screen);
    if (!screen) {
        return -ENOMEM;
    }
    screen->has_overlay = has_overlay;
    int error = window_create(params, &screen->window);
    if (!error) {
        error = canvas_create(window_renderer(screen->window), &screen->canvas);
    }
    if (!error) {
        error = overlay_create(window_renderer(screen->window), &screen->overlay);
    }
    if (error) {
        screen_destroy(screen);
        return error;
    }
    *out_screen = screen;
    return 0;
}

void screen_destroy(struct screen *screen) {
    if (!screen) {
        return;
    }
    overlay_destroy(screen->overlay);
    canvas_destroy(screen->canvas);
    window_destroy(screen->window);
    free(screen);
}

struct window *screen_window(struct screen *screen) {
    return screen->window;
}

int screen_set_format(struct screen *screen, const struct shmframe_format *format) {
    screen->format = *format;
    const int error = canvas_set_format(screen->canvas, format);
    if (!error) {
        window_fit(screen->window, fit_natural_size(&format->video));
    }
    return error;
}

void screen_show_alone(struct screen *screen) {
    if (window_is_shown(screen->window)) {
        return;
    }
    screen->has_overlay = true;
    window_fit(screen->window, alone_size);
}

const char *screen_trouble(const struct screen *screen) {
    return canvas_trouble(screen->canvas);
}

const char *screen_remark(const struct screen *screen) {
    return canvas_remark(screen->canvas);
}

bool screen_is_converting(const struct screen *screen) {
    return canvas_is_converted(screen->canvas);
}

static void draw(struct screen *screen) {
    const struct fit_size size = window_size(screen->window);
    canvas_draw(screen->canvas, size.width, size.height);
    if (screen->has_overlay) {
        overlay_draw(screen->overlay, size.width, size.height);
    }
}

int screen_present(struct screen *screen, const struct shmframe_lease *lease,
                   int64_t *out_present_ns) {
    const int error = canvas_upload(screen->canvas, lease);
    if (error) {
        return error;
    }
    screen_refresh(screen);
    *out_present_ns = shmframe_now_ns();
    return 0;
}

void screen_refresh(struct screen *screen) {
    draw(screen);
    SDL_RenderPresent(window_renderer(screen->window));
}

int screen_save(struct screen *screen, const char *path) {
    draw(screen);
    const int error = window_save(screen->window, path);
    SDL_RenderPresent(window_renderer(screen->window));
    return error;
}

bool screen_wants_facts(const struct screen *screen, int64_t now_ns) {
    return screen->has_overlay && overlay_is_due(screen->overlay, now_ns);
}

void screen_set_facts(struct screen *screen, const struct overlay_facts *facts, int64_t now_ns) {
    overlay_update(screen->overlay, facts, now_ns);
}

/* The textures are gone: made again, empty until the next picture. */
static void reset(struct screen *screen) {
    overlay_reset(screen->overlay);
    if (screen->format.kind == SHMFRAME_VIDEO) {
        canvas_set_format(screen->canvas, &screen->format);
    }
}

enum window_command screen_next_command(struct screen *screen) {
    bool is_stale = false;
    enum window_command command;
    while ((command = window_next_command(screen->window)) != WINDOW_NOTHING) {
        if (command == WINDOW_RESET) {
            reset(screen);
        } else if (command == WINDOW_OVERLAY) {
            screen->has_overlay = !screen->has_overlay;
        } else if (command != WINDOW_REDRAW) {
            break;
        }
        is_stale = true;
    }
    if (is_stale) {
        screen_refresh(screen);
    }
    return command;
}
