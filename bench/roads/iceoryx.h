/* What both sides of the road over iceoryx are given. */
#ifndef BENCH_ROADS_ICEORYX_H
#define BENCH_ROADS_ICEORYX_H

#include "library.h"

enum { ICEORYX_HEAD_BYTES = 64 /* before the payload, which begins a cache line: the parcel */ };

struct iceoryx {
    struct library library;
    uint32_t depth; /* of each queue */
    pid_t daemon;
    int arrived[2]; /* a pipe: readers that have subscribed */
};

#endif
