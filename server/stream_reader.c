#include "stream.h"

#include "error.h"
#include "limits.h"
#include "quota.h"
#include "server.h"
#include "step.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char LINK_UNKNOWN[] = "the writer does not know its link";

static struct stream_reader *find_reader(const struct client *client, uint32_t entry) {
    struct stream_reader *reader;
    TAILQ_FOREACH (reader, &client->readers, of_client)
        if (reader->entry == entry)
            return reader;
    return NULL;
}

static struct stream_reader *find_by_number(struct server *server, const char *stream_name,
                                            uint32_t number) {
    struct stream *stream = stream_find(server, stream_name);
    struct stream_reader *reader = NULL;
    if (stream)
        TAILQ_FOREACH (reader, &stream->readers, of_stream)
            if (reader->number == number)
                break;
    return reader;
}

/* ---- life ---- */

static struct stream_reader *create_reader(struct client *client, struct stream *stream,
                                           const struct message_open_reader *open) {
    struct stream_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return NULL;
    const bool is_latest = open->policy == SHMFRAME_LATEST;
    *reader = (struct stream_reader){.client = client,
                                     .stream = stream,
                                     .entry = open->reader,
                                     .cookie = open->header.cookie,
                                     .policy = (enum shmframe_policy)open->policy,
                                     .depth = is_latest ? 1 : open->depth,
                                     .leases = open->leases,
                                     .record_fd = -1};
    client_put_name(reader->name, open->name);
    client->entry_is_used[reader->entry] = true;
    TAILQ_INSERT_TAIL(&client->readers, reader, of_client);
    client->reader_count++;
    TAILQ_INSERT_TAIL(&stream->readers, reader, of_stream);
    stream->reader_count++;
    return reader;
}

void stream_reader_destroy(struct stream_reader *reader) {
    struct stream *stream = reader->stream;
    struct client *client = reader->client;
    if (reader->link)
        stream_link_end(reader->link, ENTRY_GONE);
    notice_set_entry(&client->notice, reader->entry, reader_word(0, ENTRY_NONE), 0, 0);
    client->entry_is_used[reader->entry] = false;
    TAILQ_REMOVE(&client->readers, reader, of_client);
    client->reader_count--;
    TAILQ_REMOVE(&stream->readers, reader, of_stream);
    stream->reader_count--;
    watch_reader_end(reader);
    if (reader->record_fd >= 0)
        close(reader->record_fd);
    stream->server->names_changed = true;
    free(reader);
    stream_note_idle(stream);
}

void stream_reader_leave(struct stream_reader *reader, const char *reason) {
    struct stream *stream = reader->stream;
    watch_reader_left(reader, reason);
    STEP(READER_GONE);
    client_log(reader->client, "event=reader-left stream=%s reader=%u name=%s", stream->name,
               reader->number, log_quote(reader->name).text);
    stream_reader_destroy(reader);
    stream_link_retry(stream);
}

void stream_reader_set_evicted(struct stream_reader *reader, const char *reason) {
    reader->is_evicted = true;
    stream_tell_readers(reader->stream); /* first: what it is given after that is no more counted */
    watch_reader_evicted(reader, reason);
    if (reader->link)
        stream_link_end(reader->link, ENTRY_EVICTED);
    client_log(reader->client, "event=reader-evicted stream=%s reader=%u name=%s reason=%s",
               reader->stream->name, reader->number, log_quote(reader->name).text,
               log_quote(reason).text);
}

unsigned stream_reader_count_fds(const struct stream_reader *reader) {
    const struct stream *stream = reader->stream;
    const bool is_first = TAILQ_FIRST(&stream->readers) == reader;
    return 1 + (is_first && !stream->writer ? stream->former_rings : 0);
}

/* ---- OPEN_READER ---- */

static int check_numbers(const struct message_open_reader *open) {
    if (!shmframe_name_is_valid(open->stream))
        return error_set(-EINVAL, "a stream's name is 1 to 63 of a-z 0-9 . _ -, beginning with a "
                                  "letter or digit");
    if (open->policy > SHMFRAME_LOSSLESS)
        return error_set(-EINVAL, "there is no policy %u", open->policy);
    if (open->policy != SHMFRAME_LATEST && (open->depth == 0 || open->depth > SHMFRAME_DEPTH_MAX))
        return error_set(-EINVAL, "a reader's depth is 1 to %d, not %u", SHMFRAME_DEPTH_MAX,
                         open->depth);
    if (open->leases == 0 || open->leases > SHMFRAME_LEASES_MAX)
        return error_set(-EINVAL, "a reader has 1 to %d leases, not %u", SHMFRAME_LEASES_MAX,
                         open->leases);
    return 0;
}

