/* Simulated runs: frames whose times hang together, as those of real ones do. */
#ifndef TESTS_REPORT_SIMULATED_H
#define TESTS_REPORT_SIMULATED_H

#include "comparison_run.h"

#include <stdbool.h>

struct simulated {
    uint32_t seconds, rate_hz;
    double transit_ns; /* the median */
    double spread;     /* of its logarithm */
    double memory_s;   /* over which its logarithm forgets; 0: frames know nothing of each other */
    double spikes_hz;  /* bursts in which frames take 20 to 100 times as long */
    double losses_hz;  /* gaps of 1 to 4 frames */
    double run_spread; /* of the logarithm of the median, from run to run */
    double second_spread; /* likewise, from second to second */
    bool has_gaps;        /* nothing comes in every second second */
};

struct comparison_run *simulated_create(const struct simulated *like, uint64_t *state);
void simulated_destroy(struct comparison_run *run);

#endif
