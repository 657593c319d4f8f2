#include "option.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Reads decimal digits at *text, at least one, and moves behind them. */
static bool read_digits(const char **text, uint64_t max, uint64_t *out_value) {
    uint64_t value = 0;
    const char *at = *text;
    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at); at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        if (digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *text = at;
    *out_value = value;
    return true;
}

static bool read_count(const char *text, uint32_t *out_value) {
    uint64_t value;
    if (!read_digits(&text, UINT32_MAX, &value) || *text)
        return false;
    *out_value = (uint32_t)value;
    return true;
}

static bool read_positive_count(const char *text, uint32_t *out_value) {
    uint32_t value;
    if (!read_count(text, &value) || value == 0)
        return false;
    *out_value = value;
    return true;
}

static bool read_number(const char *text, double *out_value) {
    char *end;
    errno = 0;
    const double value = strtod(text, &end);
    if (end == text || *end || isspace((unsigned char)*text) || errno || !isfinite(value))
        return false;
    *out_value = value;
    return true;
}

static bool read_duration(const char *text, int64_t *out_ns) {
    static const struct {
        const char *unit;
        double ns;
    } units[] = {
        {"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"m", 60e9}, {"h", 3600e9},
    };

    if (!isdigit((unsigned char)*text) && *text != '.')
        return false;
    char *end;
    const double value = strtod(text, &end);
    if (end == text)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        const double ns = value * units[i].ns;
        if (!(ns < 0x1p62))
            return false;
        *out_ns = llround(ns);
        return true;
    }
    return false;
}

static bool read_positive_duration(const char *text, int64_t *out_ns) {
    int64_t ns;
    if (!read_duration(text, &ns) || ns == 0)
        return false;
    *out_ns = ns;
    return true;
}

static bool read_size(const char *text, uint32_t out_size[2]) {
    uint64_t width, height;
    if (!read_digits(&text, UINT32_MAX, &width) || *text++ != 'x')
        return false;
    if (!read_digits(&text, UINT32_MAX, &height) || *text)
        return false;
    out_size[0] = (uint32_t)width;
    out_size[1] = (uint32_t)height;
    return true;
}

static uint64_t find_common_divisor(uint64_t a, uint64_t b) {
    while (b) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* "60", "30000/1001" or "29.97", which is exactly 2997/100. */
static bool read_rational(const char *text, struct shmframe_rational *out_value) {
    uint64_t num, den = 1;
    if (!read_digits(&text, INT32_MAX, &num))
        return false;
    if (*text == '/') {
        text++;
        if (!read_digits(&text, INT32_MAX, &den))
            return false;
    } else if (*text == '.') {
        const char *fraction = ++text;
        uint64_t part;
        if (!read_digits(&text, 999999999, &part) || text - fraction > 9)
            return false;
        for (; fraction < text; fraction++)
            den *= 10;
        num = num * den + part;
    }
    if (*text || den == 0)
        return false;
    const uint64_t divisor = find_common_divisor(num, den);
    if (num / divisor > INT32_MAX)
        return false;
    out_value->num = (int32_t)(num / divisor);
    out_value->den = (int32_t)(den / divisor);
    return true;
}

static bool read_list(const char *text, struct option_list *list) {
    if (list->count == sizeof(list->text) / sizeof(list->text[0]))
        return false;
    list->text[list->count++] = text;
    return true;
}

const char *option_store(const struct option_spec *spec, const char *text) {
    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *)spec->out = true;
        return NULL;
    case OPTION_TEXT:
        *(const char **)spec->out = text;
        return NULL;
    case OPTION_COUNT:
        return read_count(text, spec->out) ? NULL : "a whole number from 0 to 4294967295";
    case OPTION_POSITIVE_COUNT:
        return read_positive_count(text, spec->out) ? NULL : "a whole number from 1 to 4294967295";
    case OPTION_NUMBER:
        return read_number(text, spec->out) ? NULL : "a number such as 0.5";
    case OPTION_DURATION:
        return read_duration(text, spec->out) ? NULL : "a time such as 10, 1.5s, 200ms, 50us or 3m";
    case OPTION_POSITIVE_DURATION:
        return read_positive_duration(text, spec->out)
                   ? NULL
                   : "a time of more than 0, such as 10, 1.5s, 200ms, 50us or 3m";
    case OPTION_SIZE:
        return read_size(text, spec->out) ? NULL : "a size such as 1920x1080";
    case OPTION_RATIONAL:
        return read_rational(text, spec->out) ? NULL : "a number such as 60, 29.97 or 30000/1001";
    case OPTION_LIST:
        return read_list(text, spec->out) ? NULL : "left out: at most 16 can be given";
    }
    return "of a kind that this program knows";
}