/* A breach of the protocol, not a wish that cannot be met. */
static int check_protocol(const struct client *client, const struct message_open_reader *open) {
    if (open->reader >= NOTICE_ENTRIES || client->entry_is_used[open->reader])
        return error_set(-EPROTO, "OPEN_READER has entry %u, which is in use or does not exist",
                         open->reader);
    if ((open->flags & MESSAGE_RESYNC) && open->generation > LIMIT_GENERATION_TOLD)
        return error_set(-EPROTO, "OPEN_READER comes back with generation %u", open->generation);
    return 0;
}

static bool is_written(struct server *server, const char *name) {
    const struct stream *stream = stream_find(server, name);
    return stream && (stream->writer || stream->unwatched_pid != 0 ||
                      (stream->owner && !process_is_dead(stream->owner)));
}

static unsigned count_names_of_session(const struct client *client) {
    unsigned count = 0;
    const struct stream_reader *reader;
    TAILQ_FOREACH (reader, &client->readers, of_client)
        count += !reader->stream->is_numbered && TAILQ_FIRST(&reader->stream->readers) == reader;
    return count;
}

/* Names that were nothing before it waited for them, so that it cannot use up all there are; nor a
 * user whom nobody trusts, with all of his sessions. */
static unsigned count_names_waited_for(const struct client *client) {
    unsigned count = 0;
    const struct client *other;
    if (client->permission.is_trusted)
        return count_names_of_session(client);
    TAILQ_FOREACH (other, &client->server->clients, all)
        count += other->uid == client->uid ? count_names_of_session(other) : 0;
    return count;
}

static bool has_same_claim(const struct stream_reader *reader,
                           const struct message_open_reader *open) {
    return reader->generation == open->generation &&
           (open->generation == 0 ||
            (reader->link_entry == open->entry && reader->link_serial == open->serial));
}

/* The same reader as its former session, in the same process, left it; NULL if that cannot be told.
 * By its link; or, if its newest link never reached it, by its entry, where only one has that. */
static struct stream_reader *find_former(const struct client *client, const struct stream *stream,
                                         const struct message_open_reader *open) {
    struct stream_reader *other, *same_entry = NULL;
    unsigned same_entries = 0;
    TAILQ_FOREACH (other, &stream->readers, of_stream) {
        if (other->client->process != client->process || other->client->socket >= 0)
            continue;
        if (has_same_claim(other, open) && (open->generation != 0 || other->entry == open->reader))
            return other;
        if (other->entry == open->reader) {
            same_entry = other;
            same_entries++;
        }
    }
    return same_entries == 1 ? same_entry : NULL;
}

/* The page was checked to be a sealed memfd of its size: reading it does not wait. */
static uint64_t read_record_id(int fd) {
    uint64_t id;
    return pread(fd, &id, sizeof(id), offsetof(struct record_page, id)) == sizeof(id) ? id : 0;
}

/* The link that it claims, if that counts for its process already; else NULL. */
static const struct stream_link *find_charged(const struct client *client,
                                              const struct stream *stream,
                                              const struct message_open_reader *open) {
    const struct stream_ring *ring = stream && stream->writer ? stream->writer->ring : NULL;
    if (!(open->flags & MESSAGE_RESYNC) || !ring || open->generation != ring->generation)
        return NULL;
    const struct stream_link *link =
        stream_link_find_held(ring, client->process, open->entry, open->serial);
    return link && link->charge != CHARGE_NONE ? link : NULL;
}

/* What has been there before the supervisor, or its settings, goes on; what is more than that is
 * measured. */
static int check_quota(const struct client *client, const struct stream *stream,
                       const struct message_open_reader *open, uint64_t record_id,
                       bool *out_is_return) {
    const bool is_resync = open->flags & MESSAGE_RESYNC;
    const struct stream_reader *former =
        is_resync && stream ? find_former(client, stream, open) : NULL;
    *out_is_return =
        former || (is_resync && open->generation != 0 &&
                   names_know_reader(client->server, client->process, record_id, open->stream));
    if (*out_is_return && !former)
        return 0;
    const struct stream_link *link = former ? NULL : find_charged(client, stream, open);
    const uint32_t had = former ? former->leases : link ? link->grant.leases : 0;
    const int code = former || link ? 0 : quota_check(client, QUOTA_READERS, 1);
    return code < 0
               ? code
               : quota_check(client, QUOTA_LEASES, open->leases > had ? open->leases - had : 0);
}

