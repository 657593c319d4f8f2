#include "reader.h"

#include "bell.h"
#include "clock.h"
#include "error.h"
#include "format.h"
#include "step.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- attention ---- */

static void tell(struct shmframe_reader *reader, enum shmframe_reader_event_type type) {
    const struct shmframe_reader_event event = {
        .type = type, .generation = reader->link ? reader->link->generation : 0};
    reader_add_event(reader, &event);
}

/* What the supervisor says of us: rings that have lost their writer, eviction. */
static void read_entry(struct shmframe_reader *reader) {
    if (!reader->notice)
        return;
    const struct notice_page *page = reader->notice->page;
    /* G: the word carries the entry. */
    reader->notice_seen = atomic_load_explicit(&page->word, memory_order_acquire);
    const uint64_t word =
        atomic_load_explicit(&page->entry[reader->object.number].word, memory_order_acquire);
    if (reader_word_gone(word) > reader->gone_generation)
        reader->gone_generation = reader_word_gone(word);
    if ((word & 3) == ENTRY_EVICTED && reader->failure == 0) {
        tell(reader, SHMFRAME_EVICTED);
        reader->failure = error_set(-ESTALE, "the reader '%s' of stream '%s' was evicted",
                                    reader->name, reader->stream);
        message_put_text(reader->failure_text, sizeof(reader->failure_text), shmframe_last_error());
    }
}

static bool has_notice(const struct shmframe_reader *reader) {
    /* Relaxed: only tells that it is worth a look. */
    return reader->object.is_upkeep_due ||
           (reader->notice && atomic_load_explicit(&reader->notice->page->word,
                                                   memory_order_relaxed) != reader->notice_seen);
}

/* Leases of older rings that are still held: more than one lease is out then, whatever was granted.
 */
static void note_astride(struct shmframe_reader *reader) {
    atomic_store_explicit(&reader->is_astride, !TAILQ_EMPTY(&reader->left), memory_order_relaxed);
}

static void destroy_left(struct shmframe_reader *reader) {
    struct link_reader *next;
    for (struct link_reader *link = TAILQ_FIRST(&reader->left); link; link = next) {
        next = TAILQ_NEXT(link, next);
        if (ring_reader_holds(&link->core))
            continue;
        TAILQ_REMOVE(&reader->left, link, next);
        link_reader_destroy(link);
    }
    note_astride(reader);
}

/* What is not on the way of most frames. Errors: as reader_take_mail(), told once. */
static __attribute__((noinline, cold)) int look_after(struct shmframe_reader *reader,
                                                      int64_t now_ns) {
    const bool is_noticed = has_notice(reader);
    if (is_noticed)
        read_entry(reader);
    reader->object.is_upkeep_due =
        !session_upkeep(reader->object.session, now_ns, is_noticed || reader->object.is_upkeep_due);
    destroy_left(reader);
    if (!atomic_load_explicit(&reader->object.has_mail, memory_order_relaxed))
        return 0;
    /* What the page says by then is for the next look, which asks for mail again. */
    return reader_take_mail(reader);
}

static inline int attend(struct shmframe_reader *reader, int64_t now_ns) {
    if (has_notice(reader) || session_upkeep_is_due(reader->object.session, now_ns) ||
        atomic_load_explicit(&reader->object.has_mail, memory_order_relaxed))
        return look_after(reader, now_ns);
    return 0;
}

/* ---- from ring to ring ---- */

static int64_t rung_ns(const struct link_reader *link) {
    /* Relaxed: a time to measure from. */
    return atomic_load_explicit(&link->core.bell->rung_ns, memory_order_relaxed);
}

static bool is_gone(const struct shmframe_reader *reader) {
    return reader->gone_generation >= reader->link->generation;
}

