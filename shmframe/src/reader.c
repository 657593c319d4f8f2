#include "reader.h"

#include "bell.h"
#include "clock.h"
#include "error.h"
#include "format.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

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
static int look_after(struct shmframe_reader *reader, int64_t now_ns) {
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

static int attend(struct shmframe_reader *reader, int64_t now_ns) {
    if (has_notice(reader) || session_upkeep_is_due(reader->object.session, now_ns) ||
        atomic_load_explicit(&reader->object.has_mail, memory_order_relaxed))
        return look_after(reader, now_ns);
    return 0;
}

/* ---- from ring to ring ---- */

static bool is_gone(const struct shmframe_reader *reader) {
    return reader->gone_generation >= reader->link->generation;
}

/* Leaves the ring, which is drained and over, for the next one, if that is there. */
static bool move_on(struct shmframe_reader *reader, bool is_ended) {
    struct link_reader *next = TAILQ_FIRST(&reader->next);
    struct link_reader *former = reader->link;
    if (!next)
        return false;
    /* The former writer may have died since, and still be the one who made both. */
    const bool is_restart = is_ended || next->gone_generation >= former->generation;
    TAILQ_REMOVE(&reader->next, next, next);
    TAILQ_INSERT_TAIL(&reader->left, former, next);
    reader->link = next;
    if (reader->epoll >= 0) {
        reader_unwatch(reader, former);
        reader_watch(reader, next);
    }
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
    return true;
}

/* What acquire finds when it looks: 0 a frame; -EAGAIN; -ENODATA, which `may_tell` marks as told;
 * or the reader's failure. Moves on to the next ring where this one is over. */
static int look(struct shmframe_reader *reader, bool may_tell) {
    for (;;) {
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
        if (!move_on(reader, is_ended))
            return -EAGAIN;
    }
}

/* ---- taking ---- */

static void count_lost(struct shmframe_reader *reader, enum shmframe_lost_cause cause,
                       uint64_t first, uint64_t count) {
    if (count == 0)
        return;
    const struct shmframe_reader_event event = {.type = SHMFRAME_LOST,
                                                .cause = cause,
                                                .first = first,
                                                .count = count,
                                                .generation = reader->link->generation};
    reader_add_event(reader, &event);
    record_count(&reader->record,
                 cause == SHMFRAME_LOST_LATE ? RECORD_LOST_LATE : RECORD_LOST_RESTART, count);
}

/* Frames that were not delivered since the last one, in this ring and before it. */
static void account(struct shmframe_reader *reader, const struct ring_frame *frame,
                    struct shmframe_lease *lease) {
    const uint64_t in_ring = frame->passed;
    uint64_t before = 0;
    if (reader->last && frame->sequence - 1 > reader->last + in_ring)
        before = frame->sequence - 1 - reader->last - in_ring;
    lease->lost = lease->skipped = 0;
    if (in_ring + before == 0)
        return;
    if (reader->policy == SHMFRAME_LATEST) {
        lease->skipped = in_ring + before;
        record_count(&reader->record, RECORD_SKIPPED, lease->skipped);
        return;
    }
    lease->lost = in_ring + before;
    count_lost(reader, SHMFRAME_LOST_RESTART, frame->sequence - in_ring - before, before);
    count_lost(reader, SHMFRAME_LOST_LATE, frame->sequence - in_ring, in_ring);
}

static int check_stamps(const struct shmframe_reader *reader, struct shmframe_frame *frame) {
    const struct shmframe_format *format = &reader->link->geometry.format;
    if (frame->bytes > format_bytes_max(format) ||
        (format->kind == SHMFRAME_AUDIO && frame->samples > format->audio.samples_max))
        return error_set(-EPROTO,
                         "stream '%s': frame %llu says it has %u bytes, %u samples: more than its "
                         "slot",
                         reader->stream, (unsigned long long)frame->sequence, frame->bytes,
                         frame->samples);
    if (frame->flags & SHMFRAME_HAS_ORIGIN)
        frame->origin.stream[SHMFRAME_NAME_BYTES - 1] = '\0';
    return 0;
}

static int deliver(struct shmframe_reader *reader, const struct ring_frame *frame, int64_t now_ns,
                   struct shmframe_lease *lease) {
    struct link_reader *link = reader->link;
    ring_copy_stamps(&link->core, frame, &lease->frame);
    int code = check_stamps(reader, &lease->frame);
    if (code < 0) {
        ring_release(&link->core, frame->cell, frame->sequence, frame->slot);
        return code;
    }
    account(reader, frame, lease);
    lease->data =
        (const uint8_t *)link->ring.base + layout_slot_offset(&link->geometry, frame->slot);
    lease->format = &link->geometry.format;
    lease->stream = reader->stream;
    lease->wake_ns = reader->wake_ns >= lease->frame.publish_ns ? reader->wake_ns : 0;
    lease->acquire_ns = now_ns;
    lease->flags = reader->lease_flags;
    lease->cell = frame->cell << 16 | frame->slot;
    lease->link = link;
    lease->reader = reader;
    /* Two frames that came one after the other tell of the next. A writer's stamps are data: those
     * that make no sense only mean the longer way to sleep. */
    int64_t period_ns;
    reader->is_frame_due =
        !__builtin_sub_overflow(lease->frame.publish_ns, reader->last_publish_ns, &period_ns) &&
        period_ns > 0 && period_ns <= BELL_PERIOD_MAX_NS && frame->passed == 0;
    reader->last_publish_ns = lease->frame.publish_ns;
    reader->last = frame->sequence;
    atomic_store_explicit(&reader->told, frame->sequence, memory_order_relaxed);
    reader->lease_flags = 0;
    reader->wake_ns = 0;
    record_acquired(&reader->record, lease);
    return 0;
}

/* Takes a frame that is there. */
static int take(struct shmframe_reader *reader, int64_t now_ns, struct shmframe_lease *out_lease) {
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
        struct ring_frame frame;
        uint64_t retries = 0;
        code = ring_acquire(&reader->link->core, &frame, &retries);
        if (retries)
            record_count(&reader->record, RECORD_RETRIES, retries);
        if (code == 0)
            return deliver(reader, &frame, now_ns, out_lease);
        if (code == -EBUSY)
            return error_set(code, "the reader '%s' of stream '%s' holds %u leases, all it has",
                             reader->name, reader->stream, reader->link->core.leases);
        if (code == -EPROTO)
            return error_set(code, "the ring of stream '%s' contradicts itself", reader->stream);
        code = look(reader, true);
    }
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
    return look(reader, false) != -EAGAIN;
}

