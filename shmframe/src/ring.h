/* Ring: loan, publish, acquire, release. The protocol, and nothing else: no allocation, no lock, no
 * system call but the waking of sleepers.
 *
 * struct ring_writer is the writer's own truth about one ring, struct ring_reader a reader's about
 * one link. Both are private memory; what lies in shared memory is never believed about oneself.
 */
#ifndef SHMFRAME_SRC_RING_H
#define SHMFRAME_SRC_RING_H

#include "layout.h"

/* A set of slots. */
struct ring_set {
    uint64_t word[RING_SLOTS_MAX / 64];
};
static inline bool ring_set_has(const struct ring_set *set, uint32_t slot) {
    return set->word[slot / 64] >> slot % 64 & 1;
}
static inline void ring_set_add(struct ring_set *set, uint32_t slot) {
    set->word[slot / 64] |= UINT64_C(1) << slot % 64;
}
static inline void ring_set_remove(struct ring_set *set, uint32_t slot) {
    set->word[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

enum ring_link_state {
    RING_LINK_OFFERED = 0, /* nobody reads through it yet */
    RING_LINK_ACTIVE,      /* granted: its leases count */
    RING_LINK_OVER, /* its reader is gone or evicted, or it was never used: to be destroyed */
};

/* A link as its writer sees it. */
struct ring_link {
    const struct lease_page *lease;
    struct bell_page *bell;
    struct ring_link *next; /* in ring_writer.links */
    struct grant grant;
    uint64_t start; /* as bell->start */
    uint64_t taken; /* no more than its reader's cursor: as it was when last looked at */
    uint32_t rung;  /* waiting, when its bell was last rung for it */
    int wake;       /* socket */
    uint32_t entry, serial;
    uint32_t sleepers; /* threads of the writer that wait for its reader */
    enum ring_link_state state;
    bool is_former; /* offered to a supervisor that is gone */
    bool is_told;   /* its grant is told to the next one */
};

struct ring_writer {
    struct ring *ring;
    const struct notice_page *notice;
    uint32_t notice_seen; /* its word, when the entries were last read */
    bool is_notice_new;   /* not read at all yet */
    bool has_news;        /* the entries were read since this was last cleared, by who uses it */
    uint32_t slots;
    uint32_t history_least;       /* complete frames that stay available, without any link */
    uint32_t history;             /* and with those that there are */
    uint32_t warm;                /* slots below have memory */
    uint32_t links_over;          /* links to be destroyed */
    uint32_t lossless;            /* active links that the writer waits for */
    uint32_t leased_slots;        /* most that all active links keep, see grant_slots() */
    uint64_t *sequence;           /* newest of the stream; shared by the rings of one writer */
    uint64_t first, tail, newest; /* of this ring; 0 before its first frame */
    uint64_t rings;               /* wake-ups so far */
    struct ring_set loaned, kept, pinned; /* kept: in the history */
    struct ring_set spare;                /* free when last looked for, and so ever since */
    uint8_t slot_at[RING_INDEX];          /* of each frame that is kept, at sequence % RING_INDEX */
    /* Every link of the ring; others may push while we read. */
    _Atomic(struct ring_link *) links;
    uint32_t active_count;
    struct ring_link *active[NOTICE_ENTRIES];
};

/* Starts with a ring of zeros that has `slots` slots. */
void ring_writer_init(struct ring_writer *writer, struct ring *ring, uint32_t slots,
                      uint32_t history, uint64_t *sequence, const struct notice_page *notice);

/* Adds an offered link; any thread, one at a time. */
void ring_writer_add(struct ring_writer *writer, struct ring_link *link);

/* Takes the links that are over out of the list and returns them, linked by `next`. Nobody may add
 * meanwhile. */
struct ring_link *ring_writer_take_over(struct ring_writer *writer);

/* From now on the grants are read in this page. */
void ring_writer_set_notice(struct ring_writer *writer, const struct notice_page *notice);

/* Whether the supervisor has written since the entries were last read. */
static inline bool ring_writer_has_notice(const struct ring_writer *writer) {
    /* Relaxed: only tells that it is worth a look. */
    return writer->is_notice_new ||
           atomic_load_explicit(&writer->notice->word, memory_order_relaxed) != writer->notice_seen;
}

/* Reads grants and deaths, if there is something new. */
void ring_writer_refresh(struct ring_writer *writer);

/* The first lossless link that must take a frame before one more can be kept; NULL: there is room.
 */
struct ring_link *ring_writer_behind(struct ring_writer *writer);

/* A lossless link whose leases keep more slots from being lent than it was given: its reader says
 * that it has taken frames, but holds others than those. NULL: there is none. */
struct ring_link *ring_writer_overdrawn(const struct ring_writer *writer);

/* How many frames of a lossless link's reader are still to be taken by it. */
uint32_t ring_writer_backlog(const struct ring_writer *writer, const struct ring_link *link);

/* Finds up to `count` slots that nobody uses, with memory, or one without, and marks them as being
 * written: one look at the leases for all. Wait-free. Returns how many, at least one.
 * Errors: -ENOSPC. */
int ring_loan_batch(struct ring_writer *writer, uint32_t *out_slots, uint32_t count);
/* One of them; 0 instead of 1. */
int ring_loan(struct ring_writer *writer, uint32_t *out_slot);

/* Gives a slot back unpublished. */
void ring_abandon(struct ring_writer *writer, uint32_t slot);

/* Before frames are put. Stores that went around the caches (memcpy of large blocks, some decoders)
 * are ordered by nothing else on x86; elsewhere the release of ring_put() will do. */
void ring_order_payloads(void);

/* Publishes a slot on loan as the stream's next frame; sets frame->sequence. Nobody is told yet. */
void ring_put(struct ring_writer *writer, uint32_t slot, struct shmframe_frame *frame);

/* Retires what has left the history, then wakes who sleeps. Ends every publication. */
void ring_announce(struct ring_writer *writer);

/* Says that nothing follows in this ring, and wakes who sleeps. */
void ring_end(struct ring_writer *writer, enum ring_state state);

/* ---- reading: ring_read.c ---- */

enum ring_begin {
    RING_BEGIN_NEWEST = 0, /* with the newest complete frame */
    RING_BEGIN_FIRST,      /* with the ring's first, if it is still there */
    RING_BEGIN_TOLD,       /* with the one the writer tells of: lossless, mid-stream */
};

struct ring_reader {
    const struct ring *ring;
    struct lease_page *lease;
    const struct bell_page *bell;
    uint32_t slots;  /* from the checked copy of the geometry */
    uint32_t leases; /* granted */
    uint32_t depth;  /* likewise */
    bool is_latest, is_lossless;
    bool is_begun; /* a frame was taken */
    enum ring_begin begin;
    uint32_t episode; /* of waiting */
    uint64_t cursor;  /* last sequence taken */
    uint64_t head;    /* the ring's, as last looked at: there may be more by now */
    /* What it holds, as announced in the lease page: that page was made by the writer, who may have
     * kept a way to write it. The last word of a release, any thread's. */
    _Atomic uint64_t held[SHMFRAME_LEASES_MAX];
};

/* A frame on lease. */
struct ring_frame {
    uint64_t sequence;
    uint64_t
        passed; /* sequences between the last one taken, or where it was to begin, and this one */
    uint32_t slot, cell;
    bool is_newest; /* of the ring, as it was looked for */
};

/* For a reader that joins mid-stream and wants every frame from now on: it begins with the newest
 * there is, or with the ring's first if there is none yet. Its grant stands, so none that follows
 * is retired before its time. */
void ring_reader_begin_here(struct ring_reader *reader);

/* Takes the next frames that there are, up to `count` and the leases that are left, in order and
 * without a gap after the first, with one fence for all; for who wants the newest, that one. Adds
 * to `retries` how often the first was met while its slot was recycled. Returns how many, at least
 * one. Errors: -EAGAIN nothing there; -EBUSY all leases are held; -EPROTO the ring contradicts
 * itself.
 */
int ring_acquire_batch(struct ring_reader *reader, struct ring_frame *out_frames, uint32_t count,
                       uint64_t *retries);
/* One of them; 0 instead of 1. */
int ring_acquire(struct ring_reader *reader, struct ring_frame *out_frame, uint64_t *retries);

/* Gives the last `count` frames of a batch back as if they had not been taken: they come again. */
void ring_put_back(struct ring_reader *reader, const struct ring_frame *frames, uint32_t count);

/* Whether this is a lease of the reader's. */
bool ring_is_leased(const struct ring_reader *reader, uint32_t cell, uint64_t sequence,
                    uint32_t slot);

/* Ends a lease, from any thread; the last thing done with `reader`.
 * Errors: -ESTALE the slot was given to another frame meanwhile; -EINVAL it is no lease. */
int ring_release(struct ring_reader *reader, uint32_t cell, uint64_t sequence, uint32_t slot);

/* Ends every lease, and whatever the writer may wait for: the reader leaves. */
void ring_reader_leave(struct ring_reader *reader);

/* Whether the reader holds a lease. */
bool ring_reader_holds(const struct ring_reader *reader);

enum ring_sight { RING_NOTHING = 0, RING_FRAME, RING_OVER };
/* What there is: a frame to take; or none, and none will follow (`out_state` tells why); or none.
 */
enum ring_sight ring_look(const struct ring_reader *reader, enum ring_state *out_state);

/* Copies the stamps of a frame on lease. Bytes that the writer may still change if it is hostile:
 * the copy is checked by the caller, and only the copy counts. */
void ring_copy_stamps(const struct ring_reader *reader, const struct ring_frame *frame,
                      struct shmframe_frame *out_frame);

#endif
