/* Supervisor: what it noted, and the nodes that it runs.
 *
 * The journal has a line for each thing that happened to a stream, a reader, a writer or a node, and
 * for each loss that one of them met. The newest 4096 are kept, also over a restart of the
 * supervisor.
 */
#ifndef SHMFRAME_SUPERVISOR_H
#define SHMFRAME_SUPERVISOR_H

#include <shmframe/stats.h>

SHMFRAME_BEGIN

enum shmframe_event_type {
    SHMFRAME_JOURNAL_NONE = 0,           /**< not for this user: it has no more than id and times */
    SHMFRAME_JOURNAL_SUPERVISOR = 1,     /**< it started, took over, was upgraded; text tells */
    SHMFRAME_JOURNAL_STREAM_LIVE = 2,    /**< a ring: `generation`, its writer; text: the format */
    SHMFRAME_JOURNAL_STREAM_ENDED = 3,
    SHMFRAME_JOURNAL_WRITER_GONE = 4,    /**< without an end */
    SHMFRAME_JOURNAL_READER_JOINED = 5,
    SHMFRAME_JOURNAL_READER_LEFT = 6,    /**< text: why; cause EVICTED: its place was taken away */
    SHMFRAME_JOURNAL_LOSS = 7,           /**< frames: first, count, cause, culprit */
    SHMFRAME_JOURNAL_HOLD = 8,           /**< a lease is held for longer than limit_ns */
    SHMFRAME_JOURNAL_HOLD_OVER = 9,      /**< duration_ns: how long */
    SHMFRAME_JOURNAL_STALL = 10,         /**< for longer than limit_ns a writer has published nothing;
                                            with `reader`: that one was woken, and has not come */
    SHMFRAME_JOURNAL_STALL_OVER = 11,
    SHMFRAME_JOURNAL_NODE = 12,          /**< a node's state changed; text tells to what, and why */
    SHMFRAME_JOURNAL_TYPES = 13,
};

/** "supervisor", "stream-live", "stream-ended", "writer-gone", "reader-joined", "reader-left", "loss",
 * "hold", "hold-over", "stall", "stall-over", "node"; "none"; NULL out of range. */
SHMFRAME_API const char *shmframe_event_type_name(unsigned type);

/** A line of the journal. Of a loss, `name` is who did not get the frames (a reader), or who did not
 * make them (a writer); `culprit` is who is to blame: itself, a reader that had the slots, the
 * writer, the device. */
struct shmframe_event {
    uint64_t id;         /**< from 1, as the supervisor heard of it; lines left out are not kept */
    int64_t time_ns;     /**< CLOCK_MONOTONIC, when it happened: may be before that of a smaller id */
    int64_t wall_ns;     /**< CLOCK_REALTIME at that time, nanoseconds since 1970 */
    uint32_t type;       /**< enum shmframe_event_type */
    uint32_t cause;      /**< enum shmframe_cause */
    uint64_t first;      /**< loss: sequence of the first frame that is missing, or before which they are;
                            0: several losses in sum, faster than they could be told one by one; hold:
                            of the frame; end of a stream: the newest */
    uint64_t count;      /**< loss: how many frames; others: 0 */
    int64_t duration_ns; /**< loss: what is to blame, in all; or the gap; hold, stall: so far, or in all */
    int64_t limit_ns;    /**< hold, stall: what was allowed */
    uint32_t generation;
    uint32_t reader;         /**< number of the reader concerned; 0: none */
    uint32_t culprit_reader; /**< number of the reader to blame; 0: none */
    uint32_t leases;         /**< pool: slots that the culprit had */
    int32_t pid;             /**< of `name` */
    int32_t culprit_pid;
    char stream[SHMFRAME_NAME_BYTES];
    char name[SHMFRAME_NAME_BYTES];    /**< reader, writer or node */
    char culprit[SHMFRAME_NAME_BYTES]; /**< "": nobody; "device" */
    char text[192];
};

/** Takes the events after number `after` (0: the oldest there is), at most `count`, in their order; returns
 * how many. Waits until the deadline for one, if there is none yet. A first id above `after` + 1
 * means that those between are no longer kept; one that is not above `after`, that the journal was
 * begun anew. What a reader loses and holds is told to those who may open its record. SHMFRAME_NOW
 * waits for no event, but up to 2 s for the supervisor's answer.
 * Errors: -EAGAIN (SHMFRAME_NOW) or -ETIMEDOUT there was none; -ETIMEDOUT (SHMFRAME_NOW) the
 * supervisor did not answer; -EINVAL count 0; -ENOTCONN; -EINTR. */
SHMFRAME_API int shmframe_session_events(struct shmframe_session *session, uint64_t after,
                                         int64_t deadline_ns, struct shmframe_event *out_events,
                                         uint32_t count);

/** A process that the supervisor starts and restarts. */
struct shmframe_node_info {
    char name[SHMFRAME_NAME_BYTES];
    char kind[16];    /**< "producer", "consumer", "filter" */
    char state[16];   /**< "stopped", "waiting", "starting", "running", "stopping", "killing", "back-off",
                         "failed" */
    int32_t pid;      /**< 0: none */
    uint32_t starts;  /**< how often it was started */
    uint32_t restarts;/**< of these, by the supervisor itself */
    int32_t exit_status; /**< of its last end: status, or -signal; INT32_MIN: none, or unknown */
    int64_t since_ns; /**< in this state */
    int64_t next_ns;  /**< back-off: when it starts again; 0: not */
    char reason[192]; /**< what brought it here, in words */
};

/** Lists the nodes in the order of their file; returns how many there are in all.
 * Errors: -ENOTCONN, -ETIMEDOUT, -EINTR. */
SHMFRAME_API int shmframe_session_nodes(struct shmframe_session *session, int64_t deadline_ns,
                                        struct shmframe_node_info *out_nodes, uint32_t count);

/** Has the supervisor do `verb`: "start", "stop", "restart" with the name of a node, or NULL for all;
 * "reload" settings and pipeline file; "upgrade" itself; "describe" itself, for "shmframe doctor", in lines
 * that may become others. It has begun, not ended, when this returns: see
 * shmframe_session_nodes(). `on_line` (NULL: ignored) gets each line that it has to say, such as the
 * mistakes in a file; it must not use the session.
 * Errors: -ENOENT no such node; -EINVAL no such verb, or the file has mistakes; -EACCES; -ENOTSUP the
 * supervisor runs without a file; -EBUSY it is ending; -ENOTCONN; -ETIMEDOUT; -EINTR. */
SHMFRAME_API int shmframe_session_command(struct shmframe_session *session, const char *verb,
                                          const char *node, int64_t deadline_ns,
                                          void (*on_line)(void *user, const char *text), void *user);

SHMFRAME_END

#endif
