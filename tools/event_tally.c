#include "event_tally.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 256 };

struct event_tally_stream *event_tally_stream(struct event_tally *tally, const char *name) {
    if (tally->streams == 0)
        tally->streams = 1;
    for (uint32_t i = 0; i < tally->streams; i++)
        if (strcmp(tally->stream[i].name, name) == 0)
            return &tally->stream[i];
    if (tally->streams > EVENT_TALLY_STREAMS_MAX)
        return &tally->stream[0];
    struct event_tally_stream *stream = &tally->stream[tally->streams++];
    snprintf(stream->name, sizeof(stream->name), "%s", name);
    return stream;
}

static void add(struct event_tally *tally, const struct shmframe_event *event) {
    /* Others are of a newer supervisor, or about another user's reader. */
    if (event->type == SHMFRAME_JOURNAL_NONE || event->type >= SHMFRAME_JOURNAL_TYPES ||
        event->cause >= SHMFRAME_CAUSES)
        return;
    struct event_tally_stream *stream = event_tally_stream(tally, event->stream);
    stream->events[event->type][event->cause]++;
    if (event->type == SHMFRAME_JOURNAL_LOSS)
        stream->lost[event->cause] += event->count;
}

int event_tally_update(struct event_tally *tally, struct shmframe_session *session) {
    static struct shmframe_event batch[BATCH];
    int count;
    while ((count = shmframe_session_events(session, tally->newest, SHMFRAME_NOW, batch, BATCH)) >
           0) {
        for (int i = 0; i < count; i++)
            if (tally->has_begun)
                add(tally, &batch[i]);
        tally->newest = batch[count - 1].id;
    }
    if (count != -EAGAIN)
        return count;
    tally->has_begun = true;
    return 0;
}
