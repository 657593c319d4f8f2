/* A chance that something happens to a frame: one in so many on average, or exactly each n-th.
 * Pure.
 */
#ifndef CONSUMERS_DELAY_CHANCE_H
#define CONSUMERS_DELAY_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

/* Zero: it never happens. */
struct chance {
    double probability; /* 0 to 1 */
    uint32_t every;     /* the n-th frame, the 2n-th ...; 0: by probability */
};

/* Takes "1%", "0.05%" or "every=100". Returns NULL, or what the text should be; `out_chance` is
 * written only on success. */
const char *chance_parse(const char *text, struct chance *out_chance);

/* How many of a frame happen, on average. */
double chance_share(const struct chance *chance);

/* Numbers that look like chance, the same ones for the same seed. */
struct dice {
    unsigned short state[3];
};
void dice_init(struct dice *dice, uint64_t seed);
/* From 0 to below 1. */
double dice_roll(struct dice *dice);

/* Whether it happens to frame `number`, from 1. It rolls in any case, so that what happens to later
 * frames does not depend on how the chance is told. */
bool chance_happens(const struct chance *chance, struct dice *dice, uint64_t number);

#endif
