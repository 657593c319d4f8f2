/* Which processor a process runs on. */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include <stdbool.h>

/* Processors this program may use. */
unsigned place_count(void);
/* Their `index`-th, from 0, round and round. */
int place_cpu(unsigned index);
bool place_has(int cpu);
/* Pins the calling process to it. */
void place_pin(unsigned index);
/* Back to all that the program may use. */
void place_unpin(void);
/* Processor of reader `reader`: the writer has the first for itself, unless there is no other. */
unsigned place_of_reader(unsigned reader);

#endif
