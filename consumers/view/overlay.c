#include "overlay.h"

#include <SDL2_gfxPrimitives.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)

/* In pixels of the panel; the font is SDL2_gfx's, 8x8. */
enum {
    MARGIN = 8,
    LINE = 12,
    COLUMNS = 54,
    LINES = 8,
    CURVE_HEIGHT = 56,
    PANEL_WIDTH = COLUMNS * 8 + 2 * MARGIN,
    BELOW_TEXT = 4,
    PANEL_HEIGHT = MARGIN + LINES * LINE + BELOW_TEXT + CURVE_HEIGHT + MARGIN,
    CURVE_WIDTH = PANEL_WIDTH - 2 * MARGIN,
    BRIEF_LINES = 4,           /* of a picture: what it is, and how soon it is seen */
    READABLE_PERCENT = 70,     /* in less room than for that nothing is drawn */
    COVERED_PERCENT = 40,      /* of the room, at most */
    LARGE_WINDOW_LINES = 1400, /* from here on everything is drawn twice as large */
};
static const int64_t update_ns = SECOND_NS / 8;
static const int64_t span_ns = 5 * SECOND_NS;

struct overlay {
    SDL_Renderer *renderer;
    SDL_Texture *panel;
    int64_t updated_ns; /* 0: never */
    int line;
    int height; /* of the panel, what has something in it */
};

int overlay_create(SDL_Renderer *renderer, struct overlay **out_overlay) {
    struct overlay *const overlay = calloc(1, sizeof *overlay);
    if (!overlay) {
        return -ENOMEM;
    }
    overlay->renderer = renderer;
    *out_overlay = overlay;
    return 0;
}

void overlay_reset(struct overlay *overlay) {
    /* SDL2_gfx keeps a texture of each character it has drawn; setting a font drops them. */
    gfxPrimitivesSetFont(NULL, 0, 0);
    if (overlay->panel) {
        SDL_DestroyTexture(overlay->panel);
        overlay->panel = NULL;
    }
    overlay->updated_ns = 0;
}

void overlay_destroy(struct overlay *overlay) {
    if (!overlay) {
        return;
    }
    overlay_reset(overlay);
    free(overlay);
}

bool overlay_is_due(const struct overlay *overlay, int64_t now_ns) {
    return overlay->updated_ns == 0 || now_ns - overlay->updated_ns >= update_ns;
}

static int text_height(int lines) {
    return MARGIN + lines * LINE + BELOW_TEXT;
}

static double to_ms(int64_t ns) {
    return (double)ns / 1e6;
}

__attribute__((format(printf, 3, 4))) static void print(struct overlay *overlay, bool is_alert,
                                                        const char *format, ...) {
    char text[COLUMNS + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    stringRGBA(overlay->renderer, MARGIN, (Sint16)(MARGIN + overlay->line * LINE), text, 255,
               is_alert ? 120 : 255, is_alert ? 100 : 255, 255);
    overlay->line++;
}

static void print_times(struct overlay *overlay, const char *name, const struct meter *meter,
                        int64_t now_ns) {
    const struct meter_summary times = meter_summarize(meter, now_ns, span_ns);
    print(overlay, false, "%-8s p50 %7.2f  p99 %7.2f  max %7.2f ms", name, to_ms(times.p50_ns),
          to_ms(times.p99_ns), to_ms(times.max_ns));
}

static void print_picture(struct overlay *overlay, const struct overlay_facts *facts,
                          int64_t now_ns) {
    const struct meter_summary shown = meter_summarize(facts->display, now_ns, SECOND_NS);
    print(overlay, false, "%s", facts->picture_title);
    print(overlay, facts->is_paused, "rate     %6.2f /s   shown %" PRIu64 "   #%" PRIu64 "%s",
          shown.rate_hz, facts->shown, facts->sequence, facts->is_paused ? "  paused" : "");
    print_times(overlay, "age", facts->age, now_ns);
    print_times(overlay, "display", facts->display, now_ns);
    print(overlay, facts->lost > 0,
          "lost %" PRIu64 "  skipped %" PRIu64 "  unshown %" PRIu64 "  converted %" PRIu64,
          facts->lost, facts->skipped, facts->unshown, facts->converted);
}

static void print_sound(struct overlay *overlay, const struct overlay_facts *facts,
                        int64_t now_ns) {
    const struct sound_state *const sound = &facts->sound;
    print(overlay, facts->wishes[0] != '\0', "%s%s", facts->wishes, facts->sound_title);
    print(overlay, facts->sound_lost + sound->dropouts > 0,
          "delay %.1f ms  queue %.0f ms  lost %" PRIu64 "  dropouts %" PRIu64,
          to_ms(sound->delay_ns), to_ms(sound->queued_ns), facts->sound_lost, sound->dropouts);
    if (facts->skew) {
        const struct meter_summary skew = meter_summarize(facts->skew, now_ns, span_ns);
        if (skew.count == 0) {
            print(overlay, false, "skew     not measured yet");
        } else {
            print(overlay, false, "skew     p50 %+7.2f  min %+7.2f  max %+7.2f ms",
                  to_ms(skew.p50_ns), to_ms(skew.min_ns), to_ms(skew.max_ns));
        }
    }
}

/* A round number of milliseconds that is not below `value_ns`. */
static int64_t round_up_ns(int64_t value_ns) {
    static const int steps[] = {1, 2, 5};
    for (int64_t decade = 1000000; decade < 10000 * INT64_C(1000000); decade *= 10) {
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            if (value_ns <= decade * steps[i]) {
                return decade * steps[i];
            }
        }
    }
    return value_ns;
}

