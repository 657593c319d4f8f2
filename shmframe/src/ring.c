#include "ring.h"

#include "bell.h"
#include "step.h"

#include <errno.h>
#include <stddef.h>

/* Slots met while they are recycled, in one acquire. Each one means that the writer has gone on;
 * who loses so often tries again later. */
enum { TRIES_MAX = 64 };
/* Threads of one writer that may wait for one reader. */
enum { SPACE_SLEEPERS_MAX = 64 };

static uint64_t max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

void ring_order_payloads(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_sfence();
#endif
}

/* ---- the writer's links ---- */

void ring_writer_init(struct ring_writer *writer, struct ring *ring, uint32_t slots,
                      uint32_t history, uint64_t *sequence, const struct notice_page *notice) {
    writer->ring = ring;
    writer->slots = slots;
    writer->history_least = writer->history = history;
    writer->sequence = sequence;
    ring_writer_set_notice(writer, notice);
}

void ring_writer_set_notice(struct ring_writer *writer, const struct notice_page *notice) {
    writer->notice = notice;
    writer->is_notice_new = true;
}

void ring_writer_add(struct ring_writer *writer, struct ring_link *link) {
    link->next = atomic_load_explicit(&writer->links, memory_order_relaxed);
    /* To refresh(): the link is complete before it can be found. */
    atomic_store_explicit(&writer->links, link, memory_order_release);
}

struct ring_link *ring_writer_take_over(struct ring_writer *writer) {
    struct ring_link *over = NULL, *kept = NULL, *next;
    for (struct ring_link *link = atomic_load_explicit(&writer->links, memory_order_acquire); link;
         link = next) {
        next = link->next;
        struct ring_link **list = link->state == RING_LINK_OVER ? &over : &kept;
        link->next = *list;
        *list = link;
    }
    atomic_store_explicit(&writer->links, kept, memory_order_release);
    writer->links_over = 0;
    return over;
}

/* Where a lossless reader is. Its word is data: it may slow its writer, as it may by not reading at
 * all. Its line is the reader's to write: who needs to know no more than was seen before, goes by
 * link->taken. */
static uint64_t cursor_of(const struct ring_writer *writer, const struct ring_link *link) {
    /* C: relaxed, after the caller's fence. */
    const uint64_t told = atomic_load_explicit(&link->lease->cursor, memory_order_relaxed);
    const uint64_t first = writer->first ? writer->first : *writer->sequence + 1;
    return max_u64(min_u64(told, *writer->sequence), max_u64(link->start, first) - 1);
}

static void activate(struct ring_writer *writer, struct ring_link *link, struct grant grant) {
    if (grant.leases > SHMFRAME_LEASES_MAX)
        grant.leases = SHMFRAME_LEASES_MAX;
    link->grant = grant;
    link->start = *writer->sequence + 1;
    /* S: from here on nothing leaves the history that this reader is to get. */
    atomic_store_explicit(&link->bell->start, link->start, memory_order_release);
    link->state = RING_LINK_ACTIVE;
}

static void update_link(struct ring_writer *writer, struct ring_link *link) {
    /* G: acquire, so that what the grant rests on is there. */
    const uint64_t word =
        atomic_load_explicit(&writer->notice->entry[link->entry].word, memory_order_acquire);
    const struct grant grant = grant_from_word(word);
    const bool is_ours = grant.serial == link->serial;
    if (is_ours && grant.state == ENTRY_GRANTED) {
        if (link->state == RING_LINK_OFFERED)
            activate(writer, link, grant);
    } else if (link->state == RING_LINK_ACTIVE || (is_ours && grant.state != ENTRY_NONE)) {
        link->state = RING_LINK_OVER;
        writer->links_over++;
        STEP(LINK_OVER);
    }
}

