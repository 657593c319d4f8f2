/* Strip: what the cells of a mark show in a picture, where it is known where they are.
 *
 * Threads: one for each reader.
 */
#ifndef CONSUMERS_MARK_STRIP_H
#define CONSUMERS_MARK_STRIP_H

#include "luma.h"
#include "mark.h"

/* The rectangle of a strip's cells, white margins included, in pixels of the picture. */
struct mark_strip {
    float left, top;
    float cell_width, cell_height;
};

/* A strip that was read. */
struct mark_reading {
    struct mark_strip strip;
    struct mark mark;
    uint32_t corrected;
};

struct mark_strip_reader;

/* `luma` is borrowed. Errors: -ENOMEM. */
int mark_strip_reader_create(const struct luma *luma, struct mark_strip_reader **out_reader);
void mark_strip_reader_destroy(struct mark_strip_reader *reader);

/* Looks at the picture in the slot at `data`: about 1 black, about -1 white. False: the strip is
 * not inside the picture, or all of one colour. */
bool mark_strip_see(struct mark_strip_reader *reader, const uint8_t *data,
                    const struct mark_strip *strip, float out_cells[MARK_CELLS]);

/* Makes a mark of what was seen. */
bool mark_strip_decode(const float cells[MARK_CELLS], struct mark *out_mark,
                       uint32_t *out_corrected);

#endif
