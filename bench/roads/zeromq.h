/* What both sides of the road over ZeroMQ are given. */
#ifndef BENCH_ROADS_ZEROMQ_H
#define BENCH_ROADS_ZEROMQ_H

#include "library.h"

struct zeromq {
    struct library library;
    char folder[32], path[48], endpoint[64];
    uint32_t depth; /* high-water mark, of either side */
    bool is_large;  /* the payload */
};

#endif