static __attribute__((noinline, cold)) void read_entries(struct ring_writer *writer) {
    const uint32_t limit = writer->slots - 1;
    writer->active_count = writer->lossless = writer->leased_slots = 0;
    writer->history = writer->history_least;
    struct ring_link *link = atomic_load_explicit(&writer->links, memory_order_acquire);
    for (; link; link = link->next) {
        if (link->state != RING_LINK_OVER)
            update_link(writer, link);
        if (link->state != RING_LINK_ACTIVE || writer->active_count == NOTICE_ENTRIES)
            continue;
        writer->active[writer->active_count++] = link;
        writer->lossless += link->grant.is_lossless;
        writer->leased_slots += grant_slots(link->grant);
        if (link->grant.depth > writer->history)
            writer->history = link->grant.depth < limit ? link->grant.depth : limit;
    }
}

void ring_writer_refresh(struct ring_writer *writer) {
    /* G: the word carries the entries. */
    const uint32_t word = atomic_load_explicit(&writer->notice->word, memory_order_acquire);
    if (word == writer->notice_seen && !writer->is_notice_new)
        return;
    writer->notice_seen = word;
    writer->is_notice_new = false;
    writer->has_news = true;
    read_entries(writer);
}

struct ring_link *ring_writer_behind(struct ring_writer *writer) {
    if (writer->lossless == 0)
        return NULL;
    for (uint32_t i = 0; i < writer->active_count; i++) {
        struct ring_link *link = writer->active[i];
        if (!link->grant.is_lossless || *writer->sequence + 1 - link->taken <= writer->history)
            continue;
        link->taken = cursor_of(writer, link);
        if (*writer->sequence + 1 - link->taken > writer->history)
            return link;
    }
    return NULL;
}

/* A peer's words, that may change meanwhile: whoever is named here, the writer only waits. */
struct ring_link *ring_writer_overdrawn(const struct ring_writer *writer) {
    for (uint32_t i = 0; i < writer->active_count; i++) {
        struct ring_link *link = writer->active[i];
        uint32_t kept_by_it = 0;
        for (uint32_t cell = 0; cell < link->grant.leases && link->grant.is_lossless; cell++) {
            const uint64_t lease =
                atomic_load_explicit(&link->lease->lease[cell], memory_order_relaxed);
            kept_by_it += lease && !ring_set_has(&writer->kept, lease_slot(lease));
        }
        if (kept_by_it > grant_slots(link->grant))
            return link;
    }
    return NULL;
}

uint32_t ring_writer_backlog(const struct ring_writer *writer, const struct ring_link *link) {
    return (uint32_t)(*writer->sequence - cursor_of(writer, link));
}

/* ---- loan ---- */

static void add_leased(const struct ring_writer *writer, struct ring_set *busy) {
    for (uint32_t i = 0; i < writer->active_count; i++) {
        const struct ring_link *link = writer->active[i];
        for (uint32_t cell = 0; cell < link->grant.leases; cell++) {
            /* L: after the fence in ring_announce(). R: the reader has looked for the last time. */
            const uint64_t lease =
                atomic_load_explicit(&link->lease->lease[cell], memory_order_acquire);
            if (lease)
                ring_set_add(busy, lease_slot(lease));
        }
    }
}

/* The lowest slot below `limit` that is not in `busy`; `limit` if there is none. */
static uint32_t find_free(const struct ring_set *busy, uint32_t limit) {
    for (uint32_t i = 0; i * 64 < limit; i++) {
        if (busy->word[i] == UINT64_MAX)
            continue;
        const uint32_t slot = i * 64 + (uint32_t)__builtin_ctzll(~busy->word[i]);
        return slot < limit ? slot : limit;
    }
    return limit;
}

/* The oldest frame to keep: never one before, as tail does not go back, and never past what a
 * lossless reader has still to take. */
static uint64_t find_tail(const struct ring_writer *writer) {
    uint64_t tail = writer->tail;
    if (writer->newest >= writer->history)
        tail = max_u64(tail, writer->newest - writer->history + 1);
    for (uint32_t i = 0; i < writer->active_count && writer->lossless; i++) {
        struct ring_link *link = writer->active[i];
        if (!link->grant.is_lossless || link->taken + 1 >= tail)
            continue;
        link->taken = cursor_of(writer, link);
        tail = min_u64(tail, link->taken + 1);
    }
    return max_u64(tail, writer->tail);
}

