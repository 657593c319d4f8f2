#include "shot_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DIGITS_MAX = 99 };

/* The place of the number: where it begins and ends, and how many digits it has at least. */
struct place {
    const char *begin, *end;
    int digits;
};

static bool find_place(const char *pattern, struct place *out_place) {
    for (const char *at = pattern; (at = strchr(at, '%')); at++) {
        const char *end = at + 1 + strspn(at + 1, "0123456789");
        const long digits = strtol(at + 1, NULL, 10);
        if (*end != 'd' || digits > DIGITS_MAX)
            continue;
        *out_place = (struct place){at, end + 1, (int)digits};
        return true;
    }
    return false;
}

bool shot_name_is_numbered(const char *pattern) {
    struct place place;
    return find_place(pattern, &place);
}

char *shot_name_make(const char *pattern, uint32_t number) {
    struct place place;
    if (!find_place(pattern, &place))
        return strdup(pattern);
    char *name = NULL;
    if (asprintf(&name, "%.*s%0*u%s", (int)(place.begin - pattern), pattern, place.digits, number,
                 place.end) < 0)
        return NULL;
    return name;
}

char *shot_name_default(const char *stream, int64_t unix_seconds, const char *suffix,
                        bool is_series) {
    const time_t instant = (time_t)unix_seconds;
    struct tm parts;
    char date[32], *name = NULL;
    localtime_r(&instant, &parts);
    strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &parts);
    if (asprintf(&name, "%s-%s%s.%s", stream, date, is_series ? "-%05d" : "", suffix) < 0)
        return NULL;
    return name;
}
