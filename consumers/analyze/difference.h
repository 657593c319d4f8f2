/* How much the samples of two pictures differ that have components of the same sizes and depths. */
#ifndef CONSUMERS_DIFFERENCE_H
#define CONSUMERS_DIFFERENCE_H

#include "component.h"

/* Sums over all samples of each component, of |a - b| and of (a - b)^2; the buffers are of
 * COMPONENT_ROW_BYTES. */
void difference_absolute(const struct components *a, const struct components *b,
                         void *const buffers[2], uint64_t out_sums[COMPONENTS_MAX]);
void difference_squared(const struct components *a, const struct components *b,
                        void *const buffers[2], uint64_t out_sums[COMPONENTS_MAX]);

#endif