static void retire(struct ring_writer *writer) {
    const uint64_t tail = find_tail(writer);
    if (tail == writer->tail)
        return;
    atomic_store_explicit(&writer->ring->tail, tail, memory_order_release);
    STEP(PUBLISH_TAIL);
    for (uint64_t sequence = writer->tail; sequence < tail; sequence++) {
        const uint32_t slot = writer->slot_at[sequence % RING_INDEX];
        /* L: before the fence in ring_announce(). Release, so that who finds it retired finds the
         * new tail too. */
        atomic_store_explicit(&writer->ring->slot[slot].state, slot_word(sequence, SLOT_RETIRED),
                              memory_order_release);
        STEP(PUBLISH_RETIRED);
        ring_set_remove(&writer->kept, slot);
    }
    writer->tail = tail;
}

/* Whoever keeps few frames lends the same slots again and again: they are in the caches. */
static bool keeps_many(const struct ring_writer *writer) {
    enum { FEW = 8 };
    return writer->history >= FEW;
}

static void note_spare(struct ring_writer *writer, const struct ring_set *busy) {
    for (uint32_t i = 0; i * 64 < writer->warm; i++) {
        const uint32_t left = writer->warm - i * 64;
        const uint64_t mask = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
        writer->spare.word[i] = ~busy->word[i] & mask;
    }
}

/* Up to `count` of those below `limit`. What is free was retired before a fence: most often that of
 * its publish. */
static inline __attribute__((always_inline)) uint32_t
find_slots(struct ring_writer *writer, uint32_t limit, uint32_t *out_slots, uint32_t count) {
    struct ring_set busy = {{0}};
    uint32_t found = 0;
    for (uint32_t i = 0; i * 64 < limit; i++)
        busy.word[i] = writer->loaned.word[i] | writer->kept.word[i] | writer->pinned.word[i];
    add_leased(writer, &busy);
    while (found < count) {
        const uint32_t slot = find_free(&busy, limit);
        if (slot == limit)
            break;
        ring_set_add(&busy, slot);
        out_slots[found++] = slot;
    }
    if (limit == writer->warm && keeps_many(writer))
        note_spare(writer, &busy);
    return found;
}

/* A slot that was free stays so until it is lent: readers can lease only what is published. So the
 * leases, whose lines the readers write with each frame, need not be looked at each time. */
static inline __attribute__((always_inline)) uint32_t
take_spare(struct ring_writer *writer, uint32_t *out_slots, uint32_t count) {
    uint32_t found = 0;
    for (uint32_t i = 0; i * 64 < writer->warm; i++)
        for (uint64_t left = writer->spare.word[i]; left && found < count; left &= left - 1)
            out_slots[found++] = i * 64 + (uint32_t)__builtin_ctzll(left);
    return found;
}

/* One without memory only if there is none with it, and only one. */
static inline __attribute__((always_inline)) uint32_t
find_any(struct ring_writer *writer, uint32_t *out_slots, uint32_t count) {
    const uint32_t found = find_slots(writer, writer->warm, out_slots, count);
    return found ? found : find_slots(writer, writer->slots, out_slots, 1);
}

/* Compiled twice, for one slot and for several, as what else here has a `count`: one alone takes no
 * loop. */
