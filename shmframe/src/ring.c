/* Ring: what its writer does. */
#include "ring.h"

#include "bell.h"
#include "step.h"

#include <errno.h>
#include <stddef.h>

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
