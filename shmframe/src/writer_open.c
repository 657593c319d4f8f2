/* Writer: opening, and the change of format. */
#include "writer.h"

#include "clock.h"
#include "error.h"
#include "step.h"

#include <errno.h>
#include <stdlib.h>

#define OPEN_NS INT64_C(10000000000)

int writer_say_lost(const struct shmframe_writer *writer) {
    return error_set(-ESTALE, "stream '%s' is lost: %s", writer->stream, writer->lost_text);
}

/* Nobody can say in which ring the stream goes on. */
static int lose(struct shmframe_writer *writer) {
    message_put_text(writer->lost_text, sizeof(writer->lost_text),
                     "the supervisor did not answer a change of format");
    writer->is_lost = true;
    return writer_say_lost(writer);
}

/* Gives the session's mutex up while it waits. A change of format is not to be interrupted
 * half-way: once asked for, it is the supervisor's to decide. Where that one went away, the
 * stream's return to the next is asked about by now: its answer is not ours. */
static int await_opened(struct shmframe_writer *writer, int64_t deadline_ns) {
    struct shmframe_session *session = writer->object.session;
    const int64_t last_ns = shmframe_deadline_ns(OPEN_NS);
    const bool must_know = writer->ring != NULL;
    const uint32_t cookie = writer->object.cookie;
    int code = 0;
    while (code == 0 && writer->answer == WRITER_ASKED && writer->object.cookie == cookie) {
        code = must_know ? session_await_firmly(session, last_ns)
                         : session_await(session, deadline_ns);
    }
    if (must_know && code == -ETIMEDOUT)
        return lose(writer);
    if (code == -ETIMEDOUT)
        return error_set(code, "stream '%s' was not opened in time", writer->stream);
    if (code < 0)
        return code;
    if (writer->object.cookie != cookie)
        return error_set(-ENOTCONN, "the supervisor went away meanwhile");
    return writer->answer == WRITER_OPENED ? 0
                                           : error_set(writer->refusal, "%s", writer->refusal_text);
}

/* Waits a while before it is asked again: 0. Otherwise it is not worth it, or was interrupted. */
static int pause_before_retry(struct shmframe_session *session, int code, int64_t deadline_ns) {
    enum { PAUSE_NS = 20000000 };
    if (code != -EAGAIN && code != -ENOTCONN)
        return code;
    const int64_t pause_ns = clock_now_ns() + PAUSE_NS;
    while (clock_now_ns() < pause_ns)
        if (session_await(session, pause_ns) == -EINTR)
            return -EINTR;
    return clock_now_ns() < deadline_ns ? 0 : code;
}

/* A stream that is there already comes back first, unless it is lost; a supervisor may end with the
 * very word that it has. */
static int await_turn(struct shmframe_writer *writer, int64_t deadline_ns) {
    struct shmframe_session *session = writer->object.session;
    int code;
    do {
        code = session_await_connection(session, deadline_ns);
        if (code == 0 && writer->is_resync_sent && !writer->is_resync_opened)
            code = await_opened(writer, deadline_ns);
    } while (code == 0 && !session->is_welcome);
    return writer->is_lost ? writer_say_lost(writer) : code;
}

/* Fails with -ENOTCONN if the supervisor died meanwhile: then nobody can say whether readers have
 * links to this ring. It stays the one that is being opened, whose links other threads of the
 * session make, until it is adopted or dropped. */
static int register_ring(struct shmframe_writer *writer, struct writer_ring *ring,
                         int64_t deadline_ns) {
    struct shmframe_session *session = writer->object.session;
    bool is_answered;
    int code;
    writer->opening = ring;
    do {
        code = await_turn(writer, deadline_ns);
        if (code == 0) {
            writer_ring_set_notice(ring, session->notice);
            code = writer_send_open(writer, ring, false);
        }
        if (code == 0)
            code = await_opened(writer, deadline_ns);
        is_answered = code != -EAGAIN;
        if (!is_answered) /* the offers of an opening that was refused are forgotten over there */
            writer_drop_links(writer, ring);
        if (!is_answered)
            code = pause_before_retry(session, code, deadline_ns);
    } while (!is_answered && code == 0);
    if (code == -EAGAIN) /* its owner did not come back, and did not end: it is taken */
        code = error_set(-EEXIST, "%s", writer->refusal_text);
    return code;
}

