/* How much the samples of two components of the same size and depth differ. */
#ifndef CONSUMERS_DIFFERENCE_H
#define CONSUMERS_DIFFERENCE_H

#include "component.h"

/* Sums over all samples of |a - b| and of (a - b)^2; the buffers are of COMPONENT_ROW_BYTES. */
uint64_t difference_absolute(const struct component *a, const struct component *b, void *buffer_a,
                             void *buffer_b);
uint64_t difference_squared(const struct component *a, const struct component *b, void *buffer_a,
                            void *buffer_b);

#endif