/* From capture to display over the last seconds, a column for each part of the time: the worst. */
static void draw_curve(struct overlay *overlay, const struct meter *display, int64_t now_ns) {
    int64_t columns[CURVE_WIDTH / 2];
    const int count = CURVE_WIDTH / 2;
    meter_curve(display, now_ns, span_ns, columns, (uint32_t)count);
    const int64_t top_ns = round_up_ns(meter_summarize(display, now_ns, span_ns).max_ns);
    const int top = text_height(overlay->line);
    boxRGBA(overlay->renderer, MARGIN, (Sint16)top, MARGIN + CURVE_WIDTH - 1,
            (Sint16)(top + CURVE_HEIGHT - 1), 40, 40, 40, 200);
    SDL_SetRenderDrawColor(overlay->renderer, 90, 200, 250, 255);
    for (int i = 0; i < count; i++) {
        if (columns[i] <= 0) {
            continue;
        }
        const int64_t height = columns[i] * (CURVE_HEIGHT - 1) / top_ns;
        const SDL_Rect column = {MARGIN + 2 * i, top + CURVE_HEIGHT - 1 - (int)height, 2,
                                 (int)height + 1};
        SDL_RenderFillRect(overlay->renderer, &column);
    }
    char scale[48];
    snprintf(scale, sizeof scale, "%.0f ms capture to display, 5 s", to_ms(top_ns));
    stringRGBA(overlay->renderer, MARGIN + 3, (Sint16)(top + 3), scale, 255, 255, 255, 255);
    overlay->height = top + CURVE_HEIGHT + MARGIN;
}

void overlay_update(struct overlay *overlay, const struct overlay_facts *facts, int64_t now_ns) {
    if (!overlay->panel) {
        overlay->panel = SDL_CreateTexture(overlay->renderer, SDL_PIXELFORMAT_ARGB8888,
                                           SDL_TEXTUREACCESS_TARGET, PANEL_WIDTH, PANEL_HEIGHT);
        if (!overlay->panel) {
            return;
        }
        SDL_SetTextureBlendMode(overlay->panel, SDL_BLENDMODE_BLEND);
    }
    SDL_SetRenderTarget(overlay->renderer, overlay->panel);
    SDL_SetRenderDrawBlendMode(overlay->renderer, SDL_BLENDMODE_NONE);
    SDL_SetRenderDrawColor(overlay->renderer, 0, 0, 0, 170);
    SDL_RenderClear(overlay->renderer);
    overlay->line = 0;
    if (facts->picture_title) {
        print_picture(overlay, facts, now_ns);
    }
    if (facts->sound_title) {
        print_sound(overlay, facts, now_ns);
    }
    overlay->height = text_height(overlay->line);
    if (facts->picture_title) {
        draw_curve(overlay, facts->display, now_ns);
    }
    SDL_SetRenderTarget(overlay->renderer, NULL);
    overlay->updated_ns = now_ns;
}

/* Everything, the text alone, or its first lines; 0: not even those. */
static int choose_height(const struct overlay *overlay, struct fit_area room, int scale_percent) {
    const int lines = overlay->line < BRIEF_LINES ? overlay->line : BRIEF_LINES;
    const int heights[] = {overlay->height, text_height(overlay->line), text_height(lines)};
    const int64_t most = (int64_t)room.width * room.height * COVERED_PERCENT * 100;
    for (size_t i = 0; i < sizeof heights / sizeof heights[0]; i++) {
        if ((int64_t)PANEL_WIDTH * heights[i] * scale_percent * scale_percent <= most) {
            return heights[i];
        }
    }
    return 0;
}

int overlay_draw(struct overlay *overlay, struct fit_area room) {
    if (!overlay->panel) {
        return 0;
    }
    int scale_percent = room.height >= LARGE_WINDOW_LINES ? 200 : 100;
    if (room.width < PANEL_WIDTH) {
        scale_percent = room.width * 100 / PANEL_WIDTH;
    }
    const int height = choose_height(overlay, room, scale_percent);
    if (scale_percent < READABLE_PERCENT || height == 0) {
        return 0;
    }
    const SDL_Rect from = {0, 0, PANEL_WIDTH, height};
    const SDL_Rect to = {room.x, room.y, PANEL_WIDTH * scale_percent / 100,
                         height * scale_percent / 100};
    SDL_RenderCopy(overlay->renderer, overlay->panel, &from, &to);
    return to.h;
}
