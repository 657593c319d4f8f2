/* Holds: leases that readers keep for too long, and sleeps from which they do not come. */
#include "watch_account.h"

#include "record.h"
#include "server.h"

/* ---- holds ---- */

static const struct config_watch *limit_of(struct stream_reader *reader) {
    struct watch_reader *watched = &reader->watch;
    const struct watch *watch = reader->stream->server->watch;
    const struct watch_hooks *hooks = watch->hooks;
    if (watched->epoch == watch->epoch)
        return &watched->limit;
    static const struct config none;
    watched->epoch = watch->epoch;
    watched->limit =
        hooks ? hooks->hold(hooks->user, reader->client->process->pid, reader->stream->name)
              : config_hold(&none, NULL, reader->stream->name);
    return &watched->limit;
}

struct hold {
    uint64_t sequence;  /* 0: not found */
    int64_t release_ns; /* 0: not over */
};

static struct hold find_hold(const struct record_page *page, int64_t since_ns) {
    struct hold hold = {0};
    for (unsigned i = 0; i < SHMFRAME_FLIGHTS && hold.sequence == 0; i++) {
        const struct record_flight *flight = &page->flight[i];
        if (atomic_load_explicit(&flight->acquire_ns, memory_order_relaxed) != since_ns)
            continue;
        hold.sequence = atomic_load_explicit(&flight->sequence, memory_order_relaxed);
        hold.release_ns = atomic_load_explicit(&flight->release_ns, memory_order_relaxed);
    }
    return hold;
}

bool watch_must_act(struct watch_acted *acted, const struct watch *watch, int64_t since_ns) {
    if (acted->since_ns == since_ns && acted->epoch == watch->epoch)
        return false;
    *acted = (struct watch_acted){.since_ns = since_ns, .epoch = watch->epoch};
    return true;
}

/* Whether or not it was told before: the limit may have been another then. What is done is told by
 * what follows from it. A sleeper holds nobody up: it has no place to lose. */
static void act(struct stream_reader *reader, int64_t since_ns, bool is_hold) {
    struct watch_reader *watched = &reader->watch;
    const enum config_action action = limit_of(reader)->action;
    struct watch_acted *acted = is_hold ? &watched->hold_acted : &watched->sleep_acted;
    if (!watch_must_act(acted, reader->stream->server->watch, since_ns))
        return;
    if (action == CONFIG_RESTART || (action == CONFIG_EVICT && is_hold)) {
        watched->due = action;
        watched->is_due_for_hold = is_hold;
    }
}

static void tell_hold(struct stream_reader *reader, const struct shmframe_reader_state *state,
                      int64_t now_ns) {
    const struct config_watch *limit = limit_of(reader);
    struct journal_mark mark = reader->watch.source->mark;
    mark.since_ns = state->held_since_ns;
    struct shmframe_event event = watch_reader_event(reader, SHMFRAME_JOURNAL_HOLD);
    event.first = find_hold(watch_record(reader), state->held_since_ns).sequence;
    event.duration_ns = now_ns - state->held_since_ns;
    event.limit_ns = limit->limit_ns;
    event.leases = state->held;
    event.time_ns = now_ns;
    watch_reader_blame(&event);
    watch_put_stopped(&event, reader->client->process);
    watch_reader_tell(reader, &event, &mark, true);
}

static void tell_hold_over(struct stream_reader *reader, int64_t now_ns, const char *text) {
    struct journal_mark mark = reader->watch.source->mark;
    const int64_t since_ns = mark.since_ns;
    const struct hold hold = find_hold(watch_record(reader), since_ns);
    mark.since_ns = 0;
    struct shmframe_event event = watch_reader_event(reader, SHMFRAME_JOURNAL_HOLD_OVER);
    event.time_ns = hold.release_ns > since_ns ? watch_past_ns(hold.release_ns, now_ns) : now_ns;
    event.first = hold.sequence;
    event.duration_ns = event.time_ns - since_ns;
    event.limit_ns = limit_of(reader)->limit_ns;
    watch_reader_blame(&event);
    message_put_text(event.text, sizeof(event.text), text);
    watch_reader_tell(reader, &event, &mark, true);
}

static bool is_too_long(struct stream_reader *reader, const struct shmframe_reader_state *state,
                        int64_t now_ns) {
    const int64_t limit_ns = limit_of(reader)->limit_ns;
    return limit_ns > 0 && state->held_since_ns > 0 && state->held_since_ns <= now_ns &&
           now_ns - state->held_since_ns > limit_ns;
}

void watch_look_at_hold(struct stream_reader *reader, const struct shmframe_reader_state *state,
                        int64_t now_ns) {
    const int64_t told_ns = reader->watch.source->mark.since_ns;
    watch_note_limit(reader->stream->server, limit_of(reader)->limit_ns);
    if (told_ns && state->held_since_ns != told_ns)
        tell_hold_over(reader, now_ns, "");
    if (!is_too_long(reader, state, now_ns))
        return;
    if (state->held_since_ns != told_ns && watch_reader_may_tell(reader, now_ns))
        tell_hold(reader, state, now_ns);
    act(reader, state->held_since_ns, true);
}

