/* Doctor: what on this machine costs latency, one look a function.
 *
 * A function that takes `root` reads only below that folder, so that a test can make up the
 * machine; the others try things on the machine that they run on.
 */
#ifndef TOOLS_DOCTOR_H
#define TOOLS_DOCTOR_H

#include "finding.h"

#include <shmframe/stats.h>

/* Kernel: its version, and what is used of it where it is there. */
void doctor_look_at_kernel(struct findings *findings);

/* Processors. */
void doctor_look_at_processors(struct findings *findings, const char *root, unsigned allowed);
void doctor_look_at_frequency(struct findings *findings, const char *root);
void doctor_look_at_idle_states(struct findings *findings, const char *root);
void doctor_look_at_isolation(struct findings *findings, const char *root);
void doctor_look_at_load(struct findings *findings, const char *root);
void doctor_look_at_quota(struct findings *findings, const char *root);

/* Memory. */
void doctor_look_at_memory(struct findings *findings, const char *root);
void doctor_look_at_memory_limit(struct findings *findings, const char *root);
void doctor_look_at_swap(struct findings *findings, const char *root);
void doctor_look_at_huge_pages(struct findings *findings, const char *root);

/* Rights of this process. */
void doctor_look_at_rights(struct findings *findings);

/* Where the supervisor is. */
void doctor_look_at_supervisor(struct findings *findings);

/* Time. The cost of reading the clock, by the quickest of some rounds. */
int64_t doctor_measure_clock_ns(void);
void doctor_look_at_clock(struct findings *findings, const char *root, int64_t cost_ns);

/* How long a process takes to wake, each measured for `duration_ns`, and once at least. */
struct doctor_wakes {
    struct shmframe_histogram awake;  /* by a futex, its processor being awake */
    struct shmframe_histogram halted; /* by a futex, its processor having nothing else to do */
    struct shmframe_histogram timed;  /* by the clock, with this process's timer slack */
    struct shmframe_histogram exact;  /* by the clock, without */
    unsigned processors;              /* on which waker and sleeper were: 1 or 2 */
};
/* Errors: a negative errno. */
int doctor_measure_wakes(struct doctor_wakes *wakes, int64_t duration_ns);
void doctor_look_at_wakes(struct findings *findings, const struct doctor_wakes *wakes);

#endif
