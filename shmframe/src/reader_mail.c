/* Reader: opening, closing, and what it hears from the supervisor. */
#include "reader.h"

#include "clock.h"
#include "error.h"
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A stream that exists, but whose writer has no link in stock, offers one within this time. */
#define LINK_NS INT64_C(2000000000)

/* ---- what it says; the session's mutex is held ---- */

static int send_open(struct shmframe_reader *reader) {
    struct shmframe_session *session = reader->object.session;
    union message message;
    message_init(&message, MESSAGE_OPEN_READER, session_cookie(session));
    struct message_open_reader *open = &message.open_reader;
    message_put_text(open->stream, sizeof(open->stream), reader->stream);
    message_put_text(open->name, sizeof(open->name), reader->name);
    open->reader = reader->object.number;
    open->policy = reader->policy;
    open->depth = reader->depth;
    open->leases = reader->leases;
    open->flags = reader->was_accepted ? MESSAGE_RESYNC : reader->flags;
    open->generation = reader->link_generation;
    open->serial = reader->link_serial;
    open->entry = reader->link_entry;
    open->head = atomic_load_explicit(&reader->told, memory_order_relaxed);
    reader->object.cookie = message.header.cookie;
    reader->answer = READER_ASKED;
    int code = session_send(session, &message, &reader->record.fd);
    if (reader->was_accepted)
        STEP(RETURN_SENT);
    else
        STEP(READER_SENT);
    if (code < 0)
        return code;
    /* The newest last: whoever has seen that one waits for no more. */
    for (uint32_t i = 0; i < reader->rings && reader->was_accepted && code >= 0; i++) {
        message_init(&message, MESSAGE_HELD_RING, 0);
        message.held_ring.reader = reader->object.number;
        message.held_ring.generation = reader->ring[i].generation;
        code = session_send(session, &message, &reader->ring[i].fd);
        STEP(RETURN_SHOWN);
    }
    if (code < 0) /* it cannot ask for its place twice */
        session_break(session);
    return code;
}

static void send_close(struct shmframe_reader *reader) {
    union message message;
    message_init(&message, MESSAGE_CLOSE_READER, 0);
    message.close_reader.reader = reader->object.number;
    if (reader->object.session->is_welcome)
        session_send(reader->object.session, &message, NULL);
    STEP(READER_CLOSED);
}

/* ---- what it hears; the session's mutex is held ---- */

static void drop_ring(struct shmframe_reader *reader, uint32_t which) {
    close(reader->ring[which].fd);
    reader->rings--;
    memmove(&reader->ring[which], &reader->ring[which + 1],
            (reader->rings - which) * sizeof(reader->ring[0]));
}

/* Without a descriptor left the next supervisor does without. */
static void keep_ring(struct shmframe_reader *reader, uint32_t generation, int fd) {
    const int kept = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (kept < 0)
        return;
    if (reader->rings && reader->ring[reader->rings - 1].generation == generation)
        close(reader->ring[--reader->rings].fd); /* the same one, shown again */
    if (reader->rings == HELD_RINGS_MAX)
        drop_ring(reader, 1); /* what was on loan before all changes comes in the first */
    reader->ring[reader->rings++] = (struct reader_ring){.generation = generation, .fd = kept};
}

static void keep_link(struct shmframe_reader *reader, struct channel_mail *mail) {
    struct reader_mail *kept = malloc(sizeof(*kept));
    if (!kept && !reader->object.is_opening) {
        session_break(reader->object.session); /* and is given it once more */
        return;
    }
    if (!kept) {
        reader->answer = READER_REFUSED;
        reader->refusal = -ENOMEM;
        message_put_text(reader->refusal_text, sizeof(reader->refusal_text),
                         "no memory for a link");
        return;
    }
    keep_ring(reader, mail->message.link.generation, mail->fd[0]);
    kept->mail = *mail;
    for (unsigned i = 0; i < MESSAGE_FDS_MAX; i++)
        mail->fd[i] = -1;
    mail->fds = 0;
    const struct message_link *link = &kept->mail.message.link;
    reader->link_generation = link->generation;
    reader->link_entry = link->entry;
    reader->link_serial = link->serial;
    STAILQ_INSERT_TAIL(&reader->mail, kept, next);
    STEP(LINK_CAME);
}

