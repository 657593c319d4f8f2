/* X window: the windows that a user may want, and finding the one that is meant. */
#ifndef PRODUCERS_X_WINDOW_H
#define PRODUCERS_X_WINDOW_H

#include "x_display.h"

#include <stddef.h>

enum { X_WINDOW_NAME_BYTES = 256 };

struct x_window {
    xcb_window_t id;
    uint16_t width, height;
    char name[X_WINDOW_NAME_BYTES]; /* printable UTF-8; "": it has none */
};

struct x_window_list {
    struct x_window *window;
    size_t count;
};

/* The windows that the window manager tells of; without one, those that can be seen. */
void x_window_list(struct x_display *display, struct x_window_list *out_list);
void x_window_list_finish(struct x_window_list *list);

/* The window that `text` means: an id in decimal or hexadecimal, a name, or a part of one that only
 * one window has. A failure ends the program. 0: the server does not answer any more. */
xcb_window_t x_window_find(struct x_display *display, const char *text);

/* The window that the user clicks at; the root where there is none. 0: the server does not answer
 * any more. */
xcb_window_t x_window_click(struct x_display *display);

#endif
