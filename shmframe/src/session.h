/* Session, from inside: the connection, the notice page, and the objects that live on it.
 *
 * One mutex guards everything here. Frame paths only look at the notice page and at `has_mail` of
 * their object, and take the mutex when one of them calls, or five times a second.
 */
#ifndef SHMFRAME_SRC_SESSION_H
#define SHMFRAME_SRC_SESSION_H

#include "channel.h"
#include "region.h"

#include <pthread.h>
#include <shmframe/session.h>
#include <sys/queue.h>

/* A supervisor's page; stays mapped while an object still goes by it. */
struct session_notice {
    struct region region;
    const struct notice_page *page;
    unsigned references;
};

struct session_object;
/* What a writer or reader does with what its session receives. Called with the mutex held, from
 * whichever thread takes the mail. */
struct session_ops {
    void (*take_mail)(struct session_object *object, struct channel_mail *mail);
    void (*welcome)(struct session_object *object); /* a supervisor has come back: speak up */
    void (*retry)(struct session_object *object);   /* as session_retry() asked for */
    void (*disconnected)(struct session_object *object);
};

struct session_object {
    TAILQ_ENTRY(session_object) next;
    const struct session_ops *ops;
    struct shmframe_session *session;
    bool is_writer;
    uint32_t number;  /* writer: its number; reader: its entry */
    uint32_t cookie;  /* of its newest OPEN_ message */
    bool is_opening;  /* reader: has no link yet, and is told if one cannot be taken */
    int64_t retry_ns; /* when to call `retry`; 0: never */
    /* There is something for the object's own thread. Private memory: tells that it is worth taking
     * the mutex. */
    _Atomic bool has_mail;
    bool
        is_upkeep_due; /* its own thread's: another one was at it when the supervisor had written */
};

/* A question that somebody waits for. */
struct session_call {
    TAILQ_ENTRY(session_call) next;
    uint32_t cookie;
    bool is_done;
    int code;
    char text[256];
    /* Takes one answer; true: it was the last. NULL: DONE is all there is to hear. */
    bool (*take)(void *user, struct channel_mail *mail);
    void *user;
};

struct session_out {
    STAILQ_ENTRY(session_out) next;
    union message message;
    int fd[MESSAGE_FDS_MAX];
};

struct shmframe_session {
    pthread_mutex_t mutex;
    char path[108], name[SHMFRAME_NAME_BYTES];
    int socket;            /* -1: none */
    int epoll;             /* the program's: `wire` and `kick` */
    int wire, timer, kick; /* `wire`: socket and timer */
    bool is_welcome, is_timer_set;
    bool is_broken;                /* to be closed and made anew: see session_break() */
    bool is_watch_due;             /* what `wire` is to listen for could not be said */
    struct session_notice *notice; /* NULL: no supervisor */
    int refusal;                   /* why the last HELLO failed; 0: it did not */
    char refusal_text[256];
    int64_t reconnect_ns, hello_ns, backoff_ns;
    int64_t haste_ns;   /* until then answers of a new supervisor are looked for more often */
    uint32_t mail_seen; /* notice_page.mail, before it was last taken */
    _Atomic int64_t upkeep_ns;  /* when it is next due */
    _Atomic uint32_t interrupt; /* 1: everyone who waits returns; a futex word */
    uint32_t next_cookie, next_serial, next_writer;
    uint32_t next_entry;
    uint64_t entry_used[NOTICE_ENTRIES / 64];
    STAILQ_HEAD(, session_out) out; /* not sent for lack of room */
    TAILQ_HEAD(, session_object) objects;
    TAILQ_HEAD(, session_call) calls;
};

enum { SESSION_UPKEEP_NS = 200000000 };
/* How long a supervisor may take to answer HELLO. */
#define SESSION_HELLO_TIMEOUT_NS INT64_C(5000000000)

void session_lock(struct shmframe_session *session);
void session_unlock(struct shmframe_session *session);

/* ---- with the mutex held ---- */

void session_add(struct shmframe_session *session, struct session_object *object);
void session_remove(struct session_object *object);

