/* What a value is expected to be: a verdict that a script can ask for. Pure. */
#ifndef CONSUMERS_EXPECTATION_H
#define CONSUMERS_EXPECTATION_H

#include <jansson.h>
#include <shmframe/format.h>
#include <stdbool.h>

struct expectation {
    const char *text;                 /* as it was given, kept */
    char stream[SHMFRAME_NAME_BYTES]; /* "": every stream that has the value */
    char name[48];
    int relation; /* of expectation.c */
    double value;
};

/* Parses "[STREAM:]NAME RELATION VALUE", where RELATION is one of >= <= > < == !=; `text` is kept.
 * Returns NULL, or what the text should have been. */
const char *expectation_parse(const char *text, struct expectation *out_expectation);

/* What `total`, of `stream`, holds under that name: a level in dB that is null is minus infinity.
 * False: it has no such value, or is of another stream. NAN: it is there, and has no value. */
bool expectation_find(const struct expectation *expectation, const char *stream,
                      const json_t *total, double *out_value);
/* Nothing that has no value is met. */
bool expectation_is_met(const struct expectation *expectation, double value);

#endif