static inline __attribute__((always_inline)) int lend(struct ring_writer *writer,
                                                      uint32_t *out_slots, uint32_t count) {
    ring_writer_refresh(writer);
    uint32_t found = keeps_many(writer) ? take_spare(writer, out_slots, count) : 0;
    if (found < count) /* those that were spare are found again */
        found = find_any(writer, out_slots, count);
    if (found == 0 && writer->lossless && writer->first) {
        /* A lossless reader has taken frames since the last publish. */
        retire(writer);
        atomic_thread_fence(memory_order_seq_cst); /* L, as in ring_announce() */
        ring_writer_refresh(writer); /* who joined before may have leased what is retired now */
        found = find_any(writer, out_slots, count);
    }
    if (found == 0)
        return -ENOSPC;
    STEP(LOAN_FOUND);
    for (uint32_t i = 0; i < found; i++) {
        ring_set_add(&writer->loaned, out_slots[i]);
        ring_set_remove(&writer->spare, out_slots[i]);
        atomic_store_explicit(&writer->ring->slot[out_slots[i]].state, slot_word(0, SLOT_WRITING),
                              memory_order_relaxed);
    }
    /* E: WRITING is visible before any byte of the payload changes. */
    atomic_thread_fence(memory_order_release);
    STEP(LOAN_MARKED);
    return (int)found;
}

void ring_abandon(struct ring_writer *writer, uint32_t slot) {
    ring_set_remove(&writer->loaned, slot);
}

__attribute__((hot)) int ring_loan(struct ring_writer *writer, uint32_t *out_slot) {
    const int code = lend(writer, out_slot, 1);
    return code < 0 ? code : 0;
}

int ring_loan_batch(struct ring_writer *writer, uint32_t *out_slots, uint32_t count) {
    return lend(writer, out_slots, count);
}

/* ---- publish ---- */

static __attribute__((noinline)) void write_more(struct slot_header *header,
                                                 const struct shmframe_frame *frame) {
    if (frame->flags & SHMFRAME_HAS_ORIGIN)
        header->origin = frame->origin;
    for (unsigned i = 0; i < SHMFRAME_STAGES && frame->flags & SHMFRAME_HAS_STAGES; i++)
        header->stage_ns[i] = frame->stage_ns[i];
    for (unsigned i = 0; i < SHMFRAME_USER_BYTES && frame->flags & SHMFRAME_HAS_USER; i++)
        header->user[i] = frame->user[i];
}

static void write_header(struct slot_header *header, const struct shmframe_frame *frame) {
    header->capture_ns = frame->capture_ns;
    header->loan_ns = frame->loan_ns;
    header->publish_ns = frame->publish_ns;
    header->pts = frame->pts;
    header->duration = frame->duration;
    header->bytes = frame->bytes;
    header->samples = frame->samples;
    header->flags = frame->flags;
    header->device_dropped = frame->device_dropped;
    if (frame->flags & (SHMFRAME_HAS_ORIGIN | SHMFRAME_HAS_STAGES | SHMFRAME_HAS_USER))
        write_more(header, frame);
}

void ring_put(struct ring_writer *writer, uint32_t slot, struct shmframe_frame *frame) {
    struct ring *ring = writer->ring;
    const uint64_t sequence = ++*writer->sequence;
    const uint64_t place = place_word(sequence, slot);
    frame->sequence = sequence;
    write_header(&ring->slot[slot], frame);
    STEP(PUBLISH_STAMPED);
    /* P: each of these carries what stands before it; readers come by way of head or index. */
    atomic_store_explicit(&ring->slot[slot].state, slot_word(sequence, SLOT_PUBLISHED),
                          memory_order_release);
    STEP(PUBLISH_STATE);
    atomic_store_explicit(&ring->index[sequence % RING_INDEX], place, memory_order_release);
    STEP(PUBLISH_INDEX);
    if (writer->first == 0) {
        /* Before head, so that a reader never sees a ring with a frame and without these, even if
         * we die in between. */
        writer->first = writer->tail = sequence;
        atomic_store_explicit(&ring->first, sequence, memory_order_relaxed);
        atomic_store_explicit(&ring->tail, sequence, memory_order_release);
        STEP(PUBLISH_FIRST);
    }
    atomic_store_explicit(&ring->head, place, memory_order_release);
    STEP(PUBLISH_HEAD);
    writer->newest = sequence;
    writer->slot_at[sequence % RING_INDEX] = (uint8_t)slot;
    ring_set_add(&writer->kept, slot);
    ring_set_remove(&writer->loaned, slot);
}

