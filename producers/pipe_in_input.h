/* Input: bytes of a FIFO, a file or standard input, read to where they belong as they come.
 *
 * Nothing is read ahead: what is asked for next may be a header, or the slot of a frame.
 *
 * Threads: one.
 */
#ifndef PRODUCERS_PIPE_IN_INPUT_H
#define PRODUCERS_PIPE_IN_INPUT_H

#include "producer.h"

#include <stddef.h>
#include <sys/uio.h>

struct pipe_in_input {
    const char *path;          /* "-": standard input */
    int fd;                    /* -1: closed */
    bool is_fifo;              /* by its path: its next writer may come */
    bool is_file;              /* is there already: nobody is waited for */
    struct producer *producer; /* whose requests are served meanwhile; NULL: there is none yet */
    bool is_live;              /* --duration ends it within a frame as well */
    int64_t first_ns;          /* when the first byte of the newest read was there */
};

/* Opens it; a failure ends the program. A FIFO waits for nobody. One that is open already goes over
 * into the new one, so that no writer finds it without a reader. */
void pipe_in_input_open(struct pipe_in_input *input, const char *path);
void pipe_in_input_close(struct pipe_in_input *input);
/* Its descriptor outlives exec. */
void pipe_in_input_keep(const struct pipe_in_input *input);

/* Waits until there is something to read, or its end, or `deadline_ns`. Errors: -EINTR asked to
 * stop; -EAGAIN a request was served, which may have changed what is wanted; -ETIMEDOUT. */
int pipe_in_input_wait(struct pipe_in_input *input, int64_t deadline_ns);

/* Fills all of the pieces, which it uses up. `out_bytes` (may be NULL) is how much was read, also
 * if not all was. Errors: -ENODATA it ended before the first byte; -EPIPE it ended inside; -EINTR
 * asked to stop; -ETIMEDOUT --duration is over; as read(). */
int pipe_in_input_read(struct pipe_in_input *input, struct iovec *pieces, size_t count,
                       uint64_t *out_bytes);
/* The same, into the void. */
int pipe_in_input_skip(struct pipe_in_input *input, uint64_t bytes, uint64_t *out_bytes);

/* How much there is up to the end of a file; 0 for others. */
uint64_t pipe_in_input_left(const struct pipe_in_input *input);

/* Looks at what comes without taking it: up to `max` bytes, as soon as there are `wanted` or it has
 * ended. Returns how many; -ENOTSUP: this kind of input cannot be looked at; -EINTR. */
int pipe_in_input_peek(struct pipe_in_input *input, uint8_t *out_bytes, int wanted, int max);

#endif
