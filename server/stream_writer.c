#include "stream.h"

#include "error.h"
#include "limits.h"
#include "quota.h"
#include "server.h"
#include "step.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stream_writer *stream_writer_find(const struct client *client, uint32_t number) {
    struct stream_writer *writer;
    TAILQ_FOREACH (writer, &client->writers, of_client)
        if (writer->number == number)
            return writer;
    return NULL;
}

static uint64_t max_u64(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* ---- life of a writer ---- */

static struct stream_writer *create_writer(struct client *client, struct stream *stream,
                                           uint32_t number) {
    struct stream_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return NULL;
    *writer = (struct stream_writer){.client = client, .stream = stream, .number = number};
    TAILQ_INIT(&writer->requests);
    TAILQ_INSERT_TAIL(&client->writers, writer, of_client);
    client->writer_count++;
    return writer;
}

/* The links of the ring are not ours to look after any more. Its head may still move: what was on
 * loan is published there until the first frame of the next ring. */
static void retire_ring(struct stream_writer *writer) {
    struct stream *stream = writer->stream;
    struct stream_ring *ring = writer->ring;
    message_put_text(stream->last_group, sizeof(stream->last_group), ring->geometry.group);
    message_put_text(stream->last_writer, sizeof(stream->last_writer), writer->client->name);
    writer->ring = NULL;
    stream_ring_drop_links(ring);
    stream_take_former_ring(stream, ring);
}

static void cancel_opening(struct stream_writer *writer) {
    if (!writer->opening)
        return;
    stream_ring_destroy(writer->opening);
    writer->opening = NULL;
    writer->stream->opener = NULL;
}

static void destroy_writer(struct stream_writer *writer) {
    struct stream *stream = writer->stream;
    request_fail_all(writer);
    cancel_opening(writer);
    if (writer->ring)
        retire_ring(writer);
    if (stream->writer == writer)
        stream->writer = NULL;
    TAILQ_REMOVE(&writer->client->writers, writer, of_client);
    writer->client->writer_count--;
    free(writer);
    stream_note_idle(stream);
}

void stream_writer_gone(struct stream_writer *writer, enum shmframe_stream_state state,
                        const char *reason) {
    struct stream *stream = writer->stream;
    const bool was_writing = stream->writer == writer;
    if (was_writing && stream_ring_is_ended(writer->ring))
        state = SHMFRAME_STREAM_ENDED;
    if (was_writing)
        client_log(writer->client, "event=stream-%s stream=%s generation=%u sequence=%llu",
                   state == SHMFRAME_STREAM_ENDED ? "ended" : "gone", stream->name,
                   stream->generation, (unsigned long long)stream_head(stream));
    if (was_writing) {
        watch_writer_gone(writer, state, reason);
        STEP(WRITER_GONE);
    }
    destroy_writer(writer);
    if (was_writing) {
        stream->former_followed = 0;
        stream_forget_former(stream);
        stream_set_gone(stream, state);
    }
}

void stream_writer_away(struct stream_writer *writer) {
    request_fail_all(writer);
    if (writer->ring)
        writer->ring->links_wanted = 0;
    cancel_opening(writer);
    if (!writer->ring)
        destroy_writer(writer);
}

static unsigned count_ring_fds(const struct stream_ring *ring) {
    if (!ring)
        return 0;
    unsigned count = 1;
    const struct stream_link *link;
    TAILQ_FOREACH (link, &ring->links, of_ring)
        count += link->state == LINK_UNUSED ? 3 : 0;
    return count;
}

unsigned stream_writer_count_fds(const struct stream_writer *writer) {
    const struct stream *stream = writer->stream;
    return count_ring_fds(writer->ring) + count_ring_fds(writer->opening) +
           (stream->writer == writer ? stream->former_rings : 0);
}

/* ---- OPEN_RING: may it? ---- */

/* What is known of `other` may be old: it may have left, or died, a moment ago. */
static void look_again(struct client *client, struct client *other) {
    if (other == client)
        return;
    client_drain(other);
    if (client->server->is_draining)
        return; /* somebody further up may be busy with `other` */
    if (other->process != client->process && process_is_dead(other->process))
        server_process_died(client->server, other->process);
    else
        client_sweep(other);
}

/* A session of the same process that is away is given up in its time, or comes back. */
static int refuse_taken(const struct client *client, const struct stream_writer *other) {
    const struct client *owner = other->client;
    const char *name = other->stream->name;
    const bool is_just_away = owner->socket < 0 && (owner->process == client->process ||
                                                    shmframe_now_ns() - owner->away_ns < GRACE_NS);
    if (is_just_away || process_is_dying(owner->process))
        return error_set(-EAGAIN,
                         "not yet: stream '%s' was written by %s (pid %d) until a moment "
                         "ago",
                         name, owner->name, (int)owner->process->pid);
    return error_set(-EEXIST,
                     "stream '%s' is already written by %s (pid %d); choose another name, "
                     "or end that one",
                     name, owner->name, (int)owner->process->pid);
}

/* The same writer in a new session. It may not have heard of a newer ring that it had announced
 * when its connection broke, and goes on in this one. */
static bool is_taking_over(const struct client *client, const struct message_open_ring *open,
                           const struct stream_writer *other) {
    if (!(open->flags & MESSAGE_RESYNC) || other->client->process != client->process ||
        client_is_here(other->client) || !other->ring)
        return false;
    return other->ring->generation == open->generation ||
           (other->ring->generation > open->generation && other->number == open->writer);
}

static int check_other(struct client *client, const struct message_open_ring *open,
                       const struct stream_writer *other) {
    if (!other || (other->client == client && other->number == open->writer) ||
        is_taking_over(client, open, other))
        return 0;
    return refuse_taken(client, other);
}

/* Whether the name is free for `client`, or its own already. */
static int check_name(struct client *client, const struct message_open_ring *open) {
    struct server *server = client->server;
    struct stream *stream = stream_find(server, open->stream);
    if (stream && stream->writer)
        look_again(client, stream->writer->client);
    stream = stream_find(server, open->stream);
    if (stream && stream->opener)
        look_again(client, stream->opener->client);
    stream = stream_find(server, open->stream);
    if (!stream)
        return 0;
    int code = check_other(client, open, stream->writer);
    if (code == 0)
        code = check_other(client, open, stream->opener);
    if (code < 0)
        return code;
    stream_watch_owner(stream); /* it may be the client, whose process is watched */
    const bool is_kept = stream->owner
                             ? stream->owner != client->process && !process_is_dead(stream->owner)
                             : stream->unwatched_pid != 0;
    if (is_kept && server_is_in_grace(server))
        return error_set(-EAGAIN,
                         "not yet: stream '%s' is kept for its writer (pid %d), who knew "
                         "the former supervisor",
                         stream->name,
                         (int)(stream->owner ? stream->owner->pid : stream->unwatched_pid));
    if (!(open->flags & MESSAGE_RESYNC) && stream_waits_for_followers(stream))
        return error_set(-EAGAIN,
                         "not yet: the readers of stream '%s', who know how far it came under the "
                         "former supervisor, are still coming back",
                         stream->name);
    /* As above: its owner may have announced a newer ring, and not heard of it. */
    const bool is_owner = stream->owner == client->process ||
                          (stream->writer && is_taking_over(client, open, stream->writer));
    if ((open->flags & MESSAGE_RESYNC) && stream->is_numbered && !is_owner &&
        open->generation < stream->generation)
        return error_set(-EEXIST, "stream '%s' has had another writer since", stream->name);
    /* What the next supervisor would not believe is not given out. */
    if (!(open->flags & MESSAGE_RESYNC) && stream->generation >= LIMIT_GENERATION_TOLD)
        return error_set(-ENOSPC, "stream '%s' has used up its generations", stream->name);
    return 0;
}

static int check_numbers(const struct message_open_ring *open) {
    if (!shmframe_name_is_valid(open->stream))
        return error_set(-EINVAL, "a stream's name is 1 to 63 of a-z 0-9 . _ -, beginning with a "
                                  "letter or digit");
    if (open->loans == 0 || open->loans > LIMIT_LOANS)
        return error_set(-EINVAL, "a writer has 1 to %d loans, not %u", LIMIT_LOANS, open->loans);
    if (open->history == 0 || open->history > RING_SLOTS_MAX)
        return error_set(-EINVAL, "a writer keeps 1 to %u frames, not %u", RING_SLOTS_MAX,
                         open->history);
    if (open->links > LIMIT_LINKS_UNUSED || open->held > NOTICE_ENTRIES)
        return error_set(-ENOSPC, "a ring comes with at most %d links", LIMIT_LINKS_UNUSED);
    return 0;
}

static int check_room(const struct client *client, const struct message_open_ring *open,
                      const struct stream_ring *ring) {
    const struct ring_geometry *geometry = &ring->geometry;
    if (open->loans + open->history + 1 > geometry->slots)
        return error_set(-ENOSPC,
                         "a ring of %u slots has no room for %u loans, %u frames of "
                         "history and a reader: give it more ring_bytes",
                         geometry->slots, open->loans, open->history);
    uint64_t bytes = geometry->ring_bytes;
    const struct stream_writer *writer;
    TAILQ_FOREACH (writer, &client->writers, of_client)
        bytes +=
            writer->ring && writer->number != open->writer ? writer->ring->geometry.ring_bytes : 0;
    if (bytes > LIMIT_RING_BYTES)
        return error_set(-ENOSPC,
                         "the session's rings have %llu bytes of address space, more than "
                         "its limit of %llu: give them less ring_bytes",
                         (unsigned long long)bytes, (unsigned long long)LIMIT_RING_BYTES);
    return 0;
}

/* What has been there before the supervisor, or its settings, goes on; a new ring is a new one. */
static int check_quota(struct client *client, const struct message_open_ring *open,
                       struct stream_ring *ring) {
    const struct stream *stream = stream_find(client->server, open->stream);
    const struct stream_writer *former = stream_writer_find(client, open->writer);
    if (stream && stream->writer && is_taking_over(client, open, stream->writer))
        former = stream->writer;
    else if ((open->flags & MESSAGE_RESYNC) && stream && !stream->writer &&
             stream_is_kept_for(stream, client->process))
        return 0;
    if (former && former->ring && stream_ring_is_same(ring, former->ring))
        ring->populated_bytes = former->ring->populated_bytes;
    const int code = former ? 0 : quota_check(client, QUOTA_STREAMS, 1);
    return code < 0 ? code : quota_check_ring(client, ring, former ? former->ring : NULL);
}

/* ---- OPEN_RING: what it does ---- */

/* The same writer's former ring, or the same process's former session: nobody has lost a writer. */
static bool replace_former(struct stream_writer *writer) {
    struct stream *stream = writer->stream;
    if (stream->writer && stream->writer != writer)
        destroy_writer(stream->writer);
    else if (writer->ring)
        retire_ring(writer);
    else
        return false;
    return true;
}

/* Which of the rings before this one have lost their writer. Of one that comes back after a restart
 * we know it only if the names' file was there to tell; if not, it is better to hurry a reader on
 * from the last frames of a former format than to leave it at a dead writer's ring. */
static void number_ring(struct stream *stream, struct stream_ring *ring, bool is_successor) {
    if (!ring->is_resync)
        ring->generation = stream->generation + 1;
    const bool is_told = ring->is_resync && stream->is_numbered;
    if ((!is_successor && !is_told) || stream->gone_generation >= ring->generation)
        stream->gone_generation = ring->generation - 1;
    if (ring->generation > stream->generation)
        stream->generation = ring->generation;
    stream->is_numbered = true;
}

/* Whether it tells of a ring of another numbering, whose writer is gone: the one of a writer that
 * comes back may have a successor yet. */
static bool is_beyond(const struct stream_reader *reader, const struct stream_ring *ring) {
    return !ring->is_resync && reader->generation > ring->generation && !reader->is_evicted;
}

static void claim_links(struct stream_ring *ring) {
    struct stream_reader *reader;
    TAILQ_FOREACH (reader, &ring->writer->stream->readers, of_stream) {
        reader->is_refused = false;
        const bool is_of_it = reader->generation == ring->generation;
        if (is_beyond(reader, ring) || (is_of_it && !stream_link_claim(ring, reader)))
            stream_reader_set_evicted(reader, "the writer does not know its link");
    }
}

/* Everything announced has come: from here on this is the stream's ring. */
static void complete(struct stream_writer *writer) {
    struct stream *stream = writer->stream;
    struct stream_ring *ring = writer->opening;
    const struct stream_ring *former = stream->writer ? stream->writer->ring : NULL;
    const uint32_t held_generation = stream_ring_has_held(former) ? former->generation : 0;
    number_ring(stream, ring, replace_former(writer));
    writer->ring = ring;
    stream_link_note_slots(ring); /* of those that its readers hold already */
    writer->opening = NULL;
    stream->opener = NULL;
    stream->writer = writer;
    stream->state = SHMFRAME_STREAM_LIVE;
    if (ring->is_resync)
        stream->sequence = max_u64(stream->sequence, ring->sequence);
    process_release(stream->owner);
    stream->owner = NULL;
    stream->unwatched_pid = 0;
    /* Of one that comes back other readers may tell yet; so may those who are still in the ring
     * that it leaves, where it publishes what is on loan. */
    if (!ring->is_resync)
        stream->former_followed = held_generation;
    stream_check_former(stream);
    STEP(RING_NUMBERED);
    names_save(stream->server); /* before any reader can know of this generation */
    STEP(RING_NAMED);
    store_put_ring(stream->name, ring->generation, ring->fd);
    if (!ring->is_resync)
        store_remove_ring(stream->name, ring->generation - 1);
    client_log(writer->client, "event=stream-%s stream=%s generation=%u slots=%u bytes=%llu",
               ring->is_resync ? "resumed" : "opened", stream->name, ring->generation,
               ring->geometry.slots, (unsigned long long)ring->geometry.ring_bytes);
    watch_writer_live(writer);
    claim_links(ring);
    stream_tell_readers(stream);
    stream_link_readers(stream);
}

/* Who is not trusted may tell of links that nobody was granted: they are measured as if he asked
 * for them now. Those that were granted have their memory already. */
static int check_held(const struct stream_writer *writer) {
    const struct stream_writer *former = writer->stream->writer;
    if (!writer->opening->is_resync || writer->client->permission.is_trusted)
        return 0;
    return quota_check_held(writer->client, writer->opening, former ? former->ring : NULL);
}

static void refuse_opening(struct stream_writer *writer, int code) {
    client_refuse(writer->client, writer->opening->cookie, code, "%s", shmframe_last_error());
    cancel_opening(writer);
    if (!writer->ring)
        destroy_writer(writer);
}

void stream_writer_complete(struct stream_writer *writer) {
    if (writer->opening->links_to_come > 0 || writer->opening->held_to_come > 0)
        return;
    const int code = check_held(writer);
    if (code < 0)
        refuse_opening(writer, code);
    else
        complete(writer);
}

/* What ALLOW said was of one OPEN_RING, however that ended. */
static void forget_allow(struct client *client, const struct message_open_ring *open) {
    if (client->allow_writer == open->writer)
        client->allow = (struct access){0};
}

int stream_writer_refuse_ring(struct client *client, const struct message_open_ring *open,
                              int code) {
    struct stream_writer *writer = stream_writer_find(client, open->writer);
    if (writer)
        writer->offers_to_ignore += open->links + open->held;
    forget_allow(client, open);
    client_refuse(client, open->header.cookie, code, "%s", shmframe_last_error());
    return 0;
}

static void take_counts(const struct client *client, const struct message_open_ring *open,
                        struct stream_ring *ring) {
    ring->loans = open->loans;
    ring->history = open->history;
    ring->slots_granted = open->loans + open->history;
    if (client->allow_writer == open->writer)
        ring->allow = client->allow;
}

/* Takes `ring` on success. */
static int announce(struct client *client, const struct message_open_ring *open,
                    struct stream_ring *ring) {
    struct stream *stream;
    int code = check_name(client, open);
    if (code == 0)
        code = check_room(client, open, ring);
    if (code == 0)
        code = check_quota(client, open, ring);
    if (code == 0)
        code = stream_get(client->server, open->stream, &stream);
    if (code < 0)
        return code;
    struct stream_writer *writer = stream_writer_find(client, open->writer);
    if (!writer && !(writer = create_writer(client, stream, open->writer)))
        return error_set(-ENOMEM, "the supervisor has no memory");
    ring->writer = writer;
    ring->is_live = open->flags & MESSAGE_LIVE;
    ring->is_resync = open->flags & MESSAGE_RESYNC;
    ring->generation = ring->is_resync ? open->generation : 0;
    ring->cookie = open->header.cookie;
    ring->sequence = open->sequence <= LIMIT_SEQUENCE_TOLD ? open->sequence : 0;
    ring->links_to_come = open->links;
    ring->held_to_come = ring->is_resync ? open->held : 0;
    writer->opening = ring;
    stream->opener = writer;
    STEP(RING_TAKEN);
    stream_writer_complete(writer);
    return 0;
}

int stream_writer_allow(struct client *client, struct channel_mail *mail) {
    const struct message_allow *allow = &mail->message.allow;
    struct access access = {.count = allow->count};
    memcpy(access.rule, allow->rule, sizeof(access.rule));
    if (!access_is_valid(&access))
        return error_set(-EPROTO, "ALLOW has rules that do not exist");
    client->allow_writer = allow->writer;
    client->allow = access;
    return 0;
}

int stream_writer_open_ring(struct client *client, struct channel_mail *mail) {
    const struct message_open_ring *open = &mail->message.open_ring;
    const struct stream_writer *writer = stream_writer_find(client, open->writer);
    const bool is_resync = open->flags & MESSAGE_RESYNC;
    if (writer && (writer->opening || is_resync || strcmp(writer->stream->name, open->stream) != 0))
        return error_set(-EPROTO, "OPEN_RING for writer %u, which is busy with another",
                         open->writer);
    if (is_resync && (open->generation == 0 || open->generation > LIMIT_GENERATION_TOLD))
        return error_set(-EPROTO, "OPEN_RING comes back with generation %u", open->generation);
    int code = check_numbers(open);
    if (code == 0)
        code = permission_check_write(client);
    if (code < 0)
        return stream_writer_refuse_ring(client, open, code);
    struct stream_ring *ring;
    code = stream_ring_create(mail->fd[0], open->stream, &ring);
    if (code == -EPROTO)
        return code;
    if (code < 0)
        return stream_writer_refuse_ring(client, open, code);
    mail->fd[0] = -1; /* the ring has it */
    take_counts(client, open, ring);
    forget_allow(client, open);
    code = announce(client, open, ring);
    if (code < 0) {
        stream_writer_refuse_ring(client, open, code);
        stream_ring_destroy(ring);
    }
    return 0;
}

/* ---- CLOSE_WRITER ---- */

int stream_writer_close(struct client *client, struct channel_mail *mail) {
    const struct message_close_writer *close_writer = &mail->message.close_writer;
    struct stream_writer *writer = stream_writer_find(client, close_writer->writer);
    if (writer) {
        struct stream *stream = writer->stream;
        if (writer->ring && close_writer->sequence <= LIMIT_SEQUENCE_TOLD)
            stream->sequence = max_u64(stream->sequence, close_writer->sequence);
        stream_writer_gone(writer,
                           close_writer->flags & MESSAGE_ENDED ? SHMFRAME_STREAM_ENDED
                                                               : SHMFRAME_STREAM_WRITER_GONE,
                           "");
    }
    client_done(client, close_writer->header.cookie);
    return 0;
}
