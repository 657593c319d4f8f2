/* Tracing: from readers' flight recorders to the events of a trace.
 *
 * The flights of a stream come here once each, whichever reader they are of, when they are over. A
 * frame is made once, on its writer's track, and taken by each reader, on its own:
 *
 *   writer   | produce 7 |                         flow: s at the capture of 7 ...
 *   reader   |            frame 7           |
 *            |  transit 7  |     hold 7     |      ... t where it is acquired, f where it is
 * presented | wake 7 |           ^ present 7          or else released
 *
 * Frames that did not come to be, and those that did not reach a reader, are instants.
 */
#ifndef TOOLS_TRACING_H
#define TOOLS_TRACING_H

#include "chrome.h"

#include <shmframe/supervisor.h>

/* Frames of which is known that their making is in the trace. */
enum { TRACING_MADE = 1 << 15 };

struct tracing_frame {
    uint64_t sequence;
    struct chrome_slice made; /* the slice on the writer's track */
};

/* A process that wrote the stream for a while. */
struct tracing_maker {
    int64_t from_ns;
    char name[SHMFRAME_NAME_BYTES];
    struct chrome_lanes frames, losses;
};

/* So many of them, the newest, are known. */
enum { TRACING_MAKERS = 16 };

/* Whoever writes the stream. */
struct tracing_writer {
    char stream[SHMFRAME_NAME_BYTES];
    struct tracing_maker maker[TRACING_MAKERS]; /* one after the other */
    unsigned makers;
    struct tracing_frame *frames; /* at sequence % TRACING_MADE */
};

struct tracing_reader {
    int32_t pid;
    struct chrome_lanes frames, presents, losses;
    uint64_t flights; /* told so far */
};

/* No memory ends the program. */
void tracing_writer_init(struct tracing_writer *writer, const char *stream);
void tracing_writer_finish(struct tracing_writer *writer);
/* What is published from `from_ns` on is this process's, if it is not the newest already. There is one
 * before anything is told. */
void tracing_writer_begins(struct tracing_writer *writer, int32_t pid, const char *name,
                           int64_t from_ns);
void tracing_reader_init(struct tracing_reader *reader, const char *stream, uint32_t number,
                         const char *name, int32_t pid);

/* `end_ns` is when the trace ends, for a frame that is still held (release_ns 0). */
void tracing_add_flight(struct chrome *chrome, struct tracing_writer *writer,
                        struct tracing_reader *reader, const struct shmframe_flight *flight,
                        int64_t end_ns);
void tracing_add_overrun(struct chrome *chrome, struct tracing_reader *reader,
                         const struct shmframe_overrun *overrun);
/* A loss of the journal that the writer met: frames that were not made. */
void tracing_add_loss(struct chrome *chrome, struct tracing_writer *writer,
                      const struct shmframe_event *loss);

#endif
