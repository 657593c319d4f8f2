/* Feed: frames of an input, read straight into the slots that are lent for them.
 *
 * Threads: one.
 */
#ifndef PRODUCERS_PIPE_IN_FEED_H
#define PRODUCERS_PIPE_IN_FEED_H

#include "pipe_in_header.h"

enum pipe_in_pace {
    PIPE_IN_LIVE = 0, /* frames are captured when they arrive; nobody holds them up */
    PIPE_IN_PACED,    /* by their rate */
    PIPE_IN_UNPACED,  /* as fast as lossless readers take them */
};

struct pipe_in_feed {
    struct producer producer;
    struct producer_stream *stream;
    struct pipe_in_input input;
    struct pipe_in_wanted wanted;
    struct pipe_in_header header;
    enum pipe_in_pace pace;
    bool is_staying;
    bool has_failed; /* an input ended within a frame, or made no sense */

    int64_t position; /* of the next frame: pictures, or samples */
    uint64_t left;    /* bytes of sound that the header promises */
    struct iovec *pieces;
    size_t pieces_max;
};

/* Opens the stream; the input's header has been read. False: asked to stop. */
bool pipe_in_feed_open(struct pipe_in_feed *feed);
/* Until the input is over, or enough; the exit code is pipe_in_feed_finish()'s. */
void pipe_in_feed_run(struct pipe_in_feed *feed);
int pipe_in_feed_finish(struct pipe_in_feed *feed);

#endif
