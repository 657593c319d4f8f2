/* How long something lasts that is so in some pictures and not in others: black, frozen.
 *
 * A spell begins with the first picture in which it is so, and ends with the first in which it is
 * not. Only those of a minimum length count.
 */
#ifndef CONSUMERS_SPELL_H
#define CONSUMERS_SPELL_H

#include <stdbool.h>
#include <stdint.h>

struct spell {
    int64_t minimum_ns; /* set by the owner */
    bool is_on;
    bool is_long;             /* the one that is on has the minimum length */
    int64_t begin_ns, end_ns; /* of the one that is on, until now; or of the last one */
    uint64_t sequence;        /* of the picture it began with */
    uint64_t spells;
    int64_t total_ns; /* of the ones that are over */
};

enum spell_change {
    SPELL_BEGAN = 1 << 0, /* it has the minimum length now */
    SPELL_ENDED = 1 << 1,
};

/* A picture in which it is so, or not. Returns what changed, enum spell_change: both if the time
 * until this picture is what makes it long. */
unsigned spell_step(struct spell *spell, bool is_so, int64_t now_ns, uint64_t sequence);

/* The pictures end at `now_ns`, or what comes next does not go on from them. */
unsigned spell_end(struct spell *spell, int64_t now_ns);

/* Of all that count, and of the one that is on if it does. */
int64_t spell_total_ns(const struct spell *spell);

#endif