static void take_mail(struct session_object *object, struct channel_mail *mail) {
    struct shmframe_reader *reader = (struct shmframe_reader *)object;
    const union message *message = &mail->message;
    switch ((enum message_type)message->header.type) {
    case MESSAGE_READER_OK:
        reader->answer = READER_ACCEPTED;
        reader->was_accepted = reader->is_page_new = true;
        reader->number = message->reader_ok.number;
        break;
    case MESSAGE_LINK:
        keep_link(reader, mail);
        break;
    case MESSAGE_ERROR:
        if (reader->answer == READER_ASKED || reader->link_generation == 0)
            reader->answer = READER_REFUSED;
        reader->refusal = message->error.code < 0 ? message->error.code : -EPROTO;
        message_put_text(reader->refusal_text, sizeof(reader->refusal_text), message->error.text);
        break;
    case MESSAGE_DONE: /* our entry in the notice page has changed */
        break;
    default:
        return;
    }
    atomic_store_explicit(&object->has_mail, true, memory_order_relaxed);
    if (reader->mail_event >= 0)
        eventfd_write(reader->mail_event, 1);
}

/* For good: it does not ask another supervisor for a place, and goes by the page that says so. */
static bool is_evicted(const struct shmframe_reader *reader) {
    if (!reader->notice)
        return false;
    const struct notice_entry *entry = &reader->notice->page->entry[reader->object.number];
    return (atomic_load_explicit(&entry->word, memory_order_acquire) & 3) == ENTRY_EVICTED;
}

static void welcome(struct session_object *object) {
    struct shmframe_reader *reader = (struct shmframe_reader *)object;
    if (!is_evicted(reader) && send_open(reader) < 0 && !object->session->is_broken)
        session_retry(object);
}

static void disconnected(struct session_object *object) {
    (void)object; /* welcome() asks again, whatever was under way */
}

const struct session_ops reader_ops = {
    .take_mail = take_mail, .welcome = welcome, .retry = welcome, .disconnected = disconnected};

/* ---- taking it, in the reader's own thread ---- */

void reader_add_event(struct shmframe_reader *reader, const struct shmframe_reader_event *event) {
    if (reader->event_count == READER_EVENTS_MAX) {
        reader->event_first = (reader->event_first + 1) % READER_EVENTS_MAX;
        reader->event_count--;
    }
    reader->event[(reader->event_first + reader->event_count++) % READER_EVENTS_MAX] = *event;
}

int shmframe_reader_next_event(struct shmframe_reader *reader,
                               struct shmframe_reader_event *out_event) {
    if (reader->event_count == 0)
        return -EAGAIN;
    *out_event = reader->event[reader->event_first];
    reader->event_first = (reader->event_first + 1) % READER_EVENTS_MAX;
    reader->event_count--;
    return 0;
}

static int add_link(struct shmframe_reader *reader, struct channel_mail *mail) {
    struct link_reader *link;
    int code = link_reader_create(mail, reader->stream, &link);
    if (code < 0)
        return code;
    link->core.is_latest = reader->policy == SHMFRAME_LATEST;
    if (link->core.begin == RING_BEGIN_NEWEST && !link->core.is_latest)
        ring_reader_begin_here(&link->core);
    /* As the notice page says; but its supervisor, and the page with it, may be gone by now. */
    if (link->gone_generation > reader->gone_generation && link->gone_generation < link->generation)
        reader->gone_generation = link->gone_generation;
    TAILQ_INSERT_TAIL(&reader->next, link, next);
    STEP(LINK_READY);
    return 0;
}

/* From now on the reader's entry stands in the page of the supervisor that has accepted it. */
static void follow_supervisor(struct shmframe_reader *reader) {
    struct session_notice *notice = reader->object.session->notice;
    if (!reader->is_page_new || !notice)
        return;
    session_notice_ref(notice);
    session_notice_unref(reader->notice);
    reader->notice = notice;
    reader->is_page_new = false;
    /* Not read at all yet. */
    reader->notice_seen = atomic_load_explicit(&notice->page->word, memory_order_relaxed) - 1;
}

/* What a later try may do better: its mail is kept. */
static bool may_heal(int code) {
    return code == -ENOMEM || code == -EMFILE || code == -ENFILE || code == -EINTR ||
           code == -ENOSPC;
}

/* In front of what has come meanwhile. */
static void put_back(struct shmframe_reader *reader, struct reader_mail_list *mail) {
    session_lock(reader->object.session);
    STAILQ_CONCAT(mail, &reader->mail);
    STAILQ_CONCAT(&reader->mail, mail);
    atomic_store_explicit(&reader->object.has_mail, true, memory_order_relaxed);
    session_unlock(reader->object.session);
}

