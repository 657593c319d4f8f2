/* What the user keeps: the window, or a frame itself, as PNG files in the working directory. Each
 * is told in a line, also if it cannot be written.
 */
#ifndef CONSUMERS_ALBUM_H
#define CONSUMERS_ALBUM_H

#include "pictures.h"
#include "screen.h"

/* What the window shows; replaces what is there. */
bool album_save_screen(struct screen *screen, const char *path);
/* The same, named after `stream` and the time; of several in a second the later ones with a number.
 */
void album_add_screen(struct screen *screen, const char *stream);

/* The frame on the screen as it is, in full resolution; `name` is what the user calls its source.
 */
void album_add_frame(struct pictures *pictures, const char *name);

#endif