static void adopt(struct shmframe_writer *writer, struct writer_ring *ring) {
    ring->generation = writer->opened_generation;
    /* Where the stream has come before this writer; later it knows best itself, and the frames of a
     * ring, in which loans may still be published, have no gaps. */
    if (!writer->ring && writer->opened_sequence > writer->sequence &&
        writer->opened_sequence <= SEQUENCE_MAX)
        writer->sequence = writer->opened_sequence;
    ring->next = writer->ring;
    writer->ring = ring;
    writer->ledger.counters.generation = ring->generation;
    ledger_enter(&writer->ledger, ring->core.ring, &ring->format, ring->core.warm);
    STEP(RING_ADOPTED);
}

/* Readers that were linked to it before its opening failed go on to the next one. */
static void drop_ring(struct shmframe_writer *writer, struct writer_ring *ring) {
    if (ring->notice)
        ring_end(&ring->core, RING_CLOSED);
    writer_ring_destroy(writer, ring);
}

/* Between the supervisor's answer and this moment it may have gone, and the session's other threads
 * may have told the next one of the stream, but not of this ring. While there is none, the next one
 * will hear of it. */
static bool is_unknown(const struct shmframe_session *session, const struct writer_ring *ring) {
    return session->is_welcome && session->notice != ring->notice;
}

/* When an opening is given up. By default the supervisor has a time, and memory takes as long as it
 * takes: each ring that is made moves the deadline. */
struct open_deadline {
    int64_t ns;
    bool is_default;
};

static int create_ring(struct shmframe_writer *writer, const struct shmframe_format *format,
                       struct open_deadline *deadline, struct writer_ring **out_ring) {
    const int64_t begun_ns = clock_now_ns();
    const int code = writer_ring_create(writer, format, out_ring);
    if (deadline->is_default)
        deadline->ns += clock_now_ns() - begun_ns;
    return code;
}

/* `*out_is_in_vain`: the supervisor died, and it is worth trying with the next one. */
static int try_open_ring(struct shmframe_writer *writer, const struct shmframe_format *format,
                         struct open_deadline *deadline, bool *out_is_in_vain) {
    struct shmframe_session *session = writer->object.session;
    struct writer_ring *ring;
    *out_is_in_vain = false;
    int code = create_ring(writer, format, deadline, &ring);
    if (code < 0)
        return code;
    writer_lock(writer);
    ledger_show(&writer->ledger, ring->core.ring, &ring->format, ring->core.warm);
    writer_unlock(writer);
    session_lock(session);
    code = register_ring(writer, ring, deadline->ns);
    if (code == -ENOTCONN) {
        const int pause = pause_before_retry(session, code, deadline->ns);
        *out_is_in_vain = pause == 0;
        code = pause == 0 ? code : pause;
    }
    if (code < 0 && !writer->ring)
        writer_send_close(writer, 0);
    session_unlock(session);
    writer_lock(writer);
    session_lock(session);
    writer->opening = NULL;
    if (code == 0 && is_unknown(session, ring)) {
        code = error_set(-ENOTCONN, "the supervisor went away meanwhile");
        *out_is_in_vain = true;
    }
    if (code == 0)
        adopt(writer, ring);
    else
        drop_ring(writer, ring);
    session_unlock(session);
    writer_unlock(writer);
    return code;
}

/* Each attempt with a ring of its own: a former one may have readers that nobody knows of. */
static int open_ring(struct shmframe_writer *writer, const struct shmframe_format *format,
                     int64_t deadline_ns) {
    struct open_deadline deadline = {.ns = deadline_ns, .is_default = deadline_ns == 0};
    if (deadline.is_default)
        deadline.ns = shmframe_deadline_ns(OPEN_NS);
    bool is_in_vain;
    int code;
    do {
        code = try_open_ring(writer, format, &deadline, &is_in_vain);
    } while (is_in_vain);
    return code;
}

