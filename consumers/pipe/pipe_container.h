/* Container: what stands around frames in a pipe: y4m, NUT, wav, or nothing.
 *
 *   pipe_container_find()     by name; else by the path's ending, or by what there is to carry
 *   pipe_container_adapt()    what each stream has to become
 *   pipe_container_begin()    again for each reader of a FIFO
 *     pipe_container_add()
 *   pipe_container_end()
 *
 * Threads: one.
 */
#ifndef CONSUMERS_PIPE_CONTAINER_H
#define CONSUMERS_PIPE_CONTAINER_H

#include "pipe_adapter.h"
#include "pipe_clock.h"
#include "pipe_nut.h"

enum pipe_container_kind {
    PIPE_NONE = 0,
    PIPE_Y4M,
    PIPE_NUT,
    PIPE_WAV,
    PIPE_RAW,
};

struct pipe_container {
    enum pipe_container_kind kind;
    const struct shmframe_format *format[PIPE_CLOCK_STREAMS]; /* borrowed */
    uint32_t streams;
    struct pipe_nut *nut;
    struct pipe_clock clock;
    uint64_t header_bytes;
};

const char *pipe_container_name(enum pipe_container_kind kind);
/* NONE: `name` is not any's. */
enum pipe_container_kind pipe_container_find(const char *name);
/* By the path's ending; NONE: it says nothing. */
enum pipe_container_kind pipe_container_find_by_path(const char *path);
/* Whether the path ends in what FFmpeg knows as another kind of file. */
bool pipe_container_is_other(const char *path);
/* What carries a stream of `format` alone without changing it. */
enum pipe_container_kind pipe_container_find_by_format(const struct shmframe_format *format);

/* The pixel or sample format that `format` has to become, as near to it as can be; NULL: it stays
 * as it is. */
const char *pipe_container_adapt(enum pipe_container_kind kind,
                                 const struct shmframe_format *format);

/* Puts the header into `message`; `format` and `streams` are set. Errors: -ENOMEM, -ENOTSUP. */
int pipe_container_begin(struct pipe_container *container, bool is_by_pts, bool is_file,
                         struct pipe_message *message);

/* When a frame is, and how long: before it goes into a message, which ends the lease. Negative
 * time: it is from before the beginning. */
struct pipe_moment {
    int64_t time, duration;
};
struct pipe_moment pipe_container_time(struct pipe_container *container, uint32_t stream,
                                       const struct shmframe_lease *lease);

/* Adds silence before a block of sound, where there are no times. Errors: -ENOMEM. */
int pipe_container_add_silence(const struct pipe_container *container, uint32_t stream,
                               uint64_t samples, struct pipe_message *message);
/* Adds `frame`, which is the message's from then on. Errors: -ENOMEM, -EINVAL. */
int pipe_container_add(struct pipe_container *container, uint32_t stream, AVFrame *frame,
                       struct pipe_moment moment, struct pipe_message *message,
                       bool *out_is_packed);

/* Ends it; what is left to be sent is in `message`. Errors: -ENOMEM. */
int pipe_container_end(struct pipe_container *container, struct pipe_message *message);

#endif
