/* Results of an analysis as lines for people. */
#ifndef CONSUMERS_DIGEST_H
#define CONSUMERS_DIGEST_H

#include <jansson.h>
#include <stdio.h>

/* Prints what `object` tells: an interval or an event on a line, a total as a table. */
void digest_print(FILE *file, const json_t *object);

/* Writes the values of an interval on one line, without its stream and time, into `text`. */
enum { DIGEST_BYTES = 512 };
void digest_describe_interval(const json_t *object, char text[DIGEST_BYTES]);
/* Writes what happened, likewise. */
void digest_describe_event(const json_t *object, char text[DIGEST_BYTES]);

#endif
