/* Which of two streams is read on, where writers wait until they are read.
 *
 * A side whose pictures wait for their partners need not be read until the other one goes on. But
 * the other may be made of it, each picture of many, and never go on then: after a while in which
 * it brought nothing, what waits is copied, after a longer one given up. Pure.
 */
#ifndef CONSUMERS_PACE_H
#define CONSUMERS_PACE_H

#include "pairing.h"

struct pace {
    int64_t patience_ns;    /* before copies are made; less each time that it helped */
    int64_t released_ns[2]; /* by enum pairing_side: when a side is read all the same; 0: it need
                               not wait */
    enum pairing_room room[2];
};

void pace_begin(struct pace *out_pace);
/* A picture of `side` came. */
void pace_step(struct pace *pace, enum pairing_side side, int64_t now_ns);
/* Whether to read a side for whose next picture there is such room. */
bool pace_allows(struct pace *pace, enum pairing_side side, enum pairing_room room, int64_t now_ns);
/* When to ask again; INT64_MAX: when something came. */
int64_t pace_due_ns(const struct pace *pace, int64_t now_ns);

#endif
