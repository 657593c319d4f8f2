/* X target: the screen, a window, or a rectangle of either, and where its pixels are at present.
 *
 * A window's pixels are taken from the pixmap that the Composite extension keeps for it: whole,
 * also where other windows cover it or the screen ends. That pixmap changes with the window's size
 * and whenever it is shown again, and is not there while it is not shown. A window is not told when
 * it is one above it that is hidden, as a window manager does who minimises it: those are watched
 * too.
 */
#ifndef PRODUCERS_X_TARGET_H
#define PRODUCERS_X_TARGET_H

#include "x_display.h"

#include <shmframe/format.h>

/* In pixels of the drawable or of the window, as said. */
struct x_area {
    int32_t x, y;
    uint32_t width, height;
};

struct x_target {
    struct x_display *display;
    xcb_window_t window;
    struct x_area wanted; /* of the window; width 0: all of it */
    struct x_pixel pixel;
    uint8_t depth;
    /* Present state. */
    xcb_drawable_t drawable; /* 0: there is nothing to see */
    struct x_area area;      /* of the window: `wanted`, as far as there is so much */
    uint16_t width, height, border;
    bool is_stale;      /* x_target_refresh() is due */
    bool is_reparented; /* which windows are above it is not known */
    bool is_closed;
    /* What was drawn since the picture that x_target_expect_damage() was called for. */
    uint32_t damage; /* 0: not watched */
    bool is_changed;
    uint32_t taken_sequence;
};

/* "1280x720+0+0". False: it is none. */
bool x_area_parse(const char *text, struct x_area *out_area);

/* `window` 0: the screen. `area` NULL: all of it. With `watch_damage` the target tells what
 * changes. Failures end the program. False: the server does not answer any more, or the window was
 * closed meanwhile. */
bool x_target_open(struct x_target *target, struct x_display *display, xcb_window_t window,
                   const struct x_area *area, bool watch_damage);

/* Takes the events that have come, without waiting. True: there were some. Those that came with an
 * answer are not told by the connection's descriptor: who is about to wait for that takes them
 * first.
 */
bool x_target_take_events(struct x_target *target);

/* Looks where the pixels are now. False: the server does not answer any more. */
bool x_target_refresh(struct x_target *target);

/* Forgets what was drawn so far: the picture that is asked for next shows it. */
void x_target_expect_damage(struct x_target *target);

/* What the next picture looks like; frame_rate is the caller's. A failure ends the program. */
void x_target_describe(const struct x_target *target, struct shmframe_format *out_format);

#endif
