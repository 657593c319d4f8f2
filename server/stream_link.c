#include "stream.h"

#include "closer.h"
#include "error.h"
#include "limits.h"
#include "quota.h"
#include "server.h"
#include "step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool needs_link(const struct stream_reader *reader, const struct stream_ring *ring) {
    return !reader->link && !reader->is_evicted && !reader->is_refused &&
           reader->generation < ring->generation && client_is_here(reader->client);
}

static struct grant make_grant(const struct stream_reader *reader) {
    return (struct grant){.depth = reader->depth,
                          .leases = reader->leases,
                          .is_lossless = reader->policy == SHMFRAME_LOSSLESS,
                          .state = ENTRY_GRANTED};
}

/* ---- what there is room for ---- */

/* Slots that must have memory when `reader` joins those who are linked, and those who have waited
 * for a link since before him. NULL: for the linked alone. */
static uint32_t count_slots(const struct stream_ring *ring, const struct stream_reader *reader) {
    uint32_t history = ring->history, leased = 0;
    const struct stream_link *link;
    TAILQ_FOREACH (link, &ring->links, of_ring) {
        if (link->state == LINK_UNUSED)
            continue;
        history = link->grant.depth > history ? link->grant.depth : history;
        leased += grant_slots(link->grant);
    }
    const struct stream_reader *other = reader ? TAILQ_FIRST(&reader->stream->readers) : NULL;
    for (; other; other = other == reader ? NULL : TAILQ_NEXT(other, of_stream)) {
        if (other != reader && !needs_link(other, ring))
            continue;
        history = other->depth > history ? other->depth : history;
        leased += grant_slots(make_grant(other));
    }
    return ring->loans + history + leased;
}

static int check_permission(const struct stream_ring *ring, const struct stream_reader *reader) {
    int code = permission_check_read(reader->client, ring);
    if (code == 0 && reader->policy == SHMFRAME_LOSSLESS)
        code = permission_check_writer(reader->client, reader->stream);
    return code;
}

int stream_link_admit(const struct stream_ring *ring, const struct stream_reader *reader) {
    const struct ring_geometry *geometry = &ring->geometry;
    const int code = check_permission(ring, reader);
    if (code < 0)
        return code;
    if (reader->policy == SHMFRAME_LOSSLESS && ring->is_live)
        return error_set(-ENOTSUP,
                         "stream '%s' is live and waits for nobody: read it in order, "
                         "or the latest frame",
                         geometry->stream);
    /* One to spare: what is retired in a publish is free only at the next loan. */
    const uint32_t slots = count_slots(ring, reader);
    if (slots + 1 > geometry->slots)
        return error_set(-ENOSPC,
                         "stream '%s' has %u slots, with this reader it needs %u: ask for "
                         "less depth or fewer leases, or give its writer more ring_bytes",
                         geometry->stream, geometry->slots, slots + 1);
    const uint32_t unused = slots > ring->slots_granted ? slots - ring->slots_granted : 0;
    return quota_check_slots(ring, reader, make_grant(reader), unused);
}

/* ---- giving ---- */

static struct stream_link *find_unused(const struct stream_ring *ring) {
    struct stream_link *link;
    TAILQ_FOREACH (link, &ring->links, of_ring)
        if (link->state == LINK_UNUSED)
            return link;
    return NULL;
}

static void close_link_fds(struct stream_link *link) {
    for (unsigned i = 0; i < 2; i++) /* pages: plain memory */
        if (link->fd[i] >= 0)
            close(link->fd[i]);
    if (link->fd[2] >= 0)
        closer_close(link->fd[2], link->ring->writer->client->uid);
    link->fd[0] = link->fd[1] = link->fd[2] = -1;
}

static void send_reader_event(struct stream_writer *writer, uint32_t number, pid_t pid,
                              const char *name, uint32_t flags) {
    union message message;
    message_init(&message, MESSAGE_READER_EVENT, 0);
    message.reader_event.writer = writer->number;
    message.reader_event.number = number;
    message.reader_event.pid = (int32_t)pid;
    message.reader_event.flags = flags;
    message_put_text(message.reader_event.name, sizeof(message.reader_event.name), name);
    client_send(writer->client, &message, NULL);
}

void stream_link_tell_gone(struct stream_writer *writer, pid_t pid) {
    send_reader_event(writer, 0, pid, "", MESSAGE_LEFT);
}

static void send_link(struct stream_link *link, uint32_t flags) {
    const struct stream_ring *ring = link->ring;
    const struct stream_reader *reader = link->reader;
    const uint32_t slots = count_slots(ring, NULL);
    union message message;
    message_init(&message, MESSAGE_LINK, 0);
    message.link.reader = reader->entry;
    message.link.generation = ring->generation;
    message.link.entry = link->entry;
    message.link.serial = link->serial;
    message.link.leases = link->grant.leases;
    message.link.depth = link->grant.depth;
    message.link.is_lossless = link->grant.is_lossless;
    message.link.flags = flags;
    message.link.slots = slots < ring->geometry.slots ? slots : ring->geometry.slots;
    message.link.writer_pid = (int32_t)ring->writer->client->process->pid;
    message.link.gone_generation = ring->writer->stream->gone_generation;
    const int fds[] = {ring->fd, link->fd[0], link->fd[1], link->fd[2]};
    client_send_of(reader->client, &message, fds, ring->writer->client->uid);
}