void ring_announce(struct ring_writer *writer) {
    /* Links granted since the loan may need a deeper history. */
    ring_writer_refresh(writer);
    if (writer->first)
        retire(writer);
    /* W, sequentially consistent with the one in wait_with(): either the reader sees the new head,
     * or we see that it waits. L, with the one in acquire: either the reader finds its slot
     * retired, or the next loan finds its lease. */
    atomic_thread_fence(memory_order_seq_cst);
    /* Links granted since the loan sleep as well as others. */
    ring_writer_refresh(writer);
    bell_ring(writer);
}

void ring_end(struct ring_writer *writer, enum ring_state state) {
    atomic_store_explicit(&writer->ring->state, (uint32_t)state, memory_order_release);
    /* W: as for head. */
    atomic_thread_fence(memory_order_seq_cst);
    ring_writer_refresh(writer);
    bell_ring(writer);
}

/* ---- acquire ---- */

/* Gives up to `count` frames a cell each; returns how many there are. */
static inline __attribute__((always_inline)) uint32_t
find_cells(const struct ring_reader *reader, struct ring_frame *frames, uint32_t count) {
    uint32_t found = 0;
    for (uint32_t cell = 0; cell < reader->leases && found < count; cell++) {
        /* Acquire: another thread may have ended the lease. */
        if (!atomic_load_explicit(&reader->held[cell], memory_order_acquire))
            frames[found++].cell = cell;
    }
    return found;
}

void ring_reader_begin_here(struct ring_reader *reader) {
    const uint64_t head = atomic_load_explicit(&reader->ring->head, memory_order_acquire);
    reader->begin = RING_BEGIN_FIRST;
    reader->is_begun = head != 0;
    reader->cursor = head ? place_sequence(head) - 1 : 0;
}

/* The sequence after which this reader's frames begin; `newest` is of head, not 0. False: not known
 * yet. */
static bool find_base(const struct ring_reader *reader, uint64_t newest, uint64_t *out_base) {
    if (reader->is_begun) {
        *out_base = reader->cursor;
        return true;
    }
    switch (reader->begin) {
    case RING_BEGIN_NEWEST:
        *out_base = newest - 1;
        return true;
    case RING_BEGIN_FIRST: {
        /* Relaxed: the acquire load of head brought it. */
        const uint64_t first = atomic_load_explicit(&reader->ring->first, memory_order_relaxed);
        *out_base = first ? first - 1 : 0;
        return true;
    }
    case RING_BEGIN_TOLD: {
        /* S: until the writer has noticed us, nothing is ours. */
        const uint64_t start = atomic_load_explicit(&reader->bell->start, memory_order_acquire);
        /* Frames that were loaned in an older ring have numbers too: this ring may begin later. */
        const uint64_t first = atomic_load_explicit(&reader->ring->first, memory_order_relaxed);
        *out_base = max_u64(start, first) - 1;
        return start != 0 && *out_base < newest;
    }
    }
    return false;
}

/* The place of a frame that is older than head; 0 if the ring has moved on meanwhile. */
static uint64_t find_place(const struct ring_reader *reader, uint64_t sequence) {
    /* P: as head, for an older frame. */
    const uint64_t place =
        atomic_load_explicit(&reader->ring->index[sequence % RING_INDEX], memory_order_acquire);
    return place_sequence(place) == sequence ? place : 0;
}

/* Where the frames are that are to be tried, up to `count`; returns how many, 0 if the ring has
 * moved on meanwhile. Errors: -EPROTO the first makes no sense. */
