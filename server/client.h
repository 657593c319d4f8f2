/* Client: one session at the other end of a socket.
 *
 * States: greeted by nobody yet (no HELLO) -> welcome -> away (its socket is closed, its process
 * lives: what it has stays) -> released, when its process died, or nothing of it is left.
 *
 * Sending never frees anything: a client that cannot be reached is only marked as away, and what
 * follows from that happens in client_sweep(), between two events. So any function may send while
 * it walks a list.
 */
#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include "channel.h"
#include "journal.h"
#include "log.h"
#include "notice.h"
#include "permission.h"
#include "process.h"

struct server;
struct stream_writer;
struct stream_reader;

TAILQ_HEAD(client_list, client);
TAILQ_HEAD(client_writers, stream_writer);
TAILQ_HEAD(client_readers, stream_reader);

/* A message that waits for room in the socket. */
struct client_mail {
    STAILQ_ENTRY(client_mail) next;
    int fd[MESSAGE_FDS_MAX];
    uid_t fds_uid; /* who passed them: that they are slow to close is his trouble */
    union message message;
};

/* A question for lines of the journal that waits for one. */
struct client_wait {
    bool is_waiting;
    uint32_t cookie;
    uint64_t after;
    uint32_t count;
};

/* A list that is being sent, as the socket has room. */
struct client_listing {
    enum message_type type; /* MESSAGE_NONE: none */
    uint32_t cookie;
    uint32_t reader;                  /* number of the last one sent */
    char stream[SHMFRAME_NAME_BYTES]; /* name of the last one sent; LIST_READERS: of whose */
    uint64_t event;                   /* id of the last one sent */
    uint32_t events;                  /* that may still be sent */
    uint32_t nodes;                   /* that were sent */
};

struct client {
    TAILQ_ENTRY(client) all;
    TAILQ_ENTRY(client) of_process;
    struct server *server;
    struct process *process;
    uid_t uid;
    int socket; /* -1: away */
    sd_event_source *source, *timer;
    bool is_welcome;
    bool is_swept;      /* away, and nothing left to do about it */
    bool is_resting;    /* not read, until client_rested() */
    bool has_said_much; /* more than anybody has to say when he comes back */
    bool is_asked;      /* client_has_returned() has sent it something */
    bool has_read;      /* that, and all before it */
    int64_t hello_ns, away_ns;
    char name[SHMFRAME_NAME_BYTES];
    struct notice notice;
    uint8_t entry_is_used[NOTICE_ENTRIES];

    STAILQ_HEAD(, client_mail) queue;
    unsigned queued;
    bool must_wait; /* until the next tick: descriptors on their way are too many */
    struct client_listing listing;
    struct client_wait wait;
    double tokens; /* messages it may send at once */
    int64_t tokens_ns;
    struct log_limit log;
    struct permission permission;
    /* What was said of the next OPEN_RING of this writer. */
    struct access allow;
    uint32_t allow_writer;

    struct client_writers writers;
    unsigned writer_count;
    struct client_readers readers;
    unsigned reader_count;
};

/* Takes a connected socket. On failure the peer was told why, if that was possible. */
void client_accept(struct server *server, int socket);
/* Takes the socket of somebody who does not become a client, and tells him why. */
void client_turn_away(int socket, int code, const char *text);

static inline bool client_is_here(const struct client *client) {
    return client->socket >= 0 && client->is_welcome;
}

/* Sends, or queues, or drops the connection. Descriptors stay the caller's; those that another user
 * has passed are sent in his name. */
void client_send(struct client *client, const union message *message, const int *fds);
void client_send_of(struct client *client, const union message *message, const int *fds,
                    uid_t fds_uid);
/* Copies a peer's name, fit for others' terminals. */
void client_put_name(char out[SHMFRAME_NAME_BYTES], const char *text);
/* Copies a text, fit for others' terminals. */
void client_put_text(char *out, size_t out_bytes, const char *text);
/* Sends ERROR; `text` may come from shmframe_last_error(). */
void client_refuse(struct client *client, uint32_t cookie, int code, const char *text, ...)
    __attribute__((format(printf, 4, 5)));
/* Sends DONE, if the question had a cookie. */
void client_done(struct client *client, uint32_t cookie);

/* Closes the connection; the process and what it has stay. */
void client_drop(struct client *client, const char *reason);

/* Whether it has said all that it came back with: it has read what it was sent after its WELCOME,
 * which is later than it tells of what it has, and nothing that it said is unread here: while that
 * waits, nobody can tell what the peer came back without, and time passes too while this process is
 * stopped. Asked for the first time, and again after it has told of something, which may have been
 * a part of it that there was room for, it is sent something to read. Who does not read, or gets no
 * turn, has not come back yet, as who does not connect. Who has said more than he can have had to
 * tell, and never stops talking, has: he would have no end of time. */
bool client_has_returned(struct client *client);

/* Reads what is in its socket now, so that a leave is known before something else is decided. */
void client_drain(struct client *client);

/* Everything it had is released, then the client itself. */
void client_release(struct client *client, const char *reason);

/* Descriptors that are kept for it. */
unsigned client_count_fds(const struct client *client);

/* What follows from its being away. May release it. */
void client_sweep(struct client *client);

/* Reads it again, if it was given a rest by server_rest(). */
void client_rested(struct client *client);

/* Tries again what waited for room. */
void client_flush(struct client *client);

void client_log(struct client *client, const char *text, ...) __attribute__((format(printf, 2, 3)));

#endif
