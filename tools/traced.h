/* Traced: a stream of which a trace is made - who writes it, who reads it, and what these tell.
 *
 * A reader's record is opened when the reader is first listed, and kept until it has been gone for
 * a while: what it took last is told too. A supervisor that was started again may list it late.
 */
#ifndef TOOLS_TRACED_H
#define TOOLS_TRACED_H

#include "recorder.h"

#include <shmframe/shmframe.h>

struct traced_reader {
    struct shmframe_reader_info info;
    int64_t listed_ns;         /* last time */
    struct recorder *recorder; /* NULL: its record is not to be had, which was told */
    bool is_named;
};

struct traced {
    const char *name;
    int64_t from_ns;
    struct tracing_writer writer;
    struct traced_reader *reader;
    unsigned readers;
    struct recorder_finds finds;
    /* Of readers that are gone, too: see traced_finish(). */
    uint64_t flights, missed;
};

/* No memory ends the program. */
void traced_init(struct traced *stream, const char *name, int64_t from_ns);

/* Takes who is there now. `info` NULL: the stream is not listed any more. `is_first`: readers that
 * are there have been for a while. Errors: as shmframe_session_readers(). */
int traced_update(struct traced *stream, struct shmframe_session *session,
                  const struct shmframe_stream_info *info, bool is_first);

/* Takes a line of the journal: who wrote since when, what was not made, who left. True: there may
 * be news for traced_update(). */
bool traced_take_event(struct traced *stream, const struct shmframe_event *event,
                       struct chrome *chrome);

/* Collects what is over; `is_last`: all that there is. To be told after the events of until then.
 */
void traced_look(struct traced *stream, struct chrome *chrome, bool is_last);
void traced_tell(struct traced *stream, struct chrome *chrome);
/* Whether some reader's record is to be looked at soon. */
bool traced_is_due(const struct traced *stream);

/* Warns of what is not in the trace. `has_followed`: the recorders were to reach back to the first
 * look only. Returns how many of their lines were missed. */
uint64_t traced_finish(struct traced *stream, bool has_followed);

#endif
