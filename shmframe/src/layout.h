/* Every word that lies in shared memory: what it means, who writes it, which order it needs.
 *
 * Each page has one writer. Each access elsewhere names its order and, where it pairs, its edge
 * (docs/memory-model.md has a row for each):
 *
 *   P publish -> acquire    head carries header, payload, slot state and index entry
 *   L lease <-> retire      store of a lease against the scan after a retirement (seq_cst fences)
 *   W waiting <-> head      store of `waiting` against the store of head (seq_cst fences)
 *   C cursor <-> writer_waiting   the same for a lossless writer that sleeps (seq_cst fences)
 *   R release -> loan       the end of a lease carries the reader's last look at the payload
 *   E end-of-use            WRITING before payload, payload before the reader's last check
 *   G grant -> loan         the notice page's word carries its entries
 *   S start -> first frame  the writer's word on where a lossless reader begins
 */
#ifndef SHMFRAME_SRC_LAYOUT_H
#define SHMFRAME_SRC_LAYOUT_H

#include <assert.h>
#include <shmframe/frame.h>
#include <shmframe/stats.h>
#include <stdalign.h>
#include <stdatomic.h>

#define LAYOUT_ABI         4u /* raised with every change of this file or of message.h */
#define RING_MAGIC         UINT64_C(0x31474e4952464853) /* "SHFRING1" */
#define RING_SLOTS_MAX     256u
#define RING_INDEX         256u /* entries; a power of two, >= RING_SLOTS_MAX */
#define PAGE_BYTES         4096u
#define NOTICE_ENTRIES     2048u
#define LINK_PAGE_BYTES    PAGE_BYTES
#define SEQUENCE_MAX       (UINT64_C(1) << 46) /* so that a sequence fits beside a slot in every word */

static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "atomics must be lock-free");

/* ---- the ring: written by its writer -------------------------------------------------------- */

enum slot_state { SLOT_NEVER = 0, SLOT_PUBLISHED = 1, SLOT_RETIRED = 2, SLOT_WRITING = 3 };

/* A slot's state word: sequence and enum slot_state. */
static inline uint64_t slot_word(uint64_t sequence, enum slot_state state) {
    return sequence << 2 | (uint64_t)state;
}

/* A place word, in head and index: sequence and slot. 0: none. */
static inline uint64_t place_word(uint64_t sequence, uint32_t slot) {
    return sequence << 8 | slot;
}
static inline uint64_t place_sequence(uint64_t place) {
    return place >> 8;
}
static inline uint32_t place_slot(uint64_t place) {
    return (uint32_t)(place & 0xff);
}

/* Stamps of one frame. The first line is all that most frames need. */
struct slot_header {
    /* slot_word().
     * writer   loan (WRITING), publish (PUBLISHED), publish of a later frame (RETIRED)
     * readers  acquire, release
     * order    P release store -> acquire load; L release store, fence; E relaxed store, fence
     * guards   the slot's stamps and payload; RETIRED also the tail that made it so */
    alignas(64) _Atomic uint64_t state;
    /* The rest is plain data, guarded by `state`. */
    int64_t capture_ns, loan_ns, publish_ns;
    int64_t pts, duration;
    uint32_t bytes, samples;
    uint32_t flags, device_dropped;

    alignas(64) struct shmframe_origin origin; /* two lines, the second begins with its stream */
    alignas(64) int64_t stage_ns[SHMFRAME_STAGES];
    alignas(64) uint8_t user[SHMFRAME_USER_BYTES];
};
static_assert(sizeof(struct slot_header) == 320, "a slot header is five lines");
static_assert(offsetof(struct slot_header, origin) == 64, "the first line is the common one");

enum ring_state {
    RING_OPEN = 0,
    RING_ENDED = 1,  /* end of stream */
    RING_CLOSED = 2, /* a later ring goes on, or the writer closed without an end */
};

