/* Session: the connection to the supervisor, from its socket to whom a message is for. */
#include "session.h"

#include "clock.h"
#include "error.h"
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKOFF_FIRST_NS = 10000000, BACKOFF_MAX_NS = 1000000000, MAIL_A_TURN = 1024 };
#define RETRY_NS INT64_C(100000000)
/* How often a frame path looks after its return to a new supervisor, and for how long. */
#define HASTE_NS       INT64_C(5000000)
#define HASTE_LASTS_NS INT64_C(1000000000)

/* ---- sending ---- */

static void free_out(struct session_out *out) {
    for (unsigned i = 0; i < MESSAGE_FDS_MAX; i++)
        if (out->fd[i] >= 0)
            close(out->fd[i]);
    free(out);
}

static void clear_out(struct shmframe_session *session) {
    struct session_out *out;
    while ((out = STAILQ_FIRST(&session->out))) {
        STAILQ_REMOVE_HEAD(&session->out, next);
        free_out(out);
    }
}

static int keep_for_later(struct shmframe_session *session, const union message *message,
                          const int *fds) {
    struct session_out *out = malloc(sizeof(*out));
    if (!out)
        return error_set(-ENOMEM, "no memory for a message to the supervisor");
    const uint32_t count = message_fds((enum message_type)message->header.type);
    memcpy(&out->message, message, message->header.bytes);
    for (uint32_t i = 0; i < MESSAGE_FDS_MAX; i++)
        out->fd[i] = -1;
    for (uint32_t i = 0; i < count; i++) {
        out->fd[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (out->fd[i] < 0) {
            const int number = errno;
            free_out(out);
            return error_kernel(number, "no descriptor for a message to the supervisor");
        }
    }
    STAILQ_INSERT_TAIL(&session->out, out, next);
    return 0;
}

static void set_timer(struct shmframe_session *session, int64_t at_ns) {
    const struct itimerspec when = {.it_value = clock_timespec(at_ns)};
    timerfd_settime(session->timer, TFD_TIMER_ABSTIME, &when, NULL);
    session->is_timer_set = at_ns != 0;
}

static int watch_socket(struct shmframe_session *session, int operation) {
    struct epoll_event event = {.events = EPOLLIN | (STAILQ_EMPTY(&session->out) ? 0 : EPOLLOUT)};
    if (epoll_ctl(session->wire, operation, session->socket, &event) < 0)
        return error_kernel(errno, "the session's socket cannot be watched");
    return 0;
}

/* There is more to send, or no more. If that cannot be listened for, a timer has it looked at. */
static void watch_sending(struct shmframe_session *session) {
    session->is_watch_due = watch_socket(session, EPOLL_CTL_MOD) < 0;
    if (session->is_watch_due)
        set_timer(session, shmframe_now_ns() + RETRY_NS);
}

static void flush(struct shmframe_session *session) {
    if (STAILQ_EMPTY(&session->out) || session->socket < 0)
        return;
    struct session_out *out;
    while ((out = STAILQ_FIRST(&session->out))) {
        int code = channel_send(session->socket, &out->message, out->fd);
        if (code == -EAGAIN || code == -EMFILE)
            break;
        STAILQ_REMOVE_HEAD(&session->out, next);
        free_out(out);
    }
    watch_sending(session);
}

int session_send(struct shmframe_session *session, const union message *message, const int *fds) {
    if (session->socket < 0)
        return error_set(-ENOTCONN, "no supervisor answers at %s", session->path);
    if (session->is_broken)
        return error_set(-ENOTCONN, "the connection to the supervisor is being made anew");
    flush(session);
    if (STAILQ_EMPTY(&session->out)) {
        int code = channel_send(session->socket, message, fds);
        /* That the peer is gone is heard when its last words have been read. */
        if (code == 0 || code == -EPIPE)
            return 0;
    }
    int code = keep_for_later(session, message, fds);
    watch_sending(session);
    return code;
}

/* ---- connecting ---- */

/* Jittered, so that a hundred sessions do not come back in the same instant. */
static void plan_reconnection(struct shmframe_session *session, int64_t now_ns) {
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = (uint32_t)now_ns;
    const int64_t wait_ns = session->backoff_ns / 2 + session->backoff_ns * (random % 1024) / 1024;
    session->reconnect_ns = now_ns + wait_ns;
    session->backoff_ns =
        session->backoff_ns * 2 < BACKOFF_MAX_NS ? session->backoff_ns * 2 : BACKOFF_MAX_NS;
    set_timer(session, session->reconnect_ns);
}

void session_retry(struct session_object *object) {
    object->retry_ns = shmframe_now_ns() + RETRY_NS;
    set_timer(object->session, object->retry_ns);
}

static void retry(struct shmframe_session *session, int64_t now_ns) {
    struct session_object *object;
    TAILQ_FOREACH (object, &session->objects, next) {
        if (object->retry_ns == 0 || now_ns < object->retry_ns || !session->is_welcome)
            continue;
        object->retry_ns = 0;
        object->ops->retry(object);
    }
}

/* `code` and `text` are for who waits for an answer. */
static void disconnect(struct shmframe_session *session, int code, const char *text) {
    if (session->socket < 0)
        return;
    close(session->socket);
    session->socket = -1;
    session->is_broken = session->is_watch_due = false;
    const bool was_welcome = session->is_welcome;
    session->is_welcome = false;
    session_notice_unref(session->notice);
    session->notice = NULL;
    clear_out(session);
    session_drop_calls(session, code, text);
    STEP(SESSION_LOST);
    if (was_welcome) {
        session->backoff_ns = BACKOFF_FIRST_NS;
        struct session_object *object;
        TAILQ_FOREACH (object, &session->objects, next) {
            object->retry_ns = 0;
            object->ops->disconnected(object);
        }
    }
    plan_reconnection(session, shmframe_now_ns());
}

void session_break(struct shmframe_session *session) {
    if (session->socket < 0)
        return;
    session->is_broken = true;
    set_timer(session, shmframe_now_ns());
    atomic_store_explicit(&session->upkeep_ns, 0, memory_order_relaxed);
}

static int open_socket(const struct shmframe_session *session) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, session->path, sizeof(address.sun_path));
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_kernel(errno, "no socket for a session");
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    const int code = errno;
    close(fd);
    if (code == EACCES || code == EPERM)
        return error_set(-EACCES,
                         "this user cannot reach the supervisor at %s: shmframed --reach lets "
                         "others, see shmframed(8); or set SHMFRAME_SOCKET to one of his own",
                         session->path);
    return error_set(-ENOTCONN,
                     "no supervisor answers at %s (%s): start shmframed, or use 'shmframe run'",
                     session->path, strerror(code));
}

