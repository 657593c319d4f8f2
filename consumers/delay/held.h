/* Held: the frames of a stream that are under way, in the order in which they will be published.
 * Pure. The loans of a ring come before those of a later one, whenever they are due: a ring is
 * closed with the first frame of the next.
 */
#ifndef CONSUMERS_DELAY_HELD_H
#define CONSUMERS_DELAY_HELD_H

#include "schedule.h"

#include <shmframe/writer.h>

enum { HELD_MAX = 64 };

struct held_frame {
    struct shmframe_loan loan;
    uint64_t sequence; /* in the stream that it came from */
    int64_t acquire_ns, due_ns;
    /* This program's own looks at the clock: it has the frame; it gives it away. */
    int64_t took_ns, gave_ns;
    enum schedule_action action; /* SWAP: it waits for the next one that is added */
    bool is_again;               /* the second of a repeated one */
};

struct held {
    struct held_frame frame[HELD_MAX];
    uint32_t count;
    bool is_waiting; /* the last one waits for its successor */
};

/* There is room. One that waited for its successor goes behind this one. */
void held_add(struct held *held, const struct held_frame *frame);

/* When the first one is due; SHMFRAME_FOREVER: there is none, or it waits for its successor. */
int64_t held_due_ns(const struct held *held);

/* Takes the first one if it is due. */
bool held_take(struct held *held, int64_t now_ns, struct held_frame *out_frame);

/* No successor comes: one that waits for it is due when it was. */
void held_settle(struct held *held);

/* Moves when all of them are due. */
void held_shift(struct held *held, int64_t shift_ns);

#endif
