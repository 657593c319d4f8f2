/* Text in the cells of a terminal: some characters take two of them, some none.
 *
 * What cannot be printed in the current locale (LC_CTYPE) becomes "?". Names come from other
 * processes: they may hold anything.
 */
#ifndef COMMON_CELLS_H
#define COMMON_CELLS_H

#include <stdbool.h>
#include <stddef.h>

/* Copies as many whole characters of `text` as fit into `cells`; returns how many of these they
 * take. The text that is copied has `bytes` at most. */
int cells_copy(const char *text, int cells, char *copy, size_t bytes);

/* Makes `text` exactly as wide as `cells`: blanks are added, or the last cell shows by "~" that
 * there is more. */
void cells_fit(const char *text, int cells, bool is_right, char *fitted, size_t bytes);

#endif