static void say_hello(struct shmframe_session *session) {
    union message message;
    message_init(&message, MESSAGE_HELLO, session_cookie(session));
    message_put_text(message.hello.name, sizeof(message.hello.name), session->name);
    message.hello.now_ns = shmframe_now_ns();
    session_send(session, &message, NULL);
    STEP(HELLO_SENT);
}

int session_connect(struct shmframe_session *session, int64_t now_ns) {
    const int fd = open_socket(session);
    if (fd < 0) {
        plan_reconnection(session, now_ns);
        return fd;
    }
    session->socket = fd;
    const int code = watch_socket(session, EPOLL_CTL_ADD);
    if (code < 0) {
        close(fd);
        session->socket = -1;
        plan_reconnection(session, now_ns);
        return code;
    }
    session->refusal = 0;
    session->hello_ns = now_ns;
    session->haste_ns = TAILQ_EMPTY(&session->objects) ? 0 : now_ns + HASTE_LASTS_NS;
    set_timer(session, now_ns + SESSION_HELLO_TIMEOUT_NS);
    say_hello(session);
    return 0;
}

static int take_welcome(struct shmframe_session *session, struct channel_mail *mail) {
    if (mail->message.welcome.entries != NOTICE_ENTRIES)
        return error_set(-EPROTO, "the supervisor's notice page has %u entries instead of %u",
                         mail->message.welcome.entries, NOTICE_ENTRIES);
    struct session_notice *notice = NULL;
    int code = session_notice_map(mail->fd[0], &notice);
    if (code < 0)
        return code;
    session->notice = notice;
    session->is_welcome = true;
    session->backoff_ns = BACKOFF_FIRST_NS;
    session->mail_seen = 0;
    set_timer(session, 0);
    STEP(WELCOME_TAKEN);
    struct session_object *object;
    TAILQ_FOREACH (object, &session->objects, next)
        object->ops->welcome(object);
    return 0;
}

