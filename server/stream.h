/* Streams: who writes and who reads them, generation after generation.
 *
 *   stream --- writer --- ring (current)  --- links: unused, or granted to a reader
 *      |          \------ ring (announced, its links are still coming)
 *      \---- readers, in the order they came
 *
 * Of each stream only the newest ring has links here. Links of older rings are either the same
 * writer's, who looks after them himself once his newer ring exists, or a dead one's.
 */
#ifndef SERVER_STREAM_H
#define SERVER_STREAM_H

#include "client.h"
#include "watch.h"

TAILQ_HEAD(stream_list, stream);

enum stream_link_state {
    LINK_UNUSED = 0,
    LINK_GRANTED, /* to a reader that is known here */
    LINK_HELD,    /* granted by the former supervisor, not yet claimed by its reader */
};

/* What of a held link counts in its holder's quotas; the rest is the writer's. */
enum stream_link_charge {
    CHARGE_NONE = 0,
    CHARGE_READER, /* and its leases: a writer who is not trusted has told of it */
    CHARGE_ALL,    /* and its memory */
};

struct stream_link {
    TAILQ_ENTRY(stream_link) of_ring;
    struct stream_ring *ring;
    enum stream_link_state state;
    uint32_t entry, serial;
    int fd[3]; /* lease, bell, wake; closed once they were passed on */
    struct grant grant;
    struct stream_reader *reader;   /* GRANTED */
    struct process *holder;         /* HELD; NULL: it could not be looked at yet */
    pid_t holder_pid;               /* HELD */
    uint64_t holder_start_time;     /* HELD */
    enum stream_link_charge charge; /* HELD */
    unsigned back_ticks;            /* HELD: in which its holder was back without it */
    unsigned back_in_part_ticks;    /* HELD: in which a session of it was, or all */
};

struct stream_ring {
    struct stream_writer *writer;
    uint32_t generation; /* 0 while it is announced and new */
    int fd;
    struct region head;            /* first page: head, tail, state */
    struct ring_geometry geometry; /* our checked copy */
    uint32_t loans, history;
    struct access allow;      /* as its writer has it */
    uint32_t slots_granted;   /* as many as had to have memory at once so far */
    uint64_t populated_bytes; /* what had when it came */
    bool is_live, is_resync;
    bool is_opened;    /* its OPENED was sent */
    bool is_shown;     /* by a reader, who may have made it up */
    uint32_t cookie;   /* of OPEN_RING */
    uint64_t sequence; /* told in OPEN_RING */
    uint32_t links_to_come, held_to_come;
    uint32_t links_wanted; /* asked for, and not offered yet */
    TAILQ_HEAD(, stream_link) links;
};

struct stream_request {
    TAILQ_ENTRY(stream_request) next;
    uint32_t cookie;      /* ours */
    struct client *asker; /* NULL: gone, its answer is not wanted any more */
    uint32_t asker_cookie;
};

struct stream_writer {
    TAILQ_ENTRY(stream_writer) of_client;
    struct client *client;
    struct stream *stream;
    uint32_t number;             /* the session's */
    struct stream_ring *ring;    /* NULL: none complete yet */
    struct stream_ring *opening; /* NULL: none announced */
    uint32_t offers_to_ignore;   /* they belong to an OPEN_RING that was refused */
    TAILQ_HEAD(, stream_request) requests;
    unsigned request_count;
};

struct stream_reader {
    TAILQ_ENTRY(stream_reader) of_client;
    TAILQ_ENTRY(stream_reader) of_stream;
    struct client *client;
    struct stream *stream;
    uint32_t entry;  /* in its session's notice page: the session's number for it */
    uint32_t number; /* ours */
    uint32_t cookie; /* of OPEN_READER */
    enum shmframe_policy policy;
    uint32_t depth, leases;
    char name[SHMFRAME_NAME_BYTES];
    int record_fd;
    uint64_t record_id; /* as its record has it */
    /* The newest link it has; generation 0: never had one. Tells a link and its reader that find
     * each other again after a restart. */
    uint32_t generation, link_entry, link_serial;
    struct stream_link *link; /* in the stream's current ring */
    bool is_known;            /* the names' file tells that it had a link of the stream */
    bool is_refused;          /* the current ring has no room for it */
    bool is_evicted;
    unsigned rings_shown; /* as many as may be: its newest one was, or it has had a link from us */
    struct watch_reader watch;
};

