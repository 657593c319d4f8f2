#include "strip.h"

#include <SDL2_gfxPrimitives.h>
#include <math.h>
#include <stdio.h>

enum {
    BAR_HEIGHT = 7,
    GAP = 2,
    PADDING = 4,
    SCALE_HEIGHT = 10,
    WIDTH_MIN = 240, /* the scale's numbers need it */
    WIDTH_MAX = 360,
    BELOW = 24, /* the caption's room */
    LETTER_WIDTH = 8,
};
static const double range_db = 60;
static const int marks_db[] = {-60, -40, -20, -10, 0};
static const double high_db = -9, top_db = -1; /* from here on it is yellow, and red */

static double to_db(float level) {
    return level > 0 ? 20 * log10((double)level) : -INFINITY;
}

/* Where in a bar of `width` pixels a level ends, full scale being 1. */
static int find_length(float level, int width) {
    const double share = (to_db(level) + range_db) / range_db;
    return share <= 0 ? 0 : share >= 1 ? width : (int)lround(share * width);
}

static SDL_Color find_colour(float level) {
    const double db = to_db(level);
    return db >= top_db    ? (SDL_Color){235, 60, 50, 255}
           : db >= high_db ? (SDL_Color){230, 200, 60, 255}
                           : (SDL_Color){70, 200, 100, 255};
}

static void fill(SDL_Renderer *renderer, SDL_Color colour, SDL_Rect bar) {
    SDL_SetRenderDrawColor(renderer, colour.r, colour.g, colour.b, colour.a);
    SDL_RenderFillRect(renderer, &bar);
}

/* RMS in full colour, what the peak has more in half of it, the held peak as a line. */
static void draw_bar(SDL_Renderer *renderer, const struct gauge_channel *channel, SDL_Rect bar) {
    fill(renderer, (SDL_Color){40, 40, 40, 255}, bar);
    const SDL_Color colour = find_colour(channel->peak);
    const SDL_Color half = {colour.r / 2, colour.g / 2, colour.b / 2, 255};
    fill(renderer, half, (SDL_Rect){bar.x, bar.y, find_length(channel->peak, bar.w), bar.h});
    fill(renderer, colour, (SDL_Rect){bar.x, bar.y, find_length(channel->rms, bar.w), bar.h});
    const int held = find_length(channel->held, bar.w - 2);
    if (held > 0) {
        fill(renderer, find_colour(channel->held), (SDL_Rect){bar.x + held, bar.y, 2, bar.h});
    }
}

static void draw_scale(SDL_Renderer *renderer, SDL_Rect bar) {
    for (size_t i = 0; i < sizeof marks_db / sizeof marks_db[0]; i++) {
        char text[8];
        const int letters = snprintf(text, sizeof text, "%d", marks_db[i]);
        const int at = bar.x + (int)lround((marks_db[i] + range_db) / range_db * bar.w);
        const int last = bar.x + bar.w - letters * LETTER_WIDTH;
        stringRGBA(renderer, (Sint16)(at < last ? at : last), (Sint16)bar.y, text, 200, 200, 200,
                   255);
    }
}

/* Half of the room, which leaves the picture's left to it, as far as that can be read. */
static int find_width(int room) {
    const int wanted = room / 2 > WIDTH_MIN ? room / 2 : WIDTH_MIN;
    const int width = wanted < WIDTH_MAX ? wanted : WIDTH_MAX;
    return width < room - 2 * PADDING ? width : room - 2 * PADDING;
}

void strip_draw(SDL_Renderer *renderer, const struct gauge_reading *reading, struct fit_area room) {
    const int channels = (int)reading->channels;
    const int width = find_width(room.width);
    const int height = channels * (BAR_HEIGHT + GAP) + SCALE_HEIGHT + 2 * PADDING;
    if (channels == 0 || width < 2 * PADDING || height + BELOW > room.height) {
        return;
    }
    const SDL_Rect panel = {room.x + room.width - width, room.y + room.height - BELOW - height,
                            width, height};
    SDL_SetRenderDrawBlendMode(renderer, SDL_BLENDMODE_BLEND);
    fill(renderer, (SDL_Color){0, 0, 0, 220}, panel);
    SDL_SetRenderDrawBlendMode(renderer, SDL_BLENDMODE_NONE);
    SDL_Rect bar = {panel.x + PADDING, panel.y + PADDING, width - 2 * PADDING, BAR_HEIGHT};
    for (int c = 0; c < channels; c++) {
        draw_bar(renderer, &reading->channel[c], bar);
        bar.y += BAR_HEIGHT + GAP;
    }
    draw_scale(renderer, bar);
}
