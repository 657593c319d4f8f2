#include "reader.h"

#include "bell.h"
#include "clock.h"
#include "error.h"
#include "format.h"

#include <errno.h>
#include <string.h>

/* ---- taking ---- */

static void count_lost(struct shmframe_reader *reader, struct shmframe_overrun *overrun,
                       uint64_t first, uint64_t count) {
    if (count == 0)
        return;
    overrun->first = first;
    overrun->count = count;
    overrun->generation = reader->link->generation;
    const bool is_restart = overrun->cause == SHMFRAME_CAUSE_RESTART;
    const struct shmframe_reader_event event = {.type = SHMFRAME_LOST,
                                                .cause = is_restart ? SHMFRAME_LOST_RESTART
                                                                    : SHMFRAME_LOST_LATE,
                                                .why = overrun->cause,
                                                .first = first,
                                                .count = count,
                                                .generation = reader->link->generation};
    reader_add_event(reader, &event);
    record_lost(&reader->record, overrun);
}

static void count_lost_late(struct shmframe_reader *reader, const struct overrun_sight *sight,
                            uint64_t first, uint64_t count) {
    struct shmframe_overrun overrun;
    if (count == 0)
        return;
    overrun_judge(&reader->clock, sight, &overrun);
    count_lost(reader, &overrun, first, count);
}

/* Frames were not delivered since the last one: `before` in rings before this one. */
static __attribute__((noinline, cold)) void
count_missing(struct shmframe_reader *reader, const struct ring_frame *frame, uint64_t before,
              struct overrun_sight sight, struct shmframe_lease *lease) {
    const uint64_t in_ring = frame->passed;
    if (reader->policy == SHMFRAME_LATEST) {
        lease->skipped = in_ring + before;
        record_count(&reader->record, RECORD_SKIPPED, lease->skipped);
        return;
    }
    lease->lost = in_ring + before;
    struct shmframe_overrun restart = {.cause = SHMFRAME_CAUSE_RESTART, .time_ns = sight.now_ns};
    count_lost(reader, &restart, frame->sequence - in_ring - before, before);
    count_lost_late(reader, &sight, frame->sequence - in_ring, in_ring);
}

static inline void account(struct shmframe_reader *reader, const struct ring_frame *frame,
                           const struct overrun_sight *sight, struct shmframe_lease *lease) {
    uint64_t before = 0;
    if (reader->last && frame->sequence - 1 > reader->last + frame->passed)
        before = frame->sequence - 1 - reader->last - frame->passed;
    lease->lost = lease->skipped = 0;
    if (frame->passed + before)
        count_missing(reader, frame, before, *sight, lease);
}

static inline bool fits(const struct shmframe_reader *reader, const struct shmframe_frame *frame) {
    return frame->bytes <= reader->link->bytes_max && frame->samples <= reader->link->samples_max;
}

/* A frame whose stamps break the layout is passed by. */
static int refuse(const struct shmframe_reader *reader, const struct ring_frame *taken,
                  const struct shmframe_frame *frame) {
    ring_release(&reader->link->core, taken->cell, taken->sequence, taken->slot);
    return error_set(
        -EPROTO, "stream '%s': frame %llu says it has %u bytes, %u samples: more than its slot",
        reader->stream, (unsigned long long)frame->sequence, frame->bytes, frame->samples);
}

static bool is_open(const struct link_reader *link) {
    /* Relaxed: whether there was a later one when this was the newest of its ring. */
    return atomic_load_explicit(&link->core.ring->state, memory_order_relaxed) == RING_OPEN;
}

static bool is_holding(const struct shmframe_reader *reader) {
    /* With one lease, it is the new one. */
    return (reader->leases > 1 ||
            atomic_load_explicit(&reader->is_astride, memory_order_relaxed)) &&
           record_is_holding(&reader->record);
}

/* `is_first`: of its batch. */
static inline struct overrun_sight see(const struct shmframe_reader *reader,
                                       const struct ring_frame *frame, bool is_first,
                                       int64_t now_ns, int64_t publish_ns) {
    return (struct overrun_sight){.now_ns = now_ns,
                                  .rung_ns =
                                      reader->clock.looked_ns ? reader_rung_ns(reader->link) : 0,
                                  .publish_ns = publish_ns,
                                  .is_holding = !is_first || is_holding(reader),
                                  .is_newest = frame->is_newest && is_open(reader->link)};
}