/* What never changes after the ring was sealed; copied and checked once by every receiver. */
struct ring_geometry {
    uint64_t magic;
    uint32_t abi;
    uint32_t header_bytes; /* sizeof(struct ring) */
    uint64_t ring_bytes;   /* exact size of the memfd */
    uint64_t payload_offset;
    uint64_t slot_stride;
    uint32_t slots;
    uint32_t generation;
    char stream[SHMFRAME_NAME_BYTES];
    char group[SHMFRAME_NAME_BYTES];
    struct shmframe_format format;
};

/* What the writer counts about itself, for who watches: it goes on from ring to ring.
 * writer   loan, publish, abandon   readers  supervisor
 * order    relaxed, guards nothing, but for those that say so: release store -> acquire load */
struct ring_ledger {
    alignas(64) _Atomic uint64_t published;
    _Atomic uint64_t abandoned;
    _Atomic uint64_t refused;        /* loans: -EAGAIN, -ETIMEDOUT, -ENOSPC, -EBUSY */
    _Atomic uint64_t late;           /* frames missing because the writer was late */
    _Atomic uint64_t device_dropped; /* frames that the device dropped, as told with frames */
    _Atomic int64_t publish_ns;      /* of the newest frame; 0: none yet */
    _Atomic int64_t period_ns;       /* between frames, as the format has it; 0: it has none. Guards
                                        the publish_ns of the first frame of a format */
    _Atomic uint64_t incidents;      /* so far: numbers of the log. Guards its lines */
    /* Names the writer: same id, same counters and incident numbers. Guards all of the ledger. */
    alignas(64) _Atomic uint64_t id;
    /* Since when the writer waits for readers, or has been refused; 0: it got its slot. */
    _Atomic int64_t blocked_ns;
    /* For which link: serial << 32 | entry in the notice page; LEDGER_SELF: its own loans and pins. */
    _Atomic uint64_t blocker;
    _Atomic uint64_t waits; /* for lossless readers */
    _Atomic uint64_t loans_cold;
    _Atomic uint32_t slots_used;
    uint32_t reserved;
    _Atomic int64_t refused_ns; /* when it was last refused; 0: it waits within a loan, or neither */
    _Atomic uint64_t pool;      /* frames missing for want of a slot */
};
static_assert(sizeof(struct ring_ledger) == 128, "ledger");
#define LEDGER_SELF UINT64_MAX

/* A line of the ledger's log. As a record's flight: `number` is 0 while the line is being changed, and
 * what it tells is counted then.
 * writer   loan, publish   readers  supervisor   order  release store, fences as for a seqlock */
struct ring_incident {
    alignas(64) _Atomic uint64_t number; /* from 1; line (number - 1) % RING_INCIDENTS */
    _Atomic uint64_t first, count;       /* missing before frame `first` */
    _Atomic int64_t time_ns;             /* when it was over */
    _Atomic int64_t duration_ns;         /* of the gap; POOL: of the wait, or the refusals */
    _Atomic uint64_t culprit;            /* POOL: as ring_ledger.blocker */
    _Atomic uint32_t cause;              /* enum shmframe_cause */
    _Atomic uint32_t leases;             /* POOL: slots that the culprit had */
    uint64_t reserved;
};
#define RING_INCIDENTS 24

struct ring {
    /* Place of the newest complete frame of this ring; 0 before the first.
     * writer   publish                         readers  acquire, wait; the supervisor for lists
     * order    P release store -> acquire load; W fence after it
     * guards   index, slot header and payload up to it */
    alignas(64) _Atomic uint64_t head;
    /* Oldest sequence that is available; 0 before the first. head's line: read with it.
     * Never goes back. Stored before the first head, so that head never shows without it.
     * writer   publish, before it retires      readers  in-order acquire
     * order    release store -> acquire load   guards nothing by itself: a hint where to look */
    _Atomic uint64_t tail;
    /* enum ring_state.
     * writer   end, close, first publish in a later ring   readers  acquire with nothing to take
     * order    release store -> acquire load   guards the final value of head */
    _Atomic uint32_t state;
    uint32_t reserved0;
    /* Sequence of this ring's first frame; 0 before it.
     * writer   first publish, before head      readers  the first acquire in this ring
     * order    relaxed; P of head carries it   guards nothing */
    _Atomic uint64_t first;
    /* For frames published while they are still written (slices); 0 until then. */
    _Atomic uint64_t started;
    _Atomic uint64_t rows_ready;
    uint64_t reserved1[2];

