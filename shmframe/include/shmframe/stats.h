/* Statistics: what streams there are, and what each reader measured, read while it runs.
 *
 * A reader keeps its numbers in a record page that others map read-only: looking costs the reader
 * nothing. Threads: any; a snapshot is plain data.
 */
#ifndef SHMFRAME_STATS_H
#define SHMFRAME_STATS_H

#include <shmframe/reader.h>

SHMFRAME_BEGIN

/** Intervals between stamps. */
enum shmframe_hop {
    SHMFRAME_HOP_PRODUCE = 0, /**< publish - capture */
    SHMFRAME_HOP_WAKE = 1,    /**< wake - publish, of frames the reader slept for */
    SHMFRAME_HOP_TRANSIT = 2, /**< acquire - publish */
    SHMFRAME_HOP_HOLD = 3,    /**< release - acquire */
    SHMFRAME_HOP_AGE = 4,     /**< acquire - capture */
    SHMFRAME_HOP_DISPLAY = 5, /**< present - capture */
    SHMFRAME_HOPS = 6,
};

/** "produce", "wake" ...; NULL out of range. */
SHMFRAME_API const char *shmframe_hop_name(unsigned hop);

/* Log-linear histogram of nanoseconds: 32 linear steps in each power of two, so a value is known to
 * 1/32 of itself; exact below 32 ns; the last bucket takes everything from 2^40 ns on. */
#define SHMFRAME_HISTOGRAM_BUCKETS 1152

struct shmframe_histogram {
    uint64_t count;
    int64_t max_ns;
    uint64_t bucket[SHMFRAME_HISTOGRAM_BUCKETS];
};

/** Counts one value; negative ones count as 0. */
SHMFRAME_API void shmframe_histogram_add(struct shmframe_histogram *histogram, int64_t value_ns);
/** The largest value that counts in `bucket`; INT64_MAX for the last one, and out of range. */
SHMFRAME_API int64_t shmframe_histogram_edge_ns(uint32_t bucket);
/** The smallest recorded step that at least `quantile` (0 to 1) of the values do not exceed, by its
 * upper edge, at most max_ns; 0 if there are none. */
SHMFRAME_API int64_t shmframe_histogram_quantile_ns(const struct shmframe_histogram *histogram,
                                                    double quantile);
/** `histogram` -= `earlier`, an earlier snapshot of the same; max_ns becomes the upper edge of the
 * highest step that is left. */
SHMFRAME_API void shmframe_histogram_subtract(struct shmframe_histogram *histogram,
                                              const struct shmframe_histogram *earlier);

/** One line of a reader's flight recorder. */
struct shmframe_flight {
    uint64_t sequence;
    int64_t capture_ns, publish_ns, wake_ns, acquire_ns, release_ns, present_ns; /**< 0: did not happen */
};
#define SHMFRAME_FLIGHTS 1024

/** Why a frame did not reach a reader, or did not come to be: whoever meets it tells. */
enum shmframe_cause {
    SHMFRAME_CAUSE_NONE = 0,
    /* The reader was too late, by more than its depth. It had taken all there was, slept, and: */
    SHMFRAME_CAUSE_WOKEN_LATE = 1, /**< ... ran late after the writer had rung for it */
    /* or, since its last frame: */
    SHMFRAME_CAUSE_HELD = 2, /**< it held its leases for too long */
    SHMFRAME_CAUSE_AWAY = 3, /**< it held none, or had been woken, and did not come back */
    SHMFRAME_CAUSE_RESTART = 4,     /**< published in a ring that the reader was not linked to */
    SHMFRAME_CAUSE_EVICTED = 5,     /**< its place had been taken away */
    SHMFRAME_CAUSE_WRITER_LATE = 6, /**< the writer made no frame when one was due */
    SHMFRAME_CAUSE_DEVICE = 7,      /**< the device dropped it, as the writer told */
    SHMFRAME_CAUSE_POOL = 8,        /**< the writer found no slot: others had them */
    SHMFRAME_CAUSES = 9,
};