int writer_check_counts(const struct shmframe_writer_params *params) {
    if (params->loans > WRITER_LOANS_MAX)
        return error_set(-EINVAL, "%u loans at once are more than %d", params->loans,
                         WRITER_LOANS_MAX);
    if (params->history > SHMFRAME_DEPTH_MAX)
        return error_set(-EINVAL, "a history of %u frames is more than %d", params->history,
                         SHMFRAME_DEPTH_MAX);
    return 0;
}

static int check_params(const struct shmframe_writer_params *params) {
    const int code = session_check_stream(params->stream);
    if (code < 0)
        return code;
    if (params->group && params->group[0] && !shmframe_name_is_valid(params->group))
        return error_set(-EINVAL, "'%s' cannot name a group", params->group);
    return writer_check_counts(params);
}

static int parse_allow(const char *text, struct access *out_access) {
    *out_access = (struct access){0};
    const int code = text ? access_parse(text, out_access) : 0;
    if (code != -EINVAL)
        return code;
    char expected[256];
    message_put_text(expected, sizeof(expected), shmframe_last_error());
    return error_set(code, "allow: expected %s, not \"%.64s\"", expected, text);
}

static struct shmframe_writer *create(struct shmframe_session *session,
                                      const struct shmframe_writer_params *params) {
    struct shmframe_writer *writer = calloc(1, sizeof(*writer));
    struct writer_reader *reader = calloc(WRITER_READERS_FIRST, sizeof(*reader));
    if (!writer || !reader) {
        free(writer);
        free(reader);
        return NULL;
    }
    writer->reader = reader;
    writer->reader_room = WRITER_READERS_FIRST;
    writer->object = (struct session_object){.ops = &writer_ops, .is_writer = true};
    writer->is_threaded = params->flags & SHMFRAME_WRITER_THREADED;
    writer->is_live = params->flags & SHMFRAME_WRITER_LIVE;
    writer->loans = params->loans ? params->loans : 1;
    writer->history = params->history ? params->history : 1;
    writer->ring_bytes = params->ring_bytes;
    writer->before_seal = params->before_seal;
    writer->before_seal_user = params->user;
    message_put_text(writer->stream, sizeof(writer->stream), params->stream);
    if (params->group)
        message_put_text(writer->group, sizeof(writer->group), params->group);
    ledger_init(&writer->ledger, params->flags & SHMFRAME_WRITER_TELLS_DROPS);
    pthread_mutex_init(&writer->mutex, NULL);
    session_lock(session);
    writer->object.number = session_writer(session);
    session_add(session, &writer->object);
    session_unlock(session);
    return writer;
}

void writer_destroy(struct shmframe_writer *writer) {
    struct shmframe_session *session = writer->object.session;
    session_lock(session);
    session_remove(&writer->object);
    while (writer->ring) {
        struct writer_ring *ring = writer->ring;
        writer->ring = ring->next;
        writer_ring_destroy(writer, ring);
    }
    session_unlock(session);
    pthread_mutex_destroy(&writer->mutex);
    free(writer->reader);
    free(writer);
}

int shmframe_writer_open(struct shmframe_session *session,
                         const struct shmframe_writer_params *params,
                         struct shmframe_writer **out_writer) {
    int code = check_params(params);
    struct shmframe_format format = params->format;
    struct access allow;
    if (code == 0)
        code = shmframe_format_complete(&format);
    if (code == 0)
        code = parse_allow(params->allow, &allow);
    if (code < 0)
        return code;
    struct shmframe_writer *writer = create(session, params);
    if (!writer)
        return error_set(-ENOMEM, "no memory for a writer");
    writer->allow = allow;
    code = open_ring(writer, &format, params->deadline_ns);
    if (code < 0) {
        writer_destroy(writer);
        return code;
    }
    *out_writer = writer;
    return 0;
}

const struct shmframe_format *shmframe_writer_format(const struct shmframe_writer *writer) {
    return &writer->ring->format;
}

int shmframe_writer_set_format(struct shmframe_writer *writer, const struct shmframe_format *format,
                               int64_t deadline_ns) {
    struct shmframe_format complete = *format;
    int code = shmframe_format_complete(&complete);
    if (code < 0)
        return code;
    if (writer->is_ended)
        return error_set(-ENODATA, "stream '%s' has ended", writer->stream);
    return open_ring(writer, &complete, deadline_ns);
}
