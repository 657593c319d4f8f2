/* Session: what hangs on the connection, and who waits for it. */
#include "session.h"

#include "clock.h"
#include "error.h"
#include "futex.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLEEP_MAX_NS INT64_C(100000000)

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

static bool has_writer(const struct shmframe_session *session, uint32_t number) {
    const struct session_object *object;
    TAILQ_FOREACH (object, &session->objects, next)
        if (object->is_writer && object->number == number)
            return true;
    return false;
}

uint32_t session_writer(struct shmframe_session *session) {
    while (has_writer(session, next_number(&session->next_writer)))
        continue;
    return session->next_writer;
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

int session_notice_map(int fd, struct session_notice **out_notice) {
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

/* ---- upkeep and waiting ---- */

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
    case -ENFILE:
    case -ENOMEM:
        return true;
    default:
        return false;
    }
}

/* Nobody answers where they would. */
static int refuse_place(const struct shmframe_session *session) {
    struct stat info;
    if (stat(session->path, &info) == 0 && S_ISDIR(info.st_mode))
        return error_set(-ENOTCONN, "%s is no socket but a folder: name a file in it",
                         session->path);
    if (stat(session->path, &info) == 0 && !S_ISSOCK(info.st_mode))
        return error_set(-ENOTCONN, "%s is no socket: name another place", session->path);
    return error_set(-ENOTCONN,
                     "no supervisor answers at %s: start shmframed, or use 'shmframe run'",
                     session->path);
}

int session_await_connection(struct shmframe_session *session, int64_t deadline_ns) {
    int code = 0;
    if (session->is_broken)
        session_do_upkeep(session, shmframe_now_ns());
    while (!session->is_welcome && code == 0) {
        code = session_await(session, deadline_ns);
        if (!session->is_welcome && is_final(session->refusal))
            return error_set(session->refusal, "%s", session->refusal_text);
    }
    if (session->is_welcome || code == -EINTR)
        return session->is_welcome ? 0 : code;
    if (session->socket >= 0 || session->refusal == -ETIMEDOUT)
        return error_set(-ETIMEDOUT,
                         "the supervisor at %s does not answer: it is stopped, or hangs; 'shmframe "
                         "doctor' tells which process it is",
                         session->path);
    return refuse_place(session);
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
        else if (code == -ETIMEDOUT && message->header.type == MESSAGE_REQUEST)
            error_set(code, "the writer of '%s' has not answered in time", message->request.stream);
        else if (code == -ETIMEDOUT)
            error_set(code, "the supervisor at %s has not answered %s in time", session->path,
                      message_name(message->header.type));
    }
    session_unlock(session);
    return code;
}

bool session_answer_call(struct shmframe_session *session, struct channel_mail *mail) {
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

void session_drop_calls(struct shmframe_session *session, int code, const char *text) {
    struct session_call *call;
    TAILQ_FOREACH (call, &session->calls, next) {
        if (call->is_done)
            continue;
        call->is_done = true;
        call->code = code;
        message_put_text(call->text, sizeof(call->text), text);
    }
}

int session_check_stream(const char *stream) {
    if (stream && shmframe_name_is_valid(stream))
        return 0;
    return error_set(-EINVAL,
                     "'%s' cannot name a stream: 1 to 63 of a-z 0-9 . _ -, beginning with a letter "
                     "or digit",
                     stream ? stream : "");
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
    int code = session_check_stream(stream);
    if (code < 0)
        return code;
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
    code = session_ask(session, &message, NULL, deadline_ns, take_answer, &answer);
    if (code == 0)
        *out_answer = answer;
    return code;
}

/* ---- life ---- */

static int set_texts(struct shmframe_session *session,
                     const struct shmframe_session_params *params) {
    const char *node = secure_getenv("SHMFRAME_NODE");
    const char *name = node && *node ? node : program_invocation_short_name;
    if (params && params->name)
        name = params->name;
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
    pthread_mutex_init(&session->mutex, NULL);
    STAILQ_INIT(&session->out);
    TAILQ_INIT(&session->objects);
    TAILQ_INIT(&session->calls);
    int code = set_texts(session, params);
    if (code == 0)
        code = session_open_wire(session);
    if (code == 0) {
        session_lock(session);
        const int64_t now_ns = shmframe_now_ns();
        const int64_t deadline_ns = params ? params->deadline_ns : 0;
        code = session_connect(session, now_ns);
        /* A supervisor that is there gets its time to answer. */
        if (code == 0 || (code == -ENOTCONN && deadline_ns > now_ns))
            code = session_await_connection(
                session, code == 0 && deadline_ns < now_ns + SESSION_HELLO_TIMEOUT_NS
                             ? now_ns + SESSION_HELLO_TIMEOUT_NS
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

void shmframe_session_close(struct shmframe_session *session) {
    if (!session)
        return;
    session_close_wire(session);
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