/** "woken-late", "held", "away", "restart", "evicted", "writer-late", "device", "pool"; "none"; NULL
 * out of range. */
SHMFRAME_API const char *shmframe_cause_name(unsigned cause);

/** A gap in what a reader got: `count` frames from `first` on, met at `time_ns`. The longest of the three
 * durations is to blame. Each is a sum since it was last up to date: ten holds of 100 ms make 1 s. */
struct shmframe_overrun {
    uint64_t number; /**< of the reader's overruns, from 1 */
    uint64_t first, count;
    int64_t time_ns;
    int64_t woken_ns; /**< from the writer's ring of the bell to awake */
    int64_t held_ns;  /**< from each acquire to the last release, or to its return with leases held */
    int64_t away_ns;  /**< from there, or from awake, to its return */
    uint32_t cause;   /**< enum shmframe_cause: WOKEN_LATE, HELD, AWAY, RESTART */
    uint32_t generation;
};
#define SHMFRAME_OVERRUNS 64

/** What a reader does at this moment. */
enum shmframe_doing {
    SHMFRAME_DOING_AWAY = 0,    /**< its program is at something else */
    SHMFRAME_DOING_ASLEEP = 1,  /**< it sleeps in a wait or an acquire */
    SHMFRAME_DOING_POLLING = 2, /**< its descriptor is armed */
};

struct shmframe_reader_state {
    uint32_t doing;   /**< enum shmframe_doing */
    uint32_t held;    /**< leases that it holds */
    int64_t since_ns; /**< AWAY: since its last call; otherwise since it began */
    int64_t held_since_ns; /**< acquire_ns of the oldest lease that it holds; 0: none */
};

/** What a reader has counted. */
struct shmframe_reader_counters {
    uint64_t delivered;
    uint64_t lost_late, lost_restart; /**< by enum shmframe_lost_cause */
    uint64_t skipped;
    uint64_t retries;   /**< acquires that met a slot being recycled and tried again */
    uint64_t sleeps;    /**< times it went to sleep */
    uint64_t spurious;  /**< wake-ups without a frame */
    uint64_t stale;     /**< releases that found the slot overwritten */
    uint64_t restarts, formats;
    uint64_t device_dropped;
    uint64_t late_woken, late_held, late_away; /**< the parts of lost_late, see enum shmframe_cause */
};

/** This reader's own numbers; any thread. */
SHMFRAME_API void shmframe_reader_counters(const struct shmframe_reader *reader,
                                           struct shmframe_reader_counters *out_counters);
/** This reader's own histogram of `hop`; any thread. Errors: -EINVAL. */
SHMFRAME_API int shmframe_reader_histogram(const struct shmframe_reader *reader,
                                           enum shmframe_hop hop,
                                           struct shmframe_histogram *out_histogram);
/** The newest lines of the flight recorder, oldest first, whether the lease is over or still held
 * (release_ns 0, and present_ns if nothing was told); a line that changes at this instant is left out.
 * Returns how many, at most `count`. Errors: -ENOMEM. */
SHMFRAME_API int shmframe_reader_flights(const struct shmframe_reader *reader,
                                         struct shmframe_flight *out_flights, uint32_t count);

/** The newest overruns, oldest first; a line that changes at this instant is left out. Returns how
 * many, at most `count`. */
SHMFRAME_API int shmframe_reader_overruns(const struct shmframe_reader *reader,
                                          struct shmframe_overrun *out_overruns, uint32_t count);

enum shmframe_stream_state {
    SHMFRAME_STREAM_WAITED_FOR = 0, /**< readers wait, no writer has come */
    SHMFRAME_STREAM_LIVE = 1,
    SHMFRAME_STREAM_ENDED = 2,
    SHMFRAME_STREAM_WRITER_GONE = 3, /**< the writer died without an end */
};

