#include "client.h"

#include "closer.h"
#include "error.h"
#include "limits.h"
#include "quota.h"
#include "server.h"
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LAST_WORDS_MAX = 4096 };

static const char NOT_CLOSED[] = "user %u has passed descriptors that cannot be closed, as their "
                                 "file system does not answer";

/* Whose sockets are closed of who was not welcome: they have no descriptors in them, and whoever's
 * closes are stuck, those go on. */
static const uid_t NOBODY = (uid_t)-1;

/* ---- what each message does, and who may send it ---- */

static int say_hello(struct client *client, struct channel_mail *mail);

static int (*const handlers[MESSAGE_TYPES])(struct client *, struct channel_mail *) = {
    [MESSAGE_HELLO] = say_hello,
    [MESSAGE_OPEN_RING] = stream_writer_open_ring,
    [MESSAGE_OFFER_LINK] = stream_offer_link,
    [MESSAGE_HELD_LINK] = stream_offer_held,
    [MESSAGE_CLOSE_WRITER] = stream_writer_close,
    [MESSAGE_OPEN_READER] = stream_reader_open,
    [MESSAGE_HELD_RING] = stream_reader_held_ring,
    [MESSAGE_CLOSE_READER] = stream_reader_close,
    [MESSAGE_REQUEST] = request_ask,
    [MESSAGE_ANSWER] = request_answer,
    [MESSAGE_LIST_STREAMS] = list_start,
    [MESSAGE_LIST_READERS] = list_start,
    [MESSAGE_LIST_NODES] = list_nodes,
    [MESSAGE_COMMAND] = command_do,
    [MESSAGE_GET_RECORD] = stream_reader_get_record,
    [MESSAGE_EVICT] = stream_reader_evict,
    [MESSAGE_LIST_EVENTS] = list_start_events,
    [MESSAGE_ALLOW] = stream_writer_allow,
};

/* Whether it is part of what a session comes back with: after that it may have more. */
static bool is_of_return(const union message *message) {
    switch (message->header.type) {
    case MESSAGE_OPEN_RING:
        return message->open_ring.flags & MESSAGE_RESYNC;
    case MESSAGE_OPEN_READER:
        return message->open_reader.flags & MESSAGE_RESYNC;
    case MESSAGE_HELD_LINK:
    case MESSAGE_HELD_RING:
        return true;
    default:
        return false;
    }
}

static int handle(struct client *client, struct channel_mail *mail) {
    const unsigned type = mail->message.header.type;
    if (!message_is_from_session(type) || !handlers[type])
        return error_set(-EPROTO, "%s is not for a session to send", message_name(type));
    if (client->is_welcome == (type == MESSAGE_HELLO))
        return error_set(-EPROTO, "%s, but HELLO comes first, and once", message_name(type));
    if (is_of_return(&mail->message))
        client->is_asked = client->has_read = false;
    return handlers[type](client, mail);
}

/* ---- sending ---- */

void client_log(struct client *client, const char *text, ...) {
    if (!log_limit_passes(&client->log, shmframe_now_ns()))
        return;
    char line[1536];
    va_list values;
    va_start(values, text);
    vsnprintf(line, sizeof(line), text, values);
    va_end(values);
    char dropped[48] = "";
    if (client->log.dropped)
        snprintf(dropped, sizeof(dropped), " lines_dropped=%llu",
                 (unsigned long long)client->log.dropped);
    client->log.dropped = 0;
    log_event("%s client=%s pid=%d uid=%u%s", line, log_quote(client->name).text,
              (int)client->process->pid, (unsigned)client->uid, dropped);
}

static void refill_tokens(struct client *client) {
    const int64_t now_ns = shmframe_now_ns();
    client->tokens += (double)(now_ns - client->tokens_ns) * 1e-9 * LIMIT_MESSAGES_PER_S;
    client->tokens_ns = now_ns;
    if (client->tokens > LIMIT_MESSAGES_BURST)
        client->tokens = LIMIT_MESSAGES_BURST;
}

/* Which readiness is of use: a client that says too much at once is not read until the next tick.
 */
