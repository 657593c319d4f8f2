/* The one line at the bottom of a terminal that says how far the program is.
 *
 * Nothing is shown where stderr is not a terminal: what should be in a log is for program_warn().
 */
#ifndef COMMON_PROGRESS_H
#define COMMON_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

/* Where all that is said to the user goes, this line and program_warn()'s: stderr, or what was set,
 * which is kept. For who has to silence libraries that print to stderr themselves. */
FILE *progress_file(void);
void progress_set_file(FILE *file);

/* Whether a progress line would be seen: spare yourself the work otherwise. A value in
 * SHMFRAME_NO_PROGRESS says that it is not wanted. */
bool progress_is_shown(void);
/* Replaces the line. */
void progress_update(const char *text, ...) __attribute__((format(printf, 1, 2)));
/* Wipes it, so that other output starts on a clean line. */
void progress_clear(void);

#endif
