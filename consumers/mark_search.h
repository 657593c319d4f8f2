/* Search: all strips of marks in a picture, wherever they are and however large.
 *
 * Every fourth row is searched for guards; where there are some, the strip's height is measured and
 * what it shows is read. What is not a mark is not there.
 *
 * Timing: bounded by the picture's size, whatever it shows.
 * Threads: one for each search.
 */
#ifndef CONSUMERS_MARK_SEARCH_H
#define CONSUMERS_MARK_SEARCH_H

#include "mark_strip.h"

enum { MARK_READINGS_MAX = 64 }; /* of 21 pictures in one */

struct mark_search;

/* Both are borrowed. Errors: -ENOMEM. */
int mark_search_create(const struct luma *luma, struct mark_strip_reader *reader,
                       struct mark_search **out_search);
void mark_search_destroy(struct mark_search *search);

/* Fills in the first ones from the top; returns how many there are. */
uint32_t mark_search_run(struct mark_search *search, const uint8_t *data,
                         struct mark_reading out_readings[MARK_READINGS_MAX]);

#endif
