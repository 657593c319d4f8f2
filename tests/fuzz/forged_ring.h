/* Forged rings: sealed as they should be, and of a geometry that may be none. */
#ifndef TESTS_FUZZ_FORGED_RING_H
#define TESTS_FUZZ_FORGED_RING_H

#include "input.h"
#include "layout.h"
#include "region.h"

enum { FORGED_SLOTS_MAX = 12 };

/* Its descriptor is the caller's; -1: there is no such memory. */
int forged_ring_make(struct input *input, struct region *out_region, uint64_t *out_bytes);

/* Frames `first` to `head`, as if they had been published one after the other; of many the
 * newest. */
void forged_ring_put(struct ring *ring, uint64_t first, uint64_t head, uint32_t slots);

#endif
