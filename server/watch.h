/* Watch: who loses frames, holds leases for too long, or publishes nothing.
 *
 * Looks at readers' records and rings' ledgers, which costs their owners nothing, and tells the
 * journal. What stands there is a peer's: it is copied once and checked, and whoever lies gets a
 * bounded number of lines.
 */
#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H

#include "config.h"
#include "journal.h"
#include "region.h"

#include <sys/types.h>
#include <systemd/sd-event.h>

struct process;
struct server;
struct watch_holder;
struct stream;
struct stream_link;
struct stream_reader;
struct stream_writer;

/* ---- limits ---- */

/* What is known of processes elsewhere. The answers are kept until watch_limits_changed(). */
struct watch_hooks {
    void *user;
    /* How long process `pid`, or the node that it belongs to, may hold a lease of `stream`, or
     * publish nothing there; `period_ns` is the stream's nominal one, 0: it has none. Never unset.
     */
    struct config_watch (*hold)(void *user, pid_t pid, const char *stream);
    struct config_watch (*stall)(void *user, pid_t pid, const char *stream, int64_t period_ns);
    /* Restarts the node that `pid` belongs to. False: it belongs to none. `reason` is a sentence.
     */
    bool (*restart)(void *user, pid_t pid, const char *reason);
};

/* Without hooks the defaults apply: holds of more than a second are told, stalls of more than a
 * second and ten periods where there is a period. `hooks` stays the caller's, and lives on. */
void watch_set_hooks(struct server *server, const struct watch_hooks *hooks);

/* The limits are others now, or processes belong to others: they are asked for again. */
void watch_limits_changed(struct server *server);

/* ---- what is watched ---- */

/* The newest hold or stall that something was done about, and by which limits. */
struct watch_acted {
    int64_t since_ns;
    unsigned epoch;
};

struct watch_reader {
    struct region record;               /* its first word NULL: not watched */
    struct journal_source own, *source; /* NULL: it has not joined */
    struct journal_purse purse;
    struct config_watch limit; /* of a hold, and of its way from woken to awake */
    unsigned epoch;            /* when limit was asked for; 0: never */
    /* The sleep that it is in, and when a frame was first seen to have been published since; 0: not
     * yet. */
    int64_t asleep_ns, rung_ns;
    bool is_woken;     /* by us */
    int64_t waited_ns; /* for it since then, by looks */
    uint64_t begin;    /* the stream's head when it came, or got its first link */
    /* Its place was taken away: when, with which head, and why; 0: it was not, or its loss was
     * told.
     */
    int64_t evicted_ns;
    uint64_t evicted_head;
    char evicted_reason[sizeof((struct shmframe_event){0}.text)];
    struct watch_acted hold_acted, sleep_acted;
    enum config_action due; /* once nobody walks the lists */
    bool is_due_for_hold;
};

struct watch_writer {
    struct journal_source own, *source; /* NULL: none */
    struct journal_purse purse;
    struct config_watch limit;
    unsigned epoch;
    int64_t period_ns; /* for which limit was asked for */
    int64_t opened_ns; /* when its ring came */
    struct watch_acted acted;
    uint64_t published; /* when a stall was told */
    char name[SHMFRAME_NAME_BYTES];
};

/* Errors: -ENOMEM. */
int watch_start(struct server *server);
/* The supervisor serves from now on. */
void watch_begin(struct server *server);
/* After each event: looks are due as long as there is something to look at. */
void watch_arm(struct server *server);
/* The supervisor ends: what has not been told yet is. */
void watch_finish(struct server *server);

/* It was taken in: its number may be that of before a restart. */
void watch_reader_begin(struct stream_reader *reader);
void watch_reader_joined(struct stream_reader *reader);
/* Its place is taken away, now. */
void watch_reader_evicted(struct stream_reader *reader, const char *reason);
void watch_reader_left(struct stream_reader *reader, const char *reason);
/* It is destroyed. */
void watch_reader_end(struct stream_reader *reader);

/* The writer's new ring is the stream's. */
void watch_writer_live(struct stream_writer *writer);
/* The stream has lost its writer, who is still known. `reason` is empty if it left in order. */
void watch_writer_gone(struct stream_writer *writer, enum shmframe_stream_state state,
                       const char *reason);
/* A link that somebody had is over: losses that are told later may be about it. */
void watch_link_end(const struct stream_link *link);

/* ---- shared by watch's files ---- */

struct watch {
    sd_event_source *timer;
    const struct watch_hooks *hooks; /* NULL: none */
    unsigned epoch;                  /* of limits; from 1 */
    int64_t least_ns;                /* limit met in this look: how soon the next one is due */
    int64_t looked_ns, wait_ns;      /* when it was, and the next one was to be so much later */
    int64_t step_ns;                 /* from the look before, and no more than it was to be */
    bool has_absent;                 /* sources of before a restart that may come back */
};

void watch_look_at_reader(struct stream_reader *reader, int64_t now_ns);
void watch_look_at_writer(struct stream *stream, int64_t now_ns);
/* What was due for one of the stream's readers; true: look again. */
bool watch_act_on_reader(struct stream *stream);
/* Who has the link that the ledger's word names: fills the event's culprit. */
void watch_resolve_link(struct stream *stream, uint64_t word, struct shmframe_event *event);
/* Its number; 0: nobody's who is known. */
uint32_t watch_find_blocker(struct stream *stream, uint64_t word);
/* Whether a writer that says since when this link has kept it waiting has reason to: its reader
 * holds, or leaves unread, what it has had since then. */
bool watch_is_blocked(struct stream *stream, uint64_t word, int64_t since_ns);
/* Whether nothing was done about it by these limits yet; from now on it is. */
bool watch_must_act(struct watch_acted *acted, const struct watch *watch, int64_t since_ns);
void watch_note_limit(struct server *server, int64_t limit_ns);
/* Takes a source for `own`, which it is if there is no room elsewhere. */
struct journal_source *watch_take_source(struct server *server, struct journal_source *own);
/* A peer's stamp as one of the past; a peer's duration within it. */
int64_t watch_past_ns(int64_t stamp_ns, int64_t now_ns);
int64_t watch_span_ns(int64_t duration_ns, int64_t time_ns);
/* Says so in the event's text, if it is. */
void watch_put_stopped(struct shmframe_event *event, struct process *process);
/* Says that its count is a sum, and of which most were lost at once, as far as that is known:
 * `count` 0, it is not; `duration_ns` 0, nobody knows how long it took. */
void watch_put_sum(struct shmframe_event *event, uint64_t count, uint64_t first,
                   int64_t duration_ns);

#endif
