/* Writers: what did not come to be, and how long nothing has. */
#include "watch.h"

#include "ledger.h"
#include "limits.h"
#include "server.h"

#include <stdio.h>
#include <string.h>

static const struct ring *page_of(const struct stream_ring *ring) {
    return ring->head.base;
}

static struct shmframe_event begin_event(const struct stream *stream,
                                         enum shmframe_event_type type) {
    const struct watch_writer *watched = &stream->watch;
    struct shmframe_event event = {
        .type = type, .generation = stream->generation, .pid = watched->own.pid};
    message_put_text(event.stream, sizeof(event.stream), stream->name);
    message_put_text(event.name, sizeof(event.name), watched->own.name);
    return event;
}

static void blame_itself(struct shmframe_event *event) {
    event->culprit_pid = event->pid;
    memcpy(event->culprit, event->name, sizeof(event->culprit));
}

static void blame(struct stream *stream, uint64_t culprit, struct shmframe_event *event) {
    if (culprit == LEDGER_SELF)
        blame_itself(event);
    else
        watch_resolve_link(stream, culprit, event);
}

/* The ring's first page is its readers' too: nothing of it is private. */
static void tell(struct stream *stream, const struct shmframe_event *event,
                 const struct journal_mark *mark) {
    const struct journal_origin origin = {.source = stream->watch.source, .mark = *mark};
    journal_add_from(stream->server, event, &origin);
}

static struct journal_payer payer_of(struct stream *stream) {
    const struct client *client = stream->writer->client;
    return (struct journal_payer){
        .own = &stream->watch.purse, .process = client->process, .uid = client->uid};
}

/* ---- frames that did not come to be ---- */

enum { FIRST_CAUSE = SHMFRAME_CAUSE_WRITER_LATE, LAST_CAUSE = SHMFRAME_CAUSE_POOL };

/* As of a reader, see watch_reader.c. */
struct account {
    struct ledger_incident line[RING_INCIDENTS];
    unsigned lines;  /* to be told one by one */
    unsigned in_sum; /* or none of them is, and so many are known all the same */
    uint64_t newest;
    struct ledger_counters counters;
};

static bool is_sane(const struct ledger_incident *line) {
    return line->cause >= SHMFRAME_CAUSE_WRITER_LATE && line->cause <= SHMFRAME_CAUSE_POOL &&
           line->count > 0 && line->count <= SEQUENCE_MAX && line->first <= SEQUENCE_MAX;
}

static bool take_account(const struct ring *ring, uint64_t after, struct account *account) {
    account->newest = atomic_load_explicit(&ring->ledger.incidents, memory_order_acquire);
    account->lines = ledger_get_incidents(ring, after, account->line);
    account->in_sum = 0;
    ledger_get_counters(ring, &account->counters);
    atomic_thread_fence(memory_order_acquire);
    const uint64_t next = atomic_load_explicit(
        &ring->incident[account->newest % RING_INCIDENTS].number, memory_order_relaxed);
    const uint64_t oldest =
        account->newest < RING_INCIDENTS ? 0 : account->newest + 1 - RING_INCIDENTS;
    const uint64_t news = account->newest > after ? account->newest - after : 0;
    return next == oldest && account->lines == (news < RING_INCIDENTS ? news : RING_INCIDENTS) &&
           account->counters.incidents == account->newest;
}

static void tell_line(struct stream *stream, const struct ledger_incident *line, int64_t now_ns) {
    struct journal_mark mark = stream->watch.source->mark;
    mark.number = line->number;
    mark.told[line->cause] += line->count;
    struct shmframe_event event = begin_event(stream, SHMFRAME_JOURNAL_LOSS);
    event.cause = line->cause;
    event.first = line->first;
    event.count = line->count;
    event.time_ns = watch_past_ns(line->time_ns, now_ns);
    event.duration_ns = watch_span_ns(line->duration_ns, event.time_ns);
    if (line->cause == SHMFRAME_CAUSE_WRITER_LATE)
        blame_itself(&event);
    else if (line->cause == SHMFRAME_CAUSE_DEVICE)
        snprintf(event.culprit, sizeof(event.culprit), "device");
    else
        blame(stream, line->culprit, &event);
    if (line->cause == SHMFRAME_CAUSE_POOL)
        event.leases = line->leases;
    tell(stream, &event, &mark);
}

/* NULL: nothing is known but the sum. */
static const struct ledger_incident *find_most(const struct account *account, unsigned cause) {
    const struct ledger_incident *most = NULL;
    for (unsigned i = 0; i < account->in_sum; i++) {
        const struct ledger_incident *line = &account->line[i];
        if (is_sane(line) && line->cause == cause && (!most || line->count > most->count))
            most = line;
    }
    return most;
}

