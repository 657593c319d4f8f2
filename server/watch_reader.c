/* Readers: their coming and going, and what is looked at of them. */
#include "watch_account.h"

#include "limits.h"
#include "record.h"
#include "server.h"

#include <stdio.h>
#include <string.h>

/* Who is at taking a frame when its place is taken away has it by then. */
#define LAST_TAKE_NS INT64_C(50000000)

const struct record_page *watch_record(const struct stream_reader *reader) {
    return reader->watch.record.base;
}

struct shmframe_event watch_reader_event(const struct stream_reader *reader,
                                         enum shmframe_event_type type) {
    struct shmframe_event event = {.type = type,
                                   .generation = reader->generation,
                                   .reader = reader->number,
                                   .pid = (int32_t)reader->client->process->pid};
    message_put_text(event.stream, sizeof(event.stream), reader->stream->name);
    message_put_text(event.name, sizeof(event.name), reader->name);
    return event;
}

void watch_reader_blame(struct shmframe_event *event) {
    event->culprit_reader = event->reader;
    event->culprit_pid = event->pid;
    memcpy(event->culprit, event->name, sizeof(event->culprit));
}

/* What a reader measures is for those who may have its record. */
void watch_reader_tell(struct stream_reader *reader, const struct shmframe_event *event,
                       const struct journal_mark *mark, bool is_private) {
    const struct stream_writer *writer = reader->stream->writer;
    const struct journal_origin origin = {.source = reader->watch.source,
                                          .mark = *mark,
                                          .is_private = is_private,
                                          .reader_uid = reader->client->uid,
                                          .writer_uid =
                                              writer ? writer->client->uid : reader->client->uid};
    journal_add_from(reader->stream->server, event, &origin);
}

struct journal_payer watch_reader_payer(struct stream_reader *reader) {
    return (struct journal_payer){.own = &reader->watch.purse,
                                  .process = reader->client->process,
                                  .uid = reader->client->uid};
}

bool watch_reader_may_tell(struct stream_reader *reader, int64_t now_ns) {
    const struct journal_payer payer = watch_reader_payer(reader);
    return journal_pay(&payer, JOURNAL_HOLDS, 2, now_ns);
}

/* For what is told once in its life: its process's and its user's, not its own. */
static bool pay(struct stream_reader *reader, enum journal_matter matter, unsigned lines) {
    struct journal_payer payer = watch_reader_payer(reader);
    payer.own = NULL;
    return journal_pay(&payer, matter, lines, shmframe_now_ns());
}

/* The newest frame that it was given, or knows to have lost. */
static uint64_t newest_sequence(const struct record_page *page) {
    uint64_t newest = 0;
    for (unsigned i = 0; i < SHMFRAME_FLIGHTS; i++) {
        const uint64_t sequence =
            atomic_load_explicit(&page->flight[i].sequence, memory_order_relaxed);
        if (sequence > newest && sequence <= SEQUENCE_MAX)
            newest = sequence;
    }
    return newest;
}

/* ---- looking ---- */

/* What it was at when its place was taken away it has by now, or has not. One that takes the latest
 * loses nothing by what passes it by, nor one that was never linked. */
static void tell_evicted_loss(struct stream_reader *reader) {
    struct watch_reader *watched = &reader->watch;
    const uint64_t taken = watch_record(reader) ? newest_sequence(watch_record(reader)) : 0;
    const uint64_t newest = taken ? taken : watched->begin;
    watched->evicted_ns = 0;
    if (reader->policy == SHMFRAME_LATEST || reader->generation == 0 ||
        watched->evicted_head <= newest)
        return;
    if (!pay(reader, JOURNAL_LOSSES, 1) && !pay(reader, JOURNAL_JOINS, 1))
        return;
    struct journal_mark mark = watched->source->mark;
    struct shmframe_event event = watch_reader_event(reader, SHMFRAME_JOURNAL_LOSS);
    event.cause = SHMFRAME_CAUSE_EVICTED;
    event.first = newest + 1;
    event.count = watched->evicted_head - newest;
    message_put_text(event.text, sizeof(event.text), watched->evicted_reason);
    mark.told[event.cause] += event.count;
    watch_reader_tell(reader, &event, &mark, true);
}

void watch_look_at_reader(struct stream_reader *reader, int64_t now_ns) {
    if (!watch_record(reader) || !reader->watch.source)
        return;
    watch_tell_losses(reader, now_ns);
    if (reader->watch.evicted_ns && now_ns - reader->watch.evicted_ns > LAST_TAKE_NS)
        tell_evicted_loss(reader);
    if (reader->is_evicted)
        return;
    struct shmframe_reader_state state;
    record_get_state(watch_record(reader), &state);
    watch_look_at_hold(reader, &state, now_ns);
    watch_look_at_sleep(reader, &state, now_ns);
}

/* By its own account. */
bool watch_reader_blocks(const struct stream_reader *reader, int64_t since_ns) {
    const struct record_page *page = watch_record(reader);
    struct shmframe_reader_state state;
    if (!page)
        return true; /* it is not watched */
    record_get_state(page, &state);
    if (state.held_since_ns > 0 && state.held_since_ns <= since_ns)
        return true;
    return reader->policy == SHMFRAME_LOSSLESS && state.since_ns <= since_ns &&
           newest_sequence(page) < stream_head(reader->stream);
}

