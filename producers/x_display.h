/* X display: the connection to an X server, and what that server can do.
 *
 * Every wait for an answer ends when the program is asked to stop, or does not want the answer any
 * more: a server that hangs does not make this program hang. Then, and when the server is gone, the
 * answer is NULL.
 */
#ifndef PRODUCERS_X_DISPLAY_H
#define PRODUCERS_X_DISPLAY_H

#include "x_pixel.h"

#include <xcb/xcb.h>

struct x_display {
    xcb_connection_t *connection;
    const char *name;
    xcb_screen_t *screen;
    const char *copied_why;     /* NULL: the server can write into this process's memory */
    uint8_t damage_first_event; /* 0: no XDamage */
    bool has_composite, has_cursor, has_monitors;
    bool is_xwayland;
    /* What the program does while it waits, set by the program: sleeps until the server's
     * descriptor is readable, or anything else has happened. False: the answer is not wanted any
     * more. NULL: it only sleeps. */
    bool (*sleep)(void *user, int fd);
    void *sleep_user;
};

/* Connects to `name` (NULL: $DISPLAY); a failure ends the program. */
void x_display_open(struct x_display *display, const char *name);
/* What the server holds for this program is given back. */
void x_display_close(struct x_display *display);

bool x_display_is_gone(const struct x_display *display);
/* No answer comes any more: the program is stopping, or the server is gone. */
bool x_display_has_ended(const struct x_display *display);

/* The answer to the request of that number, to be freed. NULL: an error, whose code goes to
 * `out_error` (may be NULL); 0: not waited for, or the server is gone. */
void *x_display_await(struct x_display *display, unsigned sequence, uint8_t *out_error);
/* Whether a request that has no answer was done. It must have been sent "checked". */
bool x_display_is_done(struct x_display *display, xcb_void_cookie_t cookie, uint8_t *out_error);
/* The next event, to be freed. NULL: not waited for, or the server is gone. */
xcb_generic_event_t *x_display_await_event(struct x_display *display);

/* "BadMatch", for messages. */
const char *x_display_error_name(uint8_t error);

/* 0: no such atom on this server. */
xcb_atom_t x_display_atom(struct x_display *display, const char *name);

/* How drawables of `visual` and `depth` lie in memory. False: not in a way that has a name. */
bool x_display_pixel(const struct x_display *display, xcb_visualid_t visual, uint8_t depth,
                     struct x_pixel *out_pixel);
/* Bytes of a line of `width` such pixels. */
uint32_t x_display_line_bytes(const struct x_display *display, uint8_t depth, uint32_t width);

#endif