/* What came until this frame is accounted for, whether it can be delivered or not. */
static inline __attribute__((always_inline)) void go_past(struct shmframe_reader *reader,
                                                          const struct ring_frame *frame,
                                                          bool is_first, int64_t now_ns,
                                                          struct shmframe_lease *lease) {
    const struct overrun_sight sight =
        see(reader, frame, is_first, now_ns, lease->frame.publish_ns);
    account(reader, frame, &sight, lease);
    overrun_acquired(&reader->clock, &sight);
    reader->last = frame->sequence;
    atomic_store_explicit(&reader->told, frame->sequence, memory_order_relaxed);
}

/* Of a frame whose stamps fit. */
static inline __attribute__((always_inline)) void deliver(struct shmframe_reader *reader,
                                                          const struct ring_frame *frame,
                                                          int64_t now_ns,
                                                          struct shmframe_lease *lease) {
    struct link_reader *link = reader->link;
    if (lease->frame.flags & SHMFRAME_HAS_ORIGIN)
        lease->frame.origin.stream[SHMFRAME_NAME_BYTES - 1] = '\0';
    lease->data =
        (const uint8_t *)link->ring.base + layout_slot_offset(&link->geometry, frame->slot);
    lease->format = &link->geometry.format;
    lease->stream = reader->stream;
    lease->wake_ns = reader->wake_ns >= lease->frame.publish_ns ? reader->wake_ns : 0;
    lease->acquire_ns = now_ns;
    lease->flags = reader->lease_flags;
    lease->cell = frame->cell << 16 | frame->slot; /* the rest of its bits are the record's */
    lease->link = link;
    lease->reader = reader;
    /* Two frames that came one after the other tell of the next. A writer's stamps are data: those
     * that make no sense only mean the longer way to sleep. */
    int64_t period_ns;
    reader->is_frame_due =
        !__builtin_sub_overflow(lease->frame.publish_ns, reader->last_publish_ns, &period_ns) &&
        period_ns > 0 && period_ns <= BELL_PERIOD_MAX_NS && frame->passed == 0;
    reader->last_publish_ns = lease->frame.publish_ns;
    reader->lease_flags = 0;
    reader->wake_ns = 0;
}

/* The first of `count` more does not fit, after `taken` that do. That one is the next call's to
 * meet, unless it is the first. */
static __attribute__((noinline, cold)) int
meet_unfit(struct shmframe_reader *reader, const struct ring_frame *frames, uint32_t taken,
           uint32_t count, struct shmframe_lease *leases, int64_t now_ns) {
    struct ring_reader *core = &reader->link->core;
    if (taken) {
        ring_put_back(core, &frames[taken], count);
        record_acquired(&reader->record, leases, taken);
        return (int)taken;
    }
    go_past(reader, &frames[0], true, now_ns, &leases[0]);
    ring_put_back(core, &frames[1], count - 1);
    return refuse(reader, &frames[0], &leases[0].frame);
}

/* Up to the first frame that does not fit. Returns how many. */
static inline __attribute__((always_inline)) int deliver_all(struct shmframe_reader *reader,
                                                             const struct ring_frame *frames,
                                                             uint32_t count, int64_t now_ns,
                                                             struct shmframe_lease *leases) {
    for (uint32_t i = 0; i < count; i++)
        ring_copy_stamps(&reader->link->core, &frames[i], &leases[i].frame);
    /* The clock was read before the ring was: the newest may have come in between. */
    if (leases[count - 1].frame.publish_ns > now_ns)
        now_ns = clock_now_ns();
    for (uint32_t i = 0; i < count; i++) {
        if (!fits(reader, &leases[i].frame))
            return meet_unfit(reader, frames, i, count - i, leases, now_ns);
        go_past(reader, &frames[i], i == 0, now_ns, &leases[i]);
        deliver(reader, &frames[i], now_ns, &leases[i]);
    }
    record_acquired(&reader->record, leases, count);
    return (int)count;
}

