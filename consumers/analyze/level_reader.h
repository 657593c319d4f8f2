/* Reads the levels of a picture's components, and how much of it is black. */
#ifndef CONSUMERS_LEVEL_READER_H
#define CONSUMERS_LEVEL_READER_H

#include "component.h"
#include "picture_tally.h"

struct level_reader;

/* Errors: -ENOMEM. */
int level_reader_create(struct level_reader **out_reader);
void level_reader_destroy(struct level_reader *reader);

/* Adds the levels of all colours, or of luma alone, to an empty tally, and the share of pixels
 * whose luma is in the lowest `black_level` of its range, as FFmpeg's blackdetect counts them. */
void level_reader_read(struct level_reader *reader, const struct components *components,
                       double black_level, bool luma_alone, struct picture_tally *tally);

#endif
