/* Floor: the least that the same news could cost on this machine - one raw futex wake for each
 * sleeper, or one cache line carried to a process that spins. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "board.h"

/* Tells wake `number`, from 1 in each slice, to all readers. */
void floor_wake(struct board *board, uint32_t number);
/* Waits for it. Returns when it came, and in `out_sent_ns` when it was sent. False: the reader was
 * not asleep (or, spinning, the line was there already: it did not wait at all). */
bool floor_wait(struct board *board, uint32_t reader, uint32_t number, int64_t *out_sent_ns,
                int64_t *out_came_ns);

#endif
