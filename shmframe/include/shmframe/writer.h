/* Writer: the library object in a producer. It lends slots of a ring, and publishes them.
 *
 *   loan a slot -> fill it in place -> publish it (or abandon it)
 *
 * Life: open on a session; close ends the stream, if shmframe_writer_end() did not.
 * Threads: one at a time. With SHMFRAME_WRITER_THREADED, loan, publish, abandon, pin and unpin may
 *   come from any thread at once, their batches too.
 * Timing: loan and publish do not allocate, lock (unless THREADED) or log. Publish makes one system
 *   call for each reader that sleeps, none otherwise. Five times a second, or when the supervisor has
 *   written, a loan also does the session's upkeep.
 */
#ifndef SHMFRAME_WRITER_H
#define SHMFRAME_WRITER_H

#include <shmframe/frame.h>
#include <shmframe/session.h>

SHMFRAME_BEGIN

struct shmframe_writer;
struct shmframe_lease;

enum shmframe_writer_flag {
    SHMFRAME_WRITER_THREADED = 1 << 0, /**< see Threads */
    SHMFRAME_WRITER_LIVE = 1 << 1,     /**< a live source: lossless readers are refused */
    /** Frames that are missing are told with those that come, in device_dropped and own_dropped: a gap
     * between capture times does not mean that the writer was late. Without this it does. */
    SHMFRAME_WRITER_TELLS_DROPS = 1 << 2,
};

/** What before_seal is told of the ring. */
struct shmframe_ring_map {
    uint8_t *base;           /**< start of the mapping */
    uint64_t bytes;          /**< of the whole ring */
    uint64_t payload_offset; /**< of slot 0 from base */
    uint64_t slot_stride;    /**< from one slot to the next */
    uint32_t slots;
    uint32_t reserved;
};

/** Zero means the documented default. */
struct shmframe_writer_params {
    const char *stream;            /**< name of the stream; needed */
    const char *group;             /**< group it belongs to; NULL: none */
    struct shmframe_format format; /**< as shmframe_format_complete() accepts it; needed */
    uint32_t flags;                /**< enum shmframe_writer_flag */
    uint32_t loans;                /**< slots on loan or pinned at once; default 1, at most 64 */
    uint32_t history;              /**< complete frames that stay available; default 1 */
    uint64_t ring_bytes;           /**< address space of a ring; default 1 GiB, or 16 slots if more */
    int64_t deadline_ns;           /**< for open; 0: 10 seconds, once there is memory */
    /** Called with the ring's descriptor and mapping before it is sealed, so that a device or an X
     * server can attach it for writing; slot i lies at payload_offset + i * slot_stride. A negative
     * errno makes open fail with it. NULL: none. */
    int (*before_seal)(void *user, int ring_fd, const struct shmframe_ring_map *map);
    void *user;
    /** Which users may read the stream beside the writer's own, root and the supervisor's: "group video",
     * "user anna", several with commas between them, or "all" or "none" alone. They read, they cannot make the
     * writer wait, and the kernel keeps what they get read-only. NULL: as the supervisor's settings say;
     * without any, nobody. */
    const char *allow;
};

/** What a ring takes. */
struct shmframe_ring_plan {
    uint64_t ring_bytes;   /**< address space: of all slots, whether they have memory or not */
    uint64_t slot_bytes;   /**< memory of a slot: whole pages */
    uint64_t memory_bytes; /**< of the ring, once `slots_used` slots have theirs */
    uint32_t slots;        /**< that there is room for */
    uint32_t slots_used;   /**< that get memory: for loans, history and leases, and of small slots
                                an eighth of the history more, at most 64 KiB of them */
};

/** Tells what ring an open with `params` makes (stream, group and deadline do not matter), and what of
 * it gets memory for readers of which the deepest has `depth` (latest-only: 0) and all together have
 * `leases`; 0: for none yet. Of a lossless reader one lease less counts: the newest frame that it has
 * stays in the history until it has the next one. Pure.
 * Errors: -EINVAL, -ENOTSUP parameters or format; -ENOSPC the ring has no room for that. */
SHMFRAME_API int shmframe_ring_plan(const struct shmframe_writer_params *params, uint32_t depth,
                                    uint32_t leases, struct shmframe_ring_plan *out_plan);

