#include "stream.h"

#include "error.h"
#include "limits.h"
#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct stream_writer *find_writer(const struct client *client, uint32_t number) {
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

/* The links of `ring` are not ours to look after any more; its head is kept. */
static void retire_ring(struct stream_writer *writer) {
    struct stream *stream = writer->stream;
    stream->sequence = max_u64(stream->sequence, stream_ring_head(writer->ring));
    message_put_text(stream->last_group, sizeof(stream->last_group), writer->ring->geometry.group);
    message_put_text(stream->last_writer, sizeof(stream->last_writer), writer->client->name);
    stream_ring_destroy(writer->ring);
    writer->ring = NULL;
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

void stream_writer_gone(struct stream_writer *writer, enum shmframe_stream_state state) {
    struct stream *stream = writer->stream;
    const bool was_writing = stream->writer == writer;
    if (was_writing && stream_ring_is_ended(writer->ring))
        state = SHMFRAME_STREAM_ENDED;
    if (was_writing)
        client_log(writer->client, "event=stream-%s stream=%s generation=%u sequence=%llu",
                   state == SHMFRAME_STREAM_ENDED ? "ended" : "gone", stream->name,
                   stream->generation, (unsigned long long)stream_head(stream));
    destroy_writer(writer);
    if (was_writing)
        stream_set_gone(stream, state);
}

void stream_writer_away(struct stream_writer *writer) {
    request_fail_all(writer);
    if (writer->ring)
        writer->ring->links_wanted = 0;
    cancel_opening(writer);
    if (!writer->ring)
        destroy_writer(writer);
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

static int refuse_taken(const struct stream_writer *other) {
    const struct client *owner = other->client;
    const char *name = other->stream->name;
    const bool is_just_away = owner->socket < 0 && shmframe_now_ns() - owner->away_ns < GRACE_NS;
    if (is_just_away || process_is_dying(owner->process))
        return error_set(-EAGAIN,
                         "not yet: stream '%s' was written by %s (pid %d) until a moment "
                         "ago",
                         name, owner->name, (int)owner->process->pid);
    return error_set(-EEXIST,
                     "stream '%s' is already written by %s (pid %d); choose another name "
                     "with --stream or end that one",
                     name, owner->name, (int)owner->process->pid);
}

static bool is_taking_over(const struct client *client, const struct message_open_ring *open,
                           const struct stream_writer *other) {
    return (open->flags & MESSAGE_RESYNC) && other->client->process == client->process &&
           !client_is_here(other->client) && other->ring &&
           other->ring->generation == open->generation;
}

static int check_other(struct client *client, const struct message_open_ring *open,
                       const struct stream_writer *other) {
    if (!other || (other->client == client && other->number == open->writer) ||
        is_taking_over(client, open, other))
        return 0;
    return refuse_taken(other);
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
    if (stream->owner && stream->owner != client->process && server_is_in_grace(server) &&
        !process_is_dead(stream->owner))
        return error_set(-EAGAIN,
                         "not yet: stream '%s' is kept for its writer (pid %d), who knew "
                         "the former supervisor",
                         stream->name, (int)stream->owner->pid);
    if ((open->flags & MESSAGE_RESYNC) && stream->is_numbered &&
        open->generation < stream->generation)
        return error_set(-EEXIST, "stream '%s' has had another writer since", stream->name);
    if (stream->generation == UINT32_MAX)
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
    stream->generation = ring->generation;
    stream->is_numbered = true;
}

static void claim_links(struct stream_ring *ring) {
    struct stream_reader *reader;
    TAILQ_FOREACH (reader, &ring->writer->stream->readers, of_stream) {
        reader->is_refused = false;
        if (reader->generation == ring->generation && !stream_link_claim(ring, reader))
            stream_reader_set_evicted(reader);
    }
}

/* Everything announced has come: from here on this is the stream's ring. */
static void complete(struct stream_writer *writer) {
    struct stream *stream = writer->stream;
    struct stream_ring *ring = writer->opening;
    number_ring(stream, ring, replace_former(writer));
    writer->ring = ring;
    writer->opening = NULL;
    stream->opener = NULL;
    stream->writer = writer;
    stream->state = SHMFRAME_STREAM_LIVE;
    if (ring->is_resync)
        stream->sequence = max_u64(stream->sequence, ring->sequence);
    process_release(stream->owner);
    stream->owner = NULL;
    names_save(stream->server); /* before any reader can know of this generation */
    client_log(writer->client, "event=stream-%s stream=%s generation=%u slots=%u bytes=%llu",
               ring->is_resync ? "resumed" : "opened", stream->name, ring->generation,
               ring->geometry.slots, (unsigned long long)ring->geometry.ring_bytes);
    claim_links(ring);
    stream_tell_readers(stream);
    stream_link_readers(stream);
}

static void complete_if_all_came(struct stream_writer *writer) {
    if (writer->opening->links_to_come == 0 && writer->opening->held_to_come == 0)
        complete(writer);
}

/* Its offers follow all the same. */
static int refuse_ring(struct client *client, const struct message_open_ring *open, int code) {
    struct stream_writer *writer = find_writer(client, open->writer);
    if (writer)
        writer->offers_to_ignore += open->links + open->held;
    client_refuse(client, open->header.cookie, code, "%s", shmframe_last_error());
    return 0;
}

/* Takes `ring` on success. */
static int announce(struct client *client, const struct message_open_ring *open,
                    struct stream_ring *ring) {
    struct stream *stream;
    int code = check_room(client, open, ring);
    if (code == 0)
        code = check_name(client, open);
    if (code == 0)
        code = stream_get(client->server, open->stream, &stream);
    if (code < 0)
        return code;
    struct stream_writer *writer = find_writer(client, open->writer);
    if (!writer && client->writer_count >= LIMIT_STREAMS)
        return error_set(-ENOSPC, "the session writes %d streams already, its limit",
                         LIMIT_STREAMS);
    if (!writer && !(writer = create_writer(client, stream, open->writer)))
        return error_set(-ENOMEM, "the supervisor has no memory");
    ring->writer = writer;
    ring->loans = open->loans;
    ring->history = open->history;
    ring->is_live = open->flags & MESSAGE_LIVE;
    ring->is_resync = open->flags & MESSAGE_RESYNC;
    ring->generation = ring->is_resync ? open->generation : 0;
    ring->cookie = open->header.cookie;
    ring->sequence = open->sequence <= LIMIT_SEQUENCE_TOLD ? open->sequence : 0;
    ring->links_to_come = open->links;
    ring->held_to_come = ring->is_resync ? open->held : 0;
    writer->opening = ring;
    stream->opener = writer;
    complete_if_all_came(writer);
    return 0;
}

int stream_writer_open_ring(struct client *client, struct channel_mail *mail) {
    const struct message_open_ring *open = &mail->message.open_ring;
    const struct stream_writer *writer = find_writer(client, open->writer);
    const bool is_resync = open->flags & MESSAGE_RESYNC;
    if (writer && (writer->opening || is_resync || strcmp(writer->stream->name, open->stream) != 0))
        return error_set(-EPROTO, "OPEN_RING for writer %u, which is busy with another",
                         open->writer);
    if (is_resync && (open->generation == 0 || open->generation > LIMIT_GENERATION_TOLD))
        return error_set(-EPROTO, "OPEN_RING comes back with generation %u", open->generation);
    int code = check_numbers(open);
    if (code < 0)
        return refuse_ring(client, open, code);
    struct stream_ring *ring;
    code = stream_ring_create(mail->fd[0], open->stream, &ring);
    if (code == -EPROTO)
        return code;
    if (code < 0)
        return refuse_ring(client, open, code);
    mail->fd[0] = -1; /* the ring has it */
    code = announce(client, open, ring);
    if (code < 0) {
        refuse_ring(client, open, code);
        stream_ring_destroy(ring);
    }
    return 0;
}

/* ---- OFFER_LINK ---- */

static int check_wake(int fd) {
    struct stat info;
    int domain = 0;
    socklen_t length = sizeof(domain);
    if (fstat(fd, &info) < 0 || !S_ISSOCK(info.st_mode) ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 || domain != AF_UNIX)
        return error_set(-EPROTO, "OFFER_LINK: the wake descriptor is not a local socket");
    return 0;
}

static int check_link_fds(const int fd[3]) {
    int code = region_check(fd[0], REGION_LEASE, LINK_PAGE_BYTES, NULL);
    if (code == 0)
        code = region_check(fd[1], REGION_SEALED, LINK_PAGE_BYTES, NULL);
    if (code == 0)
        code = check_wake(fd[2]);
    return code;
}

/* An entry that a link of the writer's older ring has may go over to a link of the newer one. */
static int take_entry(struct stream_writer *writer, const struct stream_ring *ring,
                      uint32_t entry) {
    struct client *client = writer->client;
    if (entry >= NOTICE_ENTRIES)
        return error_set(-EPROTO, "a link has entry %u of %u", entry, NOTICE_ENTRIES);
    struct stream_link *link = NULL;
    if (client->entry_is_used[entry] && ring == writer->opening && writer->ring)
        TAILQ_FOREACH (link, &writer->ring->links, of_ring)
            if (link->entry == entry)
                break;
    if (link)
        stream_link_destroy(link);
    if (client->entry_is_used[entry])
        return error_set(-EPROTO, "a link has entry %u, which is in use", entry);
    client->entry_is_used[entry] = true;
    return 0;
}

static unsigned count_unused(const struct stream_ring *ring) {
    unsigned count = 0;
    const struct stream_link *link;
    TAILQ_FOREACH (link, &ring->links, of_ring)
        count += link->state == LINK_UNUSED;
    return count;
}

static int add_link(struct stream_ring *ring, uint32_t entry, uint32_t serial,
                    struct stream_link **out_link) {
    int code = take_entry(ring->writer, ring, entry);
    if (code < 0)
        return code;
    struct stream_link *link = calloc(1, sizeof(*link));
    if (!link) {
        ring->writer->client->entry_is_used[entry] = false;
        return error_set(-ENOMEM, "the supervisor has no memory");
    }
    *link =
        (struct stream_link){.ring = ring, .entry = entry, .serial = serial, .fd = {-1, -1, -1}};
    TAILQ_INSERT_TAIL(&ring->links, link, of_ring);
    *out_link = link;
    return 0;
}

static int add_unused(struct stream_ring *ring, struct channel_mail *mail) {
    const struct message_offer_link *offer = &mail->message.offer_link;
    if (count_unused(ring) >= LIMIT_LINKS_UNUSED)
        return error_set(-EPROTO, "OFFER_LINK: %d unused links are the limit", LIMIT_LINKS_UNUSED);
    int code = check_link_fds(mail->fd);
    struct stream_link *link;
    if (code == 0)
        code = add_link(ring, offer->entry, offer->serial, &link);
    if (code < 0)
        return code;
    for (unsigned i = 0; i < 3; i++) {
        link->fd[i] = mail->fd[i];
        mail->fd[i] = -1;
    }
    return 0;
}

/* True: the offer belongs to a ring that was refused, or to a writer that has left. */
static bool is_to_ignore(struct stream_writer *writer) {
    if (!writer)
        return true;
    if (writer->offers_to_ignore == 0)
        return false;
    writer->offers_to_ignore--;
    return true;
}

int stream_writer_offer_link(struct client *client, struct channel_mail *mail) {
    const struct message_offer_link *offer = &mail->message.offer_link;
    struct stream_writer *writer = find_writer(client, offer->writer);
    if (is_to_ignore(writer))
        return 0;
    if (writer->opening && writer->opening->links_to_come > 0) {
        int code = add_unused(writer->opening, mail);
        if (code < 0)
            return code;
        writer->opening->links_to_come--;
        complete_if_all_came(writer);
        return 0;
    }
    struct stream_ring *ring = writer->ring;
    if (!ring || offer->generation > ring->generation)
        return error_set(-EPROTO, "OFFER_LINK for generation %u, which does not exist",
                         offer->generation);
    if (offer->generation < ring->generation)
        return 0; /* asked for before the newer ring came */
    int code = add_unused(ring, mail);
    if (code < 0)
        return code;
    if (ring->links_wanted > 0)
        ring->links_wanted--;
    stream_link_readers(writer->stream);
    return 0;
}

/* ---- HELD_LINK ---- */

static void tell_entry(struct client *client, const struct message_held_link *held,
                       struct grant grant) {
    notice_set_entry(&client->notice, held->entry, grant_word(grant), (pid_t)held->pid,
                     held->start_time);
}

/* The holder lives: the link is his until he claims it, or is found not to want it. */
static int add_held(struct stream_writer *writer, const struct message_held_link *held,
                    struct grant grant) {
    struct process *holder = NULL;
    int code = process_find(writer->client->server, (pid_t)held->pid, held->start_time, &holder);
    if (code == -ESRCH) {
        grant.state = ENTRY_GONE;
        tell_entry(writer->client, held, grant);
        return 0;
    }
    if (code < 0)
        return error_set(code, "the holder of a link cannot be watched: %s", strerror(-code));
    struct stream_link *link;
    code = add_link(writer->opening, held->entry, grant.serial, &link);
    if (code < 0) {
        process_release(holder);
        return code;
    }
    link->state = LINK_HELD;
    link->grant = grant;
    link->holder = holder;
    link->held_ns = shmframe_now_ns();
    tell_entry(writer->client, held, grant);
    return 0;
}

int stream_writer_held_link(struct client *client, struct channel_mail *mail) {
    const struct message_held_link *held = &mail->message.held_link;
    struct stream_writer *writer = find_writer(client, held->writer);
    if (is_to_ignore(writer))
        return 0;
    struct stream_ring *ring = writer->opening;
    if (!ring || ring->held_to_come == 0 || held->generation != ring->generation)
        return error_set(-EPROTO, "HELD_LINK, which no OPEN_RING announced");
    const struct grant grant = grant_from_word(held->word);
    if (held->entry >= NOTICE_ENTRIES || client->entry_is_used[held->entry])
        return error_set(-EPROTO, "HELD_LINK has entry %u, which is in use or does not exist",
                         held->entry);
    if (grant.leases > SHMFRAME_LEASES_MAX || grant.depth > SHMFRAME_DEPTH_MAX)
        return error_set(-EPROTO, "HELD_LINK tells of a grant that nobody gives");
    if (grant.state == ENTRY_GRANTED) {
        int code = add_held(writer, held, grant);
        if (code < 0)
            return code;
    } else {
        tell_entry(client, held, grant);
    }
    ring->held_to_come--;
    complete_if_all_came(writer);
    return 0;
}

/* ---- CLOSE_WRITER ---- */

int stream_writer_close(struct client *client, struct channel_mail *mail) {
    const struct message_close_writer *close_writer = &mail->message.close_writer;
    struct stream_writer *writer = find_writer(client, close_writer->writer);
    if (writer) {
        struct stream *stream = writer->stream;
        if (writer->ring && close_writer->sequence <= LIMIT_SEQUENCE_TOLD)
            stream->sequence = max_u64(stream->sequence, close_writer->sequence);
        stream_writer_gone(writer, close_writer->flags & MESSAGE_ENDED
                                       ? SHMFRAME_STREAM_ENDED
                                       : SHMFRAME_STREAM_WRITER_GONE);
    }
    client_done(client, close_writer->header.cookie);
    return 0;
}
