/* Lane: one stream on its way into the pipe: the frame that is next, on lease until it is written,
 * and what had to be done to its frames.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_PIPE_LANE_H
#define CONSUMERS_PIPE_LANE_H

#include "pipe_container.h"
#include "source.h"

struct pipe_lane {
    struct source *source;        /* borrowed */
    uint32_t index;               /* in the container */
    struct shmframe_format first; /* of the stream when it was opened */
    struct pipe_adapter adapter;

    struct shmframe_lease lease; /* of the next frame; its data NULL: none */
    uint64_t silence;            /* samples that are missing before it */

    /* Of the sound before it. */
    bool has_sound;
    int64_t next_pts; /* SHMFRAME_NO_PTS: not known */
    int64_t end_ns;   /* capture of the sample behind it */
    int64_t taken_ns; /* when it was taken */

    uint64_t frames; /* written */
    uint64_t packed; /* by the container, of frames that were not converted before */
    uint64_t early;  /* from before the beginning */
    uint64_t unread; /* while nobody read the pipe */
    uint64_t silent; /* samples of silence for lost ones */
};

/* `name`: the pixel or sample format that frames are to become; NULL: they stay as they are.
 * Errors: as pipe_adapter_open(). */
int pipe_lane_open(struct pipe_lane *lane, struct source *source, const char *name);
void pipe_lane_close(struct pipe_lane *lane);

/* Takes the next frame, unless there is one. False: not yet. */
bool pipe_lane_take(struct pipe_lane *lane);
/* Gives it back unwritten. */
void pipe_lane_drop(struct pipe_lane *lane);

/* Whether the frame is not as those that the lane was opened for, or as the header of a container
 * of that kind says. */
bool pipe_lane_is_changed(const struct pipe_lane *lane, enum pipe_container_kind kind);

/* Puts the frame into `message`, with silence before it where the container has no times; a frame
 * from before the beginning is left out. The frame is gone in any case.
 * Errors: -ENOTSUP, -ENOMEM, -EINVAL. */
int pipe_lane_write(struct pipe_lane *lane, struct pipe_container *container,
                    struct pipe_message *message);

#endif
