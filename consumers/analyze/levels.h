/* The values that a component's samples take: range, mean, histogram, how many are outside the
 * legal range.
 *
 * A counter counts the samples of one picture; what comes out is added up over pictures. Values of
 * streams that change their depth are added up as if all had 16 bits, and reported in the depth of
 * the newest.
 *
 * Threads: one for each counter.
 */
#ifndef CONSUMERS_LEVELS_H
#define CONSUMERS_LEVELS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEVELS_BINS = 256 };

/* Samples of one picture, then of many. */
struct levels {
    uint64_t samples;
    uint64_t below, above; /* outside of what is legal */
    uint32_t min, max;     /* in 16 bits, as the next */
    double sum;
    uint64_t histogram[LEVELS_BINS]; /* by the upper 8 bits */
    int depth;
};

struct levels_counter;

/* Errors: -ENOMEM. */
int levels_counter_create(struct levels_counter **out_counter);
void levels_counter_destroy(struct levels_counter *counter);

/* A picture begins, of samples of 1 to 16 bits. */
void levels_counter_begin(struct levels_counter *counter, int depth);
/* Of uint16_t above 8 bits, uint8_t otherwise. */
void levels_counter_add(struct levels_counter *counter, const void *row, int width);
/* The picture is over. Samples from `legal_min` to `legal_max` are legal. */
void levels_counter_read(const struct levels_counter *counter, uint32_t legal_min,
                         uint32_t legal_max, struct levels *out_levels);
/* How many samples were at most `value`. */
uint64_t levels_counter_up_to(const struct levels_counter *counter, uint32_t value);

/* `sum` += `levels`; all zeros is none. */
void levels_add(struct levels *sum, const struct levels *levels);

/* Adds NAME_min, NAME_max, NAME_mean, NAME_below_share and NAME_above_share, and with `bins`
 * NAME_histogram: shares, from black to white. Nothing if there are no samples. */
void levels_report(const struct levels *levels, const char *name, uint32_t bins, json_t *object);

#endif