/** A slot on loan. */
struct shmframe_loan {
    uint8_t *data;                        /**< the slot; plane i begins at data + format->plane[i].offset */
    const struct shmframe_format *format; /**< of the slot's ring */
    struct shmframe_frame frame;          /**< fill what is marked (w) before publish */
    uint32_t slot;                        /**< number of the slot in its ring */
    uint32_t ring;                        /**< the library's */
    uint32_t own_dropped;                 /**< (w) of frame.device_dropped, those that this program lost:
                                             it was late, or got no slot. Not shown to readers */
};

/** Opens the stream and its ring; readers that waited for it are linked when this returns.
 * Errors: -EINVAL, -ENOTSUP parameters or format; -EEXIST the name is taken; -ENOMEM no memory for
 * the first slots; -EMFILE, -ENFILE; -EACCES; -ENOSPC a limit of the supervisor; -ENOTCONN;
 * -ETIMEDOUT; -EINTR. */
SHMFRAME_API int shmframe_writer_open(struct shmframe_session *session,
                                      const struct shmframe_writer_params *params,
                                      struct shmframe_writer **out_writer);

/** Ends the stream if it has not ended, abandons loans, closes. NULL is allowed. */
SHMFRAME_API void shmframe_writer_close(struct shmframe_writer *writer);

/** The format that the next loan will have. Valid until the next change of format. */
SHMFRAME_API const struct shmframe_format *
shmframe_writer_format(const struct shmframe_writer *writer);

/** Goes on in another format, in a new ring. Loans of the old ring can still be published, until
 * the first loan of the new one is. Readers are linked to it when this returns. `deadline_ns`: 0 as
 * for open.
 * Errors: as shmframe_writer_open(), -EEXIST apart; the stream goes on in the old format then.
 * -ENODATA the stream has ended; -ESTALE it is lost: another writer has its name since, or the
 * supervisor did not answer for ten seconds. Not interrupted half-way. */
SHMFRAME_API int shmframe_writer_set_format(struct shmframe_writer *writer,
                                            const struct shmframe_format *format,
                                            int64_t deadline_ns);

/** Lends a slot. Waits, until the deadline, only if a lossless reader has not caught up, or holds
 * other frames than it was waited for and leaves no slot free.
 * Errors: -EAGAIN (deadline SHMFRAME_NOW) or -ETIMEDOUT a lossless reader is behind; -EBUSY as many
 * loans are out as were asked for; -ENOSPC no slot is free (leased, pinned or loaned all);
 * -ENOMEM a slot never used before has no memory; -ENODATA the stream has ended; -ESTALE it is lost:
 * another writer has its name since; -EINTR. */
SHMFRAME_API int shmframe_writer_loan(struct shmframe_writer *writer, int64_t deadline_ns,
                                      struct shmframe_loan *out_loan);

/** Lends up to `count` slots at one instant, as far as they are free, have memory and are within the
 * loans that were asked for at open; waits for the first alone. Returns how many, at least one.
 * Errors: -EINVAL `count` is 0; else as loan, with nothing lent. */
SHMFRAME_API int shmframe_writer_loan_batch(struct shmframe_writer *writer, int64_t deadline_ns,
                                            struct shmframe_loan *out_loans, uint32_t count);

/** Publishes a loan and wakes the readers that sleep; fills frame.sequence and frame.publish_ns.
 * A reader that joined since the loan may begin behind this frame: who lends slots long before they
 * are published, as decoders do, calls shmframe_writer_readers() where nobody should miss one.
 * Errors: -EINVAL not on loan; -ESTALE its ring was closed by a later one (the slot is given back). */
SHMFRAME_API int shmframe_writer_publish(struct shmframe_writer *writer, struct shmframe_loan *loan);

/** Publishes `count` loans of one ring in order, at one instant, and rings each reader once. A batch that
 * is longer than a reader's depth overtakes that reader.
 * Errors: as publish, before anything is published. */
SHMFRAME_API int shmframe_writer_publish_batch(struct shmframe_writer *writer,
                                               struct shmframe_loan *loans, uint32_t count);

/** Gives a loan back unpublished. Errors: -EINVAL not on loan. */
SHMFRAME_API int shmframe_writer_abandon(struct shmframe_writer *writer, struct shmframe_loan *loan);

