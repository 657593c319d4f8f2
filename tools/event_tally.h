/* What the journal has told since one began to listen, as counts that outlive who they are about.
 */
#ifndef TOOLS_EVENT_TALLY_H
#define TOOLS_EVENT_TALLY_H

#include <shmframe/shmframe.h>

/* Of those above, what is told counts for the stream "". */
enum { EVENT_TALLY_STREAMS_MAX = 256 };

struct event_tally_stream {
    char name[SHMFRAME_NAME_BYTES]; /* "": of none, or of one that is too many */
    uint64_t events[SHMFRAME_JOURNAL_TYPES][SHMFRAME_CAUSES];
    uint64_t lost[SHMFRAME_CAUSES]; /* frames */
};

struct event_tally {
    uint64_t newest; /* id of the newest event that is counted */
    bool has_begun;
    uint32_t streams; /* at least 1: the first is "" */
    struct event_tally_stream stream[1 + EVENT_TALLY_STREAMS_MAX];
};

/* Counts what came since; the first time nothing: from here on. A journal that was begun anew is
 * counted from its beginning. Errors: as shmframe_session_events(), but -EAGAIN. */
int event_tally_update(struct event_tally *tally, struct shmframe_session *session);

/* Its counts, all 0 if there were none yet. */
struct event_tally_stream *event_tally_stream(struct event_tally *tally, const char *name);

#endif