uint32_t stream_link_count_slots(const struct stream_ring *ring) {
    return count_slots(ring, NULL);
}

void stream_link_note_slots(struct stream_ring *ring) {
    const uint32_t slots = count_slots(ring, NULL);
    ring->slots_granted = slots > ring->slots_granted ? slots : ring->slots_granted;
}

/* The grant is in the writer's page before the reader can know of the link, so that the writer's
 * next loan minds its leases (I5). */
static void give(struct stream_link *link, struct stream_reader *reader) {
    struct stream_ring *ring = link->ring;
    struct stream_writer *writer = ring->writer;
    const bool is_announced = !ring->is_opened && !ring->is_resync;
    const bool is_follower = reader->generation != 0;
    const struct process *process = reader->client->process;
    if (!is_follower)
        reader->watch.begin = stream_head(writer->stream);
    link->state = LINK_GRANTED;
    link->reader = reader;
    link->grant = make_grant(reader);
    link->grant.serial = link->serial;
    reader->link = link;
    stream_link_note_slots(ring);
    reader->generation = ring->generation;
    reader->rings_shown = HELD_RINGS_MAX;
    reader->link_entry = link->entry;
    reader->link_serial = link->serial;
    notice_set_entry(&writer->client->notice, link->entry, grant_word(link->grant), process->pid,
                     process->start_time);
    STEP(LINK_GRANTED);
    if (stream_followed(writer->stream) != writer->stream->followed_saved)
        names_save(writer->stream->server); /* before it can know of any frame */
    /* A lossless one that comes late begins where the writer has noticed it: what it took before
     * that would be followed by frames that nobody kept for it. */
    const bool is_from_start = is_announced || (is_follower && !link->grant.is_lossless);
    send_link(link, is_from_start ? MESSAGE_FROM_START : 0);
    STEP(LINK_SENT);
    close_link_fds(link);
    client_log(reader->client, "event=reader-linked stream=%s generation=%u reader=%u name=%s",
               writer->stream->name, ring->generation, reader->number,
               log_quote(reader->name).text);
    send_reader_event(writer, reader->number, process->pid, reader->name,
                      is_follower ? MESSAGE_FOLLOWS : 0);
    STEP(LINK_TOLD);
}

/* One that has not had a link yet fails to open; one that followed stays and waits for another
 * ring, or for others to leave. Both hear why. */
static void refuse(struct stream_reader *reader, int code) {
    client_refuse(reader->client, reader->cookie, code, "%s", shmframe_last_error());
    reader->is_refused = true;
    if (reader->generation == 0) {
        watch_reader_left(reader, "there was no room for it");
        stream_reader_destroy(reader);
    }
}

static void answer_opened(struct stream_ring *ring) {
    union message message;
    message_init(&message, MESSAGE_OPENED, ring->cookie);
    message.opened.writer = ring->writer->number;
    message.opened.generation = ring->generation;
    message.opened.sequence = stream_head(ring->writer->stream);
    ring->is_opened = true;
    client_send(ring->writer->client, &message, NULL);
    STEP(RING_ANSWERED);
}

static void want_links(struct stream_ring *ring, uint32_t waiting) {
    uint32_t have = ring->links_wanted;
    const struct stream_link *link;
    TAILQ_FOREACH (link, &ring->links, of_ring)
        have += link->state == LINK_UNUSED;
    const uint32_t target = LINKS_IN_STOCK + waiting;
    /* Many that are on their way will do for now: a crowd is not a question each. */
    if (have >= target || target - have < ring->links_wanted / 8)
        return;
    union message message;
    message_init(&message, MESSAGE_WANT_LINKS, 0);
    message.want_links.writer = ring->writer->number;
    message.want_links.generation = ring->generation;
    message.want_links.links = target - have;
    ring->links_wanted += target - have;
    client_send(ring->writer->client, &message, NULL);
}

void stream_link_readers(struct stream *stream) {
    if (!stream->writer || !client_is_here(stream->writer->client))
        return;
    struct stream_ring *ring = stream->writer->ring;
    if (ring->is_resync && !ring->is_opened)
        answer_opened(ring);
    uint32_t waiting = 0;
    struct stream_reader *next;
    for (struct stream_reader *reader = TAILQ_FIRST(&stream->readers); reader; reader = next) {
        next = TAILQ_NEXT(reader, of_stream);
        if (!needs_link(reader, ring))
            continue;
        int code = stream_link_admit(ring, reader);
        struct stream_link *link = find_unused(ring);
        if (code < 0)
            refuse(reader, code);
        else if (link)
            give(link, reader);
        else
            waiting++;
    }
    if (!ring->is_opened && waiting == 0)
        answer_opened(ring);
    want_links(ring, waiting);
}

/* ---- taking back ---- */

