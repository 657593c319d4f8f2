/* Writer, from inside.
 *
 * `mutex` (THREADED) guards the frame path; the session's mutex guards what mail changes. Whoever
 * needs both takes `mutex` first.
 */
#ifndef SHMFRAME_SRC_WRITER_H
#define SHMFRAME_SRC_WRITER_H

#include "ledger.h"
#include "link.h"
#include "ring.h"
#include "session.h"

#include <shmframe/writer.h>

enum { WRITER_LINKS = 4, WRITER_EVENTS_MAX = 256, WRITER_LOANS_MAX = 64, WRITER_REQUESTS_MAX = 64 };
enum { WRITER_READERS_FIRST = 16 }; /* room for who is linked, before it grows */
enum { WRITER_READER_SLOTS = 1 };   /* backed with memory for the first reader, before it comes */
enum { WRITER_SPARE_SLOTS = 1 };    /* what a publish retires is free only at the next loan */

/* One ring of a writer. The list of its links changes under the session's mutex. */
struct writer_ring {
    struct ring_writer core;
    struct region region;
    struct session_notice *notice; /* that its links stand in; NULL: not offered yet */
    int fd;
    uint64_t payload_offset, slot_stride;
    struct shmframe_format format;
    uint32_t id;
    uint32_t generation; /* 0: not opened yet */
    uint32_t out;        /* slots loaned or pinned */
    bool is_resynced;    /* comes back to a supervisor */
    uint32_t sleepers;   /* threads that wait for a lossless reader's link */
    uint16_t pins[RING_SLOTS_MAX];
    int64_t warm_ns;          /* when to back with memory what new grants add; 0: nothing to do */
    struct writer_ring *next; /* older */
};

struct writer_reader { /* who is linked, as events told */
    uint32_t number;   /* the supervisor's; that of a former one, until it has come back */
    uint32_t told;     /* what it was when it joined */
    bool is_former;
    int32_t pid;
    char name[SHMFRAME_NAME_BYTES];
};

/* The program's number is ours: two supervisors may give the same cookie. */
struct writer_request {
    uint32_t number, cookie; /* 0: free */
};

enum writer_answer { WRITER_ASKED = 0, WRITER_OPENED, WRITER_REFUSED };

struct shmframe_writer {
    struct session_object object; /* first */
    pthread_mutex_t mutex;
    bool is_threaded, is_live, is_ended;
    uint32_t loans, history;
    uint64_t ring_bytes;
    struct access allow;
    char stream[SHMFRAME_NAME_BYTES], group[SHMFRAME_NAME_BYTES];
    int (*before_seal)(void *user, int ring_fd, const struct shmframe_ring_map *map);
    void *before_seal_user;

    /* The frame path's. */
    struct writer_ring *ring; /* current; its `next` are older ones; changes under both mutexes */
    uint64_t sequence;
    uint32_t last_id;
    struct ledger ledger;

    /* Under the session's mutex. */
    struct writer_ring *opening; /* NULL: none */
    enum writer_answer answer;   /* to the newest OPEN_RING */
    int refusal;
    char refusal_text[256];
    uint64_t opened_sequence;
    uint32_t opened_generation;
    bool is_resync_sent;   /* the stream comes back to a supervisor */
    bool is_resync_opened; /* ... which has agreed: go by its notice page */
    uint32_t links_owed;   /* links that it wants, and gets once we do */
    uint32_t links_due;    /* ... that were wanted for a ring, and could not be made */
    uint32_t links_due_generation;
    _Atomic bool is_lost; /* another writer has the stream, or nobody knows who; for all threads */
    char lost_text[256];  /* written before it */
    struct shmframe_writer_event event[WRITER_EVENTS_MAX];
    uint32_t event_first, event_count;
    struct writer_reader *reader; /* array */
    uint32_t reader_count, reader_room;
    struct writer_request request[WRITER_REQUESTS_MAX]; /* unanswered */
    uint32_t last_request;
};

