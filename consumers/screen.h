/* What the user sees: the window with the picture and the overlay in it. */
#ifndef CONSUMERS_SCREEN_H
#define CONSUMERS_SCREEN_H

#include "overlay.h"
#include "window.h"

struct screen;

/* Errors: as window_create(). */
int screen_create(const struct window_params *params, bool has_overlay, struct screen **out_screen);
void screen_destroy(struct screen *screen);
struct window *screen_window(struct screen *screen);

/* Pictures of `format` come next; the window appears, if it has not. Errors: -ENOTSUP, with
 * screen_trouble(). */
int screen_set_format(struct screen *screen, const struct shmframe_format *format);
/* There is sound, but no picture: the window appears, if it has not, and shows the overlay. */
void screen_show_alone(struct screen *screen);
const char *screen_trouble(const struct screen *screen);
/* NULL, or what of its colours is not shown as it is: a line. */
const char *screen_remark(const struct screen *screen);
bool screen_is_converting(const struct screen *screen);

/* Shows a picture. `out_present_ns` is the instant after it went to the display. Errors: -ENOTSUP,
 * with screen_trouble(). */
int screen_present(struct screen *screen, const struct shmframe_lease *lease,
                   int64_t *out_present_ns);
/* Shows the same again: the window or the numbers have changed. */
void screen_refresh(struct screen *screen);
/* Writes what the window shows to a PNG file. Errors: as png_write(). */
int screen_save(struct screen *screen, const char *path);

/* Whether the overlay is shown, and its numbers are due. */
bool screen_wants_facts(const struct screen *screen, int64_t now_ns);
void screen_set_facts(struct screen *screen, const struct overlay_facts *facts, int64_t now_ns);

/* What the user wants next and the screen cannot do itself: WINDOW_QUIT, WINDOW_PAUSE, WINDOW_MUTE,
 * WINDOW_SCREENSHOT; WINDOW_NOTHING: no more. */
enum window_command screen_next_command(struct screen *screen);

#endif
