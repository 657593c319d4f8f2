/* The pixel under the mouse: what it is in its stream's own format, what is shown for it, and its
 * neighbours enlarged, in a box beside it.
 */
#ifndef CONSUMERS_INSPECTOR_H
#define CONSUMERS_INSPECTOR_H

#include "inspection.h"
#include "pane.h"

enum { INSPECTOR_SOURCES = 2 };

struct inspector {
    SDL_Renderer *renderer; /* borrowed */
    bool is_on;
    uint32_t sources; /* pictures that the pixel is of: two for a difference; 0: none is held */
    struct inspection inspection[INSPECTOR_SOURCES];
    uint8_t rgb[3]; /* as it is shown */
};

/* Reads a pixel of the pictures that a pane shows, `count` of the same size or of which the later
 * ones were scaled to the first, and draws the box beside `point`, inside a window of that size. */
void inspector_draw(struct inspector *inspector, const struct pane *pane,
                    const struct shmframe_lease *const lease[], uint32_t count,
                    struct fit_point point, struct fit_size window);

#endif
