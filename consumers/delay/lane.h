/* Lane: one stream on its way through the filter: taken, copied, held, published again when due.
 *
 *   lane_open()
 *     lane_take()          a frame, if there is one
 *     lane_publish_due()   those whose time has come; lane_due_ns() tells when to come back
 *   lane_settle()          nothing more comes: what waited for a successor does not any more
 *   lane_abandon()         nobody is to wait any more: what is held is given back
 *   lane_close()
 */
#ifndef CONSUMERS_DELAY_LANE_H
#define CONSUMERS_DELAY_LANE_H

#include "consumer.h"
#include "held.h"
#include "sources.h"
#include "strips.h"

enum { LANE_INPUT_DEPTH = 8 }; /* how far it may be behind its source */

struct lane_params {
    const char *group; /* of the streams that come out */
    const char *allow; /* who else may read them; NULL: as the supervisor has it */
    uint32_t held_max; /* 0: what the schedule takes */
    struct schedule_params schedule;
    struct strips_pause pause; /* while a frame is copied */
};

struct lane {
    struct source *source;
    struct shmframe_writer *writer;
    char name[SHMFRAME_NAME_BYTES]; /* of what comes out */
    struct strips_pause pause;
    struct schedule schedule;
    struct held held;
    uint32_t loans; /* that may be under way */
    bool is_live;   /* what finds no room is dropped; otherwise it waits, and its source with it */
    bool is_paused; /* what is taken is left out */

    /* A frame that waits for room. */
    bool is_stuck;
    struct shmframe_lease stuck;
    struct schedule_turn stuck_turn;
    int64_t took_ns;           /* when it was had */
    struct held_frame copy[2]; /* of it; two, if it is repeated */
    uint32_t copies;

    uint32_t untold;     /* frames left out since the last one that was taken on: it tells */
    uint32_t untold_own; /* of these, by this program */

    uint64_t taken, published, dropped, repeated, swapped, refused, torn, unsent;
    uint64_t paused; /* left out meanwhile */
    uint64_t lost;   /* on the way to us */
    int64_t wanted_sum_ns, held_sum_ns;
    struct shmframe_histogram held_ns, error_ns; /* how long, and how much longer than wanted */
};

/* Opens stream `name` for what `source` brings. A failure ends the program. False: asked to stop.
 */
bool lane_open(struct lane *lane, struct shmframe_session *session, struct source *source,
               const char *name, const struct lane_params *params);
/* Ends the stream. */
void lane_close(struct lane *lane);

/* Takes a frame of the source, or the one that is stuck, for which it waits until `deadline_ns`.
 * Returns whether there was one. */
bool lane_take(struct lane *lane, int64_t deadline_ns);

int64_t lane_due_ns(const struct lane *lane);
void lane_publish_due(struct lane *lane);

/* No more frames come: what waited for a successor does not any more. */
void lane_settle(struct lane *lane);
/* Gives back what is still held, unpublished. */
void lane_abandon(struct lane *lane);

/* Nothing is published, and frames of a live source are left out: others wait for their turn. */
void lane_pause(struct lane *lane);
/* What is held leaves later by as long as the pause was. */
void lane_resume(struct lane *lane, int64_t paused_ns);

/* Whether so many frames as that delay takes at once have room. */
bool lane_has_room(const struct lane *lane, int64_t delay_ns);
/* Holds frames for so long from now on, those under way too. */
void lane_set_delay(struct lane *lane, int64_t delay_ns);

#endif
