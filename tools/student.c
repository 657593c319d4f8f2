#include "student.h"

#include <math.h>

/* The finite sums for whole degrees of freedom: Abramowitz and Stegun, Handbook of Mathematical
 * Functions, 26.7.3 and 26.7.4. They give the share within -t to t. */
static double find_within(double t, uint32_t freedom) {
    const double angle = atan(t / sqrt(freedom));
    const double cosine = cos(angle), sine = sin(angle);
    const uint32_t odd = freedom % 2;
    double term = odd ? cosine : 1, sum = freedom > 1 ? term : 0;
    for (uint32_t k = odd ? 3 : 2; k < freedom; k += 2) {
        term *= cosine * cosine * (k - 1) / k;
        sum += term;
    }
    return odd ? 2 / M_PI * (angle + sine * sum) : sine * sum;
}

double student_chance(double t, uint32_t freedom) {
    return fmin(fmax(1 - find_within(fabs(t), freedom), 0), 1);
}

double student_reach(double confidence, uint32_t freedom) {
    double low = 0, high = 1;
    while (find_within(high, freedom) < confidence && high < 1e9)
        high *= 2;
    for (int i = 0; i < 80; i++) {
        const double middle = (low + high) / 2;
        if (find_within(middle, freedom) < confidence)
            low = middle;
        else
            high = middle;
    }
    return high;
}