struct stream {
    TAILQ_ENTRY(stream) all;
    struct server *server;
    char name[SHMFRAME_NAME_BYTES];
    uint32_t generation;      /* newest so far */
    bool is_numbered;         /* by us or the names' file, not only by readers' word */
    uint32_t gone_generation; /* rings up to it have lost their writer */
    uint64_t sequence;        /* newest that is known of rings that are over */
    enum shmframe_stream_state state;
    struct stream_writer *writer; /* of the current ring */
    struct stream_writer *opener; /* has announced a ring; may be the same */
    /* The writer whom the names' file tells of, and who has not come back. */
    struct process *owner;
    /* The same, while no descriptor is left to watch him with. 0: none. */
    pid_t unwatched_pid;
    uint64_t unwatched_start_time;
    /* The newest generation that the former supervisor had linked a reader to: if the writer is
     * gone too, only its readers can show how far the stream came. 0: nobody has to. */
    uint32_t former_followed;
    bool is_former_shown;    /* one has */
    uint32_t followed_saved; /* as the names' file has it */
    /* Rings whose head may be the stream's: those that such readers have shown, or that of the
     * format before, until there is a frame in the new one. */
    struct stream_ring *former_ring[HELD_RINGS_MAX];
    unsigned former_rings;
    TAILQ_HEAD(, stream_reader) readers;
    unsigned reader_count;
    int64_t idle_ns;                       /* since when it has neither writer nor readers */
    char last_writer[SHMFRAME_NAME_BYTES]; /* for lists, of the writer that is gone */
    char last_group[SHMFRAME_NAME_BYTES];
    struct watch_writer watch;   /* of the current ring */
    struct watch_holder *holder; /* of links that are over; NULL: none was yet */
    unsigned next_holder;
};

/* ---- stream.c ---- */
struct stream *stream_find(struct server *server, const char *name);
/* Finds or makes. Errors: -ENOSPC too many names; -ENOMEM. */
int stream_get(struct server *server, const char *name, struct stream **out_stream);
void stream_destroy(struct stream *stream);
/* Tells every reader which rings have lost their writer, if that has changed. */
void stream_tell_readers(struct stream *stream);
/* Wakes it for nothing: whoever lives looks, and goes to sleep again. */
void stream_wake_reader(struct stream_reader *reader, bool is_polling);
/* The newest sequence that is known. */
uint64_t stream_head(const struct stream *stream);
/* Someone came or left: idle_ns. */
void stream_note_idle(struct stream *stream);
/* Tries to watch the owner who could not be watched so far. */
void stream_watch_owner(struct stream *stream);
/* Once the former supervisor's writers have had their time: those that did not come back and do
 * not live are gone. */
void stream_end_grace(struct stream *stream);
/* Whether it has something of before a restart that nobody has come back for yet. */
bool stream_waits_for_return(const struct stream *stream);
/* Takes the ring that a reader has come back with. */
void stream_take_former_ring(struct stream *stream, struct stream_ring *ring);
/* Whether it is kept for `process`, which wrote it under the former supervisor. */
bool stream_is_kept_for(const struct stream *stream, const struct process *process);
/* The former ring is of no more use: the newest sequence is kept. */
void stream_forget_former(struct stream *stream);
/* Does so, if there is a frame in the current ring, if its writer is gone, or if nobody is left who
 * might come back. */
void stream_check_former(struct stream *stream);
/* The generation of which a next supervisor would have to see a reader's ring, to know how far the
 * stream came; 0: none. */
uint32_t stream_followed(const struct stream *stream);
/* Whether a reader that can show how far the stream came may still come back. */
bool stream_waits_for_followers(const struct stream *stream);
/* Whether a reader whose newest link is of `generation` may say how far the stream came: only if
 * nobody else can. */
