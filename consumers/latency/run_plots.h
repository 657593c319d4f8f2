/* The plots of a run, each an <svg> element. */
#ifndef CONSUMERS_LATENCY_RUN_PLOTS_H
#define CONSUMERS_LATENCY_RUN_PLOTS_H

#include "run.h"

/* What share of the frames took at most how long, all hops. Errors, here and below: -ENOMEM. */
int run_plots_write_percentiles(const struct run *run, FILE *file);
/* How many took how long. */
int run_plots_write_histogram(const struct run *run, enum run_hop hop, FILE *file);
/* The age of each frame that was kept, and what else happened when. */
int run_plots_write_timeline(const struct run *run, FILE *file);
/* Quantiles of the age, block by block. */
int run_plots_write_blocks(const struct run *run, FILE *file);
int run_plots_write_skews(const struct run *run, FILE *file);

#endif