    /* Place words, at sequence % RING_INDEX.
     * writer   publish   readers  in-order acquire
     * order    P release store -> acquire load   guards slot header and payload */
    alignas(64) _Atomic uint64_t index[RING_INDEX];

    struct ring_ledger ledger;
    struct ring_incident incident[RING_INCIDENTS];

    alignas(PAGE_BYTES) struct ring_geometry geometry;
    alignas(PAGE_BYTES) struct slot_header slot[RING_SLOTS_MAX];
};
static_assert(offsetof(struct ring, tail) == 8 && offsetof(struct ring, state) == 16, "head's line");
static_assert(offsetof(struct ring, first) == 24, "head's line");
static_assert(offsetof(struct ring, index) == 64, "index");
static_assert(offsetof(struct ring, ledger) == 2112, "ledger");
static_assert(offsetof(struct ring, geometry) == 4096, "geometry");
static_assert(offsetof(struct ring, slot) == 8192, "slot headers");
static_assert(sizeof(struct ring) == 8192 + 320 * 256, "ring");

/* ---- the lease page: written by one reader --------------------------------------------------- */

#define LEASE_VALID UINT64_C(0x100)
static inline uint64_t lease_word(uint64_t sequence, uint32_t slot) {
    return sequence << 16 | LEASE_VALID | slot;
}
/* A peer's word: any value gives a slot number, at worst a wrong one. */
static inline uint32_t lease_slot(uint64_t lease) {
    return (uint32_t)(lease & 0xff);
}

enum wait_mode { WAIT_FUTEX = 1, WAIT_SOCKET = 2 };
static inline uint32_t wait_word(uint32_t episode, enum wait_mode mode) {
    return episode << 2 | (uint32_t)mode;
}

struct lease_page {
    /* lease_word() of what the reader holds, or 0.
     * writer   acquire, release               readers  loan, as data
     * order    L release store, fence -> acquire load after a fence; R release store -> acquire load
     * guards   the slot against being lent; the reader's looks at the payload */
    alignas(64) _Atomic uint64_t lease[SHMFRAME_LEASES_MAX];
    uint64_t reserved0;
    /* Last sequence taken; 0: not started.
     * writer   acquire   readers  loan of a lossless writer, as data; the supervisor for lists
     * order    C relaxed store, fence -> fence, relaxed load   guards nothing: leases guard slots */
    _Atomic uint64_t cursor;
    /* Futex word of a lossless writer that waits for this reader; any change means: look again.
     * writer   acquire, close   readers  loan
     * order    relaxed, after `cursor`; the futex call orders it   guards nothing */
    alignas(64) _Atomic uint32_t space;
    /* wait_word() while the reader sleeps, 0 otherwise. A new episode each time. Not in the leases'
     * line: the writer looks at it with each frame, and finds it in its cache while nobody sleeps.
     * writer   wait   readers  publish, as data
     * order    W relaxed store, fence -> fence, relaxed load   guards nothing */
    _Atomic uint32_t waiting;
    uint32_t reserved1[14];
};
static_assert(offsetof(struct lease_page, waiting) == 68, "waiting has another line than leases");
static_assert(offsetof(struct lease_page, cursor) == 56 && sizeof(struct lease_page) == 128, "lease");

/* ---- the bell page: written by the writer ---------------------------------------------------- */

struct bell_page {
    /* The futex word its reader sleeps on; any change means: look again.
     * writer   publish, end, close   readers  wait
     * order    W relaxed store after a fence; the futex call orders it   guards nothing */
    alignas(64) _Atomic uint32_t bell;
    /* 1 while a lossless writer sleeps for this reader.
     * writer   loan   readers  acquire
     * order    C relaxed store, fence -> fence, relaxed load   guards nothing */
    _Atomic uint32_t writer_waiting;
    /* Counted by the writer about this reader. Relaxed; guards nothing. */
    _Atomic uint64_t rings;
    _Atomic uint64_t waits;
    /* 1 + the newest sequence when the writer first noticed the grant: the first frame that it keeps
     * for this reader; 0 before that.
     * writer   loan, publish   readers  first acquire of a lossless reader that joins mid-stream
     * order    S release store -> acquire load   guards nothing: the lease words guard */
    _Atomic uint64_t start;
    /* When the bell was last rung: what a late wake-up is measured from.
     * writer   publish, end, close   readers  acquire, after a sleep   order  relaxed   guards nothing */
    _Atomic int64_t rung_ns;
    uint64_t reserved[3];
};
static_assert(sizeof(struct bell_page) == 64, "bell");

