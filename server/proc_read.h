/* Looking at processes without waiting for them.
 *
 * What /proc tells of a process that runs another program may have to wait until that program runs:
 * for as long as it pleases a file system of the process's own, with which a file is closed just
 * then. So a thread reads, and if it does not come back it is left behind: until it does, nobody
 * looks at that process. Nor at any other one of its user's, but root's and our own, once there are
 * PROC_READ_STUCK_OF_USER; nor at anybody, once there are PROC_READ_STUCK_MAX.
 */
#ifndef SERVER_PROC_READ_H
#define SERVER_PROC_READ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_READ_STUCK_MAX = 64, PROC_READ_STUCK_OF_USER = 4 };

/* How long one is waited for, and for how long after that it counts among its user's. */
#define PROC_READ_PATIENCE_NS INT64_C(500000000)
#define PROC_READ_COUNTS_NS   INT64_C(30000000000)

/* Errors: any, with its sentence. */
int proc_read_start(void);

/* Reads /proc/PID/`name`, as much as `room` has room for. Returns how many bytes. For one thread;
 * before proc_read_start() it waits.
 * Errors: -ESRCH the process is gone; -EBUSY it cannot be looked at now, and has not ended;
 * -EAGAIN, -ENOMEM no thread; what else open(2) and read(2) say. */
ssize_t proc_read(pid_t pid, const char *name, char *out, size_t room);

#endif