/* `is_over`: also the refusals of a series that has not ended. */
static void tell_rest(struct stream *stream, const struct account *account, int64_t now_ns,
                      bool is_over) {
    struct journal_source *source = stream->watch.source;
    const struct ledger_counters *counters = &account->counters;
    uint64_t left[LAST_CAUSE + 1] = {[SHMFRAME_CAUSE_WRITER_LATE] = counters->late,
                                     [SHMFRAME_CAUSE_DEVICE] = counters->device_dropped,
                                     [SHMFRAME_CAUSE_POOL] = counters->pool};
    for (unsigned i = 0; i < account->lines; i++)
        if (is_sane(&account->line[i]))
            left[account->line[i].cause] -= account->line[i].count;
    struct journal_payer payer = payer_of(stream);
    payer.own = is_over ? NULL : payer.own;
    for (unsigned cause = FIRST_CAUSE; cause <= LAST_CAUSE; cause++) {
        struct journal_mark mark = source->mark;
        const uint64_t count = left[cause] - mark.told[cause];
        if (count == 0 || count > SEQUENCE_MAX ||
            (cause == SHMFRAME_CAUSE_POOL && counters->blocked_ns && !is_over))
            continue;
        if (!journal_pay(&payer, JOURNAL_LOSSES, 1, now_ns) && is_over)
            return;
        mark.told[cause] += count;
        struct shmframe_event event = begin_event(stream, SHMFRAME_JOURNAL_LOSS);
        event.cause = cause;
        event.count = count;
        if (cause == SHMFRAME_CAUSE_WRITER_LATE)
            blame_itself(&event);
        else if (cause == SHMFRAME_CAUSE_DEVICE)
            snprintf(event.culprit, sizeof(event.culprit), "device");
        else if (counters->blocked_ns)
            blame(stream, counters->blocker, &event);
        const struct ledger_incident *most = find_most(account, cause);
        watch_put_sum(&event, most ? most->count : 0, most ? most->first : 0,
                      most ? watch_span_ns(most->duration_ns, now_ns) : 0);
        tell(stream, &event, &mark);
    }
    const uint64_t before = account->lines ? account->line[0].number - 1 : account->newest;
    if (before > source->mark.number)
        source->mark.number = before;
}

static void tell_losses(struct stream *stream, const struct ring *ring, int64_t now_ns) {
    enum { TRIES = 3 };
    struct journal_source *source = stream->watch.source;
    const uint64_t told = source->mark.number;
    if (atomic_load_explicit(&ring->ledger.incidents, memory_order_relaxed) <= told)
        return;
    struct account account;
    bool is_whole = false;
    for (unsigned i = 0; i < TRIES && !is_whole; i++)
        is_whole = take_account(ring, told, &account);
    if (!is_whole || account.lines == 0)
        return;
    const struct journal_payer payer = payer_of(stream);
    const unsigned lines = journal_can_pay(&payer, JOURNAL_LOSSES, now_ns);
    if (lines == 0)
        return;
    if (account.lines > lines) {
        account.in_sum = account.lines;
        account.lines = 0;
    }
    if (account.lines == 0 || account.line[0].number > told + 1)
        tell_rest(stream, &account, now_ns, false);
    for (unsigned i = 0; i < account.lines; i++) {
        if (!is_sane(&account.line[i]))
            source->mark.number = account.line[i].number;
        else if (journal_pay(&payer, JOURNAL_LOSSES, 1, now_ns))
            tell_line(stream, &account.line[i], now_ns);
        else
            return;
    }
}

static void tell_last_losses(struct stream *stream, const struct ring *ring, int64_t now_ns) {
    struct account account = {0};
    tell_losses(stream, ring, now_ns);
    ledger_get_counters(ring, &account.counters);
    account.newest = account.counters.incidents;
    account.in_sum = ledger_get_incidents(ring, stream->watch.source->mark.number, account.line);
    tell_rest(stream, &account, now_ns, true);
}

/* ---- stalls ---- */

/* What a peer says its frames take, if that makes sense. */
static int64_t period_of(const struct ledger_counters *counters) {
    enum { LONGEST_S = 3600 };
    return counters->period_ns > 0 && counters->period_ns <= LONGEST_S * INT64_C(1000000000)
               ? counters->period_ns
               : 0;
}