/* ---- receiving ---- */

static struct session_object *find_object(struct shmframe_session *session, bool is_writer,
                                          uint32_t number) {
    struct session_object *object;
    TAILQ_FOREACH (object, &session->objects, next)
        if (object->is_writer == is_writer && object->number == number)
            return object;
    return NULL;
}

static struct session_object *find_by_cookie(struct shmframe_session *session, uint32_t cookie) {
    struct session_object *object;
    TAILQ_FOREACH (object, &session->objects, next)
        if (cookie != 0 && object->cookie == cookie)
            return object;
    return NULL;
}

static struct session_object *find_receiver(struct shmframe_session *session,
                                            const union message *message) {
    switch ((enum message_type)message->header.type) {
    case MESSAGE_OPENED:
        return find_object(session, true, message->opened.writer);
    case MESSAGE_WANT_LINKS:
        return find_object(session, true, message->want_links.writer);
    case MESSAGE_READER_EVENT:
        return find_object(session, true, message->reader_event.writer);
    case MESSAGE_REQUEST:
        return find_object(session, true, message->request.writer);
    case MESSAGE_READER_OK:
        return find_object(session, false, message->reader_ok.reader);
    case MESSAGE_LINK:
        return find_object(session, false, message->link.reader);
    default: /* answers go by their cookie */
        return find_by_cookie(session, message->header.cookie);
    }
}

/* Why there is no WELCOME. A HELLO that was read late, as the supervisor was stopped, bears a time
 * that looks like another clock's: a later one tells. */
static int take_refusal(const struct shmframe_session *session,
                        const struct message_error *refusal) {
    if (refusal->code == -ENOTSUP &&
        shmframe_now_ns() - session->hello_ns > SESSION_HELLO_TIMEOUT_NS)
        return error_set(-ETIMEDOUT, "the supervisor at %s does not answer in time", session->path);
    return error_set(refusal->code < 0 ? refusal->code : -EPROTO, "%s", refusal->text);
}

/* A negative result ends the connection. */
static int handle(struct shmframe_session *session, struct channel_mail *mail) {
    const union message *message = &mail->message;
    const unsigned type = message->header.type;
    if (!message_is_from_supervisor(type))
        return error_set(-EPROTO, "%s is not for a supervisor to send", message_name(type));
    if (!session->is_welcome) {
        if (type == MESSAGE_WELCOME)
            return take_welcome(session, mail);
        if (type != MESSAGE_ERROR)
            return error_set(-EPROTO, "%s came before WELCOME", message_name(type));
        return take_refusal(session, &message->error);
    }
    if (type == MESSAGE_WELCOME)
        return error_set(-EPROTO, "WELCOME came twice");
    if (session_answer_call(session, mail))
        return 0;
    struct session_object *object = find_receiver(session, message);
    if (object)
        object->ops->take_mail(object, mail);
    return 0;
}

/* A message came whose descriptors this process has no room for. Who needs them is told so. False:
 * it did not just ask for them, and gets them after a new connection. */
static bool tell_of_lost_fds(struct shmframe_session *session, const union message *message) {
    const unsigned type = message->header.type;
    if ((type != MESSAGE_RECORD && type != MESSAGE_LINK) ||
        message_check(message, message->header.bytes, message_fds((enum message_type)type)) < 0)
        return false;
    struct channel_mail refusal = {.fds = 0};
    message_init(&refusal.message, MESSAGE_ERROR, message->header.cookie);
    refusal.message.error.code = -EMFILE;
    message_put_text(refusal.message.error.text, sizeof(refusal.message.error.text),
                     "this process has no descriptor left; raise `ulimit -n`");
    if (type == MESSAGE_RECORD)
        return session_answer_call(session, &refusal);
    struct session_object *reader = find_receiver(session, message);
    if (reader)
        reader->ops->take_mail(reader, &refusal);
    return reader && reader->is_opening;
}