static void update_interest(struct client *client) {
    if (client->socket < 0)
        return;
    refill_tokens(client);
    uint32_t events = client->tokens >= 1 && !client->is_resting ? EPOLLIN : 0;
    if (!client->must_wait && (client->queued || client->listing.type != MESSAGE_NONE))
        events |= EPOLLOUT;
    sd_event_source_set_io_events(client->source, events);
    /* A hang-up is reported whatever was asked for: silence must be switched off. */
    sd_event_source_set_enabled(client->source, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void free_mail(struct client_mail *mail) {
    for (unsigned i = 0; i < MESSAGE_FDS_MAX; i++)
        if (mail->fd[i] >= 0)
            closer_close(mail->fd[i], mail->fds_uid);
    free(mail);
}

static void clear_queue(struct client *client) {
    struct client_mail *mail;
    while ((mail = STAILQ_FIRST(&client->queue))) {
        STAILQ_REMOVE_HEAD(&client->queue, next);
        free_mail(mail);
    }
    client->queued = 0;
}

static int copy_mail(const struct client *client, const union message *message, const int *fds,
                     uid_t fds_uid, struct client_mail **out_mail) {
    struct client_mail *mail = malloc(sizeof(*mail));
    if (!mail)
        return -ENOMEM;
    const uint32_t count = message_fds(message->header.type);
    memcpy(&mail->message, message, message->header.bytes);
    mail->fds_uid = fds_uid;
    for (uint32_t i = 0; i < MESSAGE_FDS_MAX; i++)
        mail->fd[i] = -1;
    for (uint32_t i = 0; i < count; i++) {
        mail->fd[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (mail->fd[i] < 0 ||
            server_is_short_of_fds(client->server, mail->fd[i], LIMIT_FDS_LAST)) {
            free_mail(mail);
            return -EMFILE;
        }
    }
    *out_mail = mail;
    return 0;
}

static int send_now(struct client *client, const union message *message, const int *fds) {
    int code = channel_send(client->socket, message, fds);
    if (code == 0 && client->notice.page)
        notice_mail(&client->notice);
    return code;
}

/* Before anything is sent to it: after that one could not tell what it is that was not read. */
static void note_read(struct client *client) {
    int unread = 0;
    if (client->is_asked && !client->has_read && client->queued == 0)
        client->has_read = ioctl(client->socket, SIOCOUTQ, &unread) == 0 && unread == 0;
}

void client_send(struct client *client, const union message *message, const int *fds) {
    client_send_of(client, message, fds, client->uid);
}

void client_send_of(struct client *client, const union message *message, const int *fds,
                    uid_t fds_uid) {
    if (client->socket < 0)
        return;
    log_detail("send type=%s cookie=%u to=%s", message_name(message->header.type),
               message->header.cookie, log_quote(client->name).text);
    note_read(client);
    if (client->queued == 0) {
        int code = send_now(client, message, fds);
        client->must_wait = code == -EMFILE;
        /* A peer that is gone may have left last words: the loop reads them, then its end. */
        if (code == 0 || code == -EPIPE)
            return;
    }
    if (client->queued >= LIMIT_MAIL_QUEUED) {
        client_drop(client, "it does not read what it is sent");
        return;
    }
    struct client_mail *mail;
    const int code = copy_mail(client, message, fds, fds_uid, &mail);
    if (code < 0) {
        client_drop(client, code == -ENOMEM ? "the supervisor has no memory"
                                            : "the supervisor has no descriptor left: raise its "
                                              "limit, `ulimit -n`");
        return;
    }
    STAILQ_INSERT_TAIL(&client->queue, mail, next);
    client->queued++;
    update_interest(client);
}

void client_flush(struct client *client) {
    int code = 0;
    struct client_mail *mail;
    while (client->socket >= 0 && (mail = STAILQ_FIRST(&client->queue))) {
        code = send_now(client, &mail->message, mail->fd);
        if (code == -EAGAIN || code == -EMFILE)
            break;
        STAILQ_REMOVE_HEAD(&client->queue, next);
        client->queued--;
        free_mail(mail);
    }
    /* Descriptors on their way are counted for the whole user: no event tells when there is room.
     */
    client->must_wait = code == -EMFILE;
    if (code == 0)
        list_continue(client);
    update_interest(client);
}

void client_refuse(struct client *client, uint32_t cookie, int code, const char *text, ...) {
    union message message;
    message_init(&message, MESSAGE_ERROR, cookie);
    message.error.code = code;
    va_list values;
    va_start(values, text);
    vsnprintf(message.error.text, sizeof(message.error.text), text, values);
    va_end(values);
    /* Who asks for what is not offered has another way, or tells of it himself. */
    if (code == -ENOTSUP && client->is_welcome)
        log_detail("refuse errno=%d reason=%s client=%s", -code, log_quote(message.error.text).text,
                   log_quote(client->name).text);
    else
        client_log(client, "refuse errno=%d reason=%s", -code, log_quote(message.error.text).text);
    client_send(client, &message, NULL);
}

void client_done(struct client *client, uint32_t cookie) {
    if (cookie == 0)
        return;
    union message message;
    message_init(&message, MESSAGE_DONE, cookie);
    client_send(client, &message, NULL);
}

/* ---- receiving ---- */

static bool take_token(struct client *client) {
    refill_tokens(client);
    if (client->tokens < 1) {
        client->has_said_much = true;
        return false;
    }
    client->tokens -= 1;
    return true;
}

static void close_mail(const struct client *client, struct channel_mail *mail) {
    for (uint32_t i = 0; i < mail->fds; i++)
        if (mail->fd[i] >= 0)
            closer_close(mail->fd[i], client->uid);
}

/* Whoever passes what is slow to close is read no quicker than that is closed; who passes what
 * never is, no more. */
static bool must_rest(struct client *client) {
    switch (closer_look(client->uid)) {
    case CLOSER_KEEPS_UP:
        break;
    case CLOSER_IS_BEHIND:
        client->is_resting = true;
        server_rest(client->server);
        return true;
    case CLOSER_IS_STUCK:
        client_refuse(client, 0, -EMFILE, NOT_CLOSED, (unsigned)client->uid);
        client_drop(client, "its user's descriptors cannot be closed");
        return true;
    }
    return false;
}

void client_rested(struct client *client) {
    if (!client->is_resting)
        return;
    client->is_resting = false;
    update_interest(client);
}

unsigned client_count_fds(const struct client *client) {
    unsigned count = 0;
    const struct stream_reader *reader;
    TAILQ_FOREACH (reader, &client->readers, of_client)
        count += stream_reader_count_fds(reader);
    const struct stream_writer *writer;
    TAILQ_FOREACH (writer, &client->writers, of_client)
        count += stream_writer_count_fds(writer);
    const struct client_mail *mail;
    STAILQ_FOREACH (mail, &client->queue, next)
        count += message_fds(mail->message.header.type);
    return count;
}

/* Before anything else is decided: what is refused, or of no more use, is not closed for somebody
 * who sends whatever he likes. */
static int check_kinds(const struct channel_mail *mail) {
    switch (mail->message.header.type) {
    case MESSAGE_OPEN_RING:
    case MESSAGE_HELD_RING:
        return region_check(mail->fd[0], REGION_SEALED, 0, NULL);
    case MESSAGE_OPEN_READER:
        return region_check(mail->fd[0], REGION_SEALED, RECORD_BYTES, NULL);
    case MESSAGE_OFFER_LINK:
        return stream_offer_check_fds(mail->fd);
    default:
        return 0;
    }
}

/* The last ones are for nobody; once half of them are taken, nobody may have more than a quarter.
 */
static int check_fds(const struct client *client, const struct channel_mail *mail) {
    const struct server *server = client->server;
    if (mail->fds == 0)
        return 0;
    const int fd = mail->fd[mail->fds - 1];
    if (server_is_short_of_fds(server, fd, LIMIT_FDS_LAST))
        return error_set(-EMFILE, "the supervisor has no descriptor left: raise its limit, "
                                  "`ulimit -n`");
    if (server_is_short_of_fds(server, fd, (unsigned)(server->fds_limit / 2)) &&
        client_count_fds(client) >= server->fds_limit / 4)
        return error_set(-EMFILE,
                         "the session has a quarter of the supervisor's descriptors, of which few "
                         "are left: raise its limit, `ulimit -n`");
    return quota_check(client, QUOTA_DESCRIPTORS, mail->fds) < 0 ? -EMFILE : 0;
}

/* Costs what was asked for, and no more: others may have used up the descriptors. */
static int refuse_fds(struct client *client, struct channel_mail *mail, int code) {
    const struct message_header *header = &mail->message.header;
    if (!client->is_welcome || !message_is_from_session(header->type))
        return code;
    switch (header->type) {
    case MESSAGE_OPEN_RING:
        return stream_writer_refuse_ring(client, &mail->message.open_ring, code);
    case MESSAGE_OFFER_LINK:
        return stream_offer_lose(client, mail);
    case MESSAGE_HELD_RING:
        return 0; /* others may show it */
    default:
        client_refuse(client, header->cookie, code, "%s", shmframe_last_error());
        return 0;
    }
}

/* Whether there may be more to read. */
static bool read_one(struct client *client) {
    struct channel_mail mail;
    int code = channel_receive_open(client->socket, &mail);
    if (code == -EAGAIN || code == -ENOMEM) /* of the latter: it is still there */
        return false;
    if (code == -EPIPE) {
        close_mail(client, &mail);
        client_drop(client, "it closed the connection");
        return false;
    }
    const uint32_t cookie = mail.message.header.cookie;
    if (code == 0) {
        log_detail("receive type=%s cookie=%u from=%s", message_name(mail.message.header.type),
                   cookie, log_quote(client->name).text);
        code = check_kinds(&mail);
        if (code == 0)
            code = check_fds(client, &mail);
        if (code == 0)
            code = handle(client, &mail);
        else if (code != -EPROTO)
            code = refuse_fds(client, &mail, code);
        if (mail.message.header.type == MESSAGE_OPEN_RING)
            client->tokens -= MESSAGES_AN_OPEN_RING_COSTS;
    }
    close_mail(client, &mail);
    if (code < 0) {
        client_refuse(client, cookie, code, "%s", shmframe_last_error());
        client_drop(client, "it was refused");
        return false;
    }
    return client->socket >= 0;
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *user) {
    (void)source;
    (void)fd;
    struct client *client = user;
    if (events & EPOLLOUT)
        client_flush(client);
    const bool is_over = events & (EPOLLHUP | EPOLLERR);
    if (events & ~(uint32_t)EPOLLOUT)
        for (unsigned i = 0; i < LIMIT_MESSAGES_A_TURN && client->socket >= 0; i++)
            if ((!take_token(client) && !is_over) || must_rest(client) || !read_one(client))
                break;
    update_interest(client);
    return 0;
}

static bool has_words(const struct client *client) {
    struct pollfd words = {.fd = client->socket, .events = POLLIN};
    return client->socket >= 0 && poll(&words, 1, 0) > 0 && (words.revents & POLLIN);
}

bool client_has_returned(struct client *client) {
    if (!client_is_here(client))
        return false;
    if (client->has_said_much)
        return true;
    if (!client->is_asked) {
        union message message;
        message_init(&message, MESSAGE_DONE, 0); /* of nothing */
        client_send(client, &message, NULL);
        client->is_asked = true;
        return false;
    }
    note_read(client);
    return client->has_read && !has_words(client);
}

void client_drain(struct client *client) {
    struct server *server = client->server;
    if (server->is_draining || client->socket < 0)
        return;
    server->is_draining = true;
    for (unsigned i = 0; i < LAST_WORDS_MAX && client->socket >= 0 && read_one(client); i++) {
    }
    server->is_draining = false;
}

static int on_handshake_timeout(sd_event_source *source, uint64_t usec, void *user) {
    (void)source;
    (void)usec;
    client_drop(user, "it did not say HELLO in time");
    return 0;
}

/* ---- hello ---- */

void client_put_text(char *out, size_t out_bytes, const char *text) {
    message_put_text(out, out_bytes, text);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

void client_put_name(char out[SHMFRAME_NAME_BYTES], const char *text) {
    client_put_text(out, SHMFRAME_NAME_BYTES, text);
}

/* A process that comes back has closed its former connection before; what it said there comes
 * first, and from the WELCOME on nothing is granted on the strength of it. */
static void finish_former_connections(struct client *client) {
    struct client *other;
    TAILQ_FOREACH (other, &client->process->sessions, of_process) {
        if (other == client || other->socket < 0)
            continue;
        struct pollfd poll_other = {.fd = other->socket};
        if (poll(&poll_other, 1, 0) > 0 && (poll_other.revents & (POLLHUP | POLLERR)))
            client_drain(other);
    }
}

static int say_hello(struct client *client, struct channel_mail *mail) {
    const struct message_hello *hello = &mail->message.hello;
    const int64_t now_ns = shmframe_now_ns();
    const int64_t apart_ns = (int64_t)((uint64_t)now_ns - (uint64_t)hello->now_ns);
    if (apart_ns > CLOCKS_APART_NS || apart_ns < -CLOCKS_APART_NS)
        return error_set(-ENOTSUP,
                         "the peer's clock is %lld s away from the supervisor's: it runs in "
                         "another time namespace",
                         (long long)(apart_ns / 1000000000));
    int fd;
    struct notice notice;
    int code = notice_create(&notice, &fd);
    if (code < 0)
        return code;
    client_put_name(client->name, hello->name);
    finish_former_connections(client);
    client->notice = notice;
    client->is_welcome = true;
    client->hello_ns = now_ns;
    client->timer = sd_event_source_disable_unref(client->timer);
    listener_let_pass(client->socket, true);
    union message message;
    message_init(&message, MESSAGE_WELCOME, hello->header.cookie);
    message.welcome.entries = NOTICE_ENTRIES;
    message.welcome.pid = (int32_t)getpid();
    client_send(client, &message, &fd);
    close(fd);
    STEP(PEER_WELCOMED);
    client_log(client, "event=client-welcome");
    return 0;
}

/* ---- life ---- */

void client_turn_away(int socket, int code, const char *text) {
    static struct log_limit limit; /* of all who have no limit of their own yet */
    union message message;
    message_init(&message, MESSAGE_ERROR, 0);
    message.error.code = code;
    message_put_text(message.error.text, sizeof(message.error.text), text);
    channel_send(socket, &message, NULL);
    if (log_limit_passes(&limit, shmframe_now_ns()))
        log_trouble("event=connection-refused errno=%d reason=%s", -code,
                    log_quote(message.error.text).text);
    /* What was sent to it is closed with it; and it hears at once. */
    shutdown(socket, SHUT_RDWR);
    closer_close(socket, NOBODY);
}

/* The cheap questions first: what costs a descriptor comes last. */
static int check_peer(struct server *server, int socket, struct process **out_process,
                      struct permission *out_permission) {
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return error_set(-errno, "the peer is unknown: %s", strerror(errno));
    int code = permission_find(server, socket, &peer, out_permission);
    if (code == 0 && closer_look(peer.uid) == CLOSER_IS_STUCK)
        code = error_set(-EMFILE, NOT_CLOSED, (unsigned)peer.uid);
    if (code == 0)
        code = quota_check_session(server, peer.uid, NULL);
    if (code < 0)
        return code;
    if (server_is_short_of_fds(server, socket, LIMIT_FDS_RESERVED))
        return error_set(-EMFILE, "the supervisor is short of descriptors: raise its limit, "
                                  "`ulimit -n`");
    code = process_of_socket(server, socket, out_process);
    if (code == -EACCES)
        return error_set(code, "the peer is in a pid namespace that the supervisor cannot see");
    if (code == -EBUSY)
        return error_set(code,
                         "the peer's process cannot be looked at: a file that it closes as it "
                         "runs a program, or others of its user do, does not get closed");
    if (code < 0)
        return error_set(code, "the peer's process cannot be watched: %s", strerror(-code));
    code = quota_check_session(server, peer.uid, *out_process);
    if (code < 0)
        process_release(*out_process);
    return code;
}

static int start_listening(struct client *client) {
    sd_event *event = client->server->event;
    int code = sd_event_add_io(event, &client->source, client->socket, EPOLLIN, on_socket, client);
    if (code >= 0)
        code = sd_event_add_time_relative(event, &client->timer, CLOCK_MONOTONIC,
                                          HANDSHAKE_NS / 1000, 0, on_handshake_timeout, client);
    return code;
}

void client_accept(struct server *server, int socket) {
    struct process *process;
    struct permission permission = {0};
    int code = check_peer(server, socket, &process, &permission);
    if (code < 0) {
        permission_destroy(&permission);
        client_turn_away(socket, code, shmframe_last_error());
        return;
    }
    struct client *client = calloc(1, sizeof(*client));
    if (!client) {
        permission_destroy(&permission);
        process_release(process);
        client_turn_away(socket, -ENOMEM, "the supervisor has no memory");
        return;
    }
    *client = (struct client){.server = server,
                              .process = process,
                              .uid = permission.who.uid,
                              .permission = permission,
                              .socket = socket,
                              .tokens = LIMIT_MESSAGES_BURST,
                              .tokens_ns = shmframe_now_ns()};
    STAILQ_INIT(&client->queue);
    TAILQ_INIT(&client->writers);
    TAILQ_INIT(&client->readers);
    TAILQ_INSERT_TAIL(&server->clients, client, all);
    TAILQ_INSERT_TAIL(&process->sessions, client, of_process);
    server->client_count++;
    if (start_listening(client) < 0)
        client_drop(client, "the supervisor has no memory");
    STEP(PEER_ACCEPTED);
}

void client_drop(struct client *client, const char *reason) {
    if (client->socket < 0)
        return;
    client_log(client, "event=client-disconnected writers=%u readers=%u reason=%s",
               client->writer_count, client->reader_count, log_quote(reason).text);
    client->source = sd_event_source_disable_unref(client->source);
    client->timer = sd_event_source_disable_unref(client->timer);
    /* The peer hears at once; what it had sent is closed when it is closed. */
    shutdown(client->socket, SHUT_RDWR);
    closer_close(client->socket, client->is_welcome ? client->uid : NOBODY);
    client->socket = -1;
    client->listing.type = MESSAGE_NONE;
    client->wait.is_waiting = false;
    clear_queue(client);
    client->away_ns = shmframe_now_ns();
}

void client_release(struct client *client, const char *reason) {
    client_drop(client, reason);
    struct server *server = client->server;
    struct stream_reader *reader;
    struct stream_writer *writer;
    request_forget_asker(client);
    while ((writer = TAILQ_FIRST(&client->writers)))
        stream_writer_gone(writer, SHMFRAME_STREAM_WRITER_GONE, reason);
    while ((reader = TAILQ_FIRST(&client->readers)))
        stream_reader_leave(reader, reason);
    client_log(client, "event=client-released reason=%s", log_quote(reason).text);
    notice_destroy(&client->notice);
    TAILQ_REMOVE(&server->clients, client, all);
    TAILQ_REMOVE(&client->process->sessions, client, of_process);
    server->client_count--;
    process_release(client->process);
    permission_destroy(&client->permission);
    free(client);
}

void client_sweep(struct client *client) {
    if (client->socket >= 0)
        return;
    if (!client->is_swept) {
        client->is_swept = true;
        request_forget_asker(client);
        struct stream_writer *writer = TAILQ_FIRST(&client->writers);
        while (writer) {
            struct stream_writer *next = TAILQ_NEXT(writer, of_client);
            stream_writer_away(writer);
            writer = next;
        }
    }
    if (client->writer_count == 0 && client->reader_count == 0)
        client_release(client, "nothing of it is left");
}
