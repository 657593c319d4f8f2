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

#endif
