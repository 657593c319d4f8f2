/* Cast: the supervisor and who sits on which seat; how they come, stop, and end. */
#ifndef TESTS_CRASH_CAST_H
#define TESTS_CRASH_CAST_H

#include "peer.h"

/* More than a table has trials, and a trial peers that come. */
enum { FILLS_MOST = 4096 };

struct cast {
    const char *program; /* shmframed, of the test build */
    char folder[64];
    pid_t supervisor; /* 0: none */
    pid_t pid[SEATS]; /* 0: nobody */
    struct reader_role guest;
    pid_t filled[FILLS_MOST]; /* all that ever sat on a seat, until cast_begin() */
    size_t fills;
};
extern struct cast cast;

void cast_begin(const char *program);
/* Ends all that is left, and removes the folder. Returns how many processes nobody knew of. */
unsigned cast_finish(void);

void cast_start_supervisor(void);
void cast_fill(unsigned seat);
/* How many peers have had this number: the kernel gives it again once all others had their turn. */
unsigned cast_count_lives(pid_t pid);

/* Waits until it has stopped, or was killed, at its point or because it was told to; reaps it.
 * False, and a fault: it did something else. */
bool cast_await_stop(pid_t pid);
bool cast_await_kill(pid_t pid);
/* Waits until the peer has closed everything and ended. */
bool cast_await_leave(unsigned seat);

/* Descriptors and mappings of the library's memfds that a process has. */
unsigned cast_count_held(pid_t pid);

/* Reaps whoever ended without being told to: each is a fault. False: there was one. */
bool cast_look(void);

#endif
