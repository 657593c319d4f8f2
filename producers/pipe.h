/* Pipe: bytes from standard input, another descriptor or a FIFO, for FFmpeg.
 *
 * Opening a FIFO waits for nobody, reading waits for its writer, and an interrupt ends the waiting,
 * as it does with FFmpeg's network protocols.
 *
 * Threads: one at a time.
 */
#ifndef PRODUCERS_PIPE_H
#define PRODUCERS_PIPE_H

#include <libavformat/avformat.h>
#include <stdbool.h>

struct pipe {
    AVIOContext *io;
    AVIOInterruptCB interrupt;
    int fd; /* -1: none */
    bool is_ours;
};

/* Whether `url` is "-", "pipe:", "pipe:NUMBER" or the path of a FIFO or terminal. */
bool pipe_is_meant(const char *url);

/* Opens `url`; sets `io`. A FIFO that is open already goes over into the new one, so that a writer
 * that comes meanwhile finds a reader. Returns 0, or an AVERROR code. */
int pipe_open(struct pipe *pipe, const char *url, AVIOInterruptCB interrupt);

/* Frees `io`; the descriptor stays, for the next pipe_open(). */
void pipe_detach(struct pipe *pipe);
void pipe_close(struct pipe *pipe);

#endif