uint32_t session_cookie(struct shmframe_session *session);
uint32_t session_serial(struct shmframe_session *session);
/* One that no writer of the session has. */
uint32_t session_writer(struct shmframe_session *session);
/* Errors: -ENOSPC. */
int session_take_entry(struct shmframe_session *session, uint32_t *out_entry);
void session_give_entry(struct shmframe_session *session, uint32_t entry);

/* Maps the page that WELCOME brought, with one reference. Errors: -EPROTO, -ENOMEM. */
int session_notice_map(int fd, struct session_notice **out_notice);
struct session_notice *session_notice_ref(struct session_notice *notice);
void session_notice_unref(struct session_notice *notice);

/* Takes mail, or waits until there may be some. Gives the mutex up meanwhile. 0: look again.
 * Errors: -ETIMEDOUT, -EINTR. */
int session_await(struct shmframe_session *session, int64_t deadline_ns);

/* As session_await(), whatever interrupts. Errors: -ETIMEDOUT. */
int session_await_firmly(struct shmframe_session *session, int64_t deadline_ns);

/* Waits until a supervisor is there. Errors: -ENOTCONN the deadline passed; -EINTR. */
int session_await_connection(struct shmframe_session *session, int64_t deadline_ns);

/* An event of an object can be fetched: the session's descriptor shall be readable. */
void session_kick(struct shmframe_session *session);

/* Hands a message to whoever asked what it answers. False: nobody did. */
bool session_answer_call(struct shmframe_session *session, struct channel_mail *mail);
/* Tells all who wait for an answer that there will be none, and why. */
void session_drop_calls(struct shmframe_session *session, int code, const char *text);

/* ---- session_wire.c; with the mutex held ---- */

/* Makes the descriptors for the program's loop and for the wire. On failure session_close_wire()
 * takes what there is. Errors: -EMFILE, -ENOMEM. */
int session_open_wire(struct shmframe_session *session);
/* Closes them and the connection, without a word to the objects. */
void session_close_wire(struct shmframe_session *session);

/* Connects and says HELLO; the answer comes as mail. On failure it is planned when to try again.
 * Errors: -EACCES, -ENOTCONN; of socket(2). */
int session_connect(struct shmframe_session *session, int64_t now_ns);

/* Sends, or keeps until there is room; the descriptors stay the caller's. Errors: -ENOTCONN;
 * -ENOMEM, -EMFILE. */
int session_send(struct shmframe_session *session, const union message *message, const int *fds);

/* Does what has become due. Returns how many messages there were. `now_ns` of the present. */
unsigned session_do_upkeep(struct shmframe_session *session, int64_t now_ns);

/* The supervisor said "not yet", or there was no memory: `retry` is called once, soon. */
void session_retry(struct session_object *object);

/* What was said half-way, and cannot be said to its end, is taken back by a new connection: the
 * next upkeep makes it. Until then nothing more is said. */
void session_break(struct shmframe_session *session);

/* ---- without it ---- */

/* Whether a stream may be called so; NULL may not. Errors: -EINVAL. */
int session_check_stream(const char *stream);

/* Sends a question and hands its answers to `take`. Errors: the answer's; -ENOTCONN; -ETIMEDOUT;
 * -EINTR; -ENOMEM; -EPROTO, -EPROTONOSUPPORT, -EMFILE what was received has ended the connection. */
int session_ask(struct shmframe_session *session, union message *message, const int *fds,
                int64_t deadline_ns, bool (*take)(void *user, struct channel_mail *mail),
                void *user);

/* From a frame path: upkeep, if it is due. False: another thread was at it, and may have looked
 * too early. */
bool session_upkeep(struct shmframe_session *session, int64_t now_ns, bool is_mail_likely);

static inline int64_t session_upkeep_ns(const struct shmframe_session *session) {
    return atomic_load_explicit(&session->upkeep_ns, memory_order_relaxed);
}
static inline bool session_upkeep_is_due(const struct shmframe_session *session, int64_t now_ns) {
    return now_ns >= session_upkeep_ns(session);
}
static inline bool session_is_interrupted(const struct shmframe_session *session) {
    return atomic_load_explicit(&session->interrupt, memory_order_relaxed);
}

#endif
