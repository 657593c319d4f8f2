/* Scene: the supervisor that is attacked, and what it holds. */
#ifndef TESTS_HOSTILE_SCENE_H
#define TESTS_HOSTILE_SCENE_H

#include <stdbool.h>
#include <stdint.h>

enum { STRANGER_UID = 54321, OUTSIDER_UID = 54322, SCENE_FDS = 4096 };

struct holdings {
    int64_t memory_bytes; /* its own, and what it has mapped and touched */
    int fds, mappings;
    int64_t cpu_ns;
};

/* Starts it in a folder of its own, open to STRANGER_UID if we are root. A negative result: it does
 * not start. */
int scene_start(const char *program);
/* Ends it in good order; a fault, if it does not. */
void scene_stop(void);
void scene_look(void);
struct holdings scene_holdings(void);
/* Waits until it has no more descriptors and mappings than `base`; a fault, if it keeps them. */
void scene_await_back(const struct holdings *base, const char *after);
/* Processor time of a process so far, of its children too once they have been waited for. */
int64_t scene_cpu_ns(int pid);
bool scene_has_strangers(void);

#endif
