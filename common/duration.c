#include "duration.h"

#include <stdio.h>

void duration_format(int64_t value_ns, char text[DURATION_BYTES]) {
    static const char *const units[] = {"ns", "us", "ms", "s"};
    double value = (double)value_ns;
    unsigned unit = 0;
    /* 999.5 would be rounded to 1000: it belongs to the next unit. */
    while (value >= 999.5 && unit < 3) {
        value /= 1000;
        unit++;
    }
    const int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(text, DURATION_BYTES, "%.*f %s", decimals, value, units[unit]);
}
