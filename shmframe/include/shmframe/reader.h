/* Reader: the library object in a consumer. It leases frames in place, read-only.
 *
 *   wait -> acquire a lease -> read the slot -> release it
 *
 * Life: open on a session, close; leases are released before that.
 * Threads: one at a time; shmframe_reader_release() and its batch may come from any thread.
 * Timing: acquire and release make no system call while frames are there. A reader that sleeps is
 *   woken through a futex of its own. While frames come less than 18 ms apart, a reader that waits
 *   for one stream listens to its writer alone for 20 ms, since that wakes it quicker: it then hears
 *   of everything else - an interrupt by another thread, an eviction, a writer that died - at most
 *   20 ms late. It follows its stream through restarts and changes of format.
 */
#ifndef SHMFRAME_READER_H
#define SHMFRAME_READER_H

#include <shmframe/frame.h>
#include <shmframe/session.h>

SHMFRAME_BEGIN

struct shmframe_reader;

#define SHMFRAME_LEASES_MAX 6   /**< frames a reader can hold at once */
#define SHMFRAME_DEPTH_MAX 192  /**< deepest history an in-order or lossless reader can ask for */
#define SHMFRAME_WAIT_MAX 64    /**< readers in one shmframe_readers_wait() */

/** Which frames a reader gets: a contract. */
enum shmframe_policy {
    SHMFRAME_LATEST = 0,   /**< the newest frame, always; what it passes over is skipped, not lost */
    SHMFRAME_IN_ORDER = 1, /**< every frame, as long as the reader is at most `depth` behind */
    SHMFRAME_LOSSLESS = 2, /**< every frame: the writer waits for this reader */
};

enum shmframe_reader_flag {
    SHMFRAME_READER_MUST_EXIST = 1 << 0, /**< fail with -ENOENT instead of waiting for the stream */
};

/** Zero means the documented default. */
struct shmframe_reader_params {
    const char *stream;          /**< needed */
    const char *name;            /**< in lists and reports; NULL: the session's */
    enum shmframe_policy policy;
    uint32_t depth;              /**< in-order, lossless: frames it may be behind; default 4 */
    uint32_t leases;             /**< frames it may hold at once, 1 to SHMFRAME_LEASES_MAX; default 1 */
    uint32_t flags;              /**< enum shmframe_reader_flag */
    int64_t spin_ns;             /**< busy-wait that long before sleeping; default 0 */
    int64_t deadline_ns;         /**< until when to wait for the stream; 0: do not wait */
};

enum shmframe_lease_flag {
    SHMFRAME_LEASE_RESTARTED = 1 << 0,  /**< first frame of a new writer */
    SHMFRAME_LEASE_NEW_FORMAT = 1 << 1, /**< first frame of another format */
    SHMFRAME_LEASE_STALE = 1 << 2, /**< after its release: overwritten while it was read (-ESTALE) */
};

/** A frame on lease. */
struct shmframe_lease {
    const uint8_t *data;                  /**< the slot; plane i begins at data + format->plane[i].offset */
    const struct shmframe_format *format; /**< valid until the lease is released */
    struct shmframe_frame frame;          /**< the reader's own copy of the stamps */
    const char *stream;                   /**< name of the stream; valid while the reader is */
    int64_t wake_ns;                      /**< when the reader woke for it; 0: it did not sleep */
    int64_t acquire_ns;                   /**< when the lease began */
    uint64_t lost;                        /**< frames lost just before this one */
    uint64_t skipped;                     /**< frames passed over by policy just before this one */
    uint32_t flags;                       /**< enum shmframe_lease_flag */
    uint32_t cell;                        /**< the library's, as the next two */
    void *link;
    void *reader;
};

/** Opens `params->stream` for reading, waiting for it until the deadline.
 * Errors: -EINVAL; -ENOENT no such stream (MUST_EXIST, or deadline 0); -ETIMEDOUT it did not appear;
 * -ENOTSUP lossless asked of a live stream; -ENOSPC the stream has no slots or links left for what
 * is asked; -EACCES; -EPROTO its ring does not hold together; -ENOMEM; -EMFILE, -ENFILE; -ENOTCONN;
 * -EINTR. */
SHMFRAME_API int shmframe_reader_open(struct shmframe_session *session,
                                      const struct shmframe_reader_params *params,
                                      struct shmframe_reader **out_reader);

/** Closes; leases still held end here. NULL is allowed. */
SHMFRAME_API void shmframe_reader_close(struct shmframe_reader *reader);

/** Format of the ring that the reader is at. Valid until the next acquire. */
SHMFRAME_API const struct shmframe_format *
shmframe_reader_format(const struct shmframe_reader *reader);

/** Takes the next frame by policy, waiting for it until the deadline.
 * Errors: -EAGAIN (SHMFRAME_NOW) or -ETIMEDOUT nothing yet; -EBUSY as many leases as granted are
 * held; -ENODATA the stream has ended, all was delivered (a later call follows a new writer of the
 * stream); -ESTALE evicted, for good; -EPROTO the writer's bytes break the layout; -EINTR; -ENOMEM,
 * -EMFILE, -ENFILE, -ENOSPC no room for the stream's next ring: each call tries again, and nothing
 * is lost as long as its history keeps it; -ENOTSUP its next writer is live, and this reader lossless. */
