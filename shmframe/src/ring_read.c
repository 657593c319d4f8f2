/* Ring: what its readers do. */
#include "ring.h"

#include "futex.h"
#include "step.h"

#include <errno.h>

/* Slots met while they are recycled, in one acquire. Each one means that the writer has gone on;
 * who loses so often tries again later. */
enum { TRIES_MAX = 64 };
/* Threads of one writer that may wait for one reader. */
enum { SPACE_SLEEPERS_MAX = 64 };

static uint64_t max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
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