int reader_take_mail(struct shmframe_reader *reader) {
    struct shmframe_session *session = reader->object.session;
    struct reader_mail_list taken = STAILQ_HEAD_INITIALIZER(taken);
    int code = 0;
    session_lock(session);
    atomic_store_explicit(&reader->object.has_mail, false, memory_order_relaxed);
    follow_supervisor(reader);
    STAILQ_CONCAT(&taken, &reader->mail);
    if (reader->refusal)
        code = error_set(reader->refusal, "%s", reader->refusal_text);
    if (reader->answer == READER_REFUSED && code < 0) {
        reader->failure = code;
        memcpy(reader->failure_text, reader->refusal_text, sizeof(reader->failure_text));
    }
    reader->refusal = 0;
    session_unlock(session);
    struct reader_mail *mail;
    while ((mail = STAILQ_FIRST(&taken))) {
        const int result = add_link(reader, &mail->mail);
        code = code == 0 ? result : code;
        if (may_heal(result)) {
            put_back(reader, &taken);
            break;
        }
        STAILQ_REMOVE_HEAD(&taken, next);
        channel_close_fds(&mail->mail);
        free(mail);
    }
    return code;
}

void reader_forget_rings(struct shmframe_reader *reader) {
    session_lock(reader->object.session);
    while (reader->rings && reader->ring[0].generation < reader->link->generation)
        drop_ring(reader, 0);
    session_unlock(reader->object.session);
}

/* ---- the descriptor to poll ---- */

bool reader_watch(struct shmframe_reader *reader, struct link_reader *link) {
    struct epoll_event event = {.events = EPOLLIN};
    if (!link->is_watched)
        link->is_watched =
            link->wake >= 0 && epoll_ctl(reader->epoll, EPOLL_CTL_ADD, link->wake, &event) == 0;
    return link->is_watched || link->wake < 0;
}

void reader_unwatch(struct shmframe_reader *reader, struct link_reader *link) {
    if (link->is_watched)
        epoll_ctl(reader->epoll, EPOLL_CTL_DEL, link->wake, NULL);
    link->is_watched = false;
}

int shmframe_reader_fd(struct shmframe_reader *reader) {
    if (reader->epoll >= 0)
        return reader->epoll;
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    const int mail_event = epoll < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll < 0 || mail_event < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, mail_event, &event) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, reader->object.session->wire, &event) < 0) {
        const int code = error_kernel(errno, "no descriptor for a reader");
        if (epoll >= 0)
            close(epoll);
        if (mail_event >= 0)
            close(mail_event);
        return code;
    }
    session_lock(reader->object.session);
    reader->epoll = epoll;
    reader->mail_event = mail_event;
    /* Readable from the start: the first acquire arms it. */
    eventfd_write(mail_event, 1);
    session_unlock(reader->object.session);
    return reader->epoll;
}

/* ---- life ---- */

static int check_params(const struct shmframe_reader_params *params) {
    const int code = session_check_stream(params->stream);
    if (code < 0)
        return code;
    if ((unsigned)params->policy > SHMFRAME_LOSSLESS)
        return error_set(-EINVAL, "there is no policy %d", (int)params->policy);
    if (params->depth > SHMFRAME_DEPTH_MAX)
        return error_set(-EINVAL, "a depth of %u frames is more than %d", params->depth,
                         SHMFRAME_DEPTH_MAX);
    if (params->leases > SHMFRAME_LEASES_MAX)
        return error_set(-EINVAL, "%u leases at once are more than %d", params->leases,
                         SHMFRAME_LEASES_MAX);
    return 0;
}

static void set_params(struct shmframe_reader *reader, struct shmframe_session *session,
                       const struct shmframe_reader_params *params) {
    enum { DEPTH = 4 };
    message_put_text(reader->stream, sizeof(reader->stream), params->stream);
    message_put_text(reader->name, sizeof(reader->name),
                     params->name ? params->name : session->name);
    reader->policy = params->policy;
    reader->depth = params->policy == SHMFRAME_LATEST ? 0 : params->depth ? params->depth : DEPTH;
    reader->leases = params->leases ? params->leases : 1;
    reader->spin_ns = params->spin_ns;
    const bool must_exist = params->flags & SHMFRAME_READER_MUST_EXIST || params->deadline_ns == 0;
    reader->flags = must_exist ? MESSAGE_MUST_EXIST : 0;
}

