/* What a comparison found: as a table for people, and as JSON. */
#ifndef TOOLS_COMPARISON_WORDS_H
#define TOOLS_COMPARISON_WORDS_H

#include "comparison.h"

#include <jansson.h>

/* What --hop calls frames a second. */
extern const char *const comparison_rate_name;

/* `why`: the stream could not be compared at all; "": it was. */
void comparison_print(const char *stream, const char *why, const struct comparison_answer *answers,
                      size_t count);
/* A list. */
json_t *comparison_make_json(const struct comparison_answer *answers, size_t count);

/* The longest time without a frame, of each side; -1: not told. */
void comparison_print_outage(int64_t before_ns, int64_t after_ns);
json_t *comparison_make_outage(int64_t before_ns, int64_t after_ns);

#endif
