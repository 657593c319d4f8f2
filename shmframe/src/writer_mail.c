/* Writer: what it says to the supervisor, and hears from it. */
#include "writer.h"

#include "clock.h"
#include "step.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- links ---- */

static void give_back(struct shmframe_writer *writer, struct ring_link *link) {
    session_give_entry(writer->object.session, link->entry);
    link_writer_destroy((struct link_writer *)link);
    STEP(LINK_BACK);
}

/* A link that was made, and is to be offered. */
struct offer {
    uint32_t entry, serial;
    int fds[LINK_OFFER_FDS];
};

/* Makes a link and adds it to the ring: before anyone can be granted it (I5). */
static int make_link(struct shmframe_writer *writer, struct writer_ring *ring,
                     struct offer *out_offer) {
    struct shmframe_session *session = writer->object.session;
    int code = session_take_entry(session, &out_offer->entry);
    if (code < 0)
        return code;
    struct link_writer *link;
    out_offer->serial = session_serial(session);
    code = link_writer_create(out_offer->entry, out_offer->serial, &link, out_offer->fds);
    if (code < 0) {
        session_give_entry(session, out_offer->entry);
        return code;
    }
    ring_writer_add(&ring->core, &link->core);
    STEP(LINK_ADDED);
    return 0;
}

/* One that cannot be said is in the ring's list, and nobody's: a new connection ends it. */
static int send_offer(struct shmframe_writer *writer, uint32_t generation,
                      const struct offer *offer) {
    union message message;
    message_init(&message, MESSAGE_OFFER_LINK, 0);
    message.offer_link.writer = writer->object.number;
    message.offer_link.generation = generation;
    message.offer_link.entry = offer->entry;
    message.offer_link.serial = offer->serial;
    const int code = session_send(writer->object.session, &message, offer->fds);
    STEP(LINK_OFFERED);
    if (code < 0)
        session_break(writer->object.session);
    return code;
}

static void close_offer(const struct offer *offer) {
    for (unsigned i = 0; i < LINK_OFFER_FDS; i++)
        close(offer->fds[i]);
}

static int offer_link(struct shmframe_writer *writer, struct writer_ring *ring,
                      uint32_t generation) {
    struct offer offer;
    int code = make_link(writer, ring, &offer);
    if (code < 0)
        return code;
    code = send_offer(writer, generation, &offer);
    close_offer(&offer);
    return code;
}

static struct ring_link *first_link(const struct writer_ring *ring) {
    return atomic_load_explicit(&ring->core.links, memory_order_acquire);
}

static struct grant read_grant(const struct ring_writer *core, const struct ring_link *link) {
    return grant_from_word(
        atomic_load_explicit(&core->notice->entry[link->entry].word, memory_order_acquire));
}

static bool is_granted(const struct ring_writer *core, const struct ring_link *link) {
    const struct grant grant = read_grant(core, link);
    return grant.serial == link->serial && grant.state == ENTRY_GRANTED;
}

/* What else a notice asks for is left to the next loan. */
void writer_read_links(struct shmframe_writer *writer) {
    struct writer_ring *ring = writer->ring;
    if (!ring || !ring_writer_has_notice(&ring->core))
        return;
    ring_writer_refresh(&ring->core);
    ring->warm_ns = clock_now_ns();
    writer->object.is_upkeep_due = true;
}

/* Who is counted gets whatever is published next, so the frame path has to know of it by then, also
 * where that was on loan before. */
uint32_t shmframe_writer_readers(struct shmframe_writer *writer) {
    uint32_t count = 0;
    if (writer->is_threaded)
        pthread_mutex_lock(&writer->mutex);
    session_lock(writer->object.session);
    writer_read_links(writer);
    if (writer->ring)
        count = writer->ring->core.active_count;
    session_unlock(writer->object.session);
    if (writer->is_threaded)
        pthread_mutex_unlock(&writer->mutex);
    return count;
}

