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

/* Whether a descriptor is of memory of that size (0: any), sealed for good, or as a lease page is
 * before its reader has it. Found out by other means than the supervisor's own. */
bool host_is_sealed(int fd, bool is_for_good, size_t bytes);

/* Descriptors that this process has. */
unsigned host_count_fds(void);

/* Field 22 of /proc/self/stat. */
uint64_t host_start_time(void);

#endif
