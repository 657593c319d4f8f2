/* Look: what is seen of a process from outside. */
#ifndef BENCH_CELL_LOOK_H
#define BENCH_CELL_LOOK_H

#include <stdint.h>
#include <sys/types.h>

/* Its memory, what it shares with others in parts: PSS. */
uint64_t look_at_memory(pid_t pid);
/* Processor time that it has taken so far. */
int64_t look_at_processor(pid_t pid);

/* Time that all processors of this program together were idle. To 10 ms for each. */
int64_t look_at_idle(void);

/* Counting a process's system calls, all its threads', by strace. */
struct trace;
/* Returns once strace sees every call. Ends the program where strace cannot be used. */
struct trace *trace_start(pid_t pid);
/* The traced process: what is counted lies between. */
void trace_begin(void);
void trace_end(void);
/* Returns how many there were, those that only keep the pace not counted. */
double trace_finish(struct trace *trace);
/* Ends it, whatever it has counted. NULL is allowed. */
void trace_cancel(struct trace *trace);

#endif
