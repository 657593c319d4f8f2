/* Errors: a negative errno from every call that can fail, and a sentence that explains it.
 *
 * One errno, one meaning, in the whole library:
 *
 *   -EINVAL        an argument is out of range or contradicts another
 *   -ETIMEDOUT     the deadline passed
 *   -EAGAIN        nothing yet (a call with deadline SHMFRAME_NOW), or not now: try again
 *   -EINTR         a signal, or shmframe_session_interrupt()
 *   -EBUSY         already held; as many as there may be are held, or unanswered; or it is ending
 *   -ENOENT        no such stream, reader or node
 *   -EEXIST        the name is taken
 *   -ENODATA       the stream has ended and everything was delivered
 *   -EPIPE         the peer (writer, reader) is gone
 *   -ENOTCONN      no supervisor answers
 *   -ESTALE        overtaken or evicted: the bytes read may be torn, or the ring is closed
 *   -EPROTO        a peer's bytes break protocol or layout
 *   -EPROTONOSUPPORT  the peer speaks another version
 *   -ENOTSUP       not offered: a format, a kernel or an FFmpeg that cannot do it
 *   -ENOMEM        no memory for the ring or the object
 *   -ENOSPC        the stream's slots, or a limit, are used up
 *   -EMFILE, -ENFILE  no descriptor left
 *   -EACCES        not permitted
 */
#ifndef SHMFRAME_ERROR_H
#define SHMFRAME_ERROR_H

#include <shmframe/export.h>

SHMFRAME_BEGIN

/** What went wrong in the last call of this thread that failed: one line that names the thing and
 * the remedy, without a newline. Never NULL; empty before the first failure. Valid until the next
 * failing call of the same thread. The calls of the frame path (loan, publish, acquire, release,
 * wait) leave it alone for -EAGAIN, -ETIMEDOUT, -EINTR and -ENODATA. */
SHMFRAME_API const char *shmframe_last_error(void);

SHMFRAME_END

#endif
