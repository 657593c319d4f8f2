/* Acts: what the storm does, one after the other. Each is drawn from the seed and its number alone,
 * so that a run can be played again. */
#ifndef TESTS_STORM_ACT_H
#define TESTS_STORM_ACT_H

#include "peer.h"

enum deed {
    DEED_KILL = 0,
    DEED_STOP,      /* ... for a while, then it goes on */
    DEED_STOP_KILL, /* ... then it is killed */
    DEED_EVICT,     /* a reader */
    DEED_CROSS,     /* a reader is stopped within acquire, then its writer within loan or publish */
    DEEDS,
};

struct act {
    unsigned number;
    enum deed deed;
    bool is_supervisor;
    unsigned seat; /* who else; of the supervisor: killed just before it, if `has_seat` */
    bool has_seat;
    unsigned reading;      /* evict, cross: of the seat's */
    enum door door;        /* DOOR_NONE: at any moment */
    unsigned steps;        /* instructions behind it; 0: `spin_ns` behind it */
    unsigned writer_steps; /* cross */
    enum door writer_door;
    int64_t spin_ns, pause_ns;
    int64_t gap_ns;    /* before it */
    int64_t absent_ns; /* until there is a successor */
    uint64_t seed;     /* of the successor */
};

struct act act_choose(uint64_t seed, unsigned number);
/* In each round of acts the supervisor is left alone towards the end. */
bool act_is_calm(unsigned number);
void act_print(const struct act *act);

#endif
