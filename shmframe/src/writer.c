/* Writer: the way of every frame, and its end. */
#include "writer.h"

#include "bell.h"
#include "clock.h"
#include "error.h"
#include "format.h"
#include "step.h"

#include <errno.h>

/* A reader backs with memory what its grant adds; a while later it costs the writer little. */
#define WARM_DELAY_NS INT64_C(20000000)

/* ---- loan ---- */

/* Mail, links that are over, rings that nobody needs: rarely, and never for long. */
static __attribute__((noinline, cold)) void look_after(struct shmframe_writer *writer,
                                                       int64_t now_ns) {
    struct shmframe_session *session = writer->object.session;
    struct writer_ring *ring = writer->ring;
    ring_writer_refresh(&ring->core);
    /* A publish may have read the page meanwhile: what it tells of mail is still to be looked at.
     */
    const bool has_notice = ring->core.has_news;
    ring->core.has_news = false;
    if (has_notice && writer_ring_warm_target(writer, ring) > ring->core.warm)
        ring->warm_ns = now_ns + WARM_DELAY_NS;
    writer->object.is_upkeep_due =
        !session_upkeep(session, now_ns, has_notice || writer->object.is_upkeep_due);
    if (pthread_mutex_trylock(&session->mutex) == 0) {
        writer_settle(writer);
        session_unlock(session);
    }
}

static __attribute__((noinline, cold)) void warm_one(struct shmframe_writer *writer,
                                                     struct writer_ring *ring, int64_t now_ns) {
    if (now_ns < ring->warm_ns)
        return;
    if (ring->core.warm >= writer_ring_warm_target(writer, ring) ||
        writer_ring_warm(ring, ring->core.warm + 1) < 0)
        ring->warm_ns = 0;
    ledger_warmed(&writer->ledger, ring->core.warm, false);
}

static void attend(struct shmframe_writer *writer, int64_t now_ns) {
    const struct writer_ring *ring = writer->ring;
    if (ring_writer_has_notice(&ring->core) || ring->core.has_news || ring->core.links_over ||
        writer->object.is_upkeep_due || session_upkeep_is_due(writer->object.session, now_ns) ||
        atomic_load_explicit(&writer->object.has_mail, memory_order_relaxed))
        look_after(writer, now_ns);
    if (writer->ring->warm_ns)
        warm_one(writer, writer->ring, now_ns);
}

/* For as long as a sleep and its end would cost, until half of the history is taken: going on with
 * less, two that are quick would wait for each other at each frame. Not while other threads want
 * the mutex. True: no need to sleep. */
static bool spin_for(struct shmframe_writer *writer, const struct ring_link *link,
                     int64_t deadline_ns) {
    enum { SPIN_NS = 30000 };
    struct ring_writer *core = &writer->ring->core;
    const int64_t spin_ns = clock_now_ns() + SPIN_NS;
    const int64_t until_ns = spin_ns < deadline_ns ? spin_ns : deadline_ns;
    if (writer->is_threaded)
        return false;
    do {
        if (ring_writer_backlog(core, link) <= core->history / 2)
            return true;
        futex_relax();
    } while (clock_now_ns() < until_ns);
    return ring_writer_behind(core) != link;
}

/* Sleeps once for the reader of `link`, without the writer's mutex. */
static int sleep_for(struct shmframe_writer *writer, struct ring_link *link, int64_t deadline_ns) {
    struct writer_ring *ring = writer->ring;
    const struct bell_others others = {.notice = ring->core.notice,
                                       .notice_seen = ring->core.notice_seen,
                                       .interrupt = &writer->object.session->interrupt};
    struct futex_word words[3];
    ring->sleepers++;
    link->sleepers++;
    const uint32_t count = bell_arm_space(&ring->core, link, &others, words);
    writer_unlock(writer);
    int code = count ? bell_sleep(words, count, deadline_ns) : 0;
    STEP(SPACE_SLEPT);
    writer_lock(writer);
    ring->sleepers--;
    if (--link->sleepers == 0)
        bell_disarm_space(link);
    return code;
}