static unsigned receive(struct shmframe_session *session) {
    unsigned taken = 0;
    if (session->notice)
        session->mail_seen = atomic_load_explicit(&session->notice->page->mail,
                                                  memory_order_relaxed); /* as a hint */
    while (session->socket >= 0 && taken < MAIL_A_TURN) {
        struct channel_mail mail;
        int code = channel_receive(session->socket, &mail);
        if (code == -EAGAIN)
            break;
        if (code == -ENOMEM) { /* still there */
            session->mail_seen--;
            break;
        }
        if (code == 0) {
            taken++;
            code = handle(session, &mail);
        } else if (code == -EMFILE && session->is_welcome &&
                   tell_of_lost_fds(session, &mail.message)) {
            taken++;
            code = 0;
        }
        channel_close_fds(&mail);
        if (code < 0) {
            if (!session->is_welcome) {
                taken++; /* to be looked at before the next attempt */
                session->refusal = code == -EPIPE && session->refusal ? session->refusal : code;
                message_put_text(session->refusal_text, sizeof(session->refusal_text),
                                 shmframe_last_error());
            }
            if (code == -EPIPE)
                disconnect(session, -ENOTCONN, "the supervisor went away meanwhile");
            else
                disconnect(session, code, shmframe_last_error());
        }
    }
    return taken;
}

/* ---- upkeep ---- */

static void plan_upkeep(struct shmframe_session *session, int64_t now_ns) {
    int64_t due_ns = now_ns + SESSION_UPKEEP_NS;
    if (session->socket < 0 && session->reconnect_ns < due_ns)
        due_ns = session->reconnect_ns;
    if (session->socket >= 0 && now_ns < session->haste_ns)
        due_ns = now_ns + HASTE_NS;
    atomic_store_explicit(&session->upkeep_ns, due_ns, memory_order_relaxed);
}

unsigned session_do_upkeep(struct shmframe_session *session, int64_t now_ns) {
    uint64_t ticks;
    if (session->is_timer_set && read(session->timer, &ticks, sizeof(ticks)) > 0)
        session->is_timer_set = false;
    if (session->is_broken)
        disconnect(session, -ENOTCONN, "the connection to the supervisor is being made anew");
    if (session->is_watch_due)
        watch_sending(session);
    flush(session);
    retry(session, now_ns);
    unsigned taken = receive(session);
    if (session->socket >= 0 && !session->is_welcome &&
        now_ns - session->hello_ns > SESSION_HELLO_TIMEOUT_NS) {
        session->refusal = -ETIMEDOUT;
        disconnect(session, -ETIMEDOUT, "the supervisor does not answer in time");
    }
    if (session->socket < 0 && now_ns >= session->reconnect_ns &&
        session_connect(session, now_ns) == 0)
        taken += receive(session);
    plan_upkeep(session, now_ns);
    return taken;
}

/* ---- its descriptors ---- */

int session_open_wire(struct shmframe_session *session) {
    session->backoff_ns = BACKOFF_FIRST_NS;
    session->epoll = epoll_create1(EPOLL_CLOEXEC);
    session->wire = epoll_create1(EPOLL_CLOEXEC);
    session->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    session->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (session->epoll < 0 || session->wire < 0 || session->timer < 0 || session->kick < 0 ||
        epoll_ctl(session->wire, EPOLL_CTL_ADD, session->timer, &event) < 0 ||
        epoll_ctl(session->epoll, EPOLL_CTL_ADD, session->wire, &event) < 0 ||
        epoll_ctl(session->epoll, EPOLL_CTL_ADD, session->kick, &event) < 0)
        return error_kernel(errno, "no descriptors for a session");
    return 0;
}

static void close_fd(int fd) {
    if (fd >= 0)
        close(fd);
}

void session_close_wire(struct shmframe_session *session) {
    clear_out(session);
    session_notice_unref(session->notice);
    close_fd(session->socket);
    close_fd(session->epoll);
    close_fd(session->wire);
    close_fd(session->timer);
    close_fd(session->kick);
}