bool stream_believes_readers(const struct stream *stream, uint32_t generation);
/* Says that the writer of the newest ring is gone. */
void stream_set_gone(struct stream *stream, enum shmframe_stream_state state);

/* ---- stream_ring.c ---- */
/* Checks and takes the ring's descriptor. Errors: -EPROTO, -EPROTONOSUPPORT, -ENOMEM. */
int stream_ring_create(int fd, const char *stream, struct stream_ring **out_ring);
/* Forgets its links and its writer: only its head is still looked at. */
void stream_ring_drop_links(struct stream_ring *ring);
void stream_ring_destroy(struct stream_ring *ring);
/* What the writer's memory says, within bounds. */
uint64_t stream_ring_head(const struct stream_ring *ring);
bool stream_ring_is_ended(const struct stream_ring *ring);
/* Whether a reader of before the restart has a link in it and is not back. `ring` may be NULL. */
bool stream_ring_has_held(const struct stream_ring *ring);
/* Whether both are the same memory. */
bool stream_ring_is_same(const struct stream_ring *ring, const struct stream_ring *other);
/* Memory that its writer and readers may make it take by what they were granted. */
uint64_t stream_ring_granted_bytes(const struct stream_ring *ring);
uint64_t stream_ring_memory_bytes(const struct stream_ring *ring);

/* ---- stream_writer.c: messages of a writer's session. A negative result costs the connection ----
 */
/* ALLOW: of the OPEN_RING that follows. */
int stream_writer_allow(struct client *client, struct channel_mail *mail);
int stream_writer_open_ring(struct client *client, struct channel_mail *mail);
int stream_writer_close(struct client *client, struct channel_mail *mail);
/* Refuses the ring, and ignores the offers that follow all the same. */
int stream_writer_refuse_ring(struct client *client, const struct message_open_ring *open,
                              int code);
/* Descriptors that its rings and unused links keep here. */
unsigned stream_writer_count_fds(const struct stream_writer *writer);
/* Likewise a reader's: its record, and the rings that its stream keeps for want of a writer, if it
 * is the first who waits for one. */
unsigned stream_reader_count_fds(const struct stream_reader *reader);
/* The session's writer of that number; NULL: it has none. */
struct stream_writer *stream_writer_find(const struct client *client, uint32_t number);
/* Makes the announced ring the stream's, if everything announced has come. One that is refused for
 * what came is forgotten, and its writer too, if he has no other. */
void stream_writer_complete(struct stream_writer *writer);
/* The writer has left or died. */
void stream_writer_gone(struct stream_writer *writer, enum shmframe_stream_state state,
                        const char *reason);
/* Its connection is closed: what was under way on it is over. May destroy the writer. */
void stream_writer_away(struct stream_writer *writer);

/* ---- stream_offer.c: likewise ---- */
/* What OFFER_LINK brings. Errors: -EPROTO it is something else; -ENOMEM. */
int stream_offer_check_fds(const int fd[3]);
int stream_offer_link(struct client *client, struct channel_mail *mail);
/* The offer has come, but there is no descriptor left for its link. */
int stream_offer_lose(struct client *client, struct channel_mail *mail);
int stream_offer_held(struct client *client, struct channel_mail *mail);

/* ---- stream_reader.c: messages of a reader's session ---- */
int stream_reader_open(struct client *client, struct channel_mail *mail);
int stream_reader_held_ring(struct client *client, struct channel_mail *mail);
/* Whether it is to be believed how far the stream came, and has not shown its newest ring yet. */
bool stream_reader_is_to_show(const struct stream_reader *reader);
int stream_reader_close(struct client *client, struct channel_mail *mail);
int stream_reader_evict(struct client *client, struct channel_mail *mail);
int stream_reader_get_record(struct client *client, struct channel_mail *mail);
/* The reader has left or died; others may have the room it took. */
void stream_reader_leave(struct stream_reader *reader, const char *reason);
/* The same, without looking at others. */
void stream_reader_destroy(struct stream_reader *reader);
/* Takes its place away: it hears -ESTALE. */
void stream_reader_set_evicted(struct stream_reader *reader, const char *reason);

