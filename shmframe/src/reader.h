/* Reader, from inside. What mail changes is guarded by the session's mutex; the rest is the
 * reader's own thread's. */
#ifndef SHMFRAME_SRC_READER_H
#define SHMFRAME_SRC_READER_H

#include "link.h"
#include "overrun.h"
#include "record.h"
#include "session.h"

#include <shmframe/reader.h>

enum { READER_EVENTS_MAX = 64 };

struct reader_mail {
    STAILQ_ENTRY(reader_mail) next;
    struct channel_mail mail; /* a LINK */
};

STAILQ_HEAD(reader_mail_list, reader_mail);

enum reader_answer { READER_ASKED = 0, READER_ACCEPTED, READER_REFUSED };

struct shmframe_reader {
    struct session_object object; /* first */
    enum shmframe_policy policy;
    uint32_t depth, leases;
    int64_t spin_ns;
    struct record record;

    /* The reader's own thread's. */
    struct session_notice *notice; /* that its entry stands in */
    uint32_t notice_seen;
    uint32_t gone_generation;       /* rings up to it have lost their writer */
    struct link_reader *link;       /* the ring it is at; NULL: none yet */
    struct link_reader_list next;   /* rings that come after it */
    struct link_reader_list left;   /* rings that it still holds leases of */
    _Atomic bool is_astride;        /* holds leases of more than one ring; for releasing threads */
    uint64_t last;                  /* sequence of the newest frame delivered, of all rings */
    struct overrun_clock clock;     /* what it was at since then */
    int64_t last_publish_ns;        /* of the newest frame */
    bool is_frame_due;              /* the next one, before long: see struct bell_others */
    int64_t wake_ns;                /* when it woke for the next frame; 0: it did not sleep */
    bool is_end_told, is_gone_told; /* of `link` */
    bool is_at_end;                 /* `link` was over, with none after it, when last looked at */
    bool is_armed;                  /* waits for a byte */
    uint32_t lease_flags;           /* of the next frame */
    int untold;                     /* what a wait met, for the next acquire to tell; 0: nothing */
    int failure;                    /* for good; 0: none */
    int epoll, mail_event;          /* -1: nobody asked for a descriptor */
    _Atomic uint64_t told;          /* as `last`, for who has the session's mutex */
    /* What most frames do not touch. */
    char stream[SHMFRAME_NAME_BYTES], name[SHMFRAME_NAME_BYTES];
    struct shmframe_reader_event event[READER_EVENTS_MAX];
    uint32_t event_first, event_count;
    char failure_text[256], untold_text[256];

    /* Under the session's mutex. */
    enum reader_answer answer;
    bool was_accepted, is_page_new;
    int refusal; /* 0: none; told once */
    char refusal_text[256];
    uint32_t flags;  /* MUST_EXIST, of an OPEN_READER that is no RESYNC */
    uint32_t number; /* at the supervisor */
    uint32_t link_generation, link_entry, link_serial; /* of the newest LINK */
    /* From the ring that it reads to its newest, to be shown to the next supervisor. */
    struct reader_ring {
        uint32_t generation;
        int fd;
    } ring[HELD_RINGS_MAX];
    uint32_t rings;
    struct reader_mail_list mail; /* links; those that could not be taken yet first */
};

/* ---- reader_mail.c ---- */

extern const struct session_ops reader_ops;

/* Takes what has come for the reader: links, the word of a new supervisor, refusals. Own thread,
 * without the mutex. Errors: what was refused, or a link that does not hold together; told once. A
 * link that there is no memory for now is kept for the next call. */
int reader_take_mail(struct shmframe_reader *reader);

/* The rings before the one that it reads are over, and read. Own thread, without the mutex. */
void reader_forget_rings(struct shmframe_reader *reader);

/* Adds an event; the oldest gives way. */
void reader_add_event(struct shmframe_reader *reader, const struct shmframe_reader_event *event);

/* Keeps an eye on a link's wake socket, or no longer. False: there is no memory for that now. */
bool reader_watch(struct shmframe_reader *reader, struct link_reader *link);
void reader_unwatch(struct shmframe_reader *reader, struct link_reader *link);

/* ---- reader_look.c: what there is beside frames; own thread, without the mutex ---- */

/* Whether the supervisor has written, or another thread was at the session when it had. */
static inline bool reader_has_notice(const struct shmframe_reader *reader) {
    /* Relaxed: only tells that it is worth a look. */
    return reader->object.is_upkeep_due ||
           (reader->notice && atomic_load_explicit(&reader->notice->page->word,
                                                   memory_order_relaxed) != reader->notice_seen);
}

/* What is not on the way of most frames. Errors: as reader_take_mail(), told once. */
int reader_look_after(struct shmframe_reader *reader, int64_t now_ns)
    __attribute__((noinline, cold));

/* Looks after what is due. Errors: as reader_look_after(). */
static inline int reader_attend(struct shmframe_reader *reader, int64_t now_ns) {
    if (reader_has_notice(reader) || session_upkeep_is_due(reader->object.session, now_ns) ||
        atomic_load_explicit(&reader->object.has_mail, memory_order_relaxed))
        return reader_look_after(reader, now_ns);
    return 0;
}

/* What acquire finds when it looks: 0 a frame; -EAGAIN; -ENODATA, which `may_tell` marks as told;
 * or the reader's failure. Moves on to the next ring where this one is over. */
int reader_look(struct shmframe_reader *reader, bool may_tell);

/* Destroys the links to former rings of which no lease is left. */
void reader_destroy_left(struct shmframe_reader *reader);

/* When its bell was last rung; 0: never. */
static inline int64_t reader_rung_ns(const struct link_reader *link) {
    /* Relaxed: a time to measure from. */
    return atomic_load_explicit(&link->core.bell->rung_ns, memory_order_relaxed);
}

/* It looked, and there was nothing. */
static inline void reader_note_looked(struct shmframe_reader *reader, int64_t now_ns) {
    overrun_looked(&reader->clock, now_ns);
    record_looked(&reader->record, now_ns);
}

/* ---- reader_wait.c; own thread, without the mutex ---- */

/* Whether a wait goes on. Errors: -EINTR, -EAGAIN, -ETIMEDOUT. */
int reader_may_sleep(const struct shmframe_reader *reader, int64_t now_ns, int64_t deadline_ns);

/* Until when a wait that begins now spins. News that concern nobody's frame do not end it. */
int64_t reader_find_spin_end(struct shmframe_reader *const *readers, uint32_t count,
                             int64_t now_ns);

/* One sleep, or a spin. Notes when it ended, `*now_ns` from then on. 1: something woke it; 0: it
 * lasted as long as one may, or did not sleep. Errors: -EINTR. */
int reader_sleep_once(struct shmframe_reader *const *readers, uint32_t count, int64_t *now_ns,
                      int64_t deadline_ns, int64_t spin_until_ns) __attribute__((hot));

/* A reader waits in one way at a time. Its descriptor is readable then, and armed again as ever. */
void reader_stop_polling(struct shmframe_reader *const *readers, uint32_t count);

/* Nothing was there: makes the descriptor readable for what comes. False: look again. */
bool reader_arm(struct shmframe_reader *reader);
void reader_disarm(struct shmframe_reader *reader) __attribute__((noinline));

#endif
