#include "inspector.h"

#include <SDL2_gfxPrimitives.h>
#include <stdio.h>
#include <string.h>

/* In pixels of the window; the font is SDL2_gfx's, 8x8. */
enum {
    RADIUS = 5, /* neighbours on each side */
    SQUARE = 9, /* of one pixel */
    SIDE = (2 * RADIUS + 1) * SQUARE,
    PADDING = 6,
    LINE = 12,
    LETTER = 8,
    LINES_MAX = 8,
    LETTERS_MAX = 48,
    LETTERS_LEAST = 19, /* as many as the colours take at most */
    DISTANCE = 18,      /* from the mouse */
};

struct text {
    char line[LINES_MAX][LETTERS_MAX];
    int lines;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text->line[text->lines++], LETTERS_MAX, format, arguments);
    va_end(arguments);
}

/* The same place in a picture of another size. */
static struct fit_point scale_point(struct fit_point pixel, const struct shmframe_lease *from,
                                    const struct shmframe_lease *to) {
    const struct shmframe_video_format *const a = &from->format->video, *const b =
                                                                            &to->format->video;
    return (struct fit_point){
        .x = (int)((int64_t)pixel.x * b->width / a->width),
        .y = (int)((int64_t)pixel.y * b->height / a->height),
    };
}

static void read_pixel(struct inspector *inspector, const struct shmframe_lease *const lease[],
                       uint32_t count, struct fit_point pixel) {
    inspector->sources = 0;
    for (uint32_t i = 0; i < count && i < INSPECTOR_SOURCES; i++) {
        const struct fit_point there = scale_point(pixel, lease[0], lease[i]);
        if (inspection_read(&inspector->inspection[inspector->sources], lease[i], there) == 0) {
            inspector->sources++;
        }
    }
}

static void describe(const struct inspector *inspector, const struct shmframe_lease *const lease[],
                     struct fit_point pixel, struct text *text) {
    add(text, "x %d  y %d", pixel.x, pixel.y);
    for (uint32_t i = 0; i < inspector->sources; i++) {
        char values[LETTERS_MAX];
        inspection_describe(&inspector->inspection[i], values, sizeof values);
        add(text, "%s", lease[i]->format->video.pixel_format);
        add(text, "%s", values);
    }
    if (inspector->sources == 0) {
        add(text, "not held");
    }
    add(text, "R %u  G %u  B %u", inspector->rgb[0], inspector->rgb[1], inspector->rgb[2]);
    add(text, "#%02x%02x%02x", inspector->rgb[0], inspector->rgb[1], inspector->rgb[2]);
}

static int find_width(const struct text *text) {
    size_t letters = LETTERS_LEAST;
    for (int i = 0; i < text->lines; i++) {
        letters = strlen(text->line[i]) > letters ? strlen(text->line[i]) : letters;
    }
    return SIDE + 3 * PADDING + (int)letters * LETTER;
}

/* Below and to the right of the mouse, or on its other side where there is no room. */
static int place(int mouse, int size, int window) {
    int at = mouse + DISTANCE;
    if (at + size > window) {
        at = mouse - DISTANCE - size;
    }
    return at > 0 ? at : 0;
}

/* Where the magnified pixels stand their values are read: what is shown, by whatever way. */
static void magnify(struct inspector *inspector, const struct pane *pane, struct fit_point pixel,
                    struct fit_point corner) {
    canvas_magnify(pane->canvas, pixel, RADIUS, SQUARE, corner);
    SDL_Rect middle = {corner.x + RADIUS * SQUARE, corner.y + RADIUS * SQUARE, SQUARE, SQUARE};
    const SDL_Rect one = {middle.x + SQUARE / 2, middle.y + SQUARE / 2, 1, 1};
    SDL_RenderReadPixels(inspector->renderer, &one, SDL_PIXELFORMAT_RGB24, inspector->rgb, 3);
    SDL_SetRenderDrawColor(inspector->renderer, 0, 0, 0, 255);
    SDL_RenderDrawRect(inspector->renderer, &middle);
    middle = (SDL_Rect){middle.x - 1, middle.y - 1, middle.w + 2, middle.h + 2};
    SDL_SetRenderDrawColor(inspector->renderer, 255, 255, 255, 255);
    SDL_RenderDrawRect(inspector->renderer, &middle);
}

void inspector_draw(struct inspector *inspector, const struct pane *pane,
                    const struct shmframe_lease *const lease[], uint32_t count,
                    struct fit_point point, struct fit_size window) {
    struct fit_point pixel;
    if (!inspector->is_on || !pane_pixel_at(pane, point, &pixel)) {
        return;
    }
    SDL_Renderer *const renderer = inspector->renderer;
    read_pixel(inspector, lease, count, pixel);
    struct text text = {.lines = 0};
    describe(inspector, lease, pixel, &text); /* for its size: colours come below */
    const int width = find_width(&text), height = SIDE + 2 * PADDING;
    const SDL_Rect box = {place(point.x, width, window.width),
                          place(point.y, height, window.height), width, height};
    SDL_SetRenderDrawBlendMode(renderer, SDL_BLENDMODE_NONE);
    SDL_SetRenderDrawColor(renderer, 0, 0, 0, 255);
    SDL_RenderFillRect(renderer, &box);
    magnify(inspector, pane, pixel, (struct fit_point){box.x + PADDING, box.y + PADDING});
    text.lines = 0;
    describe(inspector, lease, pixel, &text);
    for (int i = 0; i < text.lines; i++) {
        stringRGBA(renderer, (Sint16)(box.x + SIDE + 2 * PADDING),
                   (Sint16)(box.y + PADDING + i * LINE), text.line[i], 255, 255, 255, 255);
    }
}
