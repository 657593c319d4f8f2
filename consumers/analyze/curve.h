/* A value over time in bounded memory: however long it grows, a curve has some thousand points,
 * each the least and the largest value of a stretch. Pure. */
#ifndef CONSUMERS_CURVE_H
#define CONSUMERS_CURVE_H

#include <stdint.h>

enum { CURVE_POINTS = 2048 };

struct curve_point {
    float min, max;
};

struct curve {
    struct curve_point point[CURVE_POINTS];
    uint32_t count;   /* points, the last of which may still be growing */
    uint32_t values;  /* that one point is of; it doubles when there are too many points */
    uint32_t in_last; /* values of the last point */
};

/* One point is of `values` values, as long as there is room. */
void curve_init(struct curve *curve, uint32_t values);
void curve_add(struct curve *curve, float value);
/* How many values it is of. */
uint64_t curve_length(const struct curve *curve);

#endif
