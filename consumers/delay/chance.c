#include "chance.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char wanted[] = "a share such as 1% or 0.5%, or a step such as every=100";

static const char *parse_every(const char *text, struct chance *out_chance) {
    char *end;
    errno = 0;
    const unsigned long every = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || every == 0 || every > UINT32_MAX)
        return wanted;
    *out_chance = (struct chance){.every = (uint32_t)every};
    return NULL;
}

const char *chance_parse(const char *text, struct chance *out_chance) {
    static const char every[] = "every=";
    if (strncmp(text, every, strlen(every)) == 0)
        return parse_every(text + strlen(every), out_chance);
    char *end;
    const double percent = strtod(text, &end);
    if (end == text || strcmp(end, "%") != 0 || !isfinite(percent) || percent < 0 || percent > 100)
        return wanted;
    *out_chance = (struct chance){.probability = percent / 100};
    return NULL;
}

double chance_share(const struct chance *chance) {
    return chance->every ? 1.0 / chance->every : chance->probability;
}

void dice_init(struct dice *dice, uint64_t seed) {
    /* Seeds that follow one another are to begin far apart: a multiplication spreads their bits. */
    seed *= UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < 3; i++)
        dice->state[i] = (unsigned short)(seed >> (16 + 16 * i));
}

double dice_roll(struct dice *dice) {
    return erand48(dice->state);
}

bool chance_happens(const struct chance *chance, struct dice *dice, uint64_t number) {
    const double roll = dice_roll(dice);
    return chance->every ? number % chance->every == 0 : roll < chance->probability;
}
