/* The signals that a run takes from a descriptor, instead of being interrupted by them. */
#ifndef TOOLS_CAUGHT_H
#define TOOLS_CAUGHT_H

#include <signal.h>

/* SIGCHLD, SIGINT, SIGTERM and SIGHUP come by the descriptor that is returned from now on; SIGPIPE
 * is ignored. `out_mask` gets what was blocked before, for children. Failure ends the program. */
int caught_open(sigset_t *out_mask);

#endif