/* Takes frames that are there, of one ring; returns how many. */
static inline __attribute__((always_inline)) int take(struct shmframe_reader *reader,
                                                      int64_t now_ns,
                                                      struct shmframe_lease *out_leases,
                                                      uint32_t count) {
    /* Rings to leave, and slots lost to a hurried writer: more than so many in a row are for later.
     */
    enum { TURNS_MAX = 8 };
    if (reader->untold < 0) {
        const int untold = reader->untold;
        reader->untold = 0;
        return error_set(untold, "%s", reader->untold_text);
    }
    int code = reader_attend(reader, now_ns);
    for (unsigned turns = 0; code == 0 && turns < TURNS_MAX; turns++) {
        if (reader->failure)
            return error_set(reader->failure, "%s", reader->failure_text);
        struct ring_frame frames[SHMFRAME_LEASES_MAX];
        uint64_t retries = 0;
        code = count == 1 ? ring_acquire(&reader->link->core, frames, &retries)
                          : ring_acquire_batch(&reader->link->core, frames, count, &retries);
        const uint32_t taken = count == 1 ? 1 : (uint32_t)code;
        if (retries)
            record_count(&reader->record, RECORD_RETRIES, retries);
        if (code >= 0)
            return deliver_all(reader, frames, taken, now_ns, out_leases);
        if (code == -EBUSY)
            return error_set(code, "the reader '%s' of stream '%s' holds %u leases, all it has",
                             reader->name, reader->stream, reader->link->core.leases);
        if (code == -EPROTO)
            return error_set(code, "the ring of stream '%s' contradicts itself", reader->stream);
        code = reader_look(reader, true);
    }
    if (code == -EAGAIN)
        reader_note_looked(reader, now_ns);
    return code ? code : -EAGAIN;
}

/* ---- acquire ---- */

static inline __attribute__((always_inline)) int
take_or_arm(struct shmframe_reader *reader, struct shmframe_lease *out_leases, uint32_t count) {
    int code;
    if (reader->is_armed)
        reader_disarm(reader);
    do {
        code = take(reader, clock_now_ns(), out_leases, count);
    } while (code == -EAGAIN && reader->epoll >= 0 && !reader_arm(reader));
    return code;
}

/* Nothing was there. */
static __attribute__((noinline, hot)) int await_frames(struct shmframe_reader *reader,
                                                       int64_t deadline_ns,
                                                       struct shmframe_lease *out_leases,
                                                       uint32_t count) {
    int code = -EAGAIN;
    reader_stop_polling(&reader, 1);
    int64_t now_ns = clock_now_ns();
    const int64_t spin_until_ns = reader_find_spin_end(&reader, 1, now_ns);
    for (; code == -EAGAIN; now_ns = clock_now_ns()) {
        /* Asked each time: no writer that recycles every slot under our hands keeps us longer. */
        code = reader_may_sleep(reader, now_ns, deadline_ns);
        if (code < 0)
            return code;
        const int woken = reader_sleep_once(&reader, 1, &now_ns, deadline_ns, spin_until_ns);
        if (woken < 0)
            return woken;
        code = take(reader, now_ns, out_leases, count);
        if (code == -EAGAIN)
            record_count(&reader->record, RECORD_SPURIOUS, (uint64_t)woken);
    }
    return code;
}

static inline __attribute__((always_inline)) int acquire(struct shmframe_reader *reader,
                                                         int64_t deadline_ns,
                                                         struct shmframe_lease *out_leases,
                                                         uint32_t count) {
    const int code = take_or_arm(reader, out_leases, count);
    return code == -EAGAIN && deadline_ns != SHMFRAME_NOW
               ? await_frames(reader, deadline_ns, out_leases, count)
               : code;
}

__attribute__((hot)) int shmframe_reader_acquire(struct shmframe_reader *reader,
                                                 int64_t deadline_ns,
                                                 struct shmframe_lease *out_lease) {
    const int code = acquire(reader, deadline_ns, out_lease, 1);
    return code < 0 ? code : 0;
}

int shmframe_reader_acquire_batch(struct shmframe_reader *reader, int64_t deadline_ns,
                                  struct shmframe_lease *out_leases, uint32_t count) {
    if (count == 0)
        return error_set(-EINVAL, "a batch of no frames");
    return acquire(reader, deadline_ns, out_leases,
                   count < SHMFRAME_LEASES_MAX ? count : SHMFRAME_LEASES_MAX);
}

/* ---- its own numbers ---- */

void shmframe_reader_counters(const struct shmframe_reader *reader,
                              struct shmframe_reader_counters *out_counters) {
    record_get_counters(reader->record.page, out_counters);
}

int shmframe_reader_histogram(const struct shmframe_reader *reader, enum shmframe_hop hop,
                              struct shmframe_histogram *out_histogram) {
    return record_get_histogram(reader->record.page, hop, out_histogram);
}

int shmframe_reader_overruns(const struct shmframe_reader *reader,
                             struct shmframe_overrun *out_overruns, uint32_t count) {
    return record_get_overruns(reader->record.page, out_overruns, count);
}

int shmframe_reader_flights(const struct shmframe_reader *reader,
                            struct shmframe_flight *out_flights, uint32_t count) {
    return record_get_flights(reader->record.page, out_flights, count);
}
