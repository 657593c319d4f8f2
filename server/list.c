/* Lists: sent entry by entry as the socket has room, so that a long one takes no memory. What comes
 * or goes meanwhile may be in it or not. */
#include "stream.h"

#include "limits.h"
#include "server.h"

#include <errno.h>
#include <string.h>

static bool is_listed(const struct stream *stream) {
    return stream->writer || stream->owner || stream->reader_count > 0 ||
           (stream->generation > 0 && shmframe_now_ns() - stream->idle_ns < ENDED_LISTED_NS);
}

static void describe_ring(const struct stream_ring *ring, struct shmframe_stream_info *info) {
    const struct client *client = ring->writer->client;
    message_put_text(info->group, sizeof(info->group), ring->geometry.group);
    shmframe_format_describe(&ring->geometry.format, info->format, sizeof(info->format));
    message_put_text(info->writer, sizeof(info->writer), client->name);
    info->kind = ring->geometry.format.kind;
    info->writer_pid = (int32_t)client->process->pid;
    info->writer_uid = client->uid;
    info->memory_bytes = stream_ring_memory_bytes(ring);
    if (stream_ring_is_ended(ring))
        info->state = SHMFRAME_STREAM_ENDED;
}

static void send_stream(struct client *client, const struct stream *stream) {
    union message message;
    message_init(&message, MESSAGE_STREAM, client->listing.cookie);
    struct shmframe_stream_info *info = &message.stream.info;
    message_put_text(info->name, sizeof(info->name), stream->name);
    info->state = stream->state;
    info->generation = stream->generation;
    info->readers = stream->reader_count;
    info->head = stream_head(stream);
    if (stream->writer) {
        describe_ring(stream->writer->ring, info);
    } else {
        message_put_text(info->group, sizeof(info->group), stream->last_group);
        message_put_text(info->writer, sizeof(info->writer), stream->last_writer);
    }
    client_send(client, &message, NULL);
}

static void send_reader(struct client *client, const struct stream_reader *reader) {
    union message message;
    message_init(&message, MESSAGE_READER, client->listing.cookie);
    struct shmframe_reader_info *info = &message.reader.info;
    message_put_text(info->name, sizeof(info->name), reader->name);
    info->number = reader->number;
    info->pid = (int32_t)reader->client->process->pid;
    info->policy = reader->policy;
    info->depth = reader->depth;
    info->leases = reader->leases;
    info->generation = reader->generation;
    client_send(client, &message, NULL);
}

/* The streams are sorted by name. */
static bool send_next_stream(struct client *client) {
    struct client_listing *listing = &client->listing;
    const struct stream *stream;
    TAILQ_FOREACH (stream, &client->server->streams, all) {
        if (strcmp(stream->name, listing->stream) <= 0 || !is_listed(stream))
            continue;
        message_put_text(listing->stream, sizeof(listing->stream), stream->name);
        send_stream(client, stream);
        return true;
    }
    return false;
}

static bool send_next_reader(struct client *client) {
    struct client_listing *listing = &client->listing;
    const struct stream *stream = stream_find(client->server, listing->stream);
    const struct stream_reader *reader, *next = NULL;
    if (!stream)
        return false;
    TAILQ_FOREACH (reader, &stream->readers, of_stream)
        if (reader->number > listing->reader && (!next || reader->number < next->number))
            next = reader;
    if (!next)
        return false;
    listing->reader = next->number;
    send_reader(client, next);
    return true;
}

void list_continue(struct client *client) {
    struct client_listing *listing = &client->listing;
    while (client->socket >= 0 && client->queued == 0 && listing->type != MESSAGE_NONE) {
        const bool is_sent = listing->type == MESSAGE_LIST_STREAMS ? send_next_stream(client)
                                                                   : send_next_reader(client);
        if (is_sent)
            continue;
        const uint32_t cookie = listing->cookie;
        *listing = (struct client_listing){.type = MESSAGE_NONE};
        union message message;
        message_init(&message, MESSAGE_DONE, cookie);
        client_send(client, &message, NULL);
    }
}

int list_start(struct client *client, struct channel_mail *mail) {
    const struct message_list *list = &mail->message.list;
    if (client->listing.type != MESSAGE_NONE) {
        client_refuse(client, list->header.cookie, -EBUSY, "the list before is still being sent");
        return 0;
    }
    const bool is_of_readers = list->header.type == MESSAGE_LIST_READERS;
    const struct stream *stream = is_of_readers ? stream_find(client->server, list->stream) : NULL;
    if (is_of_readers && (!stream || !is_listed(stream))) {
        client_refuse(client, list->header.cookie, -ENOENT,
                      "no stream '%s'; 'shmframe ls' lists what there is", list->stream);
        return 0;
    }
    client->listing =
        (struct client_listing){.type = list->header.type, .cookie = list->header.cookie};
    if (is_of_readers)
        message_put_text(client->listing.stream, sizeof(client->listing.stream), list->stream);
    list_continue(client);
    return 0;
}
