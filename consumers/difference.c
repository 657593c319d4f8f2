#include "difference.h"

#include <stdlib.h>

/* Sums of a row of at most 16384 samples: |a - b| fits 32 bits at any depth, (a - b)^2 up to 8. */

static uint32_t absolute_bytes(const uint8_t *a, const uint8_t *b, int width) {
    uint32_t sum = 0;
    for (int x = 0; x < width; x++)
        sum += (uint32_t)abs(a[x] - b[x]);
    return sum;
}

static uint32_t absolute_words(const uint16_t *a, const uint16_t *b, int width) {
    uint32_t sum = 0;
    for (int x = 0; x < width; x++)
        sum += (uint32_t)abs(a[x] - b[x]);
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
static uint64_t squared_words_12(const uint16_t *a, const uint16_t *b, int width) {
    enum { RUN = 128 };
    uint64_t sum = 0;
    for (int from = 0; from < width; from += RUN) {
        const int to = from + RUN < width ? from + RUN : width;
        uint32_t run = 0;
        for (int x = from; x < to; x++) {
            const int difference = (a[x] & 4095) - (b[x] & 4095);
            run += (uint32_t)(difference * difference);
        }
        sum += run;
    }
    return sum;
}

static uint64_t squared_words(const uint16_t *a, const uint16_t *b, int width) {
    uint64_t sum = 0;
    for (int x = 0; x < width; x++) {
        const uint32_t difference = (uint32_t)abs(a[x] - b[x]);
        sum += (uint64_t)difference * difference;
    }
    return sum;
}

uint64_t difference_absolute(const struct component *a, const struct component *b, void *buffer_a,
                             void *buffer_b) {
    uint64_t sum = 0;
    for (int y = 0; y < a->height; y++) {
        const void *row_a = component_row(a, y, buffer_a);
        const void *row_b = component_row(b, y, buffer_b);
        sum += a->depth > 8 ? absolute_words(row_a, row_b, a->width)
                            : absolute_bytes(row_a, row_b, a->width);
    }
    return sum;
}

uint64_t difference_squared(const struct component *a, const struct component *b, void *buffer_a,
                            void *buffer_b) {
    uint64_t sum = 0;
    for (int y = 0; y < a->height; y++) {
        const void *row_a = component_row(a, y, buffer_a);
        const void *row_b = component_row(b, y, buffer_b);
        sum += a->depth > 12  ? squared_words(row_a, row_b, a->width)
               : a->depth > 8 ? squared_words_12(row_a, row_b, a->width)
                              : squared_bytes(row_a, row_b, a->width);
    }
    return sum;
}