/* `*out_has_waited`: the ledger is still to be told that it is over. */
static __attribute__((noinline)) int await_readers(struct shmframe_writer *writer,
                                                   int64_t deadline_ns, bool *out_has_waited) {
    int code = 0;
    *out_has_waited = false;
    for (;;) {
        ring_writer_refresh(&writer->ring->core);
        if (writer->ring->core.has_news)
            look_after(writer, clock_now_ns());
        struct ring_link *link = ring_writer_behind(&writer->ring->core);
        if (!link)
            return 0;
        const int64_t now_ns = clock_now_ns();
        ledger_blocked_by(&writer->ledger, &writer->ring->core, link, now_ns);
        if (session_is_interrupted(writer->object.session) || code == -EINTR)
            return -EINTR;
        if (now_ns >= deadline_ns)
            return deadline_ns == SHMFRAME_NOW ? -EAGAIN : -ETIMEDOUT;
        if (!*out_has_waited)
            ledger_waits(&writer->ledger, now_ns);
        *out_has_waited = true;
        code = 0;
        if (!spin_for(writer, link, deadline_ns))
            code = sleep_for(writer, link, deadline_ns);
        attend(writer, clock_now_ns());
    }
}

/* `*now_ns` is when it was over, if there was none at once. */
static int await_space(struct shmframe_writer *writer, int64_t deadline_ns, int64_t *now_ns) {
    struct ring_writer *core = &writer->ring->core;
    bool has_waited;
    ring_writer_refresh(core);
    if (!core->has_news && !ring_writer_behind(core))
        return 0;
    const int code = await_readers(writer, deadline_ns, &has_waited);
    if (has_waited || code < 0)
        *now_ns = clock_now_ns();
    if (has_waited)
        ledger_waited(&writer->ledger, *now_ns);
    return code;
}

static int refuse_no_slot(struct shmframe_writer *writer, int64_t now_ns) {
    ledger_blocked_by_most(&writer->ledger, &writer->ring->core, now_ns);
    return error_set(-ENOSPC,
                     "stream '%s' has no slot free: its %u slots are on loan, pinned, in the "
                     "history or read",
                     writer->stream, writer->ring->core.slots);
}

static int check_may_lend(struct shmframe_writer *writer, int64_t now_ns) {
    if (writer->is_ended)
        return -ENODATA;
    if (writer->is_lost)
        return writer_say_lost(writer);
    if (writer->ring->out < writer->loans)
        return 0;
    ledger_blocked_by_self(&writer->ledger, writer->ring->out, now_ns);
    return error_set(-EBUSY,
                     "stream '%s' has %u slots on loan or pinned, as many as were asked for",
                     writer->stream, writer->ring->out);
}

/* Sleeps for a moment, without the writer's mutex. */
static int rest(struct shmframe_writer *writer, int64_t now_ns, int64_t deadline_ns) {
    enum { MOMENT_NS = 2000000 };
    struct writer_ring *ring = writer->ring;
    const struct bell_others others = {.notice = ring->core.notice,
                                       .notice_seen = ring->core.notice_seen,
                                       .interrupt = &writer->object.session->interrupt};
    const int64_t until_ns = now_ns + MOMENT_NS;
    ring->sleepers++;
    writer_unlock(writer);
    int code = session_is_interrupted(writer->object.session) ? -EINTR : 0;
    if (code == 0)
        code = bell_rest(&others, until_ns < deadline_ns ? until_ns : deadline_ns);
    writer_lock(writer);
    ring->sleepers--;
    return session_is_interrupted(writer->object.session) ? -EINTR : code;
}

/* Up to `count` slots, at least one; returns how many. `*now_ns` becomes when they were there, if
 * they were not at once. */
static inline __attribute__((always_inline)) int take_slots(struct shmframe_writer *writer,
                                                            int64_t *now_ns, int64_t deadline_ns,
                                                            uint32_t *out_slots, uint32_t count) {
    int code = check_may_lend(writer, *now_ns);
    if (code == 0 && writer->ring->core.lossless) {
        code = await_space(writer, deadline_ns, now_ns);
        if (code == 0) /* other threads went on meanwhile */
            code = check_may_lend(writer, *now_ns);
    }
    if (code < 0)
        return code;
    struct writer_ring *ring = writer->ring;
    const uint32_t left = writer->loans - ring->out;
    int found = count == 1 ? ring_loan(&ring->core, out_slots)
                           : ring_loan_batch(&ring->core, out_slots, count < left ? count : left);
    if (found < 0)
        return refuse_no_slot(writer, *now_ns);
    found = count == 1 ? 1 : found;
    if (out_slots[0] < ring->core.warm)
        return found;
    code = writer_ring_warm(ring, out_slots[0] + 1);
    ledger_warmed(&writer->ledger, ring->core.warm, true);
    if (code < 0) {
        ring_abandon(&ring->core, out_slots[0]);
        return code;
    }
    return found;
}

