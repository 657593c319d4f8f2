/* Reader: what it sees beside frames: the supervisor's notices, the end of a ring, the next one. */
#include "reader.h"

#include "error.h"
#include "step.h"

#include <errno.h>

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

/* Leases of older rings that are still held: more than one lease is out then, whatever was granted.
 */
static void note_astride(struct shmframe_reader *reader) {
    atomic_store_explicit(&reader->is_astride, !TAILQ_EMPTY(&reader->left), memory_order_relaxed);
}

void reader_destroy_left(struct shmframe_reader *reader) {
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

int reader_look_after(struct shmframe_reader *reader, int64_t now_ns) {
    const bool is_noticed = reader_has_notice(reader);
    if (is_noticed)
        read_entry(reader);
    reader->object.is_upkeep_due =
        !session_upkeep(reader->object.session, now_ns, is_noticed || reader->object.is_upkeep_due);
    reader_destroy_left(reader);
    if (!atomic_load_explicit(&reader->object.has_mail, memory_order_relaxed))
        return 0;
    /* What the page says by then is for the next look, which asks for mail again. */
    return reader_take_mail(reader);
}

/* ---- from ring to ring ---- */

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
    overrun_moved(&reader->clock, reader_rung_ns(former));
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
    reader_destroy_left(reader);
    STEP(RING_LEFT);
    return true;
}

int reader_look(struct shmframe_reader *reader, bool may_tell) {
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
