#include "session.h"

#include "clock.h"
#include "error.h"
#include "futex.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
#define HELLO_TIMEOUT_NS INT64_C(5000000000)
#define SLEEP_MAX_NS     INT64_C(100000000)
#define RETRY_NS         INT64_C(100000000)
/* How often a frame path looks after its return to a new supervisor, and for how long. */
#define HASTE_NS       INT64_C(5000000)
#define HASTE_LASTS_NS INT64_C(1000000000)

void session_lock(struct shmframe_session *session) {
    pthread_mutex_lock(&session->mutex);
}

void session_unlock(struct shmframe_session *session) {
    pthread_mutex_unlock(&session->mutex);
}

/* ---- numbers ---- */

void session_add(struct shmframe_session *session, struct session_object *object) {
    object->session = session;
    TAILQ_INSERT_TAIL(&session->objects, object, next);
}

void session_remove(struct session_object *object) {
    TAILQ_REMOVE(&object->session->objects, object, next);
}

static uint32_t next_number(uint32_t *number) {
    if (++*number == 0)
        *number = 1;
    return *number;
}

uint32_t session_cookie(struct shmframe_session *session) {
    return next_number(&session->next_cookie);
}

uint32_t session_serial(struct shmframe_session *session) {
    return next_number(&session->next_serial);
}

int session_take_entry(struct shmframe_session *session, uint32_t *out_entry) {
    for (uint32_t tries = 0; tries < NOTICE_ENTRIES; tries++) {
        const uint32_t entry = session->next_entry++ % NOTICE_ENTRIES;
        const uint64_t bit = UINT64_C(1) << entry % 64;
        if (session->entry_used[entry / 64] & bit)
            continue;
        session->entry_used[entry / 64] |= bit;
        *out_entry = entry;
        return 0;
    }
    return error_set(-ENOSPC, "the session has %u links and readers, its limit: open another one",
                     NOTICE_ENTRIES);
}

void session_give_entry(struct shmframe_session *session, uint32_t entry) {
    session->entry_used[entry / 64] &= ~(UINT64_C(1) << entry % 64);
}

/* ---- the notice page ---- */

struct session_notice *session_notice_ref(struct session_notice *notice) {
    if (notice)
        notice->references++;
    return notice;
}

void session_notice_unref(struct session_notice *notice) {
    if (!notice || --notice->references > 0)
        return;
    region_unmap(&notice->region);
    free(notice);
}

static int map_notice(int fd, struct session_notice **out_notice) {
    struct session_notice *notice = calloc(1, sizeof(*notice));
    if (!notice)
        return error_set(-ENOMEM, "no memory for a session");
    int code = region_check(fd, REGION_SEALED, NOTICE_BYTES, NULL);
    if (code == 0)
        code = region_map(fd, NOTICE_BYTES, &notice->region);
    if (code < 0) {
        free(notice);
        return code;
    }
    notice->page = notice->region.base;
    notice->references = 1;
    *out_notice = notice;
    return 0;
}

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
            free_out(out);
            return error_set(-EMFILE, "this process has no descriptor left; raise `ulimit -n`");
        }
    }
    STAILQ_INSERT_TAIL(&session->out, out, next);
    return 0;
}

static void watch_socket(struct shmframe_session *session, int operation) {
    struct epoll_event event = {.events = EPOLLIN | (STAILQ_EMPTY(&session->out) ? 0 : EPOLLOUT)};
    epoll_ctl(session->wire, operation, session->socket, &event);
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
    watch_socket(session, EPOLL_CTL_MOD);
}

int session_send(struct shmframe_session *session, const union message *message, const int *fds) {
    if (session->socket < 0)
        return error_set(-ENOTCONN, "no supervisor answers at %s", session->path);
    flush(session);
    if (STAILQ_EMPTY(&session->out)) {
        int code = channel_send(session->socket, message, fds);
        /* That the peer is gone is heard when its last words have been read. */
        if (code == 0 || code == -EPIPE)
            return 0;
    }
    int code = keep_for_later(session, message, fds);
    watch_socket(session, EPOLL_CTL_MOD);
    return code;
}