/* A lossless reader holds other frames than those that it was waited for, in a ring without a slot
 * to spare: waited for like any that is behind. The end of a lease calls nobody, so it is looked
 * for now and then. */
static __attribute__((noinline, cold)) int take_after_release(struct shmframe_writer *writer,
                                                              int64_t *now_ns, int64_t deadline_ns,
                                                              uint32_t *out_slots, uint32_t count) {
    bool has_waited = false;
    int code = -ENOSPC;
    while (code == -ENOSPC) {
        const struct ring_link *link = ring_writer_overdrawn(&writer->ring->core);
        if (!link)
            break;
        ledger_blocked_by(&writer->ledger, &writer->ring->core, link, *now_ns);
        if (*now_ns >= deadline_ns) {
            code = deadline_ns == SHMFRAME_NOW ? -EAGAIN : -ETIMEDOUT;
            break;
        }
        if (!has_waited)
            ledger_waits(&writer->ledger, *now_ns);
        has_waited = true;
        code = rest(writer, *now_ns, deadline_ns);
        *now_ns = clock_now_ns();
        attend(writer, *now_ns);
        if (code != -EINTR)
            code = take_slots(writer, now_ns, deadline_ns, out_slots, count);
    }
    if (has_waited)
        ledger_waited(&writer->ledger, *now_ns);
    return code;
}

static void fill_loan(const struct writer_ring *ring, uint32_t slot, int64_t now_ns,
                      struct shmframe_loan *out_loan) {
    const struct shmframe_format *format = &ring->format;
    out_loan->data = (uint8_t *)ring->region.base + writer_ring_slot_offset(ring, slot);
    out_loan->format = format;
    out_loan->slot = slot;
    out_loan->ring = ring->id;
    out_loan->own_dropped = 0;
    struct shmframe_frame *frame = &out_loan->frame;
    frame->sequence = 0;
    frame->capture_ns = frame->loan_ns = now_ns;
    frame->publish_ns = 0;
    frame->pts = SHMFRAME_NO_PTS;
    frame->duration = 0;
    frame->bytes = format_bytes_max(format);
    frame->samples = format->kind == SHMFRAME_AUDIO ? format->audio.samples_max : 0;
    frame->flags = frame->device_dropped = 0;
}

static inline __attribute__((always_inline)) int lend(struct shmframe_writer *writer,
                                                      int64_t deadline_ns,
                                                      struct shmframe_loan *out_loans,
                                                      uint32_t count) {
    uint32_t slots[WRITER_LOANS_MAX];
    writer_lock(writer);
    int64_t now_ns = clock_now_ns();
    attend(writer, now_ns);
    int code = take_slots(writer, &now_ns, deadline_ns, slots, count);
    if (code == -ENOSPC)
        code = take_after_release(writer, &now_ns, deadline_ns, slots, count);
    if (code > 0) {
        ledger_lent(&writer->ledger, writer->sequence + 1, now_ns);
        for (int i = 0; i < code; i++)
            fill_loan(writer->ring, slots[i], now_ns, &out_loans[i]);
        writer->ring->out += (uint32_t)code; /* they have no pins: those keep a slot from it */
    } else if (code == -EAGAIN || code == -ETIMEDOUT || code == -ENOSPC || code == -EBUSY) {
        ledger_refused(&writer->ledger, code, writer->sequence + 1, now_ns);
    } else {
        ledger_given_up(&writer->ledger, now_ns);
    }
    writer_unlock(writer);
    return code;
}

__attribute__((hot)) int shmframe_writer_loan(struct shmframe_writer *writer, int64_t deadline_ns,
                                              struct shmframe_loan *out_loan) {
    const int code = lend(writer, deadline_ns, out_loan, 1);
    return code < 0 ? code : 0;
}

int shmframe_writer_loan_batch(struct shmframe_writer *writer, int64_t deadline_ns,
                               struct shmframe_loan *out_loans, uint32_t count) {
    if (count == 0)
        return error_set(-EINVAL, "a batch of no loans");
    return lend(writer, deadline_ns, out_loans,
                count < WRITER_LOANS_MAX ? count : WRITER_LOANS_MAX);
}

/* ---- publish ---- */

