/* Desktop: an X server of the test's own, and a client that draws known pictures there. */
#ifndef TESTS_SCREEN_DESKTOP_H
#define TESTS_SCREEN_DESKTOP_H

#include <shmframe/reader.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <xcb/xcb.h>

struct desktop {
    pid_t pid;
    char name[32]; /* ":7" */
    xcb_connection_t *connection;
    xcb_screen_t *screen;
};

/* `arguments`: further ones of Xvfb, ended by NULL; may be NULL. */
void desktop_start(struct desktop *desktop, const char *screen, const char *const *arguments);
void desktop_stop(struct desktop *desktop);
/* A process that hands one client's bytes on to the server, and no descriptors, as a proxy does
 * that knows nothing of them. Its display is `number`. */
pid_t desktop_start_proxy(const struct desktop *desktop, int number);
/* The server has done all that it was asked. */
void desktop_sync(struct desktop *desktop);

/* Known pixels, as values of the server's; different ones for each seed. */
struct picture {
    uint32_t width, height;
    uint32_t *value;
};
struct picture picture_create(const struct desktop *desktop, uint32_t width, uint32_t height,
                              uint32_t seed);
void picture_destroy(struct picture *picture);
/* Puts it into a window, at a place; synchronous. */
void desktop_draw(struct desktop *desktop, xcb_window_t window, const struct picture *picture,
                  int16_t x, int16_t y);
/* The rectangle of the picture that begins at x, y. */
struct picture picture_cut(const struct picture *picture, uint32_t x, uint32_t y, uint32_t width,
                           uint32_t height);

/* Whether a frame shows exactly that. */
bool picture_is_in(const struct desktop *desktop, const struct picture *picture,
                   const struct shmframe_lease *lease);
/* Takes frames until one shows exactly that, which stays leased. */
struct shmframe_lease picture_await(const struct desktop *desktop, const struct picture *picture,
                                    struct shmframe_reader *reader);

/* A mapped child of `parent` (0: the root) that wants Expose. */
xcb_window_t desktop_open_window(struct desktop *desktop, xcb_window_t parent, int16_t x, int16_t y,
                                 uint16_t width, uint16_t height, const char *title);
/* As --window takes it. */
const char *desktop_id(xcb_window_t window);
void desktop_await_event(struct desktop *desktop, uint8_t type);
void desktop_resize(struct desktop *desktop, xcb_window_t window, uint32_t width, uint32_t height);
void desktop_move_pointer(struct desktop *desktop, int16_t x, int16_t y);

#endif
