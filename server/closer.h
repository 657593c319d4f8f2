/* Closer: a thread that closes what peers have passed to us.
 *
 * Closing may wait: for a connection that lingers, for a file system that another process serves,
 * for either of them in the queue of a local socket. Only what region_check() has found to be plain
 * memory is closed by the loop itself.
 */
#ifndef SERVER_CLOSER_H
#define SERVER_CLOSER_H

#include <stddef.h>
#include <stdint.h>

/* `fds`: how many descriptors there can be. Errors: any, with its sentence. */
int closer_start(size_t fds);
/* Takes `fd`; never waits. Before closer_start() it closes at once. */
void closer_close(int fd);
/* How many are still to be closed, and how many were so far. */
size_t closer_backlog(uint64_t *out_closed);

#endif
