#include "curve.h"

#include <math.h>

void curve_init(struct curve *curve, uint32_t values) {
    curve->count = 0;
    curve->in_last = 0;
    curve->values = values;
}

static void halve(struct curve *curve) {
    for (uint32_t i = 0; i < CURVE_POINTS / 2; i++) {
        const struct curve_point a = curve->point[2 * i], b = curve->point[2 * i + 1];
        curve->point[i] =
            (struct curve_point){.min = fminf(a.min, b.min), .max = fmaxf(a.max, b.max)};
    }
    curve->count = CURVE_POINTS / 2;
    curve->values *= 2;
    curve->in_last = curve->values;
}

void curve_add(struct curve *curve, float value) {
    if (curve->count == 0 || curve->in_last == curve->values) {
        if (curve->count == CURVE_POINTS)
            halve(curve);
        curve->point[curve->count++] = (struct curve_point){.min = value, .max = value};
        curve->in_last = 1;
        return;
    }
    struct curve_point *last = &curve->point[curve->count - 1];
    last->min = fminf(last->min, value);
    last->max = fmaxf(last->max, value);
    curve->in_last++;
}

uint64_t curve_length(const struct curve *curve) {
    return curve->count ? (uint64_t)(curve->count - 1) * curve->values + curve->in_last : 0;
}