/* ---- connecting ---- */

static void set_timer(struct shmframe_session *session, int64_t at_ns) {
    const struct itimerspec when = {.it_value = clock_timespec(at_ns)};
    timerfd_settime(session->timer, TFD_TIMER_ABSTIME, &when, NULL);
    session->is_timer_set = at_ns != 0;
}

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
        object->ops->welcome(object);
    }
}

static void finish_calls(struct shmframe_session *session) {
    struct session_call *call;
    TAILQ_FOREACH (call, &session->calls, next) {
        if (call->is_done)
            continue;
        call->is_done = true;
        call->code = -ENOTCONN;
        message_put_text(call->text, sizeof(call->text), "the supervisor went away meanwhile");
    }
}

static void disconnect(struct shmframe_session *session) {
    if (session->socket < 0)
        return;
    close(session->socket);
    session->socket = -1;
    const bool was_welcome = session->is_welcome;
    session->is_welcome = false;
    session_notice_unref(session->notice);
    session->notice = NULL;
    clear_out(session);
    finish_calls(session);
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

static int open_socket(const struct shmframe_session *session) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, session->path, sizeof(address.sun_path));
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(-errno, "no socket for a session: %s; raise `ulimit -n`", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    const int code = errno;
    close(fd);
    if (code == EACCES || code == EPERM)
        return error_set(-EACCES, "this user may not use the supervisor at %s", session->path);
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
}

static int connect_now(struct shmframe_session *session, int64_t now_ns) {
    const int fd = open_socket(session);
    if (fd < 0) {
        plan_reconnection(session, now_ns);
        return fd;
    }
    session->socket = fd;
    session->refusal = 0;
    session->hello_ns = now_ns;
    session->haste_ns = TAILQ_EMPTY(&session->objects) ? 0 : now_ns + HASTE_LASTS_NS;
    watch_socket(session, EPOLL_CTL_ADD);
    set_timer(session, now_ns + HELLO_TIMEOUT_NS);
    say_hello(session);
    return 0;
}

static int take_welcome(struct shmframe_session *session, struct channel_mail *mail) {
    if (mail->message.welcome.entries != NOTICE_ENTRIES)
        return error_set(-EPROTO, "the supervisor's notice page has %u entries instead of %u",
                         mail->message.welcome.entries, NOTICE_ENTRIES);
    struct session_notice *notice = NULL;
    int code = map_notice(mail->fd[0], &notice);
    if (code < 0)
        return code;
    session->notice = notice;
    session->is_welcome = true;
    session->backoff_ns = BACKOFF_FIRST_NS;
    session->mail_seen = 0;
    set_timer(session, 0);
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

static bool answer_call(struct shmframe_session *session, struct channel_mail *mail) {
    const union message *message = &mail->message;
    struct session_call *call;
    TAILQ_FOREACH (call, &session->calls, next) {
        if (call->cookie != message->header.cookie || call->is_done)
            continue;
        if (message->header.type == MESSAGE_ERROR) {
            call->is_done = true;
            call->code = message->error.code < 0 ? message->error.code : -EPROTO;
            message_put_text(call->text, sizeof(call->text), message->error.text);
        } else {
            call->is_done =
                call->take ? call->take(call->user, mail) : message->header.type == MESSAGE_DONE;
        }
        return true;
    }
    return false;
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
        return error_set(message->error.code < 0 ? message->error.code : -EPROTO, "%s",
                         message->error.text);
    }
    if (type == MESSAGE_WELCOME)
        return error_set(-EPROTO, "WELCOME came twice");
    if (answer_call(session, mail))
        return 0;
    struct session_object *object = find_receiver(session, message);
    if (object)
        object->ops->take_mail(object, mail);
    return 0;
}

