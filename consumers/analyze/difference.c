#include "difference.h"

#include <stdlib.h>
#include <string.h>

/* Sums of a row: |a - b| of 65536 samples fits 32 bits at any depth, (a - b)^2 of 16384 samples up
 * to 8 bits. */

static uint32_t absolute_bytes(const uint8_t *a, const uint8_t *b, int width) {
    uint32_t sum = 0;
    for (int x = 0; x < width; x++)
        sum += (uint32_t)abs(a[x] - b[x]);
    return sum;
}

static uint32_t absolute_words(const uint16_t *a, const uint16_t *b, int width, int mask) {
    uint32_t sum = 0;
    for (int x = 0; x < width; x++)
        sum += (uint32_t)abs((a[x] & mask) - (b[x] & mask));
    return sum;
}

static uint32_t squared_bytes(const uint8_t *a, const uint8_t *b, int width) {
    uint32_t sum = 0;
    for (int x = 0; x < width; x++) {
        const int difference = a[x] - b[x];
        sum += (uint32_t)(difference * difference);
    }
    return sum;
}

/* Differences of 12 bits: 2^24 each when squared, so that 128 of them fit 32 bits. */
static uint64_t squared_words_12(const uint16_t *a, const uint16_t *b, int width, int mask) {
    enum { RUN = 128 };
    uint64_t sum = 0;
    for (int from = 0; from < width; from += RUN) {
        const int to = from + RUN < width ? from + RUN : width;
        uint32_t run = 0;
        for (int x = from; x < to; x++) {
            const int difference = (a[x] & mask) - (b[x] & mask);
            run += (uint32_t)(difference * difference);
        }
        sum += run;
    }
    return sum;
}

static uint64_t squared_words(const uint16_t *a, const uint16_t *b, int width, int mask) {
    uint64_t sum = 0;
    for (int x = 0; x < width; x++) {
        const uint32_t difference = (uint32_t)abs((a[x] & mask) - (b[x] & mask));
        sum += (uint64_t)difference * difference;
    }
    return sum;
}

/* What lies in a slot may have bits above its depth. */
static int mask_of(int depth) {
    return (1 << depth) - 1;
}

static uint64_t absolute_row(const void *a, const void *b, int width, int depth) {
    return depth > 8 ? absolute_words(a, b, width, mask_of(depth)) : absolute_bytes(a, b, width);
}

static uint64_t squared_row(const void *a, const void *b, int width, int depth) {
    return depth > 12  ? squared_words(a, b, width, mask_of(depth))
           : depth > 8 ? squared_words_12(a, b, width, mask_of(depth))
                       : squared_bytes(a, b, width);
}

/* Row by row, so that components that lie in the same memory find it in the cache. */
static inline __attribute__((always_inline)) void
add_rows(const struct components *a, const struct components *b, void *const buffers[2],
         uint64_t (*row_sum)(const void *, const void *, int, int),
         uint64_t out_sums[COMPONENTS_MAX]) {
    memset(out_sums, 0, COMPONENTS_MAX * sizeof(*out_sums));
    for (int y = 0; y < a->component[0].height; y++) {
        for (int i = 0; i < a->count; i++) {
            const struct component *of_a = &a->component[i], *of_b = &b->component[i];
            if (y < of_a->height)
                out_sums[i] +=
                    row_sum(component_row(of_a, y, buffers[0]), component_row(of_b, y, buffers[1]),
                            of_a->width, of_a->depth);
        }
    }
}

void difference_absolute(const struct components *a, const struct components *b,
                         void *const buffers[2], uint64_t out_sums[COMPONENTS_MAX]) {
    add_rows(a, b, buffers, absolute_row, out_sums);
}

void difference_squared(const struct components *a, const struct components *b,
                        void *const buffers[2], uint64_t out_sums[COMPONENTS_MAX]) {
    add_rows(a, b, buffers, squared_row, out_sums);
}
