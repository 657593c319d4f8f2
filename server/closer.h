/* Closer: threads that close what peers have passed to us.
 *
 * Closing may wait: for a connection that lingers, for a file system that another process serves,
 * for either of them in the queue of a local socket. The first of these waits ends with a signal,
 * the second one when that process pleases. So a few threads close, each user's descriptors in
 * turn, and one user's closes keep no more than CLOSER_THREADS_OF_USER of them. Only what
 * region_check() has found to be plain memory is closed by the loop itself, but for rings: whoever
 * is the last to close one gives its memory back, half a second a gigabyte. That comes to an end
 * by itself: rings have their own turn, and are nobody's.
 */
#ifndef SERVER_CLOSER_H
#define SERVER_CLOSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Of more users at once several are taken for one. All can have what is theirs, and so can rings:
 * nobody waits for another. */
enum {
    CLOSER_USERS_MAX = 64,
    CLOSER_THREADS_OF_USER = 4,
    CLOSER_THREADS_MAX = (CLOSER_USERS_MAX + 1) * CLOSER_THREADS_OF_USER,
};

/* `fds`: how many descriptors there can be. Errors: any, with its sentence. */
int closer_start(size_t fds);
/* Takes `fd`, which `uid` has passed or opened; never waits. Before closer_start() it closes at
 * once. */
void closer_close(int fd, uid_t uid);
/* The same for a ring, which region_check() has found to be plain memory. */
void closer_close_memory(int fd);
/* While it is held, no ring's turn comes: a child that runs a program is not the last one who has
 * it, and has not to give its memory back before. */
void closer_hold_memory(bool is_held);
/* How many rings are still to be closed. */
size_t closer_count_memory(void);

enum closer_progress {
    CLOSER_KEEPS_UP,
    CLOSER_IS_BEHIND, /* LIMIT_CLOSING_OF_USER are still to be closed */
    /* As many, and none of them came to an end in CLOSER_STUCK_NS, or it was so for
     * CLOSER_BEHIND_NS without a break. */
    CLOSER_IS_STUCK,
};
#define CLOSER_STUCK_NS  INT64_C(5000000000)
#define CLOSER_BEHIND_NS INT64_C(30000000000)
/* How far it is with what `uid` has passed. */
enum closer_progress closer_look(uid_t uid);
/* Whether anybody does not keep up. */
bool closer_is_behind(void);
/* How many are still to be closed, but for those of users with whom it is stuck. */
size_t closer_backlog(void);

/* Waits until all but memory is closed, so that this process can run another program: that would
 * close what waits by itself. Errors: -EBUSY some are not after `patience_ns`; its sentence names
 * their user. Memory that is left by then takes a while, and no more. */
int closer_await(int64_t patience_ns);
#define CLOSER_PATIENCE_NS INT64_C(1000000000)
/* How long a program is not run for rings that are still to be closed. */
#define CLOSER_MEMORY_PATIENCE_NS INT64_C(5000000000)

#endif
