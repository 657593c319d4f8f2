/* A time as people read it. */
#ifndef COMMON_DURATION_H
#define COMMON_DURATION_H

#include <stdint.h>

/* Writes `value_ns` with three digits and its unit, such as "1.23 ms", into `text`. */
enum { DURATION_BYTES = 24 };
void duration_format(int64_t value_ns, char text[DURATION_BYTES]);

#endif
