/* What a picture shows, in words that all tools use, and as JSON: the shapes of shmframe-json(7).
 */
#ifndef TOOLS_GATHER_WORDS_H
#define TOOLS_GATHER_WORDS_H

#include "gather.h"

/* "none", "video", "audio", "data". */
const char *gather_kind_name(uint32_t kind);
/* "waited for", "live", "ended", "writer gone". */
const char *gather_state_name(uint32_t state);
/* "away", "asleep", "polling"; of a reader with a record. */
const char *gather_doing_name(uint32_t doing);
/* The same, or "evicted", or "stopped" (its process, by a signal); "-" of one without a record. */
const char *gather_reader_state_name(const struct gather_reader *reader);

/* What the writer of a stream is at. */
enum gather_writing {
    GATHER_WRITING_NOTHING = 0, /* there is none */
    GATHER_WRITING_WELL,
    GATHER_WRITING_BLOCKED, /* it is kept waiting, or is refused slots */
    GATHER_WRITING_STALLED, /* it has published nothing for a second and ten periods */
};
enum gather_writing gather_find_writing(const struct gather *gather,
                                        const struct gather_stream *stream);
/* "none", "publishing", "blocked", "stalled". */
const char *gather_writing_name(enum gather_writing writing);

/* "29.97", "59940", "-" if not known. */
enum { GATHER_RATE_BYTES = 24 };
void gather_format_rate(double rate_hz, char text[GATHER_RATE_BYTES]);

json_t *gather_make_stream_json(const struct gather *gather, const struct gather_stream *stream);
json_t *gather_make_reader_json(const struct gather *gather, const struct gather_reader *reader);
/* Likewise, with "span": what it counted or measured since the update before. */
json_t *gather_make_stream_span_json(const struct gather *gather,
                                     const struct gather_stream *stream);
json_t *gather_make_span_json(const struct gather *gather, const struct gather_reader *reader);
json_t *gather_make_node_json(const struct gather *gather, const struct gather_node *node);
json_t *gather_make_event_json(const struct shmframe_event *event);

#endif
