#include "stream.h"

#include "error.h"
#include "limits.h"
#include "server.h"
#include "step.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stream *stream_find(struct server *server, const char *name) {
    struct stream *stream;
    TAILQ_FOREACH (stream, &server->streams, all)
        if (strcmp(stream->name, name) == 0)
            return stream;
    return NULL;
}

static bool is_idle(const struct stream *stream) {
    return !stream->writer && !stream->opener && stream->reader_count == 0 && !stream->owner;
}

/* The name that has been idle for longest makes room. */
static int make_room(struct server *server) {
    if (server->stream_count < LIMIT_STREAMS_KNOWN)
        return 0;
    struct stream *oldest = NULL, *stream;
    TAILQ_FOREACH (stream, &server->streams, all)
        if (is_idle(stream) && (!oldest || stream->idle_ns < oldest->idle_ns))
            oldest = stream;
    if (!oldest)
        return error_set(-ENOSPC, "the supervisor has %d streams already, its limit",
                         LIMIT_STREAMS_KNOWN);
    stream_destroy(oldest);
    return 0;
}

static void insert_sorted(struct server *server, struct stream *stream) {
    struct stream *next;
    TAILQ_FOREACH (next, &server->streams, all)
        if (strcmp(stream->name, next->name) < 0) {
            TAILQ_INSERT_BEFORE(next, stream, all);
            return;
        }
    TAILQ_INSERT_TAIL(&server->streams, stream, all);
}

int stream_get(struct server *server, const char *name, struct stream **out_stream) {
    struct stream *stream = stream_find(server, name);
    if (!stream) {
        int code = make_room(server);
        if (code < 0)
            return code;
        stream = calloc(1, sizeof(*stream));
        if (!stream)
            return error_set(-ENOMEM, "the supervisor has no memory");
        stream->server = server;
        stream->idle_ns = shmframe_now_ns();
        message_put_text(stream->name, sizeof(stream->name), name);
        TAILQ_INIT(&stream->readers);
        insert_sorted(server, stream);
        server->stream_count++;
    }
    *out_stream = stream;
    return 0;
}

void stream_destroy(struct stream *stream) {
    journal_give_source(stream->server, stream->watch.source);
    TAILQ_REMOVE(&stream->server->streams, stream, all);
    stream->server->stream_count--;
    process_release(stream->owner);
    while (stream->former_rings)
        stream_ring_destroy(stream->former_ring[--stream->former_rings]);
    free(stream->holder);
    free(stream);
}

/* The page wakes who sleeps on it; who polls a descriptor needs something to read. It bears the
 * number of the reader's question, and comes after the entry. */
static void send_notice(struct stream_reader *reader) {
    union message message;
    message_init(&message, MESSAGE_DONE, reader->cookie);
    client_send(reader->client, &message, NULL);
}

void stream_tell_readers(struct stream *stream) {
    struct stream_reader *reader;
    TAILQ_FOREACH (reader, &stream->readers, of_stream) {
        const uint64_t word = reader_word(stream->gone_generation,
                                          reader->is_evicted ? ENTRY_EVICTED : ENTRY_GRANTED);
        struct notice *notice = &reader->client->notice;
        /* Relaxed: only we write it. */
        const uint64_t told =
            atomic_load_explicit(&notice->page->entry[reader->entry].word, memory_order_relaxed);
        if (told == word)
            continue;
        notice_set_entry(notice, reader->entry, word, 0, 0);
        if ((told & 3) != ENTRY_NONE || reader->is_evicted)
            send_notice(reader);
    }
}

void stream_wake_reader(struct stream_reader *reader, bool is_polling) {
    struct client *client = reader->client;
    if (!client_is_here(client))
        return;
    const uint64_t word =
        atomic_load_explicit(&client->notice.page->entry[reader->entry].word, memory_order_relaxed);
    notice_set_entry(&client->notice, reader->entry, word, 0, 0);
    if (is_polling && client->queued == 0) /* else there is something to read */
        send_notice(reader);
}

uint64_t stream_head(const struct stream *stream) {
    uint64_t sequence = stream->sequence;
    if (stream->writer) {
        const uint64_t head = stream_ring_head(stream->writer->ring);
        sequence = head > sequence ? head : sequence;
    }
    for (unsigned i = 0; i < stream->former_rings; i++) {
        const uint64_t head = stream_ring_head(stream->former_ring[i]);
        sequence = head > sequence ? head : sequence;
    }
    return sequence;
}

/* The oldest of those after generation `after`. */
static unsigned find_oldest(const struct stream *stream, uint32_t after) {
    unsigned found = stream->former_rings;
    for (unsigned i = 0; i < stream->former_rings; i++)
        if (stream->former_ring[i]->generation > after &&
            (found == stream->former_rings ||
             stream->former_ring[i]->generation < stream->former_ring[found]->generation))
            found = i;
    return found;
}

/* Where a ring of `generation` takes its place: that of the same one, a new one, or that of the
 * oldest but one. What was on loan before several changes of format comes in the oldest. */
static unsigned find_place(const struct stream *stream, uint32_t generation) {
    for (unsigned i = 0; i < stream->former_rings; i++)
        if (stream->former_ring[i]->generation == generation)
            return i;
    if (stream->former_rings < HELD_RINGS_MAX)
        return stream->former_rings;
    return find_oldest(stream, stream->former_ring[find_oldest(stream, 0)]->generation);
}