static bool is_at_open_ring(const struct shmframe_reader *reader) {
    return ring_look(&reader->link->core, NULL) != RING_OVER;
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

/* One sleep. Notes when it ended. 1: something woke it; 0: it lasted as long as one may. Errors:
 * -EINTR. */
static int sleep_once(struct shmframe_reader *const *readers, uint32_t count, int64_t now_ns,
                      int64_t deadline_ns, bool may_spin) {
    enum { PAUSE_MIN_NS = 1000000 };
    struct ring_reader *cores[SHMFRAME_WAIT_MAX] = {NULL};
    uint32_t open = 0;
    int64_t spin_ns = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (is_at_open_ring(readers[i]))
            cores[open++] = &readers[i]->link->core;
        spin_ns = readers[i]->spin_ns > spin_ns ? readers[i]->spin_ns : spin_ns;
        /* Another thread was at the session: soon again. */
        if (readers[i]->object.is_upkeep_due)
            deadline_ns = min_ns(deadline_ns, now_ns + PAUSE_MIN_NS);
    }
    struct bell_others others = find_others(readers[0]);
    others.is_frame_due = count == 1 && readers[0]->is_frame_due;
    /* Not past the next upkeep: soon, where a supervisor is awaited or has just come. */
    const int64_t upkeep_ns = session_upkeep_ns(readers[0]->object.session);
    deadline_ns = min_ns(deadline_ns, max_ns(upkeep_ns, now_ns + PAUSE_MIN_NS));
    if (may_spin && spin_ns > 0 &&
        bell_spin(cores, open, &others, min_ns(deadline_ns, now_ns + spin_ns)))
        return 0;
    const int code = bell_wait(cores, open, &others, deadline_ns);
    if (code == -ETIMEDOUT)
        readers[0]->is_frame_due = false;
    const int64_t woke_ns = clock_now_ns();
    for (uint32_t i = 0; i < count; i++) {
        readers[i]->wake_ns = woke_ns;
        record_count(&readers[i]->record, RECORD_SLEEPS, 1);
    }
    return code == -EINTR ? code : code == 0;
}

static void disarm(struct shmframe_reader *reader) {
    reader->is_armed = false;
    bell_disarm(&reader->link->core);
    reader->wake_ns = clock_now_ns();
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
    for (bool is_first = true;; is_first = false) {
        const uint64_t ready = find_ready(readers, count, now_ns);
        if (ready) {
            *out_ready = ready;
            return 0;
        }
        record_count(&readers[0]->record, RECORD_SPURIOUS, (uint64_t)woken);
        int code = may_sleep(readers[0], now_ns, deadline_ns);
        if (code < 0)
            return code;
        woken = sleep_once(readers, count, now_ns, deadline_ns, is_first);
        if (woken < 0)
            return woken;
        now_ns = clock_now_ns();
    }
}