/* Leaves the ring, which is drained and over, for the next one, if that is there. */
static __attribute__((noinline, cold)) bool move_on(struct shmframe_reader *reader, bool is_ended) {
    struct link_reader *next = TAILQ_FIRST(&reader->next);
    struct link_reader *former = reader->link;
    if (!next)
        return false;
    /* The former writer may have died since, and still be the one who made both. */
    const bool is_restart = is_ended || next->gone_generation >= former->generation;
    TAILQ_REMOVE(&reader->next, next, next);
    TAILQ_INSERT_TAIL(&reader->left, former, next);
    overrun_moved(&reader->clock, rung_ns(former));
    reader->link = next;
    reader_forget_rings(reader);
    if (reader->epoll >= 0)
        reader_unwatch(reader, former); /* the next one is watched once it is waited for */
    reader->is_end_told = reader->is_gone_told = false;
    if (is_restart) {
        reader->lease_flags |= SHMFRAME_LEASE_RESTARTED;
        record_count(&reader->record, RECORD_RESTARTS, 1);
        tell(reader, SHMFRAME_RESTARTED);
    }
    if (!shmframe_format_is_equal(&former->geometry.format, &next->geometry.format)) {
        reader->lease_flags |= SHMFRAME_LEASE_NEW_FORMAT;
        record_count(&reader->record, RECORD_FORMATS, 1);
        tell(reader, SHMFRAME_FORMAT);
    }
    destroy_left(reader);
    STEP(RING_LEFT);
    return true;
}

/* What acquire finds when it looks: 0 a frame; -EAGAIN; -ENODATA, which `may_tell` marks as told;
 * or the reader's failure. Moves on to the next ring where this one is over. */
static int look(struct shmframe_reader *reader, bool may_tell) {
    for (;;) {
        reader->is_at_end = false;
        if (reader->failure)
            return reader->failure;
        enum ring_state state;
        enum ring_sight sight = ring_look(&reader->link->core, &state);
        const bool gone = is_gone(reader);
        /* What was published before the death was known comes first. */
        if (sight == RING_NOTHING && gone)
            sight = ring_look(&reader->link->core, &state) == RING_FRAME ? RING_FRAME : RING_OVER;
        if (sight == RING_FRAME)
            return 0;
        if (sight == RING_NOTHING)
            return -EAGAIN;
        const bool is_ended = state == RING_ENDED;
        if (is_ended && !reader->is_end_told) {
            if (may_tell) {
                reader->is_end_told = true;
                tell(reader, SHMFRAME_ENDED);
            }
            return -ENODATA;
        }
        if (!is_ended && gone && !reader->is_gone_told) {
            reader->is_gone_told = true;
            tell(reader, SHMFRAME_WRITER_GONE);
        }
        if (!move_on(reader, is_ended)) {
            reader->is_at_end = state != RING_OPEN;
            return -EAGAIN;
        }
    }
}

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
                                  .rung_ns = reader->clock.looked_ns ? rung_ns(reader->link) : 0,
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

static void note_looked(struct shmframe_reader *reader, int64_t now_ns) {
    overrun_looked(&reader->clock, now_ns);
    record_looked(&reader->record, now_ns);
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
    int code = attend(reader, now_ns);
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
        code = look(reader, true);
    }
    if (code == -EAGAIN)
        note_looked(reader, now_ns);
    return code ? code : -EAGAIN;
}

/* ---- waiting ---- */

/* True: acquire would not answer -EAGAIN. */
static bool is_ready(struct shmframe_reader *reader, int64_t now_ns) {
    if (reader->untold == 0) {
        reader->untold = attend(reader, now_ns);
        if (reader->untold < 0)
            message_put_text(reader->untold_text, sizeof(reader->untold_text),
                             shmframe_last_error());
    }
    if (reader->untold < 0)
        return true;
    const int code = look(reader, false);
    if (code == -EAGAIN)
        note_looked(reader, now_ns);
    return code != -EAGAIN;
}

static uint64_t find_ready(struct shmframe_reader *const *readers, uint32_t count, int64_t now_ns) {
    uint64_t ready = 0;
    for (uint32_t i = 0; i < count; i++)
        ready |= (uint64_t)is_ready(readers[i], now_ns) << i;
    return ready;
}

static struct bell_others find_others(const struct shmframe_reader *reader) {
    return (struct bell_others){.notice = reader->notice ? reader->notice->page : NULL,
                                .notice_seen = reader->notice_seen,
                                .interrupt = &reader->object.session->interrupt};
}

