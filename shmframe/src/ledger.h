/* Ledger: a writer's own account of what did not come to be, and why, for who watches.
 *
 * struct ledger is the writer's private side; it writes it down in the first page of its current
 * ring. The page is never read back. The writer's mutex guards it.
 */
#ifndef SHMFRAME_SRC_LEDGER_H
#define SHMFRAME_SRC_LEDGER_H

#include "ring.h"

#include <shmframe/writer.h>

/* ---- writing ---- */

struct ledger {
    struct ring *ring;                        /* where it is written; NULL: no ring yet */
    struct shmframe_writer_counters counters; /* but for bells_rung and slots_used */
    uint64_t id;
    uint64_t incidents;
    uint64_t device_dropped; /* by the device alone */
    uint64_t pool;           /* missing for want of a slot */
    bool tells_drops;        /* a gap of capture times means nothing */
    bool is_unpaced;         /* nothing is due */
    bool is_judged;          /* by gaps: the format has a rate, and neither of these is so */

    /* Of the newest frame, to tell when the next one is due. */
    const struct shmframe_format *format; /* of its ring; NULL: what comes next is not judged */
    int64_t capture_ns, lasts_ns;         /* of those since the last jump, what was captured last */
    double sample_ns;                     /* sound: how long one lasts; 0: none is */
    int64_t period_ns;                    /* pictures: from one to the next; 0: nobody knows */

    /* Who keeps the writer from its next slot, since when; 0: nobody. */
    int64_t blocked_ns;
    uint64_t blocker;
    uint32_t leases;
    int64_t wait_ns; /* since when threads wait within a loan, so many; 0: none does */
    uint32_t waiters;
    /* Loans refused in a row because of one culprit, each of them a frame. */
    uint64_t refusals, culprit;
    uint32_t culprit_leases;
    int64_t refused_ns; /* the first */
    /* What kept the writer from the slot of a frame that is still to come: so much is not its own
     * lateness. */
    bool is_excused; /* any of this is set */
    struct ledger_excuse {
        int64_t ns;       /* it waited; and for each refusal a period, or less if it asked sooner */
        uint64_t times;   /* it was refused */
    } excuse, busy;       /* busy: by its own loans, one of which the next publish gives back */
    uint64_t excuse_told; /* refusals of a row: told by it */
    int64_t excused_ns, unblocked_ns;
    uint64_t excuser; /* the last blocker */
    uint32_t excuser_leases;
};

void ledger_init(struct ledger *ledger, bool tells_drops);

/* Writes down in a ring of zeros, `slots` of which have memory, what there is so far: before anyone
 * is shown it, or who watches would find nothing there until the writer goes on in it. */
void ledger_show(const struct ledger *ledger, struct ring *ring,
                 const struct shmframe_format *format, uint32_t slots);
/* Goes on there, with what has come since. */
void ledger_enter(struct ledger *ledger, struct ring *ring, const struct shmframe_format *format,
                  uint32_t slots);

/* So many slots have memory; `is_cold`: the last of them was needed at once. */
void ledger_warmed(struct ledger *ledger, uint32_t slots, bool is_cold);

void ledger_set_paced(struct ledger *ledger, bool is_paced);

/* A frame was published in a ring of this format, which tells the rings apart too. `own_dropped` as
 * in struct shmframe_loan. */
void ledger_published(struct ledger *ledger, const struct shmframe_format *format,
                      const struct shmframe_frame *frame, uint32_t own_dropped);
void ledger_abandoned(struct ledger *ledger);

/* The writer does not get its next slot because of `link`, a lossless reader's that is behind. */
void ledger_blocked_by(struct ledger *ledger, const struct ring_writer *core,
                       const struct ring_link *link, int64_t now_ns);
/* ... because of its own loans and pins, `slots`. */
void ledger_blocked_by_self(struct ledger *ledger, uint32_t slots, int64_t now_ns);
/* ... because none is free: of whoever has most of them. */
void ledger_blocked_by_most(struct ledger *ledger, const struct ring_writer *core, int64_t now_ns);
/* It goes to sleep until that is over; it sleeps no more, for whatever reason. */
void ledger_waits(struct ledger *ledger, int64_t now_ns);
void ledger_waited(struct ledger *ledger, int64_t now_ns);

/* After one of these the loan ended: refused with this code, given up for another reason, or lent
 * after all, for frame `next` at the earliest. With -EAGAIN and -ENOSPC a frame is lost; a wait
 * that ran out may be asked for again, and loans of one's own may be asked for until there is none:
 * then it shows with the next frame. */
void ledger_refused(struct ledger *ledger, int code, uint64_t next, int64_t now_ns);
void ledger_given_up(struct ledger *ledger, int64_t now_ns);
void ledger_unblocked(struct ledger *ledger, uint64_t next, int64_t now_ns);
static inline void ledger_lent(struct ledger *ledger, uint64_t next, int64_t now_ns) {
    if (ledger->blocked_ns)
        ledger_unblocked(ledger, next, now_ns);
}

/* ---- ledger_read.c: of any page that is as long as a ring's first ---- */

struct ledger_counters {
    uint64_t
        id; /* names the writer: same id, same counters and incidents; 0: nothing is told yet */
    uint64_t published, abandoned, refused, late, device_dropped, pool, waits, loans_cold;
    uint64_t incidents;
    int64_t publish_ns, period_ns;  /* as struct ring_ledger */
    int64_t blocked_ns, refused_ns; /* see ledger_blocked_since() */
    uint64_t blocker;
    uint32_t slots_used;
};
void ledger_get_counters(const struct ring *ring, struct ledger_counters *out_counters);
/* Since when the writer waits, or is refused each time that it asks; 0: it does not. One that was
 * refused and has not asked again for a while is kept by nobody. */
int64_t ledger_blocked_since(const struct ledger_counters *counters, int64_t now_ns);

struct ledger_incident {
    uint64_t number; /* from 1 */
    uint64_t first, count;
    int64_t time_ns, duration_ns;
    uint64_t culprit;          /* POOL: serial << 32 | entry of a link, or LEDGER_SELF */
    enum shmframe_cause cause; /* WRITER_LATE, DEVICE or POOL */
    uint32_t leases;
};
/* Those after number `after` that the log still has, oldest first; returns how many. A line that
 * changes at this instant, or makes no sense, is left out. */
uint32_t ledger_get_incidents(const struct ring *ring, uint64_t after,
                              struct ledger_incident out_incidents[RING_INCIDENTS]);

#endif
