/* Orphan: a program whose private supervisor is gone for good ends itself.
 *
 * Who runs a private supervisor sets SHMFRAME_PRIVATE, to how long a program waits for the next one
 * ("10s"). Normally they all are ended in good order; this is for when both the supervisor and who
 * ran it were killed.
 */
#ifndef COMMON_ORPHAN_H
#define COMMON_ORPHAN_H

#include <shmframe/shmframe.h>

/* Starts a thread that looks each second whether the session is connected. Once it has not been for
 * as long as SHMFRAME_PRIVATE tells, the process gets SIGTERM. Without that variable it does
 * nothing, nor while another session is watched. */
void orphan_watch(struct shmframe_session *session);
/* Ends that, if this session is the watched one, which may be closed then. */
void orphan_unwatch(const struct shmframe_session *session);

#endif