/* ---- stream_link.c: who gets which link ---- */
/* Whether `reader` may join `ring`, or a reader that stays: 0, -ENOSPC, -ENOTSUP with the reason.
 */
int stream_link_admit(const struct stream_ring *ring, const struct stream_reader *reader);
/* Links every reader that waits for the current ring, as far as links are there, asks for more, and
 * answers OPEN_RING once nobody waits. */
void stream_link_readers(struct stream *stream);
/* The same after room was freed: those who were refused it are asked again. */
void stream_link_retry(struct stream *stream);
/* Slots that must have memory for what its links were granted. */
uint32_t stream_link_count_slots(const struct stream_ring *ring);
/* What its links were granted needs memory from now on. */
void stream_link_note_slots(struct stream_ring *ring);
/* Its reader is gone or was evicted: tells the writer, forgets the link. */
void stream_link_end(struct stream_link *link, enum entry_state state);
void stream_link_destroy(struct stream_link *link);
/* Forgets those that nobody was given, also of the ring that is announced: before an upgrade. */
void stream_link_drop_unused(struct stream *stream);
/* Gives `reader` the link that it says it has. False: the writer does not know it so. */
bool stream_link_claim(struct stream_ring *ring, struct stream_reader *reader);
/* The link that a reader of `process` says it has, if nobody has claimed it yet; else NULL. */
struct stream_link *stream_link_find_held(const struct stream_ring *ring,
                                          const struct process *process, uint32_t entry,
                                          uint32_t serial);
/* Tells the writer that a process which had one of its links died without a supervisor. */
void stream_link_tell_gone(struct stream_writer *writer, pid_t pid);

/* Held links end whose holder is `process`, or (NULL) came back long ago without claiming them. */
void stream_link_end_held(struct stream *stream, const struct process *process);

/* ---- request.c ---- */
int request_ask(struct client *client, struct channel_mail *mail);
int request_answer(struct client *client, struct channel_mail *mail);
/* Every unanswered request hears -EPIPE. */
void request_fail_all(struct stream_writer *writer);
/* `client` does not want its answers any more. */
void request_forget_asker(struct client *client);

/* ---- list.c ---- */
int list_start(struct client *client, struct channel_mail *mail);
int list_start_events(struct client *client, struct channel_mail *mail);
int list_nodes(struct client *client, struct channel_mail *mail);
/* Sends on as long as the socket has room. */
void list_continue(struct client *client);
/* The journal has news: whoever waits for them gets them. */
void list_tell_news(struct client *client);

/* ---- names.c: what a new supervisor needs to know of its streams ---- */
/* A reader that the former supervisor had. */
struct names_reader {
    uint32_t number; /* 0: it has come back, or cannot */
    pid_t pid;
    struct process *process; /* watched; NULL: it was not needed yet */
    uint64_t record_id, start_time;
    char stream[SHMFRAME_NAME_BYTES]; /* that it had a link to; "": it knows nothing of any */
};
/* The number that a reader had, if it comes back; otherwise a new one. Notes whether it was the
 * stream's. */
uint32_t names_number_reader(struct stream_reader *reader);
/* Whether the former supervisor had linked the process's reader with this record to `stream`, and
 * it is not back yet. */
bool names_know_reader(const struct server *server, const struct process *process,
                       uint64_t record_id, const char *stream);
/* Links to `stream` that readers of the process had under the former supervisor, and may come back
 * for yet. */
unsigned names_count_links(const struct server *server, const struct process *process,
                           const char *stream);
/* Whether a reader of `stream` lives that may come back, or show its newest ring, yet. */
bool names_await_reader(const struct stream *stream);
/* It is dead: none of its readers comes back. */
void names_forget(struct server *server, const struct process *process);
/* Once nobody is waited for any more: their processes are watched no longer. */
void names_end_return(struct server *server);
void names_load(struct server *server);
void names_save(struct server *server);

#endif
