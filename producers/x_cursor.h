/* X cursor: the pointer's picture, and where on the screen it is. */
#ifndef PRODUCERS_X_CURSOR_H
#define PRODUCERS_X_CURSOR_H

#include "x_target.h"

/* Where a cursor's picture lies in the target. */
struct x_cursor {
    struct x_area area; /* in pixels of the target's area */
    uint32_t serial;    /* another picture has another one */
    void *image;        /* the server's answer; NULL: none */
};

/* Two requests on their way. */
struct x_cursor_query {
    unsigned image, place;
};

struct x_cursor_query x_cursor_ask(const struct x_target *target);
/* The answer; an empty cursor if there is none. */
struct x_cursor x_cursor_await(const struct x_target *target, struct x_cursor_query query);
void x_cursor_finish(struct x_cursor *cursor);

/* Whether both look the same in a picture of the target. */
bool x_cursor_is_same(const struct x_target *target, const struct x_cursor *a,
                      const struct x_cursor *b);

/* Draws it over the picture at `data`. */
void x_cursor_draw(const struct x_cursor *cursor, const struct x_target *target, uint8_t *data,
                   uint32_t line_bytes);

#endif
