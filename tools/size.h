/* What `shmframe size` is asked about: a stream, on paper or running, and its readers. */
#ifndef TOOLS_SIZE_H
#define TOOLS_SIZE_H

#include "sizing.h"

#include <shmframe/shmframe.h>

enum { SIZE_READERS_MAX = 256 };

struct size_ring {
    uint64_t slot_bytes, memory_bytes;
    uint64_t ring_bytes; /* 0: not known */
    uint32_t slots;      /* that there is room for */
    uint32_t slots_used;
};

struct size_question {
    char stream[SHMFRAME_NAME_BYTES]; /* "": on paper */
    char format[128];
    int64_t period_ns;
    uint64_t frame_bytes; /* that carry meaning; 0: not known */
    struct shmframe_writer_params params;
    struct size_ring ring; /* of the stream that runs */
    struct sizing_reader reader[SIZE_READERS_MAX];
    unsigned readers;
    unsigned running; /* the first so many are the stream's own */
};

/* Asks about a stream that runs. If period_ns is set already, it stays. What fails ends the
 * program. */
void size_ask_stream(struct size_question *question, const char *name);

/* Adds the readers that a text such as
 * "in-order,depth=6,leases=2,hold=80ms,usual=10ms,late=1ms,count=3" describes. A mistake ends the
 * program. */
void size_add_reader(struct size_question *question, const char *text);

#endif
