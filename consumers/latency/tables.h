/* What shmframe-latency prints of a measurement: tables, or JSON. */
#ifndef CONSUMERS_LATENCY_TABLES_H
#define CONSUMERS_LATENCY_TABLES_H

#include "measurement.h"

/* Of the time since the last one. */
void tables_print_interval(struct measurement *m, int64_t now_ns);

/* Prints the whole and judges it; returns the exit code. */
int tables_print_total(struct measurement *m);

#endif
