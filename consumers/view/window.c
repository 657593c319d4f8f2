#include "window.h"

#include "png.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct fit_size hidden_size = {640, 360};
static const double screen_share = 0.9; /* of the usable desktop, at most */
static const double zoom_step = 1.25;
static const struct fit_point nowhere = {-1, -1};

struct window {
    SDL_Window *window;
    SDL_Renderer *renderer;
    struct window_params params;
    bool has_display;
    bool is_shown;
    struct fit_size fitted;   /* the size it was given last; 0x0: none */
    struct fit_point pointer; /* where the mouse is */
};

static bool is_set(const char *variable) {
    const char *const value = getenv(variable);
    return value && value[0] != '\0';
}

/* SDL would also try the graphics card itself; a window program must not seize a console. Who wants
 * that says so in SDL_VIDEODRIVER. */
static int open_display(bool *out_has_display) {
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
    /* Where the processor draws, it is not to take the way over OpenGL to the screen. */
    SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
    const bool is_promising =
        is_set("SDL_VIDEODRIVER") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    *out_has_display = is_promising && SDL_Init(SDL_INIT_VIDEO) == 0;
    if (*out_has_display) {
        *out_has_display = strcmp(SDL_GetCurrentVideoDriver(), "dummy") != 0 &&
                           strcmp(SDL_GetCurrentVideoDriver(), "offscreen") != 0;
        return 0;
    }
    /* Not by the variable: other threads may read the environment. */
    SDL_SetHintWithPriority(SDL_HINT_VIDEODRIVER, "dummy", SDL_HINT_OVERRIDE);
    return SDL_Init(SDL_INIT_VIDEO) == 0 ? 0 : -ENOTSUP;
}

/* OpenGL without a graphics card costs several times what SDL's own drawing costs. */
static bool is_emulated(SDL_Renderer *renderer) {
    enum { GL_RENDERER_NAME = 0x1F01 }; /* GL_RENDERER in gl.h, of OpenGL and OpenGL ES alike */
    static const char *const emulators[] = {"llvmpipe", "softpipe", "swrast", "Software"};
    SDL_RendererInfo info = {0};
    SDL_GetRendererInfo(renderer, &info);
    typedef const uint8_t *get_string(unsigned name);
    if (!info.name || strncmp(info.name, "opengl", 6) != 0) {
        return false;
    }
    get_string *const get = (get_string *)SDL_GL_GetProcAddress("glGetString");
    const char *const name = get ? (const char *)get(GL_RENDERER_NAME) : NULL;
    for (size_t i = 0; name && i < sizeof emulators / sizeof emulators[0]; i++) {
        if (strstr(name, emulators[i])) {
            return true;
        }
    }
    return false;
}

static void close_window(struct window *window) {
    if (window->renderer) {
        SDL_DestroyRenderer(window->renderer);
        window->renderer = NULL;
    }
    if (window->window) {
        SDL_DestroyWindow(window->window);
        window->window = NULL;
    }
}

static bool open_window(struct window *window, uint32_t renderer_flags) {
    const struct window_params *const params = &window->params;
    const struct fit_size size = params->size.width > 0 ? params->size : hidden_size;
    window->window = SDL_CreateWindow(
        params->title, SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, size.width, size.height,
        SDL_WINDOW_HIDDEN | SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI);
    if (window->window) {
        window->renderer = SDL_CreateRenderer(window->window, -1, renderer_flags);
    }
    return window->renderer;
}

/* The graphics card draws where there is one and it can, the processor otherwise; SDL_RENDER_DRIVER
 * decides for both. */
static bool open_best_window(struct window *window) {
    const uint32_t vsync = window->params.has_vsync ? SDL_RENDERER_PRESENTVSYNC : 0;
    if (is_set("SDL_RENDER_DRIVER")) {
        return open_window(window, vsync);
    }
    if (window->has_display && open_window(window, SDL_RENDERER_ACCELERATED | vsync) &&
        !is_emulated(window->renderer)) {
        return true;
    }
    close_window(window);
    return open_window(window, SDL_RENDERER_SOFTWARE);
}

int window_create(const struct window_params *params, struct window **out_window) {
    *out_window = NULL;
    struct window *const window = calloc(1, sizeof *window);
    if (!window) {
        return -ENOMEM;
    }
    window->params = *params;
    window->pointer = nowhere;
    if (open_display(&window->has_display) != 0 || !open_best_window(window)) {
        window_destroy(window);
        return -ENOTSUP;
    }
    *out_window = window;
    return 0;
}

void window_destroy(struct window *window) {
    if (!window) {
        return;
    }
    close_window(window);
    SDL_Quit();
    free(window);
}

const char *window_trouble(const struct window *window) {
    return window->has_display ? NULL : "no display: pictures are drawn, but nobody sees them";
}

