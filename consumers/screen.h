/* What the user sees: the window with its panes in it, each with a picture and what is said of it.
 */
#ifndef CONSUMERS_SCREEN_H
#define CONSUMERS_SCREEN_H

#include "layout.h"
#include "pane.h"
#include "window.h"

struct screen;

struct screen_params {
    struct window_params window;
    enum layout layout;
    uint32_t panes; /* 1 to LAYOUT_MAX */
    bool has_overlay;
};

/* Errors: as window_create(). */
int screen_create(const struct screen_params *params, struct screen **out_screen);
void screen_destroy(struct screen *screen);
struct window *screen_window(struct screen *screen);
struct pane *screen_pane(struct screen *screen, uint32_t pane);

/* The window appears, if it has not, large enough for pictures of the first format that is there;
 * without any it stays hidden. */
void screen_appear(struct screen *screen);
/* There is sound, but no picture: the window appears, if it has not, and shows the overlay. */
void screen_show_alone(struct screen *screen);

/* What is said at a pane's lower edge; of a pane that is alone, in the window's title. */
void screen_set_caption(struct screen *screen, uint32_t pane, const char *text);

/* Draws everything and hands it to the display; returns the instant after that. */
int64_t screen_present(struct screen *screen);
/* Writes what the window shows to a PNG file. Errors: as png_write(). */
int screen_save(struct screen *screen, const char *path);

/* Whether a pane's overlay is shown, and its numbers are due. */
bool screen_wants_facts(const struct screen *screen, uint32_t pane, int64_t now_ns);

/* The pane that the mouse is on, or the only one that is seen; -1: none. */
int screen_pointed(const struct screen *screen);

/* What the user wants next and the screen cannot do itself; WINDOW_NOTHING: no more. WINDOW_RESET
 * is passed on too: pictures are to be uploaded again. */
struct window_event screen_next_event(struct screen *screen);

#endif
