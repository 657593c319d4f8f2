/* Processes as /proc tells of them, with what each used since it was looked at before. */
#ifndef TOOLS_GATHER_PROCESS_H
#define TOOLS_GATHER_PROCESS_H

#include "gather.h"

struct gather_processes {
    struct known_process **known; /* each of its own memory: pointers to it stay good */
    uint32_t count, capacity;
    uint64_t round;
    int64_t time_ns;
};

/* A round: begin, find what is of interest, end; end forgets what was not asked for. */
void gather_processes_begin(struct gather_processes *processes);
/* The same pointer as in the rounds before, for the same process. NULL: `pid` names none. */
const struct gather_process *gather_processes_find(struct gather_processes *processes, int32_t pid);
void gather_processes_end(struct gather_processes *processes);

void gather_processes_finish(struct gather_processes *processes);

#endif