/* Tells of a link as the former supervisor left it in its page. */
static int send_held(struct shmframe_writer *writer, const struct writer_ring *ring,
                     const struct ring_link *link) {
    const struct notice_entry *entry = &ring->core.notice->entry[link->entry];
    union message message;
    message_init(&message, MESSAGE_HELD_LINK, 0);
    message.held_link.writer = writer->object.number;
    message.held_link.generation = ring->generation;
    message.held_link.entry = link->entry;
    message.held_link.pid = atomic_load_explicit(&entry->pid, memory_order_relaxed);
    message.held_link.start_time = atomic_load_explicit(&entry->start_time, memory_order_relaxed);
    message.held_link.word = atomic_load_explicit(&entry->word, memory_order_acquire);
    const int code = session_send(writer->object.session, &message, NULL);
    STEP(HELD_SENT);
    return code;
}

/* The page may still change, if it was only the connection that broke: what is announced is sent.
 */
static uint32_t choose_held(const struct writer_ring *ring) {
    uint32_t count = 0;
    for (struct ring_link *link = first_link(ring); link; link = link->next) {
        link->is_told = is_granted(&ring->core, link);
        count += link->is_told;
    }
    return count;
}

static int send_chosen(struct shmframe_writer *writer, const struct writer_ring *ring) {
    int code = 0;
    for (const struct ring_link *link = first_link(ring); link && code == 0; link = link->next)
        if (link->is_told)
            code = send_held(writer, ring, link);
    return code;
}

static int send_allow(const struct shmframe_writer *writer) {
    union message message;
    if (writer->allow.count == 0)
        return 0;
    message_init(&message, MESSAGE_ALLOW, 0);
    message.allow.writer = writer->object.number;
    message.allow.count = writer->allow.count;
    memcpy(message.allow.rule, writer->allow.rule, sizeof(message.allow.rule));
    return session_send(writer->object.session, &message, NULL);
}

static int send_open(struct shmframe_writer *writer, struct writer_ring *ring, bool is_resync,
                     const struct offer *offers, uint32_t links) {
    struct shmframe_session *session = writer->object.session;
    union message message;
    message_init(&message, MESSAGE_OPEN_RING, session_cookie(session));
    struct message_open_ring *open = &message.open_ring;
    message_put_text(open->stream, sizeof(open->stream), writer->stream);
    open->writer = writer->object.number;
    open->generation = ring->generation;
    open->flags = (is_resync ? MESSAGE_RESYNC : 0) | (writer->is_live ? MESSAGE_LIVE : 0);
    open->loans = writer->loans;
    open->history = writer->history;
    open->links = links;
    open->held = is_resync ? choose_held(ring) : 0;
    /* Of the ring, since the frame path's own count is not ours to read here. */
    open->sequence =
        place_sequence(atomic_load_explicit(&ring->core.ring->head, memory_order_relaxed));
    writer->object.cookie = message.header.cookie;
    writer->answer = WRITER_ASKED;
    int code = send_allow(writer);
    if (code == 0)
        code = session_send(session, &message, &ring->fd);
    if (is_resync)
        STEP(RESYNC_SENT);
    else
        STEP(RING_SENT);
    if (code < 0)
        return code;
    if (is_resync)
        code = send_chosen(writer, ring);
    for (unsigned i = 0; i < links && code == 0; i++)
        code = send_offer(writer, ring->generation, &offers[i]);
    if (code < 0) /* the supervisor waits for all that was announced */
        session_break(session);
    return code;
}

/* Nothing is said before all that it announces is made. One who comes back brings no links: what
 * was granted in a page that the frame path does not look at yet would be nobody's lease (I5). */
int writer_send_open(struct shmframe_writer *writer, struct writer_ring *ring, bool is_resync) {
    struct offer offers[WRITER_LINKS];
    const uint32_t links = is_resync ? 0 : WRITER_LINKS;
    uint32_t made = 0;
    int code = 0;
    while (made < links && code == 0) {
        code = make_link(writer, ring, &offers[made]);
        made += code == 0;
    }
    if (code == 0)
        code = send_open(writer, ring, is_resync, offers, links);
    for (uint32_t i = 0; i < made; i++)
        close_offer(&offers[i]);
    return code;
}

