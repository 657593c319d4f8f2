/* NUT: raw pictures and sound of several streams with their times, by libavformat.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_PIPE_NUT_H
#define CONSUMERS_PIPE_NUT_H

#include "pipe_message.h"

#include <shmframe/format.h>

struct pipe_nut;

/* Whether NUT has a name for these pixels or samples. */
bool pipe_nut_can_carry(const struct shmframe_format *format);

/* Begins a NUT of `count` streams, with its header in `message`. `is_file`: an index is kept, for
 * the end. Errors: -ENOMEM, -ENOTSUP. */
int pipe_nut_create(const struct shmframe_format *const *formats, uint32_t count, bool is_file,
                    struct pipe_message *message, struct pipe_nut **out_nut);
void pipe_nut_destroy(struct pipe_nut *nut);

/* What times are counted in. */
AVRational pipe_nut_unit(const struct pipe_nut *nut, uint32_t stream);

/* Adds a frame, which `message` keeps: the frame is in it already. `out_is_packed` says whether its
 * lines had to be moved together. Times of a stream that do not go on are made to.
 * Errors: -ENOMEM, -EINVAL. */
int pipe_nut_add(struct pipe_nut *nut, uint32_t stream, int64_t time, int64_t duration,
                 struct pipe_message *message, bool *out_is_packed);

/* Adds what ends it. */
int pipe_nut_end(struct pipe_nut *nut, struct pipe_message *message);

#endif
