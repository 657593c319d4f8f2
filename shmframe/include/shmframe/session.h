/* Session: this process's place at the supervisor. Writers and readers are opened on it.
 *
 * Life: open, then writers and readers, which must be closed before it; close.
 * Threads: any thread may use a session; its calls take turns. Each writer and reader belongs to
 *   one thread at a time. Not usable after fork() in the child: open a new one there.
 * Errors: whatever asks the supervisor may also fail with -EPROTO or -EPROTONOSUPPORT (what it sent
 *   breaks the protocol), -EMFILE (no descriptor left for what it sent) or -ENOMEM.
 * Timing: the session notices a supervisor that went away and comes back to the next one by itself,
 *   in dispatch and, five times a second, from the frame path. Frames flow meanwhile.
 */
#ifndef SHMFRAME_SESSION_H
#define SHMFRAME_SESSION_H

#include <shmframe/clock.h>
#include <shmframe/format.h>

SHMFRAME_BEGIN

struct shmframe_session;

#define SHMFRAME_VERB_BYTES 32      /**< a request's verb, with its NUL */
#define SHMFRAME_ARGUMENT_BYTES 192 /**< a request's argument or answer, with its NUL */

/** Zero means the documented default. */
struct shmframe_session_params {
    /** Path of the supervisor's socket. NULL: $SHMFRAME_SOCKET, else
     * $XDG_RUNTIME_DIR/shmframe/socket. */
    const char *socket;
    /** What this process is called in lists and reports; NULL: the name of the node
     * that it is of, $SHMFRAME_NODE, else the program's file name. */
    const char *name;
    /** Until when to wait for a supervisor that is not there yet; 0: do not. */
    int64_t deadline_ns;
};

/** Opens a session. `params` may be NULL.
 * Errors: -ENOTCONN no supervisor; -EACCES its socket refuses this user; -EPROTONOSUPPORT another
 * version; -EPROTO what answers is none; -EINVAL a path that cannot be one; -ENOTSUP the kernel is
 * older than 5.16; -ETIMEDOUT it does not answer; -EINTR a signal came while it waited; -EMFILE,
 * -ENFILE; -ENOSPC the system's limit of what is watched; -ENOMEM. */
SHMFRAME_API int shmframe_session_open(const struct shmframe_session_params *params,
                                       struct shmframe_session **out_session);

/** Closes; NULL is allowed. Its writers and readers must be closed before. */
SHMFRAME_API void shmframe_session_close(struct shmframe_session *session);

/** One stable descriptor to poll for input: readable means call shmframe_session_dispatch().
 * Belongs to the session. */
SHMFRAME_API int shmframe_session_fd(const struct shmframe_session *session);

/** Does what has become due: mail, new links, reconnection. Never waits.
 * Returns 0, also while no supervisor is there. */
SHMFRAME_API int shmframe_session_dispatch(struct shmframe_session *session);

/** Whether a supervisor is connected at this moment. */
SHMFRAME_API bool shmframe_session_is_connected(const struct shmframe_session *session);

/** Makes every waiting call of this session return -EINTR, now and until
 * shmframe_session_resume(). Async-signal-safe: meant for a SIGINT handler. A thread that sleeps for
 * a quick stream hears another thread's interrupt up to 20 ms late (see reader.h), others at once; a
 * signal that is handled on the sleeping thread itself ends its sleep at once. */
SHMFRAME_API void shmframe_session_interrupt(struct shmframe_session *session);

/** Takes an interrupt back. */
SHMFRAME_API void shmframe_session_resume(struct shmframe_session *session);

struct shmframe_answer {
    int status;                          /**< 0, or the negative errno that the writer answered with */
    char text[SHMFRAME_ARGUMENT_BYTES];  /**< the writer's words; may be empty */
};

/** Asks the writer of `stream` to do `verb` with `argument` (NULL: none), and waits for its answer.
 * Errors: -ENOENT no such stream; -EPIPE its writer is gone; -EINVAL a text too long; -EACCES this
 * user may not read it; -ETIMEDOUT; -EINTR; -ENOTCONN; -EBUSY the writer has too many unanswered requests. */
SHMFRAME_API int shmframe_session_request(struct shmframe_session *session, const char *stream,
                                          const char *verb, const char *argument,
                                          int64_t deadline_ns, struct shmframe_answer *out_answer);

SHMFRAME_END

#endif
