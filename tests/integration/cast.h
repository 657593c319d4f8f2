/* Cast: who sits on which seat, the supervisor, and how each of them dies. */
#ifndef TESTS_INTEGRATION_CAST_H
#define TESTS_INTEGRATION_CAST_H

#include "peer.h"

struct cast {
    char folder[64];
    const char *program; /* shmframed */
    uint64_t random;
    pid_t pid[SEATS];
    pid_t probe[PROBES_MAX];
    unsigned probes;
    pid_t supervisor;
    struct holdings supervisor_fresh;
    unsigned deaths_at_once, deaths_at_door, deaths_in_step; /* how peers were killed */
    bool can_step;
};

void cast_start(struct cast *cast, const char *program, uint64_t seed);
void cast_supervisor_start(struct cast *cast);
/* Kills it; nobody is there afterwards. */
void cast_supervisor_kill(struct cast *cast);
/* Ends it in good order. Returns whether it had let go of everything and ended well. */
bool cast_supervisor_stop(struct cast *cast);

void cast_seat_fill(struct cast *cast, unsigned seat);
/* Kills the peer at a random moment, often within a call of the library, and reaps it. If that is
 * to be at a door which it passed when it came, its successor is killed there. Returns how many
 * were. */
unsigned cast_seat_kill(struct cast *cast, unsigned seat);
/* Waits until every peer of seats `first` to `last` has ended by itself. False: not in time. */
bool cast_seats_end(struct cast *cast, unsigned first, unsigned last);

/* Reaps who ended without being told to: each of them is a fault. */
void cast_look(struct cast *cast);
/* Ends all that is left. Returns how many processes there were that nobody knew of. */
unsigned cast_finish(struct cast *cast);

const char *seat_name(unsigned seat);

#endif