static inline __attribute__((always_inline)) int find_frames(const struct ring_reader *reader,
                                                             uint64_t head, uint64_t base,
                                                             struct ring_frame *frames,
                                                             uint32_t count) {
    const uint64_t newest = place_sequence(head);
    uint64_t sequence = newest, place = head;
    if (!reader->is_latest && base + 1 != newest) {
        const uint64_t tail = atomic_load_explicit(&reader->ring->tail, memory_order_acquire);
        sequence = max_u64(base + 1, tail);
        place = find_place(reader, sequence);
    }
    for (uint32_t found = 0;;) {
        if (place == 0)
            return (int)found;
        if (place_slot(place) >= reader->slots || sequence > SEQUENCE_MAX)
            return found ? (int)found : -EPROTO;
        frames[found].sequence = sequence;
        frames[found].passed = found ? 0 : sequence - base - 1;
        frames[found].slot = place_slot(place);
        frames[found].is_newest = sequence == newest;
        if (++found == count || sequence >= newest)
            return (int)found;
        place = ++sequence == newest ? head : find_place(reader, sequence);
    }
}

static void drop_lease(struct ring_reader *reader, const struct ring_frame *frame) {
    atomic_store_explicit(&reader->lease->lease[frame->cell], 0, memory_order_release);
}

/* Leases those of the frames that are still there, up to the first that is not; returns how many.
 */
static inline __attribute__((always_inline)) uint32_t
try_leases(struct ring_reader *reader, const struct ring_frame *frames, uint32_t count) {
    uint32_t taken = 0;
    STEP(ACQUIRE_CHOSEN);
    for (uint32_t i = 0; i < count; i++)
        /* Release: it ends the word's last use (R). */
        atomic_store_explicit(&reader->lease->lease[frames[i].cell],
                              lease_word(frames[i].sequence, frames[i].slot), memory_order_release);
    /* L, with the one in ring_announce(): all leases before the first look at a state. */
    atomic_thread_fence(memory_order_seq_cst);
    STEP(ACQUIRE_LEASED);
    for (; taken < count; taken++) {
        const struct ring_frame *frame = &frames[taken];
        /* P: the state carries header and payload. */
        const uint64_t state =
            atomic_load_explicit(&reader->ring->slot[frame->slot].state, memory_order_acquire);
        if (state != slot_word(frame->sequence, SLOT_PUBLISHED))
            break;
        /* Only we write it until then: release and its free cell are ordered by the clearing. */
        atomic_store_explicit(&reader->held[frame->cell], lease_word(frame->sequence, frame->slot),
                              memory_order_relaxed);
        STEP(ACQUIRE_CHECKED);
    }
    for (uint32_t i = taken; i < count; i++)
        drop_lease(reader, &frames[i]);
    return taken;
}

static void wake_writer(struct lease_page *page) {
    const uint32_t space = atomic_load_explicit(&page->space, memory_order_relaxed);
    atomic_store_explicit(&page->space, space + 1, memory_order_relaxed); /* only we write it */
    futex_wake(&page->space, SPACE_SLEEPERS_MAX);
    STEP(SPACE_RUNG);
}

static void tell_cursor(struct ring_reader *reader, uint64_t sequence) {
    reader->cursor = sequence;
    reader->is_begun = true;
    struct lease_page *page = reader->lease;
    atomic_store_explicit(&page->cursor, sequence, memory_order_relaxed);
    STEP(ACQUIRE_TOLD);
    if (!reader->is_lossless)
        return;
    /* C, with the one in bell_arm_space(): either the writer sees the cursor, or we see it wait. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&reader->bell->writer_waiting, memory_order_relaxed))
        return;
    wake_writer(page);
}

/* More frames were there when head was last looked at than are wanted now: no need to look again,
 * at a line that the writer writes with each frame. */
static bool is_far_behind(const struct ring_reader *reader, uint32_t count) {
    return !reader->is_latest && reader->is_begun &&
           reader->cursor + count < place_sequence(reader->head);
}

/* The stamps of the frames that come next are in the cache of the writer's processor. */
static inline void fetch_ahead(const struct ring_reader *reader, uint32_t count) {
    for (uint32_t i = 1; i <= count; i++) {
        /* Relaxed: a hint, of which nothing is read. */
        const uint64_t place = atomic_load_explicit(
            &reader->ring->index[(reader->cursor + i) % RING_INDEX], memory_order_relaxed);
        __builtin_prefetch(&reader->ring->slot[place_slot(place)]);
    }
}

/* Without a look at head or tail; returns how many, 0 if the ring has moved on. */
static inline __attribute__((always_inline)) uint32_t
take_next(struct ring_reader *reader, struct ring_frame *frames, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t sequence = reader->cursor + 1 + i;
        const uint64_t place = find_place(reader, sequence);
        if (place == 0 || place_slot(place) >= reader->slots)
            return 0;
        frames[i].sequence = sequence;
        frames[i].passed = 0;
        frames[i].slot = place_slot(place);
        frames[i].is_newest = false;
    }
    const uint32_t taken = try_leases(reader, frames, count);
    if (taken == 0)
        return 0;
    tell_cursor(reader, frames[taken - 1].sequence);
    fetch_ahead(reader, taken);
    return taken;
}

