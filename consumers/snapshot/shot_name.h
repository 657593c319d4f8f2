/* What the files of a series of pictures are called. Pure. */
#ifndef CONSUMERS_SHOT_NAME_H
#define CONSUMERS_SHOT_NAME_H

#include <stdbool.h>
#include <stdint.h>

/* Whether `pattern` has a place for a number: "%d", or "%05d" for one of five digits. */
bool shot_name_is_numbered(const char *pattern);

/* `pattern` with `number` in that place, which is the first; all else is taken as it stands. The
 * caller's to free; NULL: no memory. */
char *shot_name_make(const char *pattern, uint32_t number);

/* "STREAM-20261121-152130.png" by local time; of a series "STREAM-20261121-152130-%05d.png". The
 * caller's to free; NULL: no memory. */
char *shot_name_default(const char *stream, int64_t unix_seconds, const char *suffix,
                        bool is_series);

#endif