/** Keeps the slot of a loan from being lent again, also after its publication and retirement, until
 * unpinned: for a decoder that still refers to it. Pins nest. Errors: -EINVAL. */
SHMFRAME_API int shmframe_writer_pin(struct shmframe_writer *writer,
                                     const struct shmframe_loan *loan);
SHMFRAME_API int shmframe_writer_unpin(struct shmframe_writer *writer, uint32_t ring, uint32_t slot);

/** Whether frames are due at the rate of the format, as they are at first. Not while a program is paused,
 * or where frames come when they come: then none is late, and no stall is reported. */
SHMFRAME_API void shmframe_writer_set_paced(struct shmframe_writer *writer, bool is_paced);

/** Ends the stream: readers hear of it once everything is delivered. Loans must be back (-EBUSY). */
SHMFRAME_API int shmframe_writer_end(struct shmframe_writer *writer);

/** Takes the time for application stage `stage`, 0 to SHMFRAME_STAGES - 1; others are ignored. */
SHMFRAME_API void shmframe_loan_stamp(struct shmframe_loan *loan, unsigned stage);

/** For filters: carries pts, duration, capture time, user data, stages and origin of `lease` into
 * `loan`. A frame without an origin becomes the origin itself. */
SHMFRAME_API void shmframe_loan_carry(struct shmframe_loan *loan, const struct shmframe_lease *lease);

/** First byte of plane `plane`, NULL if there is none. */
SHMFRAME_API uint8_t *shmframe_loan_plane(const struct shmframe_loan *loan, unsigned plane);

enum shmframe_writer_event_type {
    SHMFRAME_EVENT_NONE = 0,
    SHMFRAME_READER_JOINED = 1,
    SHMFRAME_READER_LEFT = 2,
    SHMFRAME_REQUEST = 3,
};

struct shmframe_writer_event {
    enum shmframe_writer_event_type type;
    uint32_t reader;                           /**< joined, left: its number when it joined */
    int32_t pid;                               /**< joined, left: its process; for show only */
    uint32_t request;                          /**< request: what to give to shmframe_writer_answer() */
    char name[SHMFRAME_NAME_BYTES];            /**< joined, left: the reader's name */
    char verb[SHMFRAME_VERB_BYTES];            /**< request */
    char argument[SHMFRAME_ARGUMENT_BYTES];    /**< request; "": none */
};

/** Takes the next event, oldest first. A supervisor's restart is none: who was there stays joined, and
 * leaves under the number that it joined with.
 * Errors: -EAGAIN there is none. */
SHMFRAME_API int shmframe_writer_next_event(struct shmframe_writer *writer,
                                            struct shmframe_writer_event *out_event);

/** Answers a request once: `status` 0 or a negative errno, `text` NULL or a short line.
 * Errors: -EINVAL no such request or text too long; -ENOTCONN. */
SHMFRAME_API int shmframe_writer_answer(struct shmframe_writer *writer, uint32_t request, int status,
                                        const char *text);

/** Waits until at least `readers` readers are linked, taking mail meanwhile.
 * Errors: -ETIMEDOUT; -EINTR. */
SHMFRAME_API int shmframe_writer_wait_readers(struct shmframe_writer *writer, uint32_t readers,
                                              int64_t deadline_ns);

/** Readers linked at this moment. */
SHMFRAME_API uint32_t shmframe_writer_readers(struct shmframe_writer *writer);

struct shmframe_writer_counters {
    uint64_t published;
    uint64_t abandoned;
    uint64_t loans_refused; /**< -EAGAIN, -ETIMEDOUT, -ENOSPC, -EBUSY of loan */
    uint64_t loans_cold;    /**< slots that had to be backed with memory on the frame path */
    uint64_t bells_rung;    /**< wake-ups, each one system call */
    uint64_t device_dropped; /**< as told with frames, own_dropped included */
    uint64_t late;          /**< frames missing because none was published when one was due, and no reader
                               kept the writer from it */
    uint64_t waits;         /**< loans that had to wait for a lossless reader */
    uint32_t generation;
    uint32_t slots_used; /**< slots of the ring that have memory */
};
SHMFRAME_API void shmframe_writer_counters(struct shmframe_writer *writer,
                                           struct shmframe_writer_counters *out_counters);

SHMFRAME_END

#endif
