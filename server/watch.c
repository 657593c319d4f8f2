#include "watch.h"
#include "watch_account.h"

#include "duration.h"
#include "error.h"
#include "limits.h"
#include "server.h"
#include "upgrade.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOLDERS = 64, LOOKS_A_LIMIT = 4 };

/* Who lives comes back within seconds, unless the session was closed meanwhile. */
#define ABSENT_NS     INT64_C(10000000000)
#define LOOK_MOST_NS  INT64_C(250000000)
#define LOOK_LEAST_NS INT64_C(10000000)

struct watch_holder {
    char name[SHMFRAME_NAME_BYTES];
    uint32_t serial, entry, number;
    int32_t pid;
};

/* ---- limits ---- */

void watch_set_hooks(struct server *server, const struct watch_hooks *hooks) {
    server->watch->hooks = hooks;
    watch_limits_changed(server);
}

void watch_limits_changed(struct server *server) {
    server->watch->epoch++;
}

void watch_note_limit(struct server *server, int64_t limit_ns) {
    struct watch *watch = server->watch;
    if (limit_ns > 0 && limit_ns < watch->least_ns)
        watch->least_ns = limit_ns;
}

/* ---- what its files share ---- */

struct journal_source *watch_take_source(struct server *server, struct journal_source *own) {
    struct journal_source *source = journal_take_source(server, own);
    return source ? source : own;
}

int64_t watch_past_ns(int64_t stamp_ns, int64_t now_ns) {
    return stamp_ns > 0 && stamp_ns <= now_ns ? stamp_ns : now_ns;
}

int64_t watch_span_ns(int64_t duration_ns, int64_t time_ns) {
    return duration_ns < 0 ? 0 : duration_ns > time_ns ? time_ns : duration_ns;
}

void watch_put_stopped(struct shmframe_event *event, struct process *process) {
    if (process_is_stopped(process))
        message_put_text(event->text, sizeof(event->text), "its process is stopped");
}

void watch_put_sum(struct shmframe_event *event, uint64_t count, uint64_t first,
                   int64_t duration_ns) {
    char most[96] = "", length[DURATION_BYTES];
    duration_format(duration_ns, length);
    if (count)
        snprintf(most, sizeof(most), ", the most at once %" PRIu64 " at %" PRIu64 "%s%s%s", count,
                 first, duration_ns ? " (" : "", duration_ns ? length : "", duration_ns ? ")" : "");
    snprintf(event->text, sizeof(event->text), "in sum: not told one by one%s", most);
}

/* ---- who had which link ---- */

void watch_link_end(const struct stream_link *link) {
    struct stream *stream = link->ring->writer->stream;
    if (!stream->holder)
        stream->holder = calloc(HOLDERS, sizeof(*stream->holder));
    if (!stream->holder)
        return; /* nobody will be blamed */
    struct watch_holder *holder = &stream->holder[stream->next_holder++ % HOLDERS];
    const struct stream_reader *reader = link->reader;
    *holder = (struct watch_holder){.serial = link->serial,
                                    .entry = link->entry,
                                    .number = reader ? reader->number : 0,
                                    .pid = reader ? (int32_t)reader->client->process->pid
                                                  : (int32_t)link->holder_pid};
    message_put_text(holder->name, sizeof(holder->name), reader ? reader->name : "");
}

static const struct stream_link *find_link(const struct stream_ring *ring, uint64_t word) {
    const struct stream_link *link = NULL;
    if (ring)
        TAILQ_FOREACH (link, &ring->links, of_ring)
            if (link->entry == (uint32_t)word && link->serial == word >> 32)
                break;
    return link;
}

static void blame(struct shmframe_event *event, uint32_t number, int32_t pid, const char *name) {
    event->culprit_reader = number;
    event->culprit_pid = pid;
    message_put_text(event->culprit, sizeof(event->culprit), name);
}

void watch_resolve_link(struct stream *stream, uint64_t word, struct shmframe_event *event) {
    const struct stream_link *link = NULL;
    if (stream->writer)
        link = find_link(stream->writer->ring, word);
    if (!link && stream->writer)
        link = find_link(stream->writer->opening, word);
    if (link && link->reader) {
        blame(event, link->reader->number, (int32_t)link->reader->client->process->pid,
              link->reader->name);
        return;
    }
    if (link && link->state == LINK_HELD) {
        blame(event, 0, (int32_t)link->holder_pid, "");
        return;
    }
    for (unsigned i = 1; i <= HOLDERS && stream->holder; i++) {
        const struct watch_holder *holder = &stream->holder[(stream->next_holder - i) % HOLDERS];
        if (holder->pid && holder->entry == (uint32_t)word && holder->serial == word >> 32) {
            blame(event, holder->number, holder->pid, holder->name);
            return;
        }
    }
}

uint32_t watch_find_blocker(struct stream *stream, uint64_t word) {
    struct shmframe_event event = {0};
    watch_resolve_link(stream, word, &event);
    return event.culprit_reader;
}

bool watch_is_blocked(struct stream *stream, uint64_t word, int64_t since_ns) {
    const struct stream_link *link = find_link(stream->writer->ring, word);
    if (!link || link->state == LINK_UNUSED)
        return false;
    return !link->reader || watch_reader_blocks(link->reader, since_ns);
}

/* ---- what nobody came back for ---- */

