/* Overrun: what a reader was at while frames passed it by. Its own thread's, but for released_ns.
 */
#ifndef SHMFRAME_SRC_OVERRUN_H
#define SHMFRAME_SRC_OVERRUN_H

#include <shmframe/stats.h>
#include <stdatomic.h>

struct overrun_shares {
    int64_t woken_ns, held_ns, away_ns;
};

struct overrun_clock {
    int64_t acquire_ns; /* of the newest lease; at first, when the reader was opened */
    /* Since then it looked and found nothing to take: nothing was lost until here; 0: not. */
    int64_t looked_ns;
    int64_t woke_ns;  /* and slept, and woke; 0: not */
    int64_t moved_ns; /* and went on to another ring: when it was first called there; 0: not */
    /* Until acquire_ns, since it was last up to date: it found nothing to take, or took the newest;
     * or took what came after its last gap. */
    struct overrun_shares past;
    int64_t lost_ns; /* when it met that gap; 0: none since it was up to date */
    /* End of the last lease. Relaxed: written by whichever thread released. */
    _Atomic int64_t released_ns;
};

/* What it sees as it takes a frame. */
struct overrun_sight {
    int64_t now_ns;
    int64_t rung_ns;    /* when the writer last rang for it, if it has looked */
    int64_t publish_ns; /* of the frame: the oldest there; those that are missing came before */
    bool is_holding;    /* a lease of an earlier one */
    bool is_newest;     /* there is none behind it */
};

/* The reader is opened. */
void overrun_start(struct overrun_clock *clock, int64_t now_ns);
/* It found nothing. */
void overrun_looked(struct overrun_clock *clock, int64_t now_ns);
/* A sleep after overrun_looked(), or a spin, is over. */
void overrun_woke(struct overrun_clock *clock, int64_t now_ns);

/* It goes on to another ring; `rung_ns` is of the one it leaves. */
void overrun_moved(struct overrun_clock *clock, int64_t rung_ns);

/* What is to blame for a gap that it meets with this frame; before overrun_acquired(). Fills cause,
 * time and durations. */
void overrun_judge(struct overrun_clock *clock, const struct overrun_sight *sight,
                   struct shmframe_overrun *out_overrun);

/* What it was at since the last frame counts for gaps to come. */
void overrun_add(struct overrun_clock *clock, struct overrun_sight sight);

/* It took a frame. */
static inline void overrun_acquired(struct overrun_clock *clock,
                                    const struct overrun_sight *sight) {
    const bool is_after_gap = clock->lost_ns && sight->publish_ns > clock->lost_ns;
    if (sight->is_newest || (is_after_gap && clock->looked_ns == 0))
        clock->past = (struct overrun_shares){0};
    else
        overrun_add(clock, *sight);
    if (sight->is_newest || is_after_gap)
        clock->lost_ns = 0;
    clock->acquire_ns = sight->now_ns;
    clock->looked_ns = clock->woke_ns = clock->moved_ns = 0;
}

#endif
