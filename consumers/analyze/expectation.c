#include "expectation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum relation { AT_LEAST, AT_MOST, EQUAL, UNEQUAL, MORE, LESS };

static const char *const signs[] = {
    [AT_LEAST] = ">=", [AT_MOST] = "<=", [EQUAL] = "==", [UNEQUAL] = "!=",
    [MORE] = ">",      [LESS] = "<", /* the short ones last: they begin the others */
};
enum { RELATIONS = sizeof(signs) / sizeof(signs[0]) };

static const char usage[] = "[STREAM:]NAME>=VALUE, or with <=, >, <, == or !=";

/* Copies `bytes` characters without the spaces around them. False: they are none, or too many. */
static bool copy_trimmed(char *to, size_t to_bytes, const char *from, size_t bytes) {
    while (bytes && from[0] == ' ')
        from++, bytes--;
    while (bytes && from[bytes - 1] == ' ')
        bytes--;
    if (bytes == 0 || bytes >= to_bytes)
        return false;
    memcpy(to, from, bytes);
    to[bytes] = '\0';
    return true;
}

const char *expectation_parse(const char *text, struct expectation *out_expectation) {
    struct expectation expectation = {.text = text, .relation = RELATIONS};
    const size_t left_bytes = strcspn(text, "<>=!");
    for (int i = RELATIONS - 1; i >= 0; i--)
        if (strncmp(text + left_bytes, signs[i], strlen(signs[i])) == 0)
            expectation.relation = i;
    if (expectation.relation == RELATIONS)
        return usage;
    const char *colon = memchr(text, ':', left_bytes);
    const char *name = colon ? colon + 1 : text;
    if (colon &&
        !copy_trimmed(expectation.stream, sizeof(expectation.stream), text, (size_t)(colon - text)))
        return usage;
    if (!copy_trimmed(expectation.name, sizeof(expectation.name), name,
                      (size_t)(text + left_bytes - name)))
        return usage;
    const char *number = text + left_bytes + strlen(signs[expectation.relation]);
    char *end;
    expectation.value = strtod(number, &end);
    if (end == number || *end != '\0' || isnan(expectation.value))
        return usage;
    *out_expectation = expectation;
    return NULL;
}

static bool is_level(const char *name) {
    static const char *const units[] = {"_lufs", "_dbfs", "_dbtp"};
    const size_t bytes = strlen(name);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (bytes > 5 && strcmp(name + bytes - 5, units[i]) == 0)
            return true;
    return false;
}

bool expectation_find(const struct expectation *expectation, const char *stream,
                      const json_t *total, double *out_value) {
    const json_t *value = json_object_get(total, expectation->name);
    if (!value || (expectation->stream[0] != '\0' && strcmp(expectation->stream, stream) != 0))
        return false;
    if (json_is_number(value))
        *out_value = json_number_value(value);
    else
        *out_value = json_is_null(value) && is_level(expectation->name) ? -HUGE_VAL : NAN;
    return true;
}

bool expectation_is_met(const struct expectation *expectation, double value) {
    const double wanted = expectation->value;
    if (isnan(value))
        return false;
    switch ((enum relation)expectation->relation) {
    case AT_LEAST:
        return value >= wanted;
    case AT_MOST:
        return value <= wanted;
    case EQUAL:
        return value == wanted;
    case UNEQUAL:
        return value != wanted;
    case MORE:
        return value > wanted;
    case LESS:
        return value < wanted;
    }
    return false;
}
