/* Reading: one reader object of a peer, and the account of what it gets through it. Each frame is
 * checked when it comes and again before it is released; each that does not come must be told. */
#ifndef TESTS_STORM_READING_H
#define TESTS_STORM_READING_H

#include "payload.h"
#include "peer.h"

struct held_frame {
    struct shmframe_lease lease;
    bool is_torn; /* as seen so far: its release must say so */
};

struct reading {
    const struct reading_role *role;
    const char *name;
    unsigned number; /* of the seat's */
    struct seat *seat, *writer_seat;
    struct stream_board *stream;
    struct shmframe_session *session;
    struct shmframe_reader *reader;
    uint32_t evictions;                    /* known of when it was opened */
    int64_t born_ns;                       /* its process; 0: has had a frame since */
    int64_t call_ns;                       /* when it began to wait for the next one */
    int64_t awake_ns, supervisor_awake_ns; /* as board_..._ns() had them then */

    /* Of the newest frame. */
    uint64_t last; /* sequence; 0: none yet */
    uint32_t life; /* of its writer */
    uint64_t index, origin;
    int64_t last_ns;      /* when it came */
    bool is_account_lost; /* a frame was torn, as it was evicted; or its stream was numbered anew */

    /* Since it was opened. */
    uint64_t first, delivered, lost, skipped;

    struct held_frame held[SHMFRAME_LEASES_MAX]; /* oldest first */
    uint32_t held_count;
};

/* ---- reading.c ---- */

void reading_init(struct reading *reading, unsigned seat, unsigned number, int64_t born_ns);
/* Opens its reader; tells of a fault and exits if that fails. */
void reading_open(struct reading *reading, struct shmframe_session *session);
/* Says that it waits from now on. */
void reading_begin(struct reading *reading);
/* Takes what it gets, waiting until the deadline, and examines it. If it had been evicted it is
 * opened again. Returns how many frames. */
unsigned reading_take(struct reading *reading, int64_t deadline_ns);
/* Releases the oldest until `keep` are left. */
void reading_release(struct reading *reading, unsigned keep);
/* Whether it has had the stream's last frame. */
bool reading_is_drained(const struct reading *reading);
void reading_close(struct reading *reading);

/* ---- account.c ---- */

/* Whether the bytes are those of one frame. */
bool account_sum(const struct reading *reading, const struct shmframe_lease *lease);
/* A frame has come: is it the one that must come, and is everything told that did not? */
void account_frame(struct reading *reading, const struct shmframe_lease *lease,
                   const struct payload *payload);
/* What the library has counted must be what came. */
void account_close(const struct reading *reading);
/* Whether this reader may hear, just now, that its place is taken away. */
bool account_may_be_evicted(const struct reading *reading);

/* ---- delay.c ---- */

/* A frame has come: in time, if it was waited for? */
void delay_check(const struct reading *reading, const struct shmframe_lease *lease,
                 const struct payload *payload);

#endif
