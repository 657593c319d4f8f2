/* A stream that is being read: its reader, and what became of it.
 *
 * A source can be closed and opened again in another way; what it measured adds up. It keeps what
 * is to be said, so that the thread that takes frames need not be the one that speaks.
 *
 * Threads: one at a time; counters and hops from any, while the source stays open.
 */
#ifndef CONSUMERS_SOURCE_H
#define CONSUMERS_SOURCE_H

#include "hops.h"
#include <shmframe/shmframe.h>

enum {
    SOURCE_EVENTS = 16, /* kept until they are told */
};

struct source {
    struct shmframe_reader *reader; /* NULL: closed */
    struct shmframe_reader_params params;
    char stream[SHMFRAME_NAME_BYTES]; /* "": never opened */
    bool is_staying;                  /* frames may come after the end: another writer's */
    bool has_ended;                   /* the stream ended; cleared when a frame comes after all */
    bool is_evicted;
    bool is_taken;       /* a frame was, since its sources were waited for */
    char trouble[256];   /* "": none; otherwise it cannot be read any more */
    struct hops earlier; /* of readers before this one */

    struct shmframe_reader_event event[SOURCE_EVENTS];
    uint32_t events;
};

/* Opens `params->stream`. If the stream has too few slots for the depth asked for, it takes what it
 * gets, down to 2. Errors: as shmframe_reader_open(). */
int source_open(struct source *source, struct shmframe_session *session,
                const struct shmframe_reader_params *params);
/* Reads the same stream in another way. On an error it goes on as before. Leases must be back.
 * Errors: as shmframe_reader_open(). */
int source_reopen(struct source *source, struct shmframe_session *session,
                  const struct shmframe_reader_params *params);
/* Leases must be back. */
void source_close(struct source *source);

/* Takes a frame if there is one. False: not now; or for good, see has_ended, is_evicted, trouble.
 */
bool source_take(struct source *source, struct shmframe_lease *out_lease);

/* Keeps what the reader has heard of the stream, to be told: whoever only waits, and takes nothing,
 * would not hear of a writer that died. Taking does it as well; the thread that takes. */
void source_collect_events(struct source *source);
/* Tells in one line each what happened to the stream since the last call. */
void source_tell_events(struct source *source);
/* The same; trouble ends the program. */
void source_tell(struct source *source);

/* Whether frames may come. */
bool source_is_flowing(const struct source *source);
/* Whether it is worth waiting for the reader: after the end of a stream its next writer may come,
 * but a reader that has told the end need not sleep until then. */
bool source_can_wait(const struct source *source);

/* All that was measured since the first open. */
void source_read_hops(const struct source *source, struct hops *out_hops);
void source_add_histogram(struct shmframe_histogram *sum, const struct shmframe_histogram *more);
struct shmframe_reader_counters source_counters(const struct source *source);

#endif
