/* Outlet: a FIFO, a file or standard output, written to without ever waiting.
 *
 * The bytes are written, not given: vmsplice() would let the reader see the slot itself, but nobody
 * is told when it has taken the pages out of the pipe, so that the lease would have to be kept for
 * ever, or the writer of the stream would paint over what is still to be read.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_PIPE_OUTLET_H
#define CONSUMERS_PIPE_OUTLET_H

#include "pipe_message.h"

struct pipe_outlet {
    const char *path; /* "-": standard output */
    int fd;           /* -1: closed */
    bool is_file;     /* what was written can be gone back to */
    uint64_t sent;    /* bytes since it was opened */
    uint64_t whole;   /* of these, up to the end of a message */
};

/* Opens it; a file that exists keeps what is in it. `is_fifo`: the path was one's, and nothing else
 * is taken for it. Reports that go to standard output go to standard error from then on, if the
 * frames take its place. Errors: -ENXIO a FIFO that nobody reads; -ENOENT also a FIFO that is none
 * any more; as open(). */
int pipe_outlet_open(struct pipe_outlet *outlet, const char *path, bool is_fifo);
/* Takes away what was in a file. Errors: as ftruncate(). */
int pipe_outlet_empty(struct pipe_outlet *outlet);
/* How much it should hold, as far as the kernel allows, if it is a pipe. */
void pipe_outlet_resize(struct pipe_outlet *outlet, uint64_t bytes);
void pipe_outlet_close(struct pipe_outlet *outlet);

/* Whether `path` is a FIFO, or standard output is a pipe. */
bool pipe_outlet_is_pipe(const char *path);

/* Sends what it takes at once. Errors: -EAGAIN it is full, poll its descriptor for output;
 * -EPIPE nobody reads it; as write(). */
int pipe_outlet_push(struct pipe_outlet *outlet, struct pipe_message *message);

/* Whether nobody reads it any more, while nothing is written. */
bool pipe_outlet_is_left(const struct pipe_outlet *outlet);

/* Writes anew at a place of a file. Errors: as pwrite(). */
int pipe_outlet_patch(struct pipe_outlet *outlet, uint64_t at, const void *data, size_t bytes);

/* The message that was begun will not be ended: a file forgets its beginning. */
void pipe_outlet_cut(struct pipe_outlet *outlet);

#endif