/* A message came whose descriptors this process has no room for. Whoever just asked for them is told
 * so. False: somebody needs them to go on, and gets them after a new connection. */
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
        return answer_call(session, &refusal);
    struct session_object *reader = find_receiver(session, message);
    if (!reader || !reader->is_opening)
        return false;
    reader->ops->take_mail(reader, &refusal);
    return true;
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
            disconnect(session);
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
    flush(session);
    retry(session, now_ns);
    unsigned taken = receive(session);
    if (session->socket >= 0 && !session->is_welcome &&
        now_ns - session->hello_ns > HELLO_TIMEOUT_NS) {
        session->refusal = -ETIMEDOUT;
        disconnect(session);
    }
    if (session->socket < 0 && now_ns >= session->reconnect_ns && connect_now(session, now_ns) == 0)
        taken += receive(session);
    plan_upkeep(session, now_ns);
    return taken;
}

bool session_upkeep(struct shmframe_session *session, int64_t now_ns, bool is_mail_likely) {
    if (pthread_mutex_trylock(&session->mutex) != 0)
        return false;
    const bool has_mail = is_mail_likely && session->notice &&
                          atomic_load_explicit(&session->notice->page->mail,
                                               memory_order_relaxed) != session->mail_seen;
    if (has_mail || session_upkeep_is_due(session, now_ns))
        session_do_upkeep(session, now_ns);
    session_unlock(session);
    return true;
}

/* Sleeps without the mutex; `notice` is held by the caller. */
static int sleep_on_notice(struct shmframe_session *session, const struct session_notice *notice,
                           uint32_t seen, int64_t deadline_ns, bool may_interrupt) {
    /* An interrupt that is not to be heeded does not change any more. */
    const uint32_t calm = may_interrupt ? 0 : session_is_interrupted(session);
    struct futex_word words[2] = {{.word = &session->interrupt, .expected = calm}};
    uint32_t count = 1;
    if (notice)
        words[count++] = (struct futex_word){.word = &notice->page->word, .expected = seen};
    return futex_wait(words, count, deadline_ns);
}

/* Before the WELCOME there is no page to sleep on. */
static int sleep_on_socket(int fd, int64_t deadline_ns) {
    struct pollfd socket = {.fd = fd, .events = POLLIN};
    const int64_t left_ns = deadline_ns - shmframe_now_ns();
    const struct timespec timeout = clock_timespec(left_ns > 0 ? left_ns : 0);
    return ppoll(&socket, 1, &timeout, NULL) < 0 && errno == EINTR ? -EINTR : 0;
}

static int await(struct shmframe_session *session, int64_t deadline_ns, bool may_interrupt) {
    struct session_notice *notice = session_notice_ref(session->notice);
    const uint32_t seen =
        notice ? atomic_load_explicit(&notice->page->word, memory_order_acquire) : 0;
    const int64_t now_ns = shmframe_now_ns();
    int code = 0;
    if (session_do_upkeep(session, now_ns) > 0) {
        session_notice_unref(notice);
        return 0;
    }
    if (may_interrupt && session_is_interrupted(session))
        code = -EINTR;
    else if (now_ns >= deadline_ns)
        code = -ETIMEDOUT;
    if (code == 0) {
        int64_t until_ns =
            now_ns + SLEEP_MAX_NS < deadline_ns ? now_ns + SLEEP_MAX_NS : deadline_ns;
        const int fd = session->socket >= 0 && !session->is_welcome
                           ? fcntl(session->socket, F_DUPFD_CLOEXEC, 3)
                           : -1;
        if (session->socket < 0 && session->reconnect_ns < until_ns)
            until_ns = session->reconnect_ns;
        session_unlock(session);
        if (fd >= 0) {
            code = sleep_on_socket(fd, until_ns);
            close(fd);
        } else {
            code = sleep_on_notice(session, notice, seen, until_ns, may_interrupt);
        }
        session_lock(session);
        session_do_upkeep(session, shmframe_now_ns());
    }
    session_notice_unref(notice);
    return code == -ETIMEDOUT && shmframe_now_ns() < deadline_ns ? 0 : code;
}

int session_await(struct shmframe_session *session, int64_t deadline_ns) {
    return await(session, deadline_ns, true);
}

int session_await_firmly(struct shmframe_session *session, int64_t deadline_ns) {
    const int code = await(session, deadline_ns, false);
    return code == -EINTR ? 0 : code;
}