/* Of two of the same generation one is no ring of the stream: the one that has come less far. */
static bool is_to_stay(const struct stream_ring *ring, const struct stream_ring *other) {
    return ring->generation == other->generation ? stream_ring_head(ring) >= stream_ring_head(other)
                                                 : ring->generation > other->generation;
}

void stream_take_former_ring(struct stream *stream, struct stream_ring *ring) {
    const unsigned place = find_place(stream, ring->generation);
    if (place == stream->former_rings) {
        stream->former_ring[stream->former_rings++] = ring;
        return;
    }
    struct stream_ring *over = stream->former_ring[place];
    if (is_to_stay(over, ring))
        over = ring;
    else
        stream->former_ring[place] = ring;
    const uint64_t head = stream_ring_head(over);
    stream->sequence = head > stream->sequence ? head : stream->sequence;
    stream_ring_destroy(over);
}

void stream_forget_former(struct stream *stream) {
    stream->sequence = stream_head(stream);
    while (stream->former_rings)
        stream_ring_destroy(stream->former_ring[--stream->former_rings]);
}

void stream_note_idle(struct stream *stream) {
    stream->idle_ns = shmframe_now_ns();
}

void stream_set_gone(struct stream *stream, enum shmframe_stream_state state) {
    stream->state = state;
    stream->gone_generation = stream->generation;
    stream_check_former(stream);
    stream_note_idle(stream);
    names_save(stream->server); /* before any reader can know of it */
    STEP(GONE_NAMED);
    store_remove_ring(stream->name, stream->generation);
    stream_tell_readers(stream);
    STEP(GONE_TOLD);
}

void stream_watch_owner(struct stream *stream) {
    if (stream->unwatched_pid == 0)
        return;
    const int code = process_find(stream->server, stream->unwatched_pid,
                                  stream->unwatched_start_time, &stream->owner);
    if (code < 0 && code != -ESRCH)
        return; /* nobody knows whether he lives */
    stream->unwatched_pid = 0;
    stream->unwatched_start_time = 0;
}

bool stream_is_kept_for(const struct stream *stream, const struct process *process) {
    return stream->owner ? stream->owner == process
                         : stream->unwatched_pid == process->pid &&
                               stream->unwatched_start_time == process->start_time;
}

void stream_end_grace(struct stream *stream) {
    stream_watch_owner(stream);
    if (stream->unwatched_pid != 0)
        return;
    if (stream->writer || stream->generation == 0 || stream->gone_generation == stream->generation)
        return;
    /* One who lives may still publish; his death is watched. */
    if (!stream->owner || process_is_dead(stream->owner))
        stream_set_gone(stream, SHMFRAME_STREAM_WRITER_GONE);
}

void stream_check_former(struct stream *stream) {
    if (stream->former_rings == 0)
        return;
    bool is_over;
    if (stream->writer)
        is_over = stream_ring_head(stream->writer->ring) != 0;
    else if (stream->is_numbered && stream->gone_generation == stream->generation)
        is_over = true; /* nobody publishes in them any more */
    else
        is_over = stream->reader_count == 0 && !server_is_in_grace(stream->server);
    if (is_over) /* they kept whole rings in memory */
        stream_forget_former(stream);
}

/* Whether readers of before the restart may come back yet. On a busy machine that can take them
 * longer than others are to wait for. */
static bool may_be_shown(const struct stream *stream) {
    return stream->former_followed != 0 &&
           (server_is_in_grace(stream->server) || names_await_reader(stream));
}

uint32_t stream_followed(const struct stream *stream) {
    if (!stream->writer && !stream->owner && stream->unwatched_pid == 0 && stream->is_numbered &&
        (stream->former_followed == 0 || stream->is_former_shown))
        return 0; /* its writer is gone, and its sequence known */
    uint32_t followed = may_be_shown(stream) ? stream->former_followed : 0;
    if (stream->writer && stream_ring_has_held(stream->writer->ring))
        followed = stream->writer->ring->generation;
    const struct stream_reader *reader;
    TAILQ_FOREACH (reader, &stream->readers, of_stream) {
        if (reader->generation == 0 || reader->is_evicted)
            continue;
        /* Who followed a former ring gets, or has, a link to the current one. */
        const uint32_t newest =
            stream->writer ? stream->writer->ring->generation : reader->generation;
        followed = newest > followed ? newest : followed;
    }
    return followed;
}

bool stream_waits_for_followers(const struct stream *stream) {
    return !stream->writer && !stream->is_former_shown && may_be_shown(stream);
}

bool stream_believes_readers(const struct stream *stream, uint32_t generation) {
    if (stream->writer || generation == 0)
        return false;
    return stream->is_numbered ? stream->former_followed != 0 : server_is_in_grace(stream->server);
}

bool stream_waits_for_return(const struct stream *stream) {
    if (stream->former_rings && (stream->writer || stream->reader_count == 0))
        return true;
    if (!stream->writer && !stream->owner && stream->generation != stream->gone_generation)
        return true;
    return (stream->writer && stream_ring_has_held(stream->writer->ring)) ||
           (stream->opener && stream_ring_has_held(stream->opener->opening));
}