struct shmframe_stream_info {
    char name[SHMFRAME_NAME_BYTES];
    char group[SHMFRAME_NAME_BYTES];
    char format[128]; /**< shmframe_format_describe() */
    uint32_t state;   /**< enum shmframe_stream_state */
    uint32_t kind;    /**< enum shmframe_kind */
    uint32_t generation;
    uint32_t readers;
    int32_t writer_pid;
    uint32_t writer_uid;
    uint64_t head;         /**< newest sequence */
    uint64_t memory_bytes; /**< of its memfds, as st_blocks tells */
    char writer[SHMFRAME_NAME_BYTES];
    /* Counted by its writer, as struct shmframe_writer_counters; 0 without one. */
    uint64_t published, abandoned, refused, late, device_dropped, waits;
    int64_t publish_ns;   /**< of the newest frame; 0: none */
    int64_t period_ns;    /**< between frames, as the format has it; 0: it has none */
    int64_t blocked_ns;   /**< since when the writer has been kept waiting or refused a slot; 0: it is not */
    uint32_t blocker;     /**< number of the reader that keeps it; 0: none, or itself */
    uint32_t slots;       /**< of the ring, with memory */
    uint32_t slots_max;   /**< that the ring has addresses for */
    uint64_t slot_bytes;  /**< of address space that one takes: the frame, padded */
};

struct shmframe_reader_info {
    char name[SHMFRAME_NAME_BYTES];
    uint32_t number; /**< of the reader at the supervisor */
    int32_t pid;
    uint32_t policy;
    uint32_t depth;
    uint32_t leases;
    uint32_t generation; /**< 0: not linked */
    uint32_t uid;
    uint32_t is_evicted;
    uint64_t record_id; /**< names its record, also at another supervisor; 0: it has none that counts */
};

/** Lists up to `count` streams sorted by name; returns how many there are in all.
 * Errors: -ENOTCONN, -ETIMEDOUT, -EINTR. */
SHMFRAME_API int shmframe_session_streams(struct shmframe_session *session, int64_t deadline_ns,
                                          struct shmframe_stream_info *out_streams, uint32_t count);

/** Lists the readers of `stream` likewise. Errors: also -ENOENT; -EINVAL no name of a stream. */
SHMFRAME_API int shmframe_session_readers(struct shmframe_session *session, const char *stream,
                                          int64_t deadline_ns,
                                          struct shmframe_reader_info *out_readers, uint32_t count);

/** Takes the place of reader `number` of `stream` away: it hears -ESTALE, the writer no longer minds
 * its leases. Errors: -ENOENT; -EINVAL no name of a stream; -EACCES; -ENOTCONN; -ETIMEDOUT; -EINTR. */
SHMFRAME_API int shmframe_session_evict(struct shmframe_session *session, const char *stream,
                                        uint32_t number, int64_t deadline_ns);

/** Another process's record, mapped read-only. */
struct shmframe_record;

/** Opens the record of reader `number` of `stream`. It outlives that reader.
 * Errors: -ENOENT; -EINVAL no name of a stream; -EPROTO it does not hold together; -EACCES; -ENOMEM;
 * -ENOTCONN; -ETIMEDOUT; -EINTR. */
SHMFRAME_API int shmframe_record_open(struct shmframe_session *session, const char *stream,
                                      uint32_t number, int64_t deadline_ns,
                                      struct shmframe_record **out_record);
SHMFRAME_API void shmframe_record_close(struct shmframe_record *record);
/** As the functions on a reader of one's own. */
SHMFRAME_API void shmframe_record_counters(const struct shmframe_record *record,
                                           struct shmframe_reader_counters *out_counters);
SHMFRAME_API int shmframe_record_histogram(const struct shmframe_record *record,
                                           enum shmframe_hop hop,
                                           struct shmframe_histogram *out_histogram);
SHMFRAME_API int shmframe_record_flights(const struct shmframe_record *record,
                                         struct shmframe_flight *out_flights, uint32_t count);
SHMFRAME_API int shmframe_record_overruns(const struct shmframe_record *record,
                                          struct shmframe_overrun *out_overruns, uint32_t count);
/** What that reader does at this moment. */
SHMFRAME_API void shmframe_record_state(const struct shmframe_record *record,
                                        struct shmframe_reader_state *out_state);

SHMFRAME_END

#endif