void stream_link_destroy(struct stream_link *link) {
    if (link->state != LINK_UNUSED)
        watch_link_end(link);
    if (link->reader)
        link->reader->link = NULL;
    link->ring->writer->client->entry_is_used[link->entry] = false;
    process_release(link->holder);
    close_link_fds(link);
    TAILQ_REMOVE(&link->ring->links, link, of_ring);
    free(link);
}

void stream_link_end(struct stream_link *link, enum entry_state state) {
    struct stream_writer *writer = link->ring->writer;
    const struct stream_reader *reader = link->reader;
    const pid_t pid = reader ? reader->client->process->pid : link->holder_pid;
    const uint64_t start_time =
        reader ? reader->client->process->start_time : link->holder_start_time;
    link->grant.state = state;
    notice_set_entry(&writer->client->notice, link->entry, grant_word(link->grant), pid,
                     start_time);
    STEP(LINK_ENDED);
    send_reader_event(writer, reader ? reader->number : 0, pid, reader ? reader->name : "",
                      MESSAGE_LEFT);
    stream_link_destroy(link);
}

static void drop_unused(struct stream_ring *ring) {
    struct stream_link *next;
    for (struct stream_link *link = ring ? TAILQ_FIRST(&ring->links) : NULL; link; link = next) {
        next = TAILQ_NEXT(link, of_ring);
        if (link->state == LINK_UNUSED)
            stream_link_destroy(link);
    }
}

void stream_link_drop_unused(struct stream *stream) {
    if (stream->writer)
        drop_unused(stream->writer->ring);
    if (stream->opener)
        drop_unused(stream->opener->opening);
}

/* ---- after a restart ---- */

/* Errors: as process_find(). */
static int watch_holder(struct stream_link *link) {
    if (link->holder)
        return 0;
    return process_find(link->ring->writer->client->server, link->holder_pid,
                        link->holder_start_time, &link->holder);
}

struct stream_link *stream_link_find_held(const struct stream_ring *ring,
                                          const struct process *process, uint32_t entry,
                                          uint32_t serial) {
    struct stream_link *link;
    TAILQ_FOREACH (link, &ring->links, of_ring)
        if (link->state == LINK_HELD && link->entry == entry && link->serial == serial &&
            watch_holder(link) == 0 && link->holder == process)
            return link;
    return NULL;
}

bool stream_link_claim(struct stream_ring *ring, struct stream_reader *reader) {
    struct stream_link *link = stream_link_find_held(ring, reader->client->process,
                                                     reader->link_entry, reader->link_serial);
    if (!link)
        return false;
    link->state = LINK_GRANTED;
    link->reader = reader;
    process_release(link->holder);
    link->holder = NULL;
    reader->link = link;
    STEP(LINK_CLAIMED);
    return true;
}

/* Whether a reader in the holder's process has a link to a later ring, which never came to be: it
 * is that one that it tells of, but it still reads by the link to this ring. */
static bool is_held_silently(const struct stream_link *link) {
    const struct stream_reader *reader;
    TAILQ_FOREACH (reader, &link->ring->writer->stream->readers, of_stream)
        if (reader->client->process == link->holder && !reader->is_evicted &&
            reader->generation > link->ring->generation)
            return true;
    return false;
}

/* Whether the holder has been back for long enough, and has not claimed it: sessions that are here
 * have said all they have, and others have had time to come. That is told by ticks, of which there
 * are none while this process is stopped; while the holder is, it has no time, and they do not
 * count. Called once a tick. */
static bool came_back_without(struct stream_link *link) {
    const int code = watch_holder(link);
    if (code < 0) /* nobody knows whether it lives, or it is dead */
        return code == -ESRCH;
    if (is_held_silently(link))
        return false;
    const enum process_return returned = process_returned(link->holder);
    if (returned == RETURN_NONE || process_may_be_stopped(link->holder))
        return false;
    link->back_ticks += returned == RETURN_ALL;
    link->back_in_part_ticks++;
    return link->back_ticks >= BACK_NS / TICK_NS ||
           link->back_in_part_ticks >= BACK_IN_PART_NS / TICK_NS;
}

static bool end_held(struct stream_ring *ring, const struct process *process) {
    bool is_changed = false;
    struct stream_link *next;
    for (struct stream_link *link = TAILQ_FIRST(&ring->links); link; link = next) {
        next = TAILQ_NEXT(link, of_ring);
        if (link->state != LINK_HELD ||
            !(process ? link->holder == process : came_back_without(link)))
            continue;
        stream_link_end(link, ENTRY_GONE);
        is_changed = true;
    }
    return is_changed;
}

void stream_link_end_held(struct stream *stream, const struct process *process) {
    if (stream->opener)
        end_held(stream->opener->opening, process);
    if (stream->writer && end_held(stream->writer->ring, process))
        stream_link_retry(stream);
}

void stream_link_retry(struct stream *stream) {
    struct stream_reader *reader;
    TAILQ_FOREACH (reader, &stream->readers, of_stream)
        reader->is_refused = false;
    stream_link_readers(stream);
}