int shmframe_reader_wait(struct shmframe_reader *reader, int64_t deadline_ns) {
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
        if (taken < 0 && errno == EAGAIN)
            break;
        if (taken == 0 || (taken < 0 && errno != EINTR))
            reader_unwatch(reader, link);
    }
    uint64_t count;
    eventfd_read(reader->mail_event, &count);
}

/* Nothing was there: makes the descriptor readable for what comes. False: look again. */
static bool arm(struct shmframe_reader *reader) {
    drain_wake(reader);
    session_lock(reader->object.session);
    session_do_upkeep(reader->object.session, clock_now_ns());
    session_unlock(reader->object.session);
    if (has_notice(reader) || atomic_load_explicit(&reader->object.has_mail, memory_order_relaxed))
        return false;
    reader->is_armed = true;
    if (!is_at_open_ring(reader) || bell_arm(&reader->link->core))
        return true;
    disarm(reader);
    return false;
}

/* ---- acquire, release ---- */

static int take_or_arm(struct shmframe_reader *reader, struct shmframe_lease *out_lease) {
    int code;
    if (reader->is_armed)
        disarm(reader);
    do {
        code = take(reader, clock_now_ns(), out_lease);
    } while (code == -EAGAIN && reader->epoll >= 0 && !arm(reader));
    return code;
}

int shmframe_reader_acquire(struct shmframe_reader *reader, int64_t deadline_ns,
                            struct shmframe_lease *out_lease) {
    int code = take_or_arm(reader, out_lease);
    if (code != -EAGAIN || deadline_ns == SHMFRAME_NOW)
        return code;
    stop_polling(&reader, 1);
    for (bool is_first = true; code == -EAGAIN; is_first = false) {
        /* Asked each time: no writer that recycles every slot under our hands keeps us longer. */
        const int64_t now_ns = clock_now_ns();
        code = may_sleep(reader, now_ns, deadline_ns);
        if (code < 0)
            return code;
        const int woken = sleep_once(&reader, 1, now_ns, deadline_ns, is_first);
        if (woken < 0)
            return woken;
        code = take(reader, clock_now_ns(), out_lease);
        if (code == -EAGAIN)
            record_count(&reader->record, RECORD_SPURIOUS, (uint64_t)woken);
    }
    return code;
}

int shmframe_reader_acquire_batch(struct shmframe_reader *reader, int64_t deadline_ns,
                                  struct shmframe_lease *out_leases, uint32_t count) {
    if (count == 0)
        return error_set(-EINVAL, "a batch of no frames");
    int code = shmframe_reader_acquire(reader, deadline_ns, &out_leases[0]);
    if (code < 0)
        return code;
    uint32_t taken = 1;
    /* What comes instead of a further frame is told by the next call. */
    while (taken < count && ring_reader_has_room(&reader->link->core) && look(reader, false) == 0 &&
           out_leases[taken - 1].link == reader->link &&
           take(reader, clock_now_ns(), &out_leases[taken]) == 0)
        taken++;
    return (int)taken;
}

int shmframe_reader_release(struct shmframe_reader *reader, struct shmframe_lease *lease) {
    if (!lease->link || lease->reader != reader)
        return error_set(-EINVAL, "what is to be released is no lease of this reader");
    struct link_reader *link = lease->link;
    const uint32_t cell = lease->cell >> 16, slot = lease->cell & 0xffff;
    const int64_t now_ns = clock_now_ns();
    const uint64_t sequence = lease->frame.sequence;
    lease->link = NULL;
    if (!ring_is_leased(&link->core, cell, sequence, slot))
        return error_set(-EINVAL, "frame %llu of stream '%s' is not on lease",
                         (unsigned long long)sequence, reader->stream);
    const bool is_alone =
        reader->leases == 1 && !atomic_load_explicit(&reader->is_astride, memory_order_relaxed);
    record_released(&reader->record, lease, now_ns, is_alone);
    /* From here on the link may go. */
    if (ring_release(&link->core, cell, sequence, slot) == 0)
        return 0;
    record_stale(&reader->record);
    return error_set(-ESTALE, "frame %llu of stream '%s' was overwritten while it was read",
                     (unsigned long long)sequence, reader->stream);
}

void shmframe_reader_present(struct shmframe_reader *reader, const struct shmframe_lease *lease,
                             int64_t present_ns) {
    record_presented(&reader->record, lease, present_ns);
}

const uint8_t *shmframe_lease_plane(const struct shmframe_lease *lease, unsigned plane) {
    return plane < lease->format->plane_count ? lease->data + lease->format->plane[plane].offset
                                              : NULL;
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

int shmframe_reader_flights(const struct shmframe_reader *reader,
                            struct shmframe_flight *out_flights, uint32_t count) {
    return record_get_flights(reader->record.page, out_flights, count);
}
