/* What both sides of the road through GStreamer are given. */
#ifndef BENCH_ROADS_GSTREAMER_H
#define BENCH_ROADS_GSTREAMER_H

#include "library.h"

enum { GSTREAMER_HEAD_BYTES = 64 /* before the payload, which begins a cache line: the parcel */ };

struct gstreamer {
    struct library library;
    uint32_t buffers;    /* in the sink's memory, each a parcel and a payload */
    size_t memory_bytes; /* of all of them, and what alignment takes */
    char folder[32], path[48];
    int started[2];   /* a pipe: a byte for each reader, once the sink is there */
    int arrived[2];   /* a pipe: a byte of each reader, once it has the sink's memory */
    pid_t writer_pid; /* of which the sink makes the name of its memory */
};

#endif
