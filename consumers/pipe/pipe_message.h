/* Message: the bytes of one frame on their way into a pipe, as they lie: most of them in the slot.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_PIPE_MESSAGE_H
#define CONSUMERS_PIPE_MESSAGE_H

#include <libavutil/frame.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* All zeros is an empty one. */
struct pipe_message {
    struct pipe_part {
        const uint8_t *data; /* NULL: in the arena, at `offset` */
        size_t offset, bytes;
    } * part;
    size_t parts, parts_max;
    uint8_t *arena; /* copies of what does not last: headers */
    size_t arena_bytes, arena_max;
    AVFrame *frame;   /* keeps what is referred to; NULL: nothing */
    size_t next;      /* part that is to be sent next, */
    size_t next_sent; /* of which so much was sent */
};

/* Adds bytes that stay where they are until the message is cleared. Errors: -ENOMEM. */
int pipe_message_refer(struct pipe_message *message, const void *data, size_t bytes);
/* Adds a copy of bytes. Errors: -ENOMEM. */
int pipe_message_copy(struct pipe_message *message, const void *data, size_t bytes);

bool pipe_message_is_sent(const struct pipe_message *message);
/* Says what is to be sent next, in `max` pieces at most; returns how many. */
int pipe_message_peek(const struct pipe_message *message, struct iovec *out_pieces, int max);
/* So much of that was sent. */
void pipe_message_advance(struct pipe_message *message, size_t bytes);

/* Empties it, frees its frame, and keeps its memory for the next. */
void pipe_message_clear(struct pipe_message *message);
void pipe_message_finish(struct pipe_message *message);

#endif