/* ---- the notice page: written by the supervisor ---------------------------------------------- */

enum entry_state { ENTRY_NONE = 0, ENTRY_GRANTED = 1, ENTRY_GONE = 2, ENTRY_EVICTED = 3 };

/* An entry's word for a link that the session's writer made. */
struct grant {
    uint32_t serial; /* of the link; a word with another serial is not about it */
    uint32_t depth;  /* history it needs */
    uint32_t leases; /* how many lease words it may use */
    bool is_lossless;
    enum entry_state state;
};
static inline uint64_t grant_word(struct grant grant) {
    return (uint64_t)grant.serial << 32 | (uint64_t)grant.is_lossless << 24 |
           (uint64_t)(grant.depth & 0xffff) << 8 | (uint64_t)(grant.leases & 0xf) << 4 |
           (uint64_t)grant.state;
}
static inline struct grant grant_from_word(uint64_t word) {
    return (struct grant){.serial = (uint32_t)(word >> 32),
                          .depth = word >> 8 & 0xffff,
                          .leases = word >> 4 & 0xf,
                          .is_lossless = word >> 24 & 1,
                          .state = (enum entry_state)(word & 3)};
}
/* Slots besides the history that its reader can keep from being lent. Before a writer lends, a
 * lossless reader has taken the oldest frame of the history: the newest of what it holds is in it. */
static inline uint32_t grant_slots(struct grant grant) {
    return grant.leases - (grant.is_lossless && grant.leases > 0);
}

/* An entry's word for one of the session's readers: rings up to `gone` have lost their writer. */
static inline uint64_t reader_word(uint32_t gone_generation, enum entry_state state) {
    return (uint64_t)gone_generation << 8 | (uint64_t)state;
}
static inline uint32_t reader_word_gone(uint64_t word) {
    return (uint32_t)(word >> 8);
}

struct notice_entry {
    /* grant_word() or reader_word(), by who uses the entry.
     * writer   supervisor   readers  loan, acquire
     * order    G release store, then `word` -> acquire load of `word`   guards nothing else */
    _Atomic uint64_t word;
    /* Who holds the link, so that the next supervisor can tell the dead from the late. Relaxed. */
    _Atomic uint64_t start_time; /* field 22 of /proc/PID/stat */
    _Atomic uint32_t pid;
    uint32_t reserved;
};

struct notice_page {
    /* Futex word: bumped after every change here and every message queued.
     * writer   supervisor   readers  loan, acquire, wait
     * order    G release store -> acquire load   guards the entries and `mail` */
    alignas(64) _Atomic uint32_t word;
    /* Messages queued so far on the session's socket; guarded by `word`. */
    _Atomic uint32_t mail;
    uint32_t abi;
    uint32_t entries;
    uint64_t reserved[6];
    struct notice_entry entry[NOTICE_ENTRIES];
};
static_assert(sizeof(struct notice_entry) == 24 && offsetof(struct notice_page, entry) == 64,
              "notice");
#define NOTICE_BYTES ((sizeof(struct notice_page) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES)

/* ---- the record page: written by one reader -------------------------------------------------- */

/* How many values there are, the buckets tell; and the flights that are not folded yet. */
struct record_histogram {
    _Atomic int64_t max_ns;
    _Atomic uint64_t bucket[SHMFRAME_HISTOGRAM_BUCKETS];
};

/* A line of the flight recorder. `sequence` is 0 while the line is being changed: whoever copies it
 * checks that sequence is the same, and not 0, before and after.
 * writer   acquire, present, release   order  release store, fences as for a seqlock */