void writer_send_close(struct shmframe_writer *writer, uint32_t flags) {
    struct shmframe_session *session = writer->object.session;
    union message message;
    message_init(&message, MESSAGE_CLOSE_WRITER, 0);
    message.close_writer.writer = writer->object.number;
    message.close_writer.flags = flags;
    message.close_writer.sequence = writer->sequence;
    if (session->is_welcome)
        session_send(session, &message, NULL);
}

/* ---- links that are wanted ---- */

/* NULL: it is not to be any more. */
static struct writer_ring *find_wanting(const struct shmframe_writer *writer, uint32_t generation) {
    if (writer->opening &&
        (!writer->ring || writer->is_ended || writer->ring->generation != generation))
        return writer->opening;
    return writer->ring && writer->ring->generation == generation ? writer->ring : NULL;
}

/* What cannot be made now is not forgotten: readers wait for it. */
static void offer_due(struct shmframe_writer *writer) {
    const uint32_t generation = writer->links_due_generation;
    struct writer_ring *ring = find_wanting(writer, generation);
    if (!ring)
        writer->links_due = 0;
    while (writer->links_due > 0 && offer_link(writer, ring, generation) == 0)
        writer->links_due--;
    if (writer->links_due > 0)
        session_retry(&writer->object);
}

static void add_due(struct shmframe_writer *writer, uint32_t generation, uint32_t links) {
    if (writer->links_due_generation != generation)
        writer->links_due = 0;
    writer->links_due_generation = generation;
    if (links <= NOTICE_ENTRIES - writer->links_due)
        writer->links_due += links;
    offer_due(writer);
}

/* ---- settling: both mutexes held ---- */

void writer_drop_links(struct shmframe_writer *writer, struct writer_ring *ring) {
    struct ring_link *next;
    for (struct ring_link *link = first_link(ring); link; link = next) {
        next = link->next;
        give_back(writer, link);
    }
    atomic_store_explicit(&ring->core.links, NULL, memory_order_release);
}

/* Offered links that the former supervisor never gave are no use to the new one. */
static void end_unclaimed(struct writer_ring *ring) {
    for (struct ring_link *link = first_link(ring); link; link = link->next) {
        if (link->state != RING_LINK_OFFERED || !link->is_former ||
            read_grant(&ring->core, link).serial == link->serial)
            continue;
        link->state = RING_LINK_OVER;
        ring->core.links_over++;
    }
}

void writer_ring_set_notice(struct writer_ring *ring, struct session_notice *notice) {
    session_notice_ref(notice);
    session_notice_unref(ring->notice);
    ring->notice = notice;
    ring_writer_set_notice(&ring->core, notice->page);
}

/* Links of older rings stay with the page in which they were granted: it does not change any more.
 */
static void follow_supervisor(struct shmframe_writer *writer) {
    if (!writer->is_resync_opened)
        return;
    writer->is_resync_sent = writer->is_resync_opened = false;
    if (writer->ring->is_resynced) {
        writer->ring->is_resynced = false;
        writer_ring_set_notice(writer->ring, writer->object.session->notice);
        STEP(RESYNC_FOLLOWED);
        end_unclaimed(writer->ring);
        add_due(writer, writer->ring->generation, writer->links_owed);
    }
    writer->links_owed = 0;
}

static bool is_needed(const struct shmframe_writer *writer, const struct writer_ring *ring) {
    return ring == writer->ring || ring->out > 0 || ring->sleepers > 0 ||
           atomic_load_explicit(&ring->core.ring->state, memory_order_relaxed) == RING_OPEN;
}

void writer_settle(struct shmframe_writer *writer) {
    follow_supervisor(writer);
    struct writer_ring **place = &writer->ring;
    while (*place) {
        struct writer_ring *ring = *place;
        if (!is_needed(writer, ring)) {
            *place = ring->next;
            writer->ledger.counters.bells_rung += ring->core.rings;
            writer_ring_destroy(writer, ring);
            continue;
        }
        if (ring->core.links_over > 0 && ring->sleepers == 0) {
            struct ring_link *next;
            for (struct ring_link *link = ring_writer_take_over(&ring->core); link; link = next) {
                next = link->next;
                give_back(writer, link);
            }
        }
        place = &ring->next;
    }
    atomic_store_explicit(&writer->object.has_mail, false, memory_order_relaxed);
}