SDL_Renderer *window_renderer(const struct window *window) {
    return window->renderer;
}

static bool is_fullscreen(const struct window *window) {
    return SDL_GetWindowFlags(window->window) & SDL_WINDOW_FULLSCREEN_DESKTOP;
}

/* The pointer would stand in the picture. */
static void set_fullscreen(struct window *window, bool is_wanted) {
    SDL_SetWindowFullscreen(window->window, is_wanted ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    SDL_ShowCursor(is_wanted ? SDL_DISABLE : SDL_ENABLE);
}

/* `natural`, as far as the screen allows. */
static void set_size(struct window *window, struct fit_size natural) {
    SDL_Rect usable = {0};
    window->fitted = natural;
    if (window->has_display && SDL_GetDisplayUsableBounds(0, &usable) == 0) {
        window->fitted = fit_within(natural, (struct fit_size){(int)(usable.w * screen_share),
                                                               (int)(usable.h * screen_share)});
    }
    SDL_SetWindowSize(window->window, window->fitted.width, window->fitted.height);
}

void window_fit(struct window *window, struct fit_size natural) {
    if (window->is_shown) {
        return;
    }
    window->is_shown = true;
    if (window->params.size.width == 0) {
        set_size(window, natural);
        SDL_SetWindowPosition(window->window, SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED);
    }
    SDL_ShowWindow(window->window);
    if (window->params.is_fullscreen) {
        set_fullscreen(window, true);
    }
}

void window_refit(struct window *window, struct fit_size natural) {
    struct fit_size size = {0};
    SDL_GetWindowSize(window->window, &size.width, &size.height);
    if (!window->is_shown || is_fullscreen(window) || size.width != window->fitted.width ||
        size.height != window->fitted.height) {
        return;
    }
    int x = 0, y = 0;
    SDL_GetWindowPosition(window->window, &x, &y);
    set_size(window, natural);
    /* Its middle stays, so that it does not grow beyond the screen. */
    SDL_SetWindowPosition(window->window, x + (size.width - window->fitted.width) / 2,
                          y + (size.height - window->fitted.height) / 2);
}

bool window_is_shown(const struct window *window) {
    return window->is_shown;
}

void window_set_title(struct window *window, const char *title) {
    SDL_SetWindowTitle(window->window, title);
}

struct fit_size window_size(const struct window *window) {
    struct fit_size size = {0};
    SDL_GetRendererOutputSize(window->renderer, &size.width, &size.height);
    return size;
}

/* What goes by steps, up or down. */
static struct window_event adjust_event(const SDL_KeyboardEvent *key) {
    const enum window_command delay =
        key->keysym.mod & KMOD_SHIFT ? WINDOW_PICTURE_DELAY : WINDOW_SOUND_DELAY;
    switch (key->keysym.sym) {
    case SDLK_UP:
        return (struct window_event){.command = WINDOW_VOLUME, .step = 1};
    case SDLK_DOWN:
        return (struct window_event){.command = WINDOW_VOLUME, .step = -1};
    case SDLK_RIGHTBRACKET:
        return (struct window_event){.command = delay, .step = 1};
    case SDLK_LEFTBRACKET:
        return (struct window_event){.command = delay, .step = -1};
    }
    return (struct window_event){0};
}

static struct window_event key_event(struct window *window, const SDL_KeyboardEvent *key) {
    static const struct {
        SDL_Keycode key;
        enum window_command command;
        bool is_repeated; /* while the key is held */
    } keys[] = {
        {SDLK_q, WINDOW_QUIT, false},           {SDLK_ESCAPE, WINDOW_QUIT, false},
        {SDLK_SPACE, WINDOW_PAUSE, false},      {SDLK_PERIOD, WINDOW_STEP, true},
        {SDLK_COMMA, WINDOW_STEP_BACK, true},   {SDLK_i, WINDOW_OVERLAY, false},
        {SDLK_l, WINDOW_LAYOUT, false},         {SDLK_RETURN, WINDOW_ENLARGE, false},
        {SDLK_KP_ENTER, WINDOW_ENLARGE, false}, {SDLK_p, WINDOW_INSPECT, false},
        {SDLK_0, WINDOW_ZOOM_FIT, false},       {SDLK_KP_0, WINDOW_ZOOM_FIT, false},
        {SDLK_z, WINDOW_ZOOM_NATURAL, false},   {SDLK_m, WINDOW_MUTE, false},
        {SDLK_a, WINDOW_GAUGES, false},         {SDLK_b, WINDOW_GROUND, false},
    };
    const SDL_Keycode symbol = key->keysym.sym;
    if (symbol == SDLK_PLUS || symbol == SDLK_EQUALS || symbol == SDLK_KP_PLUS) {
        return (struct window_event){.command = WINDOW_ZOOM, .times = zoom_step};
    }
    if (symbol == SDLK_MINUS || symbol == SDLK_KP_MINUS) {
        return (struct window_event){.command = WINDOW_ZOOM, .times = 1 / zoom_step};
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i].key == symbol && (keys[i].is_repeated || !key->repeat)) {
            return (struct window_event){.command = keys[i].command};
        }
    }
    const struct window_event adjustment = adjust_event(key);
    if (adjustment.command != WINDOW_NOTHING || key->repeat) {
        return adjustment;
    }
    if (symbol == SDLK_s) {
        return (struct window_event){.command = key->keysym.mod & KMOD_SHIFT ? WINDOW_SAVE
                                                                             : WINDOW_SCREENSHOT};
    }
    if (symbol >= SDLK_1 && symbol <= SDLK_9) {
        return (struct window_event){.command = WINDOW_SOUND,
                                     .number = (uint32_t)(symbol - SDLK_1)};
    }
    if (symbol == SDLK_f) {
        set_fullscreen(window, !is_fullscreen(window));
        return (struct window_event){.command = WINDOW_REDRAW};
    }
    return (struct window_event){0};
}