static int create(struct shmframe_session *session, const struct shmframe_reader_params *params,
                  struct shmframe_reader **out_reader) {
    struct shmframe_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return error_set(-ENOMEM, "no memory for a reader");
    reader->object = (struct session_object){.ops = &reader_ops};
    reader->epoll = reader->mail_event = -1;
    TAILQ_INIT(&reader->next);
    TAILQ_INIT(&reader->left);
    STAILQ_INIT(&reader->mail);
    set_params(reader, session, params);
    overrun_start(&reader->clock, clock_now_ns());
    int code = record_create(&reader->record);
    if (code < 0) {
        free(reader);
        return code;
    }
    session_lock(session);
    code = session_take_entry(session, &reader->object.number);
    if (code == 0)
        session_add(session, &reader->object);
    session_unlock(session);
    if (code < 0) {
        record_destroy(&reader->record);
        free(reader);
        return code;
    }
    *out_reader = reader;
    return 0;
}

static void destroy_links(struct shmframe_reader *reader, struct link_reader_list *list) {
    struct link_reader *link;
    while ((link = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, link, next);
        reader_unwatch(reader, link);
        ring_reader_leave(&link->core);
        link_reader_destroy(link);
    }
}

static void destroy_mail(struct shmframe_reader *reader) {
    struct reader_mail *mail;
    while ((mail = STAILQ_FIRST(&reader->mail))) {
        STAILQ_REMOVE_HEAD(&reader->mail, next);
        channel_close_fds(&mail->mail);
        free(mail);
    }
}

void shmframe_reader_close(struct shmframe_reader *reader) {
    if (!reader)
        return;
    struct shmframe_session *session = reader->object.session;
    session_lock(session);
    send_close(reader);
    session_remove(&reader->object);
    session_give_entry(session, reader->object.number);
    session_notice_unref(reader->notice);
    destroy_mail(reader);
    session_unlock(session);
    while (reader->rings)
        drop_ring(reader, 0);
    if (reader->link)
        TAILQ_INSERT_TAIL(&reader->left, reader->link, next);
    destroy_links(reader, &reader->next);
    destroy_links(reader, &reader->left);
    if (reader->epoll >= 0)
        close(reader->epoll);
    if (reader->mail_event >= 0)
        close(reader->mail_event);
    record_destroy(&reader->record);
    free(reader);
}

/* The session's mutex is held. Asks, and waits for the first link. */
static int open_stream(struct shmframe_reader *reader, int64_t deadline_ns) {
    struct shmframe_session *session = reader->object.session;
    int code = session_await_connection(session, deadline_ns);
    /* If the connection came just now, welcome() has asked already. */
    if (code == 0 && reader->object.cookie == 0)
        code = send_open(reader);
    while (code == 0 && reader->answer != READER_REFUSED && STAILQ_EMPTY(&reader->mail)) {
        code = session_await(session, deadline_ns);
    }
    if (code == -ETIMEDOUT)
        error_set(code, "stream '%s' did not appear in time; 'shmframe ls' lists what there is",
                  reader->stream);
    return code;
}

int shmframe_reader_open(struct shmframe_session *session,
                         const struct shmframe_reader_params *params,
                         struct shmframe_reader **out_reader) {
    int code = check_params(params);
    struct shmframe_reader *reader = NULL;
    if (code == 0)
        code = create(session, params, &reader);
    if (code < 0)
        return code;
    /* The supervisor gets its time to answer, and an existing stream to offer a link. */
    const int64_t soon_ns = shmframe_deadline_ns(LINK_NS);
    session_lock(session);
    reader->object.is_opening = true;
    code = open_stream(reader, params->deadline_ns == 0 ? soon_ns : params->deadline_ns);
    reader->object.is_opening = false;
    session_unlock(session);
    if (code == 0)
        code = reader_take_mail(reader);
    if (code == 0) {
        reader->link = TAILQ_FIRST(&reader->next);
        TAILQ_REMOVE(&reader->next, reader->link, next);
        *out_reader = reader;
        return 0;
    }
    shmframe_reader_close(reader);
    return code;
}

const struct shmframe_format *shmframe_reader_format(const struct shmframe_reader *reader) {
    return &reader->link->geometry.format;
}