/* ---- mail ---- */

static void offer_more(struct shmframe_writer *writer, const struct message_want_links *want) {
    struct writer_ring *ring = find_wanting(writer, want->generation);
    if (ring && ring == writer->ring && writer->is_resync_sent) {
        if (writer->links_owed + want->links <= NOTICE_ENTRIES)
            writer->links_owed += want->links;
        return;
    }
    if (ring)
        add_due(writer, want->generation, want->links);
}

static void take_opened(struct shmframe_writer *writer, const struct message_opened *opened) {
    if (opened->header.cookie != writer->object.cookie)
        return;
    writer->answer = WRITER_OPENED;
    writer->opened_sequence = opened->sequence;
    writer->opened_generation = opened->generation;
    writer->is_resync_opened = writer->is_resync_sent;
    STEP(RING_OPENED);
}

static void take_error(struct shmframe_writer *writer, const struct message_error *error) {
    writer->answer = WRITER_REFUSED;
    writer->refusal = error->code < 0 ? error->code : -EPROTO;
    message_put_text(writer->refusal_text, sizeof(writer->refusal_text), error->text);
    if (!writer->is_resync_sent || writer->is_resync_opened)
        return;
    if (writer->refusal == -EAGAIN) {
        session_retry(&writer->object);
        return;
    }
    writer->is_resync_sent = false;
    memcpy(writer->lost_text, writer->refusal_text, sizeof(writer->lost_text));
    atomic_store_explicit(&writer->is_lost, true, memory_order_release);
}

static void take_mail(struct session_object *object, struct channel_mail *mail) {
    struct shmframe_writer *writer = (struct shmframe_writer *)object;
    const union message *message = &mail->message;
    switch ((enum message_type)message->header.type) {
    case MESSAGE_OPENED:
        take_opened(writer, &message->opened);
        break;
    case MESSAGE_ERROR:
        take_error(writer, &message->error);
        break;
    case MESSAGE_WANT_LINKS:
        offer_more(writer, &message->want_links);
        return;
    case MESSAGE_READER_EVENT:
        writer_take_reader_event(writer, &message->reader_event);
        return;
    case MESSAGE_REQUEST:
        writer_take_request(writer, &message->request);
        return;
    default:
        return;
    }
    atomic_store_explicit(&object->has_mail, true, memory_order_relaxed);
}

/* What was never granted stays behind; new links are offered to the new supervisor. */
static void mark_former(struct writer_ring *ring) {
    for (struct ring_link *link = first_link(ring); link; link = link->next)
        link->is_former = true;
}

static void welcome(struct session_object *object) {
    struct shmframe_writer *writer = (struct shmframe_writer *)object;
    memset(writer->request, 0, sizeof(writer->request));
    for (uint32_t i = 0; i < writer->reader_count; i++)
        writer->reader[i].is_former = true;
    if (!writer->ring || writer->ring->generation == 0 || writer->is_ended || writer->is_lost)
        return;
    mark_former(writer->ring);
    writer->links_owed = writer->links_due = 0;
    writer->ring->is_resynced = writer->is_resync_sent = true;
    if (writer_send_open(writer, writer->ring, true) < 0 && !object->session->is_broken)
        session_retry(object);
}

static void retry(struct session_object *object) {
    struct shmframe_writer *writer = (struct shmframe_writer *)object;
    if (writer->is_resync_sent && !writer->is_resync_opened)
        welcome(object);
    else
        offer_due(writer);
}

static void disconnected(struct session_object *object) {
    struct shmframe_writer *writer = (struct shmframe_writer *)object;
    writer->is_resync_sent = writer->is_resync_opened = false;
    writer->links_due = 0;
    if (writer->opening && writer->answer == WRITER_ASKED) {
        writer->answer = WRITER_REFUSED;
        writer->refusal = -ENOTCONN;
        message_put_text(writer->refusal_text, sizeof(writer->refusal_text),
                         "the supervisor went away meanwhile");
    }
}

const struct session_ops writer_ops = {
    .take_mail = take_mail, .welcome = welcome, .retry = retry, .disconnected = disconnected};
