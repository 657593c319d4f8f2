/* Lists: sent entry by entry as the socket has room, so that a long one takes no memory. What comes
 * or goes meanwhile may be in it or not. */
#include "stream.h"

#include "ledger.h"
#include "limits.h"
#include "server.h"

#include <errno.h>
#include <string.h>

static bool is_listed(const struct stream *stream) {
    return stream->writer || stream->owner || stream->reader_count > 0 ||
           (stream->generation > 0 && shmframe_now_ns() - stream->idle_ns < ENDED_LISTED_NS);
}

/* As its writer has it, in a page of his: numbers for show. */
static void describe_account(const struct stream_ring *ring, struct shmframe_stream_info *info) {
    struct ledger_counters counters;
    ledger_get_counters(ring->head.base, &counters);
    info->published = counters.published;
    info->abandoned = counters.abandoned;
    info->refused = counters.refused;
    info->late = counters.late;
    info->device_dropped = counters.device_dropped;
    info->waits = counters.waits;
    info->publish_ns = counters.publish_ns;
    info->period_ns = counters.period_ns;
    info->blocked_ns = ledger_blocked_since(&counters, shmframe_now_ns());
    info->slots = counters.slots_used;
    if (info->blocked_ns && counters.blocker != LEDGER_SELF)
        info->blocker = watch_find_blocker(ring->writer->stream, counters.blocker);
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
    info->slots_max = ring->geometry.slots;
    info->slot_bytes = ring->geometry.slot_stride;
    describe_account(ring, info);
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
    info->record_id = reader->record_id;
    info->uid = reader->client->uid;
    info->is_evicted = reader->is_evicted;
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

static bool send_next_event(struct client *client) {
    struct client_listing *listing = &client->listing;
    union message message;
    message_init(&message, MESSAGE_EVENT, listing->cookie);
    if (listing->events == 0 || !journal_next(client, listing->event, &message.event.event))
        return false;
    listing->event = message.event.event.id;
    listing->events--;
    client_send(client, &message, NULL);
    return true;
}

static bool send_next_node(struct client *client) {
    const struct node *node = TAILQ_FIRST(&client->server->pipeline.nodes);
    for (uint32_t i = 0; node && i < client->listing.nodes; i++)
        node = TAILQ_NEXT(node, all);
    if (!node)
        return false;
    client->listing.nodes++;
    union message message;
    message_init(&message, MESSAGE_NODE, client->listing.cookie);
    node_fill_info(node, &message.node.info);
    client_send(client, &message, NULL);
    return true;
}

static bool send_next(struct client *client) {
    switch (client->listing.type) {
    case MESSAGE_LIST_STREAMS:
        return send_next_stream(client);
    case MESSAGE_LIST_READERS:
        return send_next_reader(client);
    case MESSAGE_LIST_EVENTS:
        return send_next_event(client);
    case MESSAGE_LIST_NODES:
        return send_next_node(client);
    default:
        return false;
    }
}

void list_continue(struct client *client) {
    struct client_listing *listing = &client->listing;
    while (client->socket >= 0 && client->queued == 0 && listing->type != MESSAGE_NONE) {
        if (send_next(client))
            continue;
        const uint32_t cookie = listing->cookie;
        *listing = (struct client_listing){.type = MESSAGE_NONE};
        union message message;
        message_init(&message, MESSAGE_DONE, cookie);
        client_send(client, &message, NULL);
    }
    list_tell_news(client);
}

static void start_events(struct client *client, const struct client_wait *wait) {
    client->listing = (struct client_listing){.type = MESSAGE_LIST_EVENTS,
                                              .cookie = wait->cookie,
                                              .event = wait->after,
                                              .events = wait->count};
    list_continue(client);
}

void list_tell_news(struct client *client) {
    const struct client_wait wait = client->wait;
    struct shmframe_event event;
    if (!wait.is_waiting || client->listing.type != MESSAGE_NONE ||
        !journal_next(client, wait.after, &event))
        return;
    client->wait.is_waiting = false;
    start_events(client, &wait);
}

/* One question waits for a session: a newer one takes its place, since the one before was given up.
 */
int list_start_events(struct client *client, struct channel_mail *mail) {
    const struct message_list_events *list = &mail->message.list_events;
    const struct client_wait wait = {.is_waiting = true,
                                     .cookie = list->header.cookie,
                                     .after = list->after,
                                     .count = list->count};
    if (list->flags & MESSAGE_WAIT) {
        client->wait = wait;
        list_tell_news(client);
    } else if (client->listing.type != MESSAGE_NONE) {
        client_refuse(client, list->header.cookie, -EBUSY, "the list before is still being sent");
    } else {
        start_events(client, &wait);
    }
    return 0;
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

int list_nodes(struct client *client, struct channel_mail *mail) {
    const uint32_t cookie = mail->message.header.cookie;
    if (client->listing.type != MESSAGE_NONE) {
        client_refuse(client, cookie, -EBUSY, "the list before is still being sent");
        return 0;
    }
    client->listing = (struct client_listing){.type = MESSAGE_LIST_NODES, .cookie = cookie};
    list_continue(client);
    return 0;
}
