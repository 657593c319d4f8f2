/* Run: streams into an outlet, frame by frame, until one of them is over.
 *
 * A frame is taken when the one before it is written, so that a pipe that is full makes the reader
 * fall behind, and what is lost then is lost by its policy, whole frames each: nothing is queued
 * here.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_PIPE_RUN_H
#define CONSUMERS_PIPE_RUN_H

#include "pipe_lane.h"
#include "pipe_outlet.h"
#include "selection.h"
#include "sources.h"

struct pipe_run {
    /* Given. */
    const char *path;
    bool is_fifo;                             /* the path's when the program began */
    const char *pixel_format, *sample_format; /* NULL: as they come */
    bool is_exact;                            /* nothing is converted */
    bool is_staying;                          /* for the next reader of a FIFO */
    bool is_adapting;                         /* to the first format, when a stream changes it */

    struct sources sources;
    struct pipe_container container; /* its kind is given; NONE: what the streams need */
    struct pipe_outlet outlet;
    struct pipe_message message; /* being sent; empty: none */
    struct pipe_lane lane[SELECTION_MAX];
    uint32_t lanes;
    bool is_begun;      /* the header of this reader is written */
    const char *reason; /* why it ended; NULL: it goes on */
    bool has_failed;
    int64_t start_ns, end_ns;
    int64_t gather_ns;   /* until when the first frames of all streams are waited for */
    int64_t progress_ns; /* when progress was shown last */
    int64_t full_ns;     /* how long the pipe was full, in all */
    uint64_t bytes;      /* written, in all */
    uint64_t readers;    /* of the pipe, one after the other */
};

bool pipe_run_knows_samples(const char *sample_format);

/* Chooses what the container carries, waits for a FIFO's reader, opens the streams. A failure ends
 * the program with one line. False: asked to stop, or nobody reads any more. */
bool pipe_run_open(struct pipe_run *run, const struct selection *selection);
/* Opens the outlet for its next reader; a failure ends the program. Errors: -ENXIO nobody reads it;
 * -EPIPE nobody will. */
int pipe_run_open_outlet(struct pipe_run *run);
/* Runs until it is over; the exit code. */
int pipe_run(struct pipe_run *run);
void pipe_run_close(struct pipe_run *run);

#endif