static int64_t min_ns(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max_ns(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Whether a wait goes on. Errors: -EINTR, -EAGAIN, -ETIMEDOUT. */
static int may_sleep(const struct shmframe_reader *reader, int64_t now_ns, int64_t deadline_ns) {
    if (session_is_interrupted(reader->object.session))
        return -EINTR;
    if (now_ns < deadline_ns)
        return 0;
    return deadline_ns == SHMFRAME_NOW ? -EAGAIN : -ETIMEDOUT;
}

static void note_waiting(struct shmframe_reader *const *readers, uint32_t count, int64_t now_ns) {
    for (uint32_t i = 0; i < count; i++)
        record_set_doing(&readers[i]->record, SHMFRAME_DOING_ASLEEP, now_ns);
}

static void note_woke(struct shmframe_reader *const *readers, uint32_t count, int64_t now_ns) {
    for (uint32_t i = 0; i < count; i++) {
        overrun_woke(&readers[i]->clock, now_ns);
        record_set_doing(&readers[i]->record, SHMFRAME_DOING_AWAY, now_ns);
    }
}

/* Until when a wait that begins now spins. News that concern nobody's frame do not end it. */
static int64_t find_spin_end(struct shmframe_reader *const *readers, uint32_t count,
                             int64_t now_ns) {
    int64_t spin_ns = 0, until_ns;
    for (uint32_t i = 0; i < count; i++)
        spin_ns = max_ns(spin_ns, readers[i]->spin_ns);
    return __builtin_add_overflow(now_ns, spin_ns, &until_ns) ? SHMFRAME_FOREVER : until_ns;
}

/* One sleep, or a spin. Notes when it ended, `*now_ns` from then on. 1: something woke it; 0: it
 * lasted as long as one may, or did not sleep. Errors: -EINTR. */
static __attribute__((hot)) int sleep_once(struct shmframe_reader *const *readers, uint32_t count,
                                           int64_t *now_ns, int64_t deadline_ns,
                                           int64_t spin_until_ns) {
    enum { PAUSE_MIN_NS = 1000000 };
    struct ring_reader *cores[SHMFRAME_WAIT_MAX];
    uint32_t open = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!readers[i]->is_at_end)
            cores[open++] = &readers[i]->link->core;
        /* Another thread was at the session: soon again. */
        if (readers[i]->object.is_upkeep_due)
            deadline_ns = min_ns(deadline_ns, *now_ns + PAUSE_MIN_NS);
    }
    struct bell_others others = find_others(readers[0]);
    others.is_frame_due = count == 1 && readers[0]->is_frame_due;
    /* Not past the next upkeep: soon, where a supervisor is awaited or has just come. */
    const int64_t upkeep_ns = session_upkeep_ns(readers[0]->object.session);
    deadline_ns = min_ns(deadline_ns, max_ns(upkeep_ns, *now_ns + PAUSE_MIN_NS));
    note_waiting(readers, count, *now_ns);
    if (*now_ns < spin_until_ns) {
        const int64_t until_ns = min_ns(spin_until_ns, deadline_ns);
        if (bell_spin(cores, open, &others, until_ns) || until_ns == deadline_ns) {
            *now_ns = clock_now_ns();
            note_woke(readers, count, *now_ns);
            return 0;
        }
    }
    const int code = bell_wait(cores, open, &others, deadline_ns);
    if (code == -ETIMEDOUT)
        readers[0]->is_frame_due = false;
    *now_ns = clock_now_ns();
    note_woke(readers, count, *now_ns);
    for (uint32_t i = 0; i < count; i++) {
        readers[i]->wake_ns = *now_ns;
        record_count(&readers[i]->record, RECORD_SLEEPS, 1);
    }
    return code == -EINTR ? code : code == 0;
}

static __attribute__((noinline)) void disarm(struct shmframe_reader *reader) {
    reader->is_armed = false;
    bell_disarm(&reader->link->core);
    reader->wake_ns = clock_now_ns();
    record_set_doing(&reader->record, SHMFRAME_DOING_AWAY, reader->wake_ns);
}

/* A reader waits in one way at a time. Its descriptor is readable then, and armed again as ever. */
static void stop_polling(struct shmframe_reader *const *readers, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!readers[i]->is_armed)
            continue;
        disarm(readers[i]);
        eventfd_write(readers[i]->mail_event, 1);
    }
}

static int wait_for(struct shmframe_reader *const *readers, uint32_t count, int64_t deadline_ns,
                    uint64_t *out_ready) {
    int64_t now_ns = clock_now_ns();
    int woken = 0;
    stop_polling(readers, count);
    const int64_t spin_until_ns = find_spin_end(readers, count, now_ns);
    for (;;) {
        const uint64_t ready = find_ready(readers, count, now_ns);
        if (ready) {
            *out_ready = ready;
            return 0;
        }
        record_count(&readers[0]->record, RECORD_SPURIOUS, (uint64_t)woken);
        int code = may_sleep(readers[0], now_ns, deadline_ns);
        if (code < 0)
            return code;
        woken = sleep_once(readers, count, &now_ns, deadline_ns, spin_until_ns);
        if (woken < 0)
            return woken;
    }
}