/* ---- sleeps from which nobody comes ---- */

static void tell_hang(struct stream_reader *reader, int64_t now_ns) {
    const struct config_watch *limit = limit_of(reader);
    struct journal_mark mark = reader->watch.source->mark;
    mark.sleep_ns = reader->watch.asleep_ns;
    struct shmframe_event event = watch_reader_event(reader, SHMFRAME_JOURNAL_STALL);
    event.time_ns = now_ns;
    event.duration_ns = now_ns - reader->watch.rung_ns;
    event.limit_ns = limit->limit_ns;
    watch_reader_blame(&event);
    watch_put_stopped(&event, reader->client->process);
    watch_reader_tell(reader, &event, &mark, true);
}

static void tell_hang_over(struct stream_reader *reader, int64_t now_ns, const char *text) {
    struct journal_mark mark = reader->watch.source->mark;
    const int64_t since_ns =
        reader->watch.rung_ns ? reader->watch.rung_ns : watch_past_ns(mark.sleep_ns, now_ns);
    mark.sleep_ns = 0;
    struct shmframe_event event = watch_reader_event(reader, SHMFRAME_JOURNAL_STALL_OVER);
    event.time_ns = now_ns;
    event.duration_ns = now_ns - since_ns;
    event.limit_ns = limit_of(reader)->limit_ns;
    watch_reader_blame(&event);
    message_put_text(event.text, sizeof(event.text), text);
    watch_reader_tell(reader, &event, &mark, true);
}

/* When the stream's newest frame was published; 0: none, or nobody knows. */
static int64_t newest_ns(const struct stream_reader *reader) {
    const struct stream_writer *writer = reader->stream->writer;
    if (!writer)
        return 0;
    const struct ring *ring = writer->ring->head.base;
    return atomic_load_explicit(&ring->ledger.publish_ns, memory_order_relaxed);
}

/* A sleep during which a frame was published, as the writer says, who is not to be believed about
 * others: so it is woken by us as well, half its limit before, and hangs if it does not come from
 * that either. What passes while we do not look either, as all of the machine stands still, is no
 * time that it has had. */
static bool is_hung(struct stream_reader *reader, const struct shmframe_reader_state *state,
                    int64_t now_ns) {
    struct watch_reader *watched = &reader->watch;
    const int64_t limit_ns = limit_of(reader)->limit_ns;
    if (limit_ns <= 0 || watched->rung_ns == 0 || now_ns - watched->rung_ns <= limit_ns / 2)
        return false;
    if (watched->is_woken)
        watched->waited_ns += reader->stream->server->watch->step_ns;
    else
        stream_wake_reader(reader, state->doing == SHMFRAME_DOING_POLLING);
    watched->is_woken = true;
    return now_ns - watched->rung_ns > limit_ns && watched->waited_ns >= limit_ns / 2;
}

/* Who sleeps is woken by each frame, or is to come from its poll(): once one was published, it must
 * not sleep on. */
void watch_look_at_sleep(struct stream_reader *reader, const struct shmframe_reader_state *state,
                         int64_t now_ns) {
    struct watch_reader *watched = &reader->watch;
    const int64_t asleep_ns = state->doing == SHMFRAME_DOING_AWAY ? 0 : state->since_ns;
    if (asleep_ns != watched->asleep_ns) {
        if (watched->source->mark.sleep_ns && watched->source->mark.sleep_ns != asleep_ns)
            tell_hang_over(reader, now_ns, "");
        watched->asleep_ns = asleep_ns;
        watched->rung_ns = watched->waited_ns = 0;
        watched->is_woken = false;
    }
    if (asleep_ns <= 0)
        return;
    const int64_t published_ns = watched->rung_ns ? 0 : newest_ns(reader);
    if (published_ns > asleep_ns && published_ns <= now_ns)
        watched->rung_ns = published_ns;
    if (!is_hung(reader, state, now_ns))
        return;
    if (watched->source->mark.sleep_ns != asleep_ns && watch_reader_may_tell(reader, now_ns))
        tell_hang(reader, now_ns);
    act(reader, asleep_ns, false);
}

void watch_end_hold(struct stream_reader *reader, int64_t now_ns, const char *text) {
    struct shmframe_reader_state state;
    record_get_state(watch_record(reader), &state);
    if (state.held_since_ns != reader->watch.source->mark.since_ns)
        watch_look_at_hold(reader, &state, now_ns);
    if (reader->watch.source->mark.since_ns)
        tell_hold_over(reader, now_ns, text);
    if (reader->watch.source->mark.sleep_ns)
        tell_hang_over(reader, now_ns, text);
}