static struct writer_ring *find_ring(struct shmframe_writer *writer, uint32_t id) {
    struct writer_ring *ring = writer->ring;
    while (ring && ring->id != id)
        ring = ring->next;
    return ring;
}

static struct writer_ring *find_loan(struct shmframe_writer *writer,
                                     const struct shmframe_loan *loan) {
    struct writer_ring *ring = find_ring(writer, loan->ring);
    const bool is_loaned =
        ring && loan->slot < ring->core.slots && ring_set_has(&ring->core.loaned, loan->slot);
    return is_loaned ? ring : NULL;
}

static void end_loan(struct writer_ring *ring, uint32_t slot) {
    ring_abandon(&ring->core, slot);
    ring->out -= ring->pins[slot] == 0;
}

static bool is_closed(const struct writer_ring *ring) {
    /* Relaxed: only we write it. */
    return atomic_load_explicit(&ring->core.ring->state, memory_order_relaxed) != RING_OPEN;
}

static int refuse_not_loaned(const struct shmframe_writer *writer, const char *what) {
    return error_set(-EINVAL, "stream '%s': what is to be %s is not on loan", writer->stream, what);
}

/* `ring` is of the first. */
static inline __attribute__((always_inline)) int check_batch(const struct shmframe_writer *writer,
                                                             const struct writer_ring *ring,
                                                             const struct shmframe_loan *loans,
                                                             uint32_t count) {
    const struct shmframe_format *format = &ring->format;
    struct ring_set seen = {{0}};
    for (uint32_t i = 0; i < count; i++) {
        if (loans[i].ring != ring->id || loans[i].slot >= ring->core.slots ||
            !ring_set_has(&ring->core.loaned, loans[i].slot))
            return refuse_not_loaned(writer, "published");
        if (count > 1 && ring_set_has(&seen, loans[i].slot))
            return refuse_not_loaned(writer, "published twice");
        ring_set_add(&seen, loans[i].slot);
        if (format->kind == SHMFRAME_AUDIO ? loans[i].frame.samples > format->audio.samples_max
                                           : loans[i].frame.bytes > format_bytes_max(format))
            return error_set(
                -EINVAL, "stream '%s': a frame of %u %s does not fit its slot", writer->stream,
                format->kind == SHMFRAME_AUDIO ? loans[i].frame.samples : loans[i].frame.bytes,
                format->kind == SHMFRAME_AUDIO ? "samples" : "bytes");
    }
    return 0;
}

static int give_back_stale(struct shmframe_writer *writer, struct writer_ring *ring,
                           const struct shmframe_loan *loans, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        end_loan(ring, loans[i].slot);
    return error_set(-ESTALE, "stream '%s': the loan's ring was closed by a later one",
                     writer->stream);
}

/* The first frame of a ring says that nothing follows in older ones. */
static void close_older(struct writer_ring *ring) {
    for (struct writer_ring *older = ring->next; older; older = older->next)
        if (!is_closed(older)) {
            ring_end(&older->core, RING_CLOSED);
            STEP(RING_CLOSED);
        }
}

static inline __attribute__((always_inline)) void put_all(struct shmframe_writer *writer,
                                                          struct writer_ring *ring,
                                                          struct shmframe_loan *loans,
                                                          uint32_t count) {
    const int64_t now_ns = clock_now_ns();
    ring_order_payloads();
    for (uint32_t i = 0; i < count; i++) {
        loans[i].frame.publish_ns = now_ns;
        ring_put(&ring->core, loans[i].slot, &loans[i].frame);
        ring->out -= ring->pins[loans[i].slot] == 0;
        ledger_published(&writer->ledger, &ring->format, &loans[i].frame, loans[i].own_dropped);
    }
}

static inline __attribute__((always_inline)) int
publish(struct shmframe_writer *writer, struct shmframe_loan *loans, uint32_t count) {
    writer_lock(writer);
    struct writer_ring *ring = find_loan(writer, &loans[0]);
    int code =
        ring ? check_batch(writer, ring, loans, count) : refuse_not_loaned(writer, "published");
    if (code == 0) {
        if (is_closed(ring)) {
            code = give_back_stale(writer, ring, loans, count);
        } else {
            if (ring->core.first == 0)
                close_older(ring);
            put_all(writer, ring, loans, count);
            ring_announce(&ring->core);
        }
    }
    writer_unlock(writer);
    return code;
}

__attribute__((hot)) int shmframe_writer_publish(struct shmframe_writer *writer,
                                                 struct shmframe_loan *loan) {
    return publish(writer, loan, 1);
}