static inline __attribute__((always_inline)) int acquire(struct ring_reader *reader,
                                                         struct ring_frame *out_frames,
                                                         uint32_t count, uint64_t *retries) {
    uint64_t head = 0;
    bool is_moving = false;
    const uint32_t room = find_cells(reader, out_frames, count);
    if (room == 0)
        return -EBUSY;
    if (is_far_behind(reader, room)) {
        const uint32_t taken = take_next(reader, out_frames, room);
        if (taken)
            return (int)taken;
    }
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        const uint64_t head_before = head;
        /* P: carries the index, header and payload up to it. */
        head = atomic_load_explicit(&reader->ring->head, memory_order_acquire);
        is_moving |= tries > 0 && head != head_before;
        const uint64_t newest = place_sequence(head);
        uint64_t base;
        if (head == 0 || !find_base(reader, newest, &base))
            return -EAGAIN;
        if (newest <= base || newest > SEQUENCE_MAX)
            return newest == base ? -EAGAIN : -EPROTO;
        reader->head = head; /* no lie is gone by later */
        const int found = find_frames(reader, head, base, out_frames, room);
        if (found < 0)
            return found;
        const uint32_t taken = found ? try_leases(reader, out_frames, (uint32_t)found) : 0;
        if (taken) {
            tell_cursor(reader, out_frames[taken - 1].sequence);
            return (int)taken;
        }
        ++*retries;
    }
    /* Between two heads a writer retires once: who refuses so often without a new one has lied. */
    return is_moving ? -EAGAIN : -EPROTO;
}

__attribute__((hot)) int ring_acquire(struct ring_reader *reader, struct ring_frame *out_frame,
                                      uint64_t *retries) {
    const int code = acquire(reader, out_frame, 1, retries);
    return code < 0 ? code : 0;
}

int ring_acquire_batch(struct ring_reader *reader, struct ring_frame *out_frames, uint32_t count,
                       uint64_t *retries) {
    return acquire(reader, out_frames, count, retries);
}

void ring_put_back(struct ring_reader *reader, const struct ring_frame *frames, uint32_t count) {
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        drop_lease(reader, &frames[i]);
        atomic_store_explicit(&reader->held[frames[i].cell], 0, memory_order_relaxed);
    }
    reader->cursor = frames[0].sequence - 1;
    /* C: what a lossless writer has retired by then is lost, and counted by the next acquire. */
    atomic_store_explicit(&reader->lease->cursor, reader->cursor, memory_order_relaxed);
}

bool ring_is_leased(const struct ring_reader *reader, uint32_t cell, uint64_t sequence,
                    uint32_t slot) {
    return cell < SHMFRAME_LEASES_MAX && slot < reader->slots &&
           atomic_load_explicit(&reader->held[cell], memory_order_relaxed) ==
               lease_word(sequence, slot);
}

