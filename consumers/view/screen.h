/* What the user sees: the window with its panes in it, each with a picture and what is said of it.
 */
#ifndef CONSUMERS_SCREEN_H
#define CONSUMERS_SCREEN_H

#include "inspector.h"
#include "layout.h"
#include "pane.h"
#include "window.h"

struct screen;

/* Tells which pictures a pane shows, where they are held; returns how many. */
typedef uint32_t screen_leases(void *user, uint32_t pane,
                               const struct shmframe_lease *out_lease[INSPECTOR_SOURCES]);

struct screen_params {
    struct window_params window;
    enum layout layout;
    uint32_t panes; /* 1 to LAYOUT_MAX */
    bool has_overlay;
    screen_leases *leases;
    void *user;
};

/* Errors: as window_create(). */
int screen_create(const struct screen_params *params, struct screen **out_screen);
void screen_destroy(struct screen *screen);
struct window *screen_window(struct screen *screen);
uint32_t screen_panes(const struct screen *screen);
struct pane *screen_pane(struct screen *screen, uint32_t pane);

/* The window appears, if it has not, large enough for pictures of the first format that is there;
 * without any it stays hidden. */
void screen_appear(struct screen *screen);
/* There is sound, but no picture: the window appears, if it has not, and shows the overlay. */
void screen_show_alone(struct screen *screen);

/* What is said of a pane: in the window's title, of several also at the pane's lower edge. */
void screen_set_caption(struct screen *screen, uint32_t pane, const char *text);

/* Draws everything and hands it to the display; returns the instant after that. */
int64_t screen_present(struct screen *screen);
/* Writes what the window shows to a PNG file. Errors: as png_write(). */
int screen_save(struct screen *screen, const char *path);

/* Whether a pane's overlay is shown, and its numbers are due. */
bool screen_wants_facts(const struct screen *screen, uint32_t pane, int64_t now_ns);

/* The pane that the mouse is on, or the only one that is seen; -1: none. */
int screen_pointed(const struct screen *screen);

/* The pixel that was looked at last. */
const struct inspector *screen_inspector(const struct screen *screen);

/* What the user wants next and the screen cannot do itself; WINDOW_NOTHING: no more. WINDOW_RESET
 * is passed on too: pictures are to be uploaded again. */
struct window_event screen_next_event(struct screen *screen);

#endif