/* Whether its process may still come back to this supervisor with it. The process is kept in
 * `inout_last`, until another one is: the next source is mostly of the same. */
static bool may_return(struct server *server, const struct journal_source *source,
                       struct process **inout_last) {
    if (shmframe_now_ns() - server->started_ns > ABSENT_NS)
        return false;
    struct process *process = NULL;
    const int code = process_find(server, source->pid, source->start_time, &process);
    if (code < 0)
        return code != -ESRCH; /* for lack of descriptors or memory nobody can tell yet */
    process_release(*inout_last);
    *inout_last = process;
    return !process_is_back(process, BACK_NS);
}

static void tell_absent(struct server *server, struct journal_source *source) {
    const bool is_reader = source->kind == JOURNAL_READER;
    struct shmframe_event event = {.type = is_reader ? SHMFRAME_JOURNAL_READER_LEFT
                                                     : SHMFRAME_JOURNAL_WRITER_GONE,
                                   .generation = source->mark.generation,
                                   .reader = source->number,
                                   .pid = source->pid,
                                   .text = "while there was no supervisor"};
    message_put_text(event.stream, sizeof(event.stream), source->stream);
    message_put_text(event.name, sizeof(event.name), source->name);
    struct journal_origin origin = {.source = source, .mark = source->mark};
    origin.mark.is_present = origin.mark.is_join_told = false;
    origin.mark.since_ns = origin.mark.sleep_ns = 0;
    if (source->mark.is_join_told)
        journal_add_from(server, &event, &origin);
    else
        journal_set_mark(server, source, &origin.mark);
}

static void look_at_absent(struct server *server) {
    struct watch *watch = server->watch;
    if (!watch->has_absent || server_is_in_grace(server))
        return;
    watch->has_absent = false;
    struct process *last = NULL;
    struct journal_source *source = NULL;
    while ((source = journal_absent_source(server, source))) {
        if (may_return(server, source, &last))
            watch->has_absent = true;
        else
            tell_absent(server, source);
    }
    process_release(last);
}

/* ---- looking ---- */

static void note_look(struct watch *watch) {
    const int64_t now_ns = shmframe_now_ns(), step_ns = now_ns - watch->looked_ns;
    watch->looked_ns = now_ns;
    watch->step_ns = step_ns < watch->wait_ns ? step_ns : watch->wait_ns;
}

static void look(struct server *server) {
    struct stream *stream;
    struct stream_reader *reader;
    note_look(server->watch);
    TAILQ_FOREACH (stream, &server->streams, all) {
        const int64_t now_ns = shmframe_now_ns();
        TAILQ_FOREACH (reader, &stream->readers, of_stream)
            watch_look_at_reader(reader, now_ns);
        watch_look_at_writer(stream, now_ns);
        while (watch_act_on_reader(stream)) {
        }
    }
    look_at_absent(server);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user) {
    (void)source;
    (void)usec;
    struct server *server = user;
    server->watch->least_ns = INT64_MAX;
    look(server);
    return 0;
}

static bool has_work(const struct server *server) {
    const struct stream *stream;
    if (server->watch->has_absent)
        return true;
    TAILQ_FOREACH (stream, &server->streams, all)
        if (stream->writer || stream->reader_count > 0)
            return true;
    return false;
}

void watch_arm(struct server *server) {
    struct watch *watch = server->watch;
    int enabled;
    if (sd_event_source_get_enabled(watch->timer, &enabled) > 0 || !has_work(server))
        return;
    int64_t wait_ns = watch->least_ns / LOOKS_A_LIMIT;
    wait_ns = wait_ns < LOOK_LEAST_NS ? LOOK_LEAST_NS : wait_ns;
    wait_ns = wait_ns > LOOK_MOST_NS ? LOOK_MOST_NS : wait_ns;
    watch->wait_ns = wait_ns;
    sd_event_source_set_time_relative(watch->timer, (uint64_t)wait_ns / 1000);
    sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

int watch_start(struct server *server) {
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return error_set(-ENOMEM, "the supervisor has no memory");
    watch->epoch = 1;
    watch->least_ns = INT64_MAX;
    watch->looked_ns = shmframe_now_ns();
    watch->wait_ns = LOOK_MOST_NS;
    server->watch = watch;
    server->next_reader = journal_newest_reader(server);
    watch->has_absent = journal_absent_source(server, NULL) != NULL;
    const int code =
        sd_event_add_time_relative(server->event, &watch->timer, CLOCK_MONOTONIC,
                                   LOOK_MOST_NS / 1000, LOOK_LEAST_NS / 1000, on_timer, server);
    return code < 0 ? error_set(code, "no timer: %s", strerror(-code)) : 0;
}

static void tell_supervisor(struct server *server, const char *text) {
    struct shmframe_event event = {
        .type = SHMFRAME_JOURNAL_SUPERVISOR, .name = "shmframed", .pid = (int32_t)getpid()};
    message_put_text(event.text, sizeof(event.text), text);
    journal_add(server, &event);
}

void watch_begin(struct server *server) {
    struct upgrade_kept kept;
    tell_supervisor(server, upgrade_take(&kept)         ? "was upgraded"
                            : server->watch->has_absent ? "took over"
                                                        : "started");
}

void watch_finish(struct server *server) {
    look(server);
    tell_supervisor(server, "stopped");
}