int ring_release(struct ring_reader *reader, uint32_t cell, uint64_t sequence, uint32_t slot) {
    if (!ring_is_leased(reader, cell, sequence, slot))
        return -EINVAL;
    /* E: our last look at the payload comes before this look at the state. */
    atomic_thread_fence(memory_order_acquire);
    const uint64_t state =
        atomic_load_explicit(&reader->ring->slot[slot].state, memory_order_relaxed);
    const bool is_whole =
        state == slot_word(sequence, SLOT_PUBLISHED) || state == slot_word(sequence, SLOT_RETIRED);
    STEP(RELEASE_CHECKED);
    /* R: from here on the writer may have the slot. */
    atomic_store_explicit(&reader->lease->lease[cell], 0, memory_order_release);
    STEP(RELEASE_CLEARED);
    /* From here on the cell is free, and the link may go. */
    atomic_store_explicit(&reader->held[cell], 0, memory_order_release);
    return is_whole ? 0 : -ESTALE;
}

void ring_reader_leave(struct ring_reader *reader) {
    struct lease_page *page = reader->lease;
    for (uint32_t cell = 0; cell < SHMFRAME_LEASES_MAX; cell++) {
        atomic_store_explicit(&page->lease[cell], 0, memory_order_release); /* R */
        atomic_store_explicit(&reader->held[cell], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&page->waiting, 0, memory_order_relaxed);
    STEP(LINK_LEFT);
    if (!reader->is_lossless)
        return;
    /* C: as if it had taken all there is and will be. */
    atomic_store_explicit(&page->cursor, UINT64_MAX, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    wake_writer(page);
}

bool ring_reader_holds(const struct ring_reader *reader) {
    for (uint32_t cell = 0; cell < SHMFRAME_LEASES_MAX; cell++)
        if (atomic_load_explicit(&reader->held[cell], memory_order_acquire))
            return true;
    return false;
}

enum ring_sight ring_look(const struct ring_reader *reader, enum ring_state *out_state) {
    /* State before head: what was published before the end is seen before the end. */
    const uint32_t state = atomic_load_explicit(&reader->ring->state, memory_order_acquire);
    const uint64_t head = atomic_load_explicit(&reader->ring->head, memory_order_acquire);
    uint64_t base;
    if (out_state)
        *out_state = state <= RING_CLOSED ? (enum ring_state)state : RING_CLOSED;
    if (head && find_base(reader, place_sequence(head), &base) && place_sequence(head) != base)
        return RING_FRAME;
    return state == RING_OPEN ? RING_NOTHING : RING_OVER;
}

static __attribute__((noinline)) void copy_more(const struct slot_header *header, uint32_t flags,
                                                struct shmframe_frame *out_frame) {
    if (flags & SHMFRAME_HAS_ORIGIN)
        out_frame->origin = header->origin;
    for (unsigned i = 0; i < SHMFRAME_STAGES && flags & SHMFRAME_HAS_STAGES; i++)
        out_frame->stage_ns[i] = header->stage_ns[i];
    for (unsigned i = 0; i < SHMFRAME_USER_BYTES && flags & SHMFRAME_HAS_USER; i++)
        out_frame->user[i] = header->user[i];
}

void ring_copy_stamps(const struct ring_reader *reader, const struct ring_frame *frame,
                      struct shmframe_frame *out_frame) {
    const struct slot_header *header = &reader->ring->slot[frame->slot];
    out_frame->sequence = frame->sequence;
    out_frame->capture_ns = header->capture_ns;
    out_frame->loan_ns = header->loan_ns;
    out_frame->publish_ns = header->publish_ns;
    out_frame->pts = header->pts;
    out_frame->duration = header->duration;
    out_frame->bytes = header->bytes;
    out_frame->samples = header->samples;
    out_frame->device_dropped = header->device_dropped;
    /* Volatile: read once, whatever the writer does meanwhile. */
    const uint32_t flags = *(const volatile uint32_t *)&header->flags;
    out_frame->flags = flags;
    if (flags & (SHMFRAME_HAS_ORIGIN | SHMFRAME_HAS_STAGES | SHMFRAME_HAS_USER))
        copy_more(header, flags, out_frame);
}
