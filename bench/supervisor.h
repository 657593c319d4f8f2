/* A supervisor of the benchmark's own, in a folder of its own; and the processes it is for. */
#ifndef BENCH_SUPERVISOR_H
#define BENCH_SUPERVISOR_H

#include <sys/types.h>

/* Starts $SHMFRAMED, else the one this was built with, else the one in the path, and points
 * SHMFRAME_SOCKET at it. Ends the program when that fails. */
void supervisor_start(void);
pid_t supervisor_pid(void);
/* Ends it and removes its folder; also done at exit. */
void supervisor_stop(void);

/* Forks a child that dies with its parent and runs `run(argument)`, then exits with 0. */
pid_t process_start(void (*run)(void *argument), void *argument);
/* Waits for all of `pids`; when one fails the others are ended, and so is the program. */
void process_join(const pid_t *pids, unsigned count);

#endif