__attribute__((hot)) int shmframe_reader_wait(struct shmframe_reader *reader, int64_t deadline_ns) {
    uint64_t ready;
    return wait_for(&reader, 1, deadline_ns, &ready);
}

int shmframe_readers_wait(struct shmframe_reader *const *readers, uint32_t count,
                          int64_t deadline_ns, uint64_t *out_ready) {
    if (count == 0 || count > SHMFRAME_WAIT_MAX)
        return error_set(-EINVAL, "1 to %d readers can be waited for, not %u", SHMFRAME_WAIT_MAX,
                         count);
    for (uint32_t i = 1; i < count; i++)
        if (readers[i]->object.session != readers[0]->object.session)
            return error_set(-EINVAL, "the readers '%s' and '%s' are of different sessions",
                             readers[0]->stream, readers[i]->stream);
    uint64_t ready;
    int code = wait_for(readers, count, deadline_ns, &ready);
    if (code < 0)
        return code;
    *out_ready = ready;
    return __builtin_popcountll(ready);
}

/* ---- the descriptor to poll ---- */

/* Takes the bytes. At the end of the file, or of whatever a socket that is none of the right kind
 * says, it is of no more use. */
static void drain_wake(struct shmframe_reader *reader) {
    enum { BYTES_A_TURN = 16 };
    struct link_reader *link = reader->link;
    for (unsigned i = 0; i < BYTES_A_TURN && link->is_watched; i++) {
        char bytes[64];
        const ssize_t taken = recv(link->wake, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (taken < 0 && (errno == EAGAIN || errno == ENOMEM))
            break; /* of the latter the descriptor stays readable */
        if (taken == 0 || (taken < 0 && errno != EINTR)) {
            reader_unwatch(reader, link);
            close(link->wake);
            link->wake = -1;
        }
    }
    uint64_t count;
    eventfd_read(reader->mail_event, &count);
}

/* Nothing was there: makes the descriptor readable for what comes. False: look again. */
static bool arm(struct shmframe_reader *reader) {
    drain_wake(reader);
    if (!reader_watch(reader, reader->link)) /* readable until it is */
        eventfd_write(reader->mail_event, 1);
    session_lock(reader->object.session);
    session_do_upkeep(reader->object.session, clock_now_ns());
    session_unlock(reader->object.session);
    destroy_left(reader); /* no upkeep is due after this one: look_after() has none to see to it */
    if (has_notice(reader) || atomic_load_explicit(&reader->object.has_mail, memory_order_relaxed))
        return false;
    reader->is_armed = true;
    record_set_doing(&reader->record, SHMFRAME_DOING_POLLING, clock_now_ns());
    if (reader->is_at_end || bell_arm(&reader->link->core))
        return true;
    disarm(reader);
    return false;
}

/* ---- acquire ---- */

static inline __attribute__((always_inline)) int
take_or_arm(struct shmframe_reader *reader, struct shmframe_lease *out_leases, uint32_t count) {
    int code;
    if (reader->is_armed)
        disarm(reader);
    do {
        code = take(reader, clock_now_ns(), out_leases, count);
    } while (code == -EAGAIN && reader->epoll >= 0 && !arm(reader));
    return code;
}

/* Nothing was there. */
static __attribute__((noinline, hot)) int await_frames(struct shmframe_reader *reader,
                                                       int64_t deadline_ns,
                                                       struct shmframe_lease *out_leases,
                                                       uint32_t count) {
    int code = -EAGAIN;
    stop_polling(&reader, 1);
    int64_t now_ns = clock_now_ns();
    const int64_t spin_until_ns = find_spin_end(&reader, 1, now_ns);
    for (; code == -EAGAIN; now_ns = clock_now_ns()) {
        /* Asked each time: no writer that recycles every slot under our hands keeps us longer. */
        code = may_sleep(reader, now_ns, deadline_ns);
        if (code < 0)
            return code;
        const int woken = sleep_once(&reader, 1, &now_ns, deadline_ns, spin_until_ns);
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
