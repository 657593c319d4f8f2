/* Cast: who sits on which seat, and the supervisor. */
#ifndef TESTS_STORM_CAST_H
#define TESTS_STORM_CAST_H

#include "peer.h"

enum { HOGS_MAX = 64 };

/* Somebody who is stopped, and what becomes of him. */
struct stop {
    int64_t until_ns; /* 0: is not stopped */
    bool is_death;
    uint64_t seed; /* of the successor */
};

struct cast {
    char folder[64];
    const char *program; /* shmframed */
    pid_t pid[SEATS];
    struct stop stop[SEATS], supervisor_stop;
    pid_t probe[PROBES_MAX], hog[HOGS_MAX];
    unsigned probes, hogs;
    pid_t supervisor, witness;
    struct holdings supervisor_fresh, self;
    unsigned deaths, supervisor_deaths, writer_deaths, reader_deaths;
    bool can_step; /* some sandboxes forbid ptrace */
};

void cast_start(struct cast *cast, const char *program, unsigned hogs);
void cast_supervisor_start(struct cast *cast);
/* Kills it; nobody is there afterwards. */
void cast_supervisor_kill(struct cast *cast);
/* Stops it, or lets it go on. */
void cast_supervisor_pause(struct cast *cast);
void cast_supervisor_resume(struct cast *cast);
/* The witness has a session too: it goes before the supervisor is looked at. */
void cast_dismiss_witness(struct cast *cast);
/* Ends it in good order. Returns whether it had let go of everything and ended well. */
bool cast_supervisor_end(struct cast *cast);

/* Everything that its peer does by chance comes from `seed`. */
void cast_seat_fill(struct cast *cast, unsigned seat, uint64_t seed);
/* Kills its peer, which must have lived until now, and reaps it. */
void cast_seat_kill(struct cast *cast, unsigned seat);
/* Waits until every peer of seats `first` to `last` has ended by itself. False: not in time. */
bool cast_seats_end(struct cast *cast, unsigned first, unsigned last);

/* Reaps who ended without being told to: each of them is a fault. */
void cast_look(struct cast *cast);
/* Ends all that is left, and sees that nothing is: processes, descriptors. */
void cast_finish(struct cast *cast);

#endif
