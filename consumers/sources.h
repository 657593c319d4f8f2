/* The streams that a program reads together, waited for at once.
 *
 *   sources_add()       once for each stream
 *   sources_wait()      -> which have something
 *     source_take()     of those, until it has nothing
 *   sources_close()
 *
 * Threads: one.
 */
#ifndef CONSUMERS_SOURCES_H
#define CONSUMERS_SOURCES_H

#include "control.h"
#include "selection.h"
#include "source.h"

/* Every selected stream, and one beside each to compare it with. */
enum { SOURCES_MAX = 2 * SELECTION_MAX };

struct sources {
    struct shmframe_session *session; /* borrowed; set by the program */
    struct control *control;          /* borrowed; served while waiting; may be NULL */
    struct source source[SOURCES_MAX];
    uint32_t count;
    int64_t frame_ns[SOURCES_MAX]; /* since when the next frame of each is waited for: --deadline */
    uint64_t told;                 /* whose trouble has been told */
    uint64_t paused; /* set by the program: bit i, source i is not waited for, its frames stay */
};

/* Opens a stream, waiting for it as long as --wait allows; a failure ends the program with one
 * line. Without --policy: lossless where the writer can wait for its readers, in order where it is
 * live, as deep as `params` or --depth say. NULL: asked to stop. The pointer stays good. */
struct source *sources_add(struct sources *sources, const struct shmframe_reader_params *params);

enum sources_wait {
    SOURCES_READY = 0, /* something can be taken */
    SOURCES_ASKED,     /* a request was served: what was waited for may have changed */
    SOURCES_DUE,       /* the instant has come */
    SOURCES_OVER,      /* nothing will come any more: ended, or evicted */
    SOURCES_LATE,      /* --deadline is over for a stream that is there; it has been told */
    SOURCES_STOP,      /* asked to stop */
};

/* Waits until one of the sources has something, or until `deadline_ns`. Tells what happened to
 * streams. Bit i of `out_ready` is source i; a bit that is set may also mean that it ended, or
 * that source_take() is to look for the next writer of a source that is staying. */
enum sources_wait sources_wait(struct sources *sources, int64_t deadline_ns, uint64_t *out_ready);

/* Whether --frames, which counts those of the first source, will never be reached: that one is
 * over, and others may go on for ever. */
bool sources_miss_frames(const struct sources *sources);

/* Whether any source was evicted, or cannot be read any more. */
bool sources_have_failed(const struct sources *sources);

/* Leases must be back. */
void sources_close(struct sources *sources);

#endif