static int check_open(struct client *client, const struct message_open_reader *open,
                      uint64_t record_id) {
    int code = check_numbers(open);
    if (code < 0)
        return code;
    if ((open->flags & MESSAGE_MUST_EXIST) && !(open->flags & MESSAGE_RESYNC) &&
        !is_written(client->server, open->stream))
        return error_set(-ENOENT, "no stream '%s'; 'shmframe ls' lists what there is",
                         open->stream);
    const struct stream *stream = stream_find(client->server, open->stream);
    bool is_return;
    code = check_quota(client, stream, open, record_id, &is_return);
    if (code < 0)
        return code;
    const bool is_first = !stream || (!stream->is_numbered && stream->reader_count == 0);
    if (is_first && !is_return && count_names_waited_for(client) >= LIMIT_NAMES_WAITED_FOR)
        return error_set(-ENOSPC,
                         "the session waits for %d streams already that nobody has written yet, "
                         "its limit",
                         LIMIT_NAMES_WAITED_FOR);
    return 0;
}

/* ---- OPEN_READER of one who comes back ---- */

static void take_over_former(struct stream_reader *reader, const struct message_open_reader *open) {
    struct stream_reader *former = find_former(reader->client, reader->stream, open);
    if (!former)
        return;
    reader->number = former->number;
    reader->is_evicted = former->is_evicted;
    reader->is_known = reader->is_known || former->is_known;
    if (former->link && open->generation != 0 && has_same_claim(former, open)) {
        reader->link = former->link;
        reader->link->reader = reader;
        former->link = NULL;
    }
    stream_reader_destroy(former);
}

/* How far a stream came is told by those who could read it, not by whoever says that he did. */
static bool may_tell(const struct stream_reader *reader) {
    return reader->client->permission.is_trusted || reader->is_known;
}

static bool is_believed(const struct stream_reader *reader, uint32_t generation) {
    return may_tell(reader) && stream_believes_readers(reader->stream, generation);
}

/* One that tells of a generation which there has not been is of a former numbering, of which the
 * names' file is lost, or lies: no writer knows its link. */
static void resync(struct stream_reader *reader, const struct message_open_reader *open) {
    struct stream *stream = reader->stream;
    const struct stream_ring *ring = stream->writer ? stream->writer->ring : NULL;
    if (stream->is_numbered && open->generation > stream->generation) {
        take_over_former(reader, open);
        stream_reader_set_evicted(reader, LINK_UNKNOWN);
        return;
    }
    reader->generation = open->generation;
    reader->link_entry = open->entry;
    reader->link_serial = open->serial;
    if (open->generation > stream->generation && may_tell(reader)) {
        stream->generation = open->generation;
        stream->server->names_changed = true;
    }
    if (is_believed(reader, open->generation) && open->head > stream->sequence &&
        open->head <= LIMIT_SEQUENCE_TOLD)
        stream->sequence = open->head;
    take_over_former(reader, open);
    if (ring && reader->generation == ring->generation && !reader->link && !reader->is_evicted &&
        !stream_link_claim(stream->writer->ring, reader))
        stream_reader_set_evicted(reader, LINK_UNKNOWN);
    stream_watch_owner(stream);
    if (!server_is_in_grace(stream->server) || (stream->owner && process_is_dead(stream->owner)))
        stream_end_grace(stream);
    STEP(RETURN_TAKEN);
}

/* ---- OPEN_READER: what it does ---- */

static int join(struct stream_reader *reader, const struct message_open_reader *open) {
    struct stream *stream = reader->stream;
    int code = 0;
    if (open->flags & MESSAGE_RESYNC)
        resync(reader, open);
    else if (stream->writer)
        code = stream_link_admit(stream->writer->ring, reader);
    if (code < 0)
        return code;
    watch_reader_begin(reader);
    if (reader->is_evicted)
        watch_reader_evicted(reader, LINK_UNKNOWN);
    watch_reader_joined(reader);
    stream_tell_readers(stream);
    union message message;
    message_init(&message, MESSAGE_READER_OK, open->header.cookie);
    message.reader_ok.reader = reader->entry;
    message.reader_ok.number = reader->number;
    client_send(reader->client, &message, NULL);
    STEP(READER_ANSWERED);
    client_log(reader->client, "event=reader-opened stream=%s reader=%u name=%s", stream->name,
               reader->number, log_quote(reader->name).text);
    stream_link_readers(stream);
    return 0;
}

static int refuse(struct client *client, const struct message_open_reader *open, int code) {
    client_refuse(client, open->header.cookie, code, "%s", shmframe_last_error());
    return 0;
}