int shmframe_writer_publish_batch(struct shmframe_writer *writer, struct shmframe_loan *loans,
                                  uint32_t count) {
    return count ? publish(writer, loans, count) : 0;
}

int shmframe_writer_abandon(struct shmframe_writer *writer, struct shmframe_loan *loan) {
    writer_lock(writer);
    struct writer_ring *ring = find_loan(writer, loan);
    if (ring) {
        end_loan(ring, loan->slot);
        ledger_abandoned(&writer->ledger);
    }
    writer_unlock(writer);
    return ring ? 0 : refuse_not_loaned(writer, "abandoned");
}

int shmframe_writer_pin(struct shmframe_writer *writer, const struct shmframe_loan *loan) {
    writer_lock(writer);
    struct writer_ring *ring = find_loan(writer, loan);
    if (ring && ring->pins[loan->slot] == UINT16_MAX)
        ring = NULL;
    if (ring && ring->pins[loan->slot]++ == 0)
        ring_set_add(&ring->core.pinned, loan->slot);
    writer_unlock(writer);
    return ring ? 0 : refuse_not_loaned(writer, "pinned");
}

int shmframe_writer_unpin(struct shmframe_writer *writer, uint32_t ring_id, uint32_t slot) {
    writer_lock(writer);
    struct writer_ring *ring = find_ring(writer, ring_id);
    if (ring && (slot >= ring->core.slots || ring->pins[slot] == 0))
        ring = NULL;
    if (ring && --ring->pins[slot] == 0) {
        ring_set_remove(&ring->core.pinned, slot);
        ring->out -= !ring_set_has(&ring->core.loaned, slot);
    }
    writer_unlock(writer);
    return ring ? 0
                : error_set(-EINVAL, "stream '%s': slot %u is not pinned", writer->stream, slot);
}

void shmframe_writer_set_paced(struct shmframe_writer *writer, bool is_paced) {
    writer_lock(writer);
    ledger_set_paced(&writer->ledger, is_paced);
    writer_unlock(writer);
}

/* ---- end ---- */

static bool has_loans(const struct writer_ring *ring) {
    for (; ring; ring = ring->next)
        for (unsigned i = 0; i < RING_SLOTS_MAX / 64; i++)
            if (ring->core.loaned.word[i])
                return true;
    return false;
}

static void end_rings(struct shmframe_writer *writer) {
    ledger_lent(&writer->ledger, writer->sequence + 1, clock_now_ns());
    close_older(writer->ring);
    ring_end(&writer->ring->core, RING_ENDED);
    STEP(RING_ENDED);
    session_lock(writer->object.session);
    writer->is_ended = true;
    writer_send_close(writer, MESSAGE_ENDED);
    STEP(WRITER_CLOSED);
    session_unlock(writer->object.session);
}

int shmframe_writer_end(struct shmframe_writer *writer) {
    writer_lock(writer);
    int code = 0;
    if (!writer->is_ended && has_loans(writer->ring))
        code = error_set(-EBUSY, "stream '%s' has slots on loan: publish or abandon them first",
                         writer->stream);
    else if (!writer->is_ended)
        end_rings(writer);
    writer_unlock(writer);
    return code;
}

void shmframe_writer_close(struct shmframe_writer *writer) {
    if (!writer)
        return;
    writer_lock(writer);
    if (!writer->is_ended)
        end_rings(writer);
    writer_unlock(writer);
    writer_destroy(writer);
}

/* ---- readers and counters ---- */

int shmframe_writer_wait_readers(struct shmframe_writer *writer, uint32_t readers,
                                 int64_t deadline_ns) {
    int code = 0;
    while (code == 0 && shmframe_writer_readers(writer) < readers) {
        session_lock(writer->object.session);
        code = session_await(writer->object.session, deadline_ns);
        session_unlock(writer->object.session);
        writer_lock(writer);
        attend(writer, clock_now_ns());
        writer_unlock(writer);
    }
    return code;
}

void shmframe_writer_counters(struct shmframe_writer *writer,
                              struct shmframe_writer_counters *out_counters) {
    writer_lock(writer);
    *out_counters = writer->ledger.counters;
    for (const struct writer_ring *ring = writer->ring; ring; ring = ring->next)
        out_counters->bells_rung += ring->core.rings;
    out_counters->slots_used = writer->ring->core.warm;
    writer_unlock(writer);
}