/* SDL counts the mouse's points in units of the desktop, of which a pixel may be a part. */
static struct fit_point to_pixels(const struct window *window, int x, int y) {
    int width = 1, height = 1;
    SDL_GetWindowSize(window->window, &width, &height);
    const struct fit_size size = window_size(window);
    return (struct fit_point){
        .x = width > 0 ? (int)((int64_t)x * size.width / width) : x,
        .y = height > 0 ? (int)((int64_t)y * size.height / height) : y,
    };
}

static struct window_event move_event(struct window *window, const SDL_MouseMotionEvent *move) {
    window->pointer = to_pixels(window, move->x, move->y);
    if (move->state & SDL_BUTTON_LMASK) {
        return (struct window_event){.command = WINDOW_PAN,
                                     .distance = to_pixels(window, move->xrel, move->yrel)};
    }
    return (struct window_event){.command = WINDOW_POINT};
}

static struct window_event mouse_event(struct window *window, const SDL_Event *event) {
    if (event->type == SDL_MOUSEMOTION) {
        return move_event(window, &event->motion);
    }
    if (event->type == SDL_MOUSEWHEEL) {
        const int direction = event->wheel.direction == SDL_MOUSEWHEEL_FLIPPED ? -1 : 1;
        return (struct window_event){.command = WINDOW_ZOOM,
                                     .times = pow(zoom_step, direction * event->wheel.y)};
    }
    window->pointer = to_pixels(window, event->button.x, event->button.y);
    const bool is_double = event->button.button == SDL_BUTTON_LEFT && event->button.clicks == 2;
    return (struct window_event){.command = is_double ? WINDOW_ENLARGE : WINDOW_POINT};
}

static struct window_event window_event(struct window *window, const SDL_Event *event) {
    switch (event->type) {
    case SDL_QUIT:
        return (struct window_event){.command = WINDOW_QUIT};
    case SDL_KEYDOWN:
        return key_event(window, &event->key);
    case SDL_MOUSEMOTION:
    case SDL_MOUSEWHEEL:
    case SDL_MOUSEBUTTONDOWN:
        return mouse_event(window, event);
    case SDL_WINDOWEVENT:
        if (event->window.event == SDL_WINDOWEVENT_LEAVE) {
            window->pointer = nowhere;
            return (struct window_event){.command = WINDOW_POINT};
        }
        if (event->window.event == SDL_WINDOWEVENT_EXPOSED ||
            event->window.event == SDL_WINDOWEVENT_SIZE_CHANGED) {
            return (struct window_event){.command = WINDOW_REDRAW};
        }
        break;
    case SDL_RENDER_TARGETS_RESET:
    case SDL_RENDER_DEVICE_RESET:
        return (struct window_event){.command = WINDOW_RESET};
    }
    return (struct window_event){0};
}

struct window_event window_next_event(struct window *window) {
    SDL_Event event;
    while (SDL_PollEvent(&event)) {
        struct window_event known = window_event(window, &event);
        if (known.command != WINDOW_NOTHING) {
            known.point = window->pointer;
            return known;
        }
    }
    return (struct window_event){0};
}

int window_save(const struct window *window, const char *path) {
    const struct fit_size size = window_size(window);
    uint8_t *const rgb = malloc((size_t)size.width * 3 * (size_t)size.height);
    if (!rgb) {
        return -ENOMEM;
    }
    const int failed =
        SDL_RenderReadPixels(window->renderer, NULL, SDL_PIXELFORMAT_RGB24, rgb, size.width * 3);
    const int error =
        failed ? -ENOTSUP : png_write(path, rgb, size.width * 3, size.width, size.height);
    free(rgb);
    return error;
}