int stream_reader_open(struct client *client, struct channel_mail *mail) {
    const struct message_open_reader *open = &mail->message.open_reader;
    int code = check_protocol(client, open);
    if (code < 0)
        return code;
    struct stream *stream;
    const uint64_t record_id = read_record_id(mail->fd[0]);
    code = check_open(client, open, record_id);
    if (code == 0)
        code = stream_get(client->server, open->stream, &stream);
    if (code < 0)
        return refuse(client, open, code);
    struct stream_reader *reader = create_reader(client, stream, open);
    if (!reader)
        return refuse(client, open, error_set(-ENOMEM, "the supervisor has no memory"));
    reader->record_fd = mail->fd[0];
    mail->fd[0] = -1;
    reader->record_id = record_id;
    reader->number =
        open->flags & MESSAGE_RESYNC ? names_number_reader(reader) : ++client->server->next_reader;
    client->server->names_changed = true;
    STEP(READER_TAKEN);
    code = join(reader, open);
    if (code == 0)
        return 0;
    refuse(client, open, code);
    stream_reader_destroy(reader);
    return 0;
}

/* ---- other messages ---- */

int stream_reader_held_ring(struct client *client, struct channel_mail *mail) {
    const struct message_held_ring *held = &mail->message.held_ring;
    struct stream_reader *reader = find_reader(client, held->reader);
    if (!reader || held->generation == 0 || held->generation > reader->generation)
        return 0; /* refused */
    struct stream_ring *ring;
    int code = stream_ring_create(mail->fd[0], reader->stream->name, &ring);
    if (code < 0)
        return code;
    mail->fd[0] = -1; /* the ring has it */
    ring->generation = held->generation;
    ring->is_shown = true;
    if (reader->rings_shown < HELD_RINGS_MAX && is_believed(reader, held->generation)) {
        stream_take_former_ring(reader->stream, ring);
        if (held->generation >= reader->stream->former_followed)
            reader->stream->is_former_shown = true;
        stream_check_former(reader->stream);
    } else {
        stream_ring_destroy(ring);
    }
    if (held->generation == reader->generation)
        reader->rings_shown = HELD_RINGS_MAX; /* the newest comes last */
    else if (reader->rings_shown < HELD_RINGS_MAX)
        reader->rings_shown++;
    return 0;
}

bool stream_reader_is_to_show(const struct stream_reader *reader) {
    return reader->generation != 0 && reader->rings_shown < HELD_RINGS_MAX && may_tell(reader);
}

int stream_reader_close(struct client *client, struct channel_mail *mail) {
    const struct message_close_reader *close_reader = &mail->message.close_reader;
    struct stream_reader *reader = find_reader(client, close_reader->reader);
    if (reader)
        stream_reader_leave(reader, "");
    client_done(client, close_reader->header.cookie);
    return 0;
}

static int refuse_unknown(struct client *client, const struct message_reader_of *of) {
    client_refuse(client, of->header.cookie, -ENOENT,
                  "no reader %u of stream '%s'; 'shmframe ls %s' lists them", of->number,
                  of->stream, of->stream);
    return 0;
}

/* A reader concerns its own user and its stream's writer, besides root and who runs this. */
static bool may_touch(const struct client *client, const struct stream_reader *reader) {
    const struct stream_writer *writer = reader->stream->writer;
    return client->uid == 0 || client->uid == geteuid() || client->uid == reader->client->uid ||
           (writer && client->uid == writer->client->uid);
}

static int refuse_untouchable(struct client *client, const struct message_reader_of *of,
                              const struct stream_reader *reader) {
    client_refuse(client, of->header.cookie, -EACCES,
                  "reader %u of stream '%s' belongs to user %u: only he, the stream's writer and "
                  "the supervisor's user may do that",
                  of->number, of->stream, (unsigned)reader->client->uid);
    return 0;
}

int stream_reader_evict(struct client *client, struct channel_mail *mail) {
    const struct message_reader_of *of = &mail->message.reader_of;
    struct stream_reader *reader = find_by_number(client->server, of->stream, of->number);
    if (!reader)
        return refuse_unknown(client, of);
    if (!may_touch(client, reader))
        return refuse_untouchable(client, of, reader);
    struct stream *stream = reader->stream;
    char reason[SHMFRAME_NAME_BYTES + 32];
    snprintf(reason, sizeof(reason), "as %s (pid %d) asked", client->name,
             (int)client->process->pid);
    stream_reader_set_evicted(reader, reason);
    client_done(client, of->header.cookie);
    stream_link_retry(stream);
    return 0;
}

int stream_reader_get_record(struct client *client, struct channel_mail *mail) {
    const struct message_reader_of *of = &mail->message.reader_of;
    const struct stream_reader *reader = find_by_number(client->server, of->stream, of->number);
    if (!reader)
        return refuse_unknown(client, of);
    if (!may_touch(client, reader))
        return refuse_untouchable(client, of, reader);
    union message message;
    message_init(&message, MESSAGE_RECORD, of->header.cookie);
    message.record.number = reader->number;
    client_send(client, &message, &reader->record_fd);
    return 0;
}