bool watch_act_on_reader(struct stream *stream) {
    const struct watch_hooks *hooks = stream->server->watch->hooks;
    struct stream_reader *reader;
    TAILQ_FOREACH (reader, &stream->readers, of_stream)
        if (reader->watch.due != CONFIG_ACTION_UNSET)
            break;
    if (!reader)
        return false;
    const enum config_action due = reader->watch.due;
    reader->watch.due = CONFIG_ACTION_UNSET;
    if (due == CONFIG_EVICT) {
        stream_reader_set_evicted(reader, "it held a lease for too long");
        stream_link_retry(stream);
    } else if (due == CONFIG_RESTART && hooks) {
        char reason[256];
        snprintf(reason, sizeof(reason), "reader '%s' of stream '%s' %s", reader->name,
                 stream->name,
                 reader->watch.is_due_for_hold ? "holds a lease for too long"
                                               : "was woken and does not come");
        hooks->restart(hooks->user, reader->client->process->pid, reason);
    }
    return true;
}

/* ---- coming and going ---- */

static void take_record(struct stream_reader *reader) {
    struct region *record = &reader->watch.record;
    if (region_map(reader->record_fd, RECORD_BYTES, record) < 0) {
        *record = (struct region){0}; /* it is served all the same, without being watched */
        return;
    }
    if (record_check(record->base) < 0)
        region_unmap(record), *record = (struct region){0};
}

void watch_reader_begin(struct stream_reader *reader) {
    struct watch_reader *watched = &reader->watch;
    const struct process *process = reader->client->process;
    take_record(reader);
    watched->own = (struct journal_source){.id = watch_record(reader) ? reader->record_id : 0,
                                           .start_time = process->start_time,
                                           .pid = (int32_t)process->pid,
                                           .kind = JOURNAL_READER,
                                           .number = reader->number,
                                           .uid = reader->client->uid};
    message_put_text(watched->own.stream, sizeof(watched->own.stream), reader->stream->name);
    message_put_text(watched->own.name, sizeof(watched->own.name), reader->name);
    watched->source = watch_take_source(reader->stream->server, &watched->own);
    watched->source->number = reader->number;
    if (reader->watch.begin == 0)
        reader->watch.begin = stream_head(reader->stream);
}

/* That it comes, and that it leaves. */
static bool may_tell_join(struct stream_reader *reader) {
    return pay(reader, JOURNAL_JOINS, 2);
}

void watch_reader_joined(struct stream_reader *reader) {
    struct journal_source *source = reader->watch.source;
    if (source->mark.is_present || reader->is_evicted)
        return;
    struct journal_mark mark = source->mark;
    mark.is_present = true;
    mark.is_join_told = may_tell_join(reader);
    if (!mark.is_join_told) {
        journal_set_mark(reader->stream->server, source, &mark);
        return;
    }
    struct shmframe_event event = watch_reader_event(reader, SHMFRAME_JOURNAL_READER_JOINED);
    switch (reader->policy) {
    case SHMFRAME_LATEST:
        snprintf(event.text, sizeof(event.text), "latest");
        break;
    case SHMFRAME_IN_ORDER:
        snprintf(event.text, sizeof(event.text), "in order, depth %u", reader->depth);
        break;
    case SHMFRAME_LOSSLESS:
        snprintf(event.text, sizeof(event.text), "lossless, depth %u", reader->depth);
        break;
    }
    watch_reader_tell(reader, &event, &mark, false);
}

static void tell_left(struct stream_reader *reader, enum shmframe_cause cause, const char *text) {
    struct journal_mark mark = reader->watch.source->mark;
    if (!mark.is_present)
        return;
    const bool is_to_be_told =
        mark.is_join_told || (cause == SHMFRAME_CAUSE_EVICTED && pay(reader, JOURNAL_JOINS, 1));
    mark.is_present = mark.is_join_told = false;
    if (!is_to_be_told) {
        journal_set_mark(reader->stream->server, reader->watch.source, &mark);
        return;
    }
    struct shmframe_event event = watch_reader_event(reader, SHMFRAME_JOURNAL_READER_LEFT);
    event.cause = cause;
    message_put_text(event.text, sizeof(event.text), text);
    watch_reader_tell(reader, &event, &mark, false);
}

void watch_reader_evicted(struct stream_reader *reader, const char *reason) {
    const int64_t now_ns = shmframe_now_ns();
    if (!reader->watch.source || !reader->watch.source->mark.is_present)
        return;
    if (watch_record(reader)) {
        watch_tell_losses(reader, now_ns);
        watch_end_hold(reader, now_ns, "evicted");
    }
    reader->watch.evicted_ns = now_ns;
    reader->watch.evicted_head = stream_head(reader->stream);
    message_put_text(reader->watch.evicted_reason, sizeof(reader->watch.evicted_reason), reason);
    tell_left(reader, SHMFRAME_CAUSE_EVICTED, reason);
    reader->watch.due = CONFIG_ACTION_UNSET;
}

void watch_reader_left(struct stream_reader *reader, const char *reason) {
    const int64_t now_ns = shmframe_now_ns();
    if (!reader->watch.source)
        return;
    if (watch_record(reader)) {
        watch_tell_last_losses(reader, now_ns);
        if (!reader->is_evicted)
            watch_end_hold(reader, now_ns, reason[0] ? reason : "it left");
    }
    tell_left(reader, SHMFRAME_CAUSE_NONE, reason);
}

void watch_reader_end(struct stream_reader *reader) {
    if (reader->watch.evicted_ns)
        tell_evicted_loss(reader);
    region_unmap(&reader->watch.record);
    journal_give_source(reader->stream->server, reader->watch.source);
    reader->watch.source = NULL;
}