static inline void writer_lock(struct shmframe_writer *writer) {
    if (writer->is_threaded)
        pthread_mutex_lock(&writer->mutex);
}

static inline void writer_unlock(struct shmframe_writer *writer) {
    if (writer->is_threaded)
        pthread_mutex_unlock(&writer->mutex);
}

static inline uint64_t writer_ring_slot_offset(const struct writer_ring *ring, uint32_t slot) {
    return ring->payload_offset + ring->slot_stride * slot;
}

/* ---- writer_ring.c ---- */

/* Makes a ring in a complete format, sealed, its first slots backed with memory. It has no links
 * and no generation yet. Errors: -ENOMEM, -EMFILE, -ENOSPC; -EINVAL as layout_plan(); those of
 * before_seal. */
int writer_ring_create(struct shmframe_writer *writer, const struct shmframe_format *format,
                       struct writer_ring **out_ring);

/* Destroys a ring with its links. With the session's mutex held, once it may have any. */
void writer_ring_destroy(struct shmframe_writer *writer, struct writer_ring *ring);

/* Backs slots up to `end` with memory: their headers and their payload. Errors: -ENOMEM. */
int writer_ring_warm(struct writer_ring *ring, uint32_t end) __attribute__((cold));

/* How many of a ring's slots get memory: as many as loans, history and leases (of a first reader at
 * least) need at once, and of small ones an eighth of the history to spare. */
uint32_t writer_ring_count_warm(uint32_t loans, uint32_t history, uint32_t leases,
                                uint64_t slot_stride, uint32_t slots);

/* The same for a ring as it is now. */
uint32_t writer_ring_warm_target(const struct shmframe_writer *writer,
                                 const struct writer_ring *ring);

/* ---- writer_open.c ---- */

/* Frees a writer that has ended, or was never opened, with its rings. */
void writer_destroy(struct shmframe_writer *writer);

/* Says why the stream is lost; returns -ESTALE. */
int writer_say_lost(const struct shmframe_writer *writer);

/* Whether so many loans and so much history can be asked for. Errors: -EINVAL. */
int writer_check_counts(const struct shmframe_writer_params *params);

/* ---- writer_mail.c; with the session's mutex held ---- */

extern const struct session_ops writer_ops;

/* Sends OPEN_RING and the offers that go with it, for `ring` of generation 0, or (RESYNC) as one
 * that comes back. Errors: -ENOTCONN, -ENOMEM, -EMFILE, -ENFILE, -ENOSPC. */
int writer_send_open(struct shmframe_writer *writer, struct writer_ring *ring, bool is_resync);

/* Moves on to the newest notice page, if the supervisor that came back has answered; destroys links
 * that are over and rings that nobody needs. Needs both mutexes. */
void writer_settle(struct shmframe_writer *writer);

/* Sees at once to what the supervisor has granted since, or taken back. Needs both mutexes. */
void writer_read_links(struct shmframe_writer *writer);

/* Says CLOSE_WRITER, where a supervisor is there to hear it: with MESSAGE_ENDED nothing follows,
 * with 0 another writer may go on with the stream. */
void writer_send_close(struct shmframe_writer *writer, uint32_t flags);

/* From now on the ring's links stand in this page. */
void writer_ring_set_notice(struct writer_ring *ring, struct session_notice *notice);

/* Destroys the links of a ring that was never opened. */
void writer_drop_links(struct shmframe_writer *writer, struct writer_ring *ring);

/* ---- writer_events.c; with the session's mutex held ---- */

/* Makes events of what the supervisor says: a reader joins or leaves, somebody asks. Without room
 * for one more the first are kept; a request is refused then. */
void writer_take_reader_event(struct shmframe_writer *writer,
                              const struct message_reader_event *event);
void writer_take_request(struct shmframe_writer *writer, const struct message_request *request);

#endif