static const struct config_watch *limit_of(struct stream *stream, int64_t period_ns) {
    struct watch_writer *watched = &stream->watch;
    const struct watch *watch = stream->server->watch;
    const struct watch_hooks *hooks = watch->hooks;
    if (watched->epoch == watch->epoch && watched->period_ns == period_ns)
        return &watched->limit;
    static const struct config none;
    watched->epoch = watch->epoch;
    watched->period_ns = period_ns;
    watched->limit = hooks ? hooks->stall(hooks->user, watched->own.pid, stream->name, period_ns)
                           : config_stall(&none, NULL, stream->name, period_ns);
    return &watched->limit;
}

static void tell_stall(struct stream *stream, const struct ledger_counters *counters,
                       int64_t since_ns, int64_t now_ns) {
    struct watch_writer *watched = &stream->watch;
    struct journal_mark mark = watched->source->mark;
    mark.since_ns = since_ns;
    struct shmframe_event event = begin_event(stream, SHMFRAME_JOURNAL_STALL);
    event.time_ns = now_ns;
    event.duration_ns = now_ns - since_ns;
    event.limit_ns = watched->limit.limit_ns;
    if (ledger_blocked_since(counters, now_ns))
        blame(stream, counters->blocker, &event);
    if (event.culprit_pid == 0)
        blame_itself(&event);
    watch_put_stopped(&event, stream->writer->client->process);
    tell(stream, &event, &mark);
    watched->published = counters->published;
}

/* One that waits for a reader would be no better for a restart: that reader's limit is for that. */
static void act(struct stream *stream, const struct ledger_counters *counters, int64_t since_ns) {
    struct watch_writer *watched = &stream->watch;
    const struct watch *watch = stream->server->watch;
    if (counters->blocked_ns && counters->blocker != LEDGER_SELF &&
        watch_is_blocked(stream, counters->blocker, counters->blocked_ns))
        return;
    if (!watch_must_act(&watched->acted, watch, since_ns) ||
        watched->limit.action != CONFIG_RESTART || !watch->hooks)
        return;
    char reason[128];
    snprintf(reason, sizeof(reason), "it publishes nothing in stream '%s'", stream->name);
    watch->hooks->restart(watch->hooks->user, watched->own.pid, reason);
}

/* Of the frames since, the first one ended it. */
static int64_t first_publish_ns(const struct watch_writer *watched,
                                const struct ledger_counters *counters, int64_t since_ns,
                                int64_t now_ns) {
    const int64_t newest_ns = watch_past_ns(counters->publish_ns, now_ns);
    const uint64_t more = counters->published - watched->published - 1;
    const int64_t period_ns = period_of(counters);
    if (watched->published == 0 || counters->published <= watched->published || period_ns == 0 ||
        more > (uint64_t)((newest_ns - since_ns) / period_ns))
        return newest_ns;
    return newest_ns - (int64_t)more * period_ns;
}

static void tell_stall_over(struct stream *stream, int64_t end_ns, const char *text) {
    struct journal_mark mark = stream->watch.source->mark;
    struct shmframe_event event = begin_event(stream, SHMFRAME_JOURNAL_STALL_OVER);
    event.time_ns = end_ns;
    event.duration_ns = watch_span_ns(end_ns - mark.since_ns, end_ns);
    event.limit_ns = stream->watch.limit.limit_ns;
    message_put_text(event.text, sizeof(event.text), text);
    mark.since_ns = 0;
    tell(stream, &event, &mark);
}

/* And its end. */
static bool may_tell_stall(struct stream *stream, int64_t now_ns) {
    const struct journal_payer payer = payer_of(stream);
    return journal_pay(&payer, JOURNAL_HOLDS, 2, now_ns);
}

static void look_at_stall(struct stream *stream, const struct ledger_counters *counters,
                          int64_t now_ns) {
    const struct watch_writer *watched = &stream->watch;
    /* Before its first frame nothing is due: it may wait for its readers. Only a limit that was set
     * counts from its opening on. */
    const int64_t period_ns = counters->publish_ns ? period_of(counters) : 0;
    const struct config_watch *limit = limit_of(stream, period_ns);
    const int64_t told_ns = watched->source->mark.since_ns;
    const bool is_ended = stream_ring_is_ended(stream->writer->ring);
    const int64_t since_ns =
        counters->publish_ns > 0 ? watch_past_ns(counters->publish_ns, now_ns) : watched->opened_ns;
    if (told_ns && (is_ended || since_ns > told_ns))
        tell_stall_over(stream,
                        is_ended ? now_ns : first_publish_ns(watched, counters, told_ns, now_ns),
                        is_ended ? "the stream has ended" : "");
    watch_note_limit(stream->server, limit->limit_ns);
    if (is_ended || limit->limit_ns <= 0 || now_ns - since_ns <= limit->limit_ns)
        return;
    if (!watched->source->mark.since_ns && may_tell_stall(stream, now_ns))
        tell_stall(stream, counters, since_ns, now_ns);
    act(stream, counters, since_ns);
}

