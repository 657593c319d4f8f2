/* Host: a supervisor in this process, whose loop is driven turn by turn. */
#ifndef TESTS_FUZZ_HOST_H
#define TESTS_FUZZ_HOST_H

#include "server.h"

/* Opened at the first call, in a folder of $TMPDIR or /tmp that goes with the process; it is not
 * taken apart between two runs, but emptied. No thread, no process. */
struct server *host_server(void);

/* Handles what there is to handle now, and what follows from it. */
void host_turn(void);

/* Forgets every stream, and what was told by a former supervisor. Nobody may be connected. */
void host_forget(void);

/* Whether what the supervisor knows hangs together. */
void host_check(void);

/* Descriptors that this process has. */
unsigned host_count_fds(void);

#endif
