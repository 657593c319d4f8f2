/* Strike: how an act is done to whom it concerns. */
#ifndef TESTS_STORM_STRIKE_H
#define TESTS_STORM_STRIKE_H

#include "act.h"
#include "cast.h"

struct strikes {
    unsigned count[DEEDS];
    unsigned at_once, at_door, in_step; /* where peers were when they were struck */
    unsigned evicted;                   /* as the supervisor said */
    unsigned passed_over;               /* who was to be struck was stopped already */
};

void strike(struct cast *cast, const struct act *act, struct strikes *strikes);
/* Ends the stops whose time is over. */
void strike_end_stops(struct cast *cast);
/* ... all, at once. */
void strike_end_all_stops(struct cast *cast);

#endif