/* ---- looking ---- */

static bool is_of_source(struct stream *stream, const struct ledger_counters *counters) {
    struct watch_writer *watched = &stream->watch;
    if (counters->id != 0 && watched->own.id == JOURNAL_UNNAMED) {
        watched->own.id = counters->id;
        journal_name_source(stream->server, watched->source, counters->id);
    }
    return counters->id != 0 && watched->own.id == counters->id;
}

void watch_look_at_writer(struct stream *stream, int64_t now_ns) {
    if (!stream->writer || !stream->watch.source)
        return;
    struct ledger_counters counters;
    ledger_get_counters(page_of(stream->writer->ring), &counters);
    if (!is_of_source(stream, &counters))
        return;
    /* The end of a stall is before what was lost by it. */
    look_at_stall(stream, &counters, now_ns);
    tell_losses(stream, page_of(stream->writer->ring), now_ns);
}

/* ---- coming and going ---- */

static bool may_tell_join(struct stream *stream) {
    struct journal_payer payer = payer_of(stream);
    payer.own = NULL;
    return journal_pay(&payer, JOURNAL_JOINS, 2, shmframe_now_ns());
}

void watch_writer_live(struct stream_writer *writer) {
    struct stream *stream = writer->stream;
    struct watch_writer *watched = &stream->watch;
    const struct client *client = writer->client;
    struct ledger_counters counters;
    ledger_get_counters(page_of(writer->ring), &counters);
    const bool is_same =
        watched->source && watched->own.pid == client->process->pid &&
        watched->own.start_time == client->process->start_time &&
        (counters.id == 0 || counters.id == watched->own.id || watched->own.id == JOURNAL_UNNAMED);
    if (!is_same) {
        journal_give_source(stream->server, watched->source);
        *watched = (struct watch_writer){.own = {.id = counters.id ? counters.id : JOURNAL_UNNAMED,
                                                 .start_time = client->process->start_time,
                                                 .pid = (int32_t)client->process->pid,
                                                 .kind = JOURNAL_WRITER,
                                                 .uid = client->uid}};
        message_put_text(watched->own.stream, sizeof(watched->own.stream), stream->name);
        message_put_text(watched->own.name, sizeof(watched->own.name), client->name);
        watched->source = watch_take_source(stream->server, &watched->own);
    }
    watched->opened_ns = shmframe_now_ns();
    struct journal_mark mark = watched->source->mark;
    if (mark.is_present && mark.generation == writer->ring->generation)
        return;
    mark.is_present = true;
    mark.generation = writer->ring->generation;
    const bool may_tell = may_tell_join(stream);
    mark.is_join_told = mark.is_join_told || may_tell;
    if (!may_tell) {
        journal_set_mark(stream->server, watched->source, &mark);
        return;
    }
    struct shmframe_event event = begin_event(stream, SHMFRAME_JOURNAL_STREAM_LIVE);
    shmframe_format_describe(&writer->ring->geometry.format, event.text, sizeof(event.text));
    tell(stream, &event, &mark);
}

void watch_writer_gone(struct stream_writer *writer, enum shmframe_stream_state state,
                       const char *reason) {
    struct stream *stream = writer->stream;
    struct watch_writer *watched = &stream->watch;
    const int64_t now_ns = shmframe_now_ns();
    if (!watched->source)
        return;
    struct ledger_counters counters;
    ledger_get_counters(page_of(writer->ring), &counters);
    if (is_of_source(stream, &counters))
        tell_last_losses(stream, page_of(writer->ring), now_ns);
    if (watched->source->mark.since_ns)
        tell_stall_over(stream, now_ns, "its writer left");
    struct journal_mark mark = watched->source->mark;
    if (mark.is_present) {
        const bool is_end = state == SHMFRAME_STREAM_ENDED;
        const bool is_to_be_told = mark.is_join_told;
        mark.is_present = mark.is_join_told = false;
        if (!is_to_be_told)
            journal_set_mark(stream->server, watched->source, &mark);
        struct shmframe_event event = begin_event(stream, is_end ? SHMFRAME_JOURNAL_STREAM_ENDED
                                                                 : SHMFRAME_JOURNAL_WRITER_GONE);
        event.first = stream_head(stream);
        message_put_text(event.text, sizeof(event.text), reason);
        if (is_to_be_told)
            tell(stream, &event, &mark);
    }
    journal_give_source(stream->server, watched->source);
    watched->source = NULL;
}