struct record_flight {
    alignas(64) _Atomic uint64_t sequence;
    _Atomic int64_t capture_ns, publish_ns, wake_ns, acquire_ns, release_ns, present_ns;
    /* 1: how long it was held is not in the histogram yet; told behind release_ns. */
    _Atomic uint64_t is_hold_due;
};

/* What the reader does now. Relaxed words, each true by itself, but for held_ns. */
struct record_state {
    /* Since when << 2 | enum shmframe_doing. */
    alignas(64) _Atomic uint64_t doing;
    _Atomic int64_t came_ns; /* last time that it took, released or looked for a frame */
    /* acquire_ns of each lease that it holds; 0: a free place.
     * writer   acquire; release, from any thread
     * order    release store of 0 -> acquire load   guards when the lease ended */
    _Atomic int64_t held_ns[SHMFRAME_LEASES_MAX];
};
static_assert(sizeof(struct record_state) == 64, "state is one line");

/* A line of the log of overruns. As a flight: `number` is 0 while the line is being changed, and what
 * it tells is counted then.
 * writer   acquire   readers  supervisor   order  release store, fences as for a seqlock */
struct record_overrun {
    alignas(64) _Atomic uint64_t number; /* from 1; line (number - 1) % SHMFRAME_OVERRUNS */
    _Atomic uint64_t first, count;
    _Atomic int64_t time_ns; /* when the reader met the gap */
    _Atomic int64_t woken_ns, held_ns, away_ns; /* as struct shmframe_overrun */
    _Atomic uint32_t cause; /* enum shmframe_cause */
    _Atomic uint32_t generation;
};
static_assert(sizeof(struct record_overrun) == 64, "an overrun is one line");

#define RECORD_COUNTERS 16
struct record_page {
    alignas(64) uint64_t magic;
    uint32_t abi;
    uint32_t reserved;
    uint64_t id; /* names the record: same id, same counters and overrun numbers */
    /* Lines of the log so far. writer  acquire, after the line   order  release -> acquire */
    _Atomic uint64_t overruns;
    /* The times of the frames taken so far stand in the histograms up to `folded`, those of the
     * others in their flights alone: a frame's way touches one line of a page, and no histogram.
     * `folding` is more while some of them go over.
     * writer   acquire   readers  who wants a histogram
     * order    as a seqlock: folding, release fence, histograms, release store of folded */
    _Atomic uint64_t folding, folded;
    /* In the order of struct shmframe_reader_counters. Relaxed; guards nothing, but for the first:
     * release store -> acquire load, guards the flights so far. */
    alignas(64) _Atomic uint64_t counter[RECORD_COUNTERS];
    struct record_state state;
    alignas(64) struct record_histogram histogram[SHMFRAME_HOPS];
    alignas(64) struct record_flight flight[SHMFRAME_FLIGHTS];
    struct record_overrun overrun[SHMFRAME_OVERRUNS];
};
#define RECORD_MAGIC UINT64_C(0x3144524f43455253) /* "SRECORD1" */
#define RECORD_BYTES ((sizeof(struct record_page) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES)
static_assert(sizeof(struct shmframe_reader_counters) <= RECORD_COUNTERS * sizeof(uint64_t), "counters fit");

/* ---- arithmetic and its checks --------------------------------------------------------------- */

/* Fills `geometry` for `format`, complete, with as many slots as fit `ring_bytes` (0: default) and
 * at least `slots_min`. Errors: -ENOSPC with the reason. */
int layout_plan(struct ring_geometry *geometry, const struct shmframe_format *format,
                uint64_t ring_bytes, uint32_t slots_min);

/* Checks a private copy of a peer's geometry against the size of its memfd: magic, ABI, overflow,
 * alignment, names, format. Safe on any bytes. Errors: -EPROTO, -EPROTONOSUPPORT. */
int layout_check(const struct ring_geometry *geometry, uint64_t memfd_bytes);

/* Offset of slot `slot` in the ring; both must have been checked. */
static inline uint64_t layout_slot_offset(const struct ring_geometry *geometry, uint32_t slot) {
    return geometry->payload_offset + geometry->slot_stride * slot;
}

#endif
