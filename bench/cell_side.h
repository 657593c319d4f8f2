/* Side: what the writer, and each reader, of a cell does, in a process of its own. */
#ifndef BENCH_CELL_SIDE_H
#define BENCH_CELL_SIDE_H

#include "cell.h"

struct side {
    struct cell_run *run;
    struct cell cell; /* the process's own */
    void *prepared;   /* by the road */
    uint32_t number;  /* of the reader; CELL_WRITER: the writer */
};

/* Opens, warms up, does what is measured, closes. */
void side_run(const struct side *side);

#endif