/* Refusals that time does not heal. */
static bool is_final(int refusal) {
    switch (refusal) {
    case -EACCES:
    case -EPROTONOSUPPORT:
    case -EPROTO:
    case -ENOTSUP:
    case -ENOSPC:
    case -EMFILE:
    case -ENOMEM:
        return true;
    default:
        return false;
    }
}

int session_await_connection(struct shmframe_session *session, int64_t deadline_ns) {
    int code = 0;
    while (!session->is_welcome && code == 0) {
        code = session_await(session, deadline_ns);
        if (!session->is_welcome && is_final(session->refusal))
            return error_set(session->refusal, "%s", session->refusal_text);
    }
    if (session->is_welcome || code == -EINTR)
        return session->is_welcome ? 0 : code;
    if (session->socket >= 0 || session->refusal == -ETIMEDOUT)
        return error_set(-ETIMEDOUT, "the supervisor at %s does not answer", session->path);
    return error_set(-ENOTCONN,
                     "no supervisor answers at %s: start shmframed, or use 'shmframe run'",
                     session->path);
}

void session_kick(struct shmframe_session *session) {
    eventfd_write(session->kick, 1);
}

/* ---- questions ---- */

int session_ask(struct shmframe_session *session, union message *message, const int *fds,
                int64_t deadline_ns, bool (*take)(void *user, struct channel_mail *mail),
                void *user) {
    session_lock(session);
    int code = session_await_connection(session, deadline_ns);
    struct session_call call = {.cookie = session_cookie(session), .take = take, .user = user};
    message->header.cookie = call.cookie;
    if (code == 0) {
        TAILQ_INSERT_TAIL(&session->calls, &call, next);
        code = session_send(session, message, fds);
        while (code == 0 && !call.is_done)
            code = session_await(session, deadline_ns);
        TAILQ_REMOVE(&session->calls, &call, next);
        if (call.is_done)
            code = call.code < 0 ? error_set(call.code, "%s", call.text) : 0;
        else if (code == -ETIMEDOUT)
            error_set(code, "%s was not answered in time", message_name(message->header.type));
    }
    session_unlock(session);
    return code;
}

static bool take_answer(void *user, struct channel_mail *mail) {
    struct shmframe_answer *answer = user;
    if (mail->message.header.type != MESSAGE_ANSWER)
        return false;
    answer->status = mail->message.answer.status;
    message_put_text(answer->text, sizeof(answer->text), mail->message.answer.text);
    return true;
}

int shmframe_session_request(struct shmframe_session *session, const char *stream, const char *verb,
                             const char *argument, int64_t deadline_ns,
                             struct shmframe_answer *out_answer) {
    if (!shmframe_name_is_valid(stream))
        return error_set(-EINVAL, "'%s' cannot be a stream's name", stream);
    if (!verb[0] || strlen(verb) >= SHMFRAME_VERB_BYTES)
        return error_set(-EINVAL, "a request's verb has 1 to %d bytes", SHMFRAME_VERB_BYTES - 1);
    if (argument && strlen(argument) >= SHMFRAME_ARGUMENT_BYTES)
        return error_set(-EINVAL, "a request's argument has at most %d bytes",
                         SHMFRAME_ARGUMENT_BYTES - 1);
    union message message;
    message_init(&message, MESSAGE_REQUEST, 0);
    message_put_text(message.request.stream, sizeof(message.request.stream), stream);
    message_put_text(message.request.verb, sizeof(message.request.verb), verb);
    if (argument)
        message_put_text(message.request.argument, sizeof(message.request.argument), argument);
    struct shmframe_answer answer = {0};
    int code = session_ask(session, &message, NULL, deadline_ns, take_answer, &answer);
    if (code == 0)
        *out_answer = answer;
    return code;
}

/* ---- life ---- */