SHMFRAME_API int shmframe_reader_acquire(struct shmframe_reader *reader, int64_t deadline_ns,
                                         struct shmframe_lease *out_lease);

/** Takes the next `count` frames by policy, as far as they are there and leases are left; waits, until
 * the deadline, for the first alone. They are of one ring, with one acquire_ns; each has its own
 * statistics. A latest-only reader gets the newest. Returns how many, at least one. `count` beyond
 * SHMFRAME_LEASES_MAX is cut.
 * Errors: -EINVAL `count` is 0; else as acquire, with nothing taken. What a single call would answer
 * after the first frame is left to the next call. */
SHMFRAME_API int shmframe_reader_acquire_batch(struct shmframe_reader *reader, int64_t deadline_ns,
                                               struct shmframe_lease *out_leases, uint32_t count);

/** Ends a lease. Any thread.
 * Errors: -ESTALE the slot was overwritten while it was read (the reader had been evicted): what
 * was read may be torn; -EINVAL not a lease. The lease is over in any case. */
SHMFRAME_API int shmframe_reader_release(struct shmframe_reader *reader,
                                         struct shmframe_lease *lease);

/** Ends `count` leases, acquired in a batch or one by one, at one instant. Any thread. All of them are
 * over in any case.
 * Errors: -EINVAL one was no lease; -ESTALE one was overwritten while it was read: flags tell of each,
 * as SHMFRAME_LEASE_STALE. */
SHMFRAME_API int shmframe_reader_release_batch(struct shmframe_reader *reader,
                                               struct shmframe_lease *leases, uint32_t count);

/** Tells when the frame was shown or heard, for the `display` hop. Call before release. */
SHMFRAME_API void shmframe_reader_present(struct shmframe_reader *reader,
                                          const struct shmframe_lease *lease, int64_t present_ns);

/** Waits until acquire would not answer -EAGAIN. Errors: -ETIMEDOUT, -EAGAIN, -EINTR. */
SHMFRAME_API int shmframe_reader_wait(struct shmframe_reader *reader, int64_t deadline_ns);

/** Waits on several readers of one session at once, 1 to SHMFRAME_WAIT_MAX. Bit i of `out_ready` is
 * set if acquire of readers[i] would not answer -EAGAIN. Returns how many are ready.
 * Errors: -EINVAL; -ETIMEDOUT; -EAGAIN; -EINTR. */
SHMFRAME_API int shmframe_readers_wait(struct shmframe_reader *const *readers, uint32_t count,
                                       int64_t deadline_ns, uint64_t *out_ready);

/** One stable descriptor to poll for input. Readable means: acquire with SHMFRAME_NOW until it
 * answers -EAGAIN, which also arms it again. Mail to the session makes it readable, too: then
 * -EAGAIN may be the first answer. Belongs to the reader.
 * Errors: -EMFILE, -ENFILE, -ENOMEM; -ENOSPC the system's limit of what is watched. */
SHMFRAME_API int shmframe_reader_fd(struct shmframe_reader *reader);

enum shmframe_reader_event_type {
    SHMFRAME_READER_EVENT_NONE = 0,
    SHMFRAME_WRITER_GONE = 1, /**< the writer died or left; a new one may come */
    SHMFRAME_RESTARTED = 2,   /**< a new writer's ring begins */
    SHMFRAME_FORMAT = 3,      /**< a ring of another format begins */
    SHMFRAME_ENDED = 4,       /**< end of stream */
    SHMFRAME_EVICTED = 5,     /**< the supervisor took this reader's place away */
    SHMFRAME_LOST = 6,        /**< frames lost: first, count, cause */
};

enum shmframe_lost_cause {
    SHMFRAME_LOST_NONE = 0,
    SHMFRAME_LOST_LATE = 1,    /**< this reader fell further behind than its depth */
    SHMFRAME_LOST_RESTART = 2, /**< published in a ring that this reader was not linked to */
};

struct shmframe_reader_event {
    enum shmframe_reader_event_type type;
    enum shmframe_lost_cause cause;
    uint64_t first; /**< lost: sequence of the first */
    uint64_t count; /**< lost: how many */
    uint32_t generation;
    uint32_t why; /**< lost: enum shmframe_cause, see stats.h */
};

/** Takes the next event, oldest first; the last 64 are kept. Errors: -EAGAIN there is none. */
SHMFRAME_API int shmframe_reader_next_event(struct shmframe_reader *reader,
                                            struct shmframe_reader_event *out_event);

/** First byte of plane `plane`, NULL if there is none. */
SHMFRAME_API const uint8_t *shmframe_lease_plane(const struct shmframe_lease *lease, unsigned plane);

SHMFRAME_END

#endif