static int open_descriptors(struct shmframe_session *session) {
    session->epoll = epoll_create1(EPOLL_CLOEXEC);
    session->wire = epoll_create1(EPOLL_CLOEXEC);
    session->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    session->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (session->epoll < 0 || session->wire < 0 || session->timer < 0 || session->kick < 0 ||
        epoll_ctl(session->wire, EPOLL_CTL_ADD, session->timer, &event) < 0 ||
        epoll_ctl(session->epoll, EPOLL_CTL_ADD, session->wire, &event) < 0 ||
        epoll_ctl(session->epoll, EPOLL_CTL_ADD, session->kick, &event) < 0)
        return error_set(errno == ENOMEM ? -ENOMEM : -EMFILE,
                         "no descriptors for a session: %s; raise `ulimit -n`", strerror(errno));
    return 0;
}

static int set_texts(struct shmframe_session *session,
                     const struct shmframe_session_params *params) {
    const char *name = params && params->name ? params->name : program_invocation_short_name;
    message_put_text(session->name, sizeof(session->name), name);
    if (!params || !params->socket)
        return channel_default_path(session->path, sizeof(session->path));
    if (strlen(params->socket) >= sizeof(session->path))
        return error_set(-EINVAL,
                         "the socket's path is longer than %zu bytes: choose a shorter one",
                         sizeof(session->path) - 1);
    message_put_text(session->path, sizeof(session->path), params->socket);
    return 0;
}

int shmframe_session_open(const struct shmframe_session_params *params,
                          struct shmframe_session **out_session) {
    if (!futex_is_supported())
        return error_set(-ENOTSUP, "this kernel has no futex_waitv: Linux 5.16 or newer is needed");
    struct shmframe_session *session = calloc(1, sizeof(*session));
    if (!session)
        return error_set(-ENOMEM, "no memory for a session");
    session->socket = session->epoll = session->wire = session->timer = session->kick = -1;
    session->backoff_ns = BACKOFF_FIRST_NS;
    pthread_mutex_init(&session->mutex, NULL);
    STAILQ_INIT(&session->out);
    TAILQ_INIT(&session->objects);
    TAILQ_INIT(&session->calls);
    int code = set_texts(session, params);
    if (code == 0)
        code = open_descriptors(session);
    if (code == 0) {
        session_lock(session);
        const int64_t now_ns = shmframe_now_ns();
        const int64_t deadline_ns = params ? params->deadline_ns : 0;
        code = connect_now(session, now_ns);
        /* A supervisor that is there gets its time to answer. */
        if (code == 0 || (code == -ENOTCONN && deadline_ns > now_ns))
            code = session_await_connection(session,
                                            code == 0 && deadline_ns < now_ns + HELLO_TIMEOUT_NS
                                                ? now_ns + HELLO_TIMEOUT_NS
                                                : deadline_ns);
        session_unlock(session);
    }
    if (code < 0) {
        shmframe_session_close(session);
        return code;
    }
    *out_session = session;
    return 0;
}

static void close_fd(int fd) {
    if (fd >= 0)
        close(fd);
}

void shmframe_session_close(struct shmframe_session *session) {
    if (!session)
        return;
    clear_out(session);
    session_notice_unref(session->notice);
    close_fd(session->socket);
    close_fd(session->epoll);
    close_fd(session->wire);
    close_fd(session->timer);
    close_fd(session->kick);
    pthread_mutex_destroy(&session->mutex);
    free(session);
}

int shmframe_session_fd(const struct shmframe_session *session) {
    return session->epoll;
}

int shmframe_session_dispatch(struct shmframe_session *session) {
    session_lock(session);
    session_do_upkeep(session, shmframe_now_ns());
    uint64_t count;
    eventfd_read(session->kick, &count);
    session_unlock(session);
    return 0;
}

bool shmframe_session_is_connected(const struct shmframe_session *session) {
    struct shmframe_session *mutable = (struct shmframe_session *)session;
    session_lock(mutable);
    const bool is_connected = session->is_welcome;
    session_unlock(mutable);
    return is_connected;
}

void shmframe_session_interrupt(struct shmframe_session *session) {
    atomic_store_explicit(&session->interrupt, 1, memory_order_relaxed); /* the futex orders it */
    const int code = errno;
    futex_wake(&session->interrupt, UINT32_MAX);
    errno = code;
}

void shmframe_session_resume(struct shmframe_session *session) {
    atomic_store_explicit(&session->interrupt, 0, memory_order_relaxed);
}
