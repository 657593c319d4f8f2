/* A report as an HTML page that needs nothing but itself. */
#ifndef CONSUMERS_LATENCY_RUN_PAGE_H
#define CONSUMERS_LATENCY_RUN_PAGE_H

#include "run_report.h"

/* Errors: -ENOMEM. */
int run_page_write(const struct run_report *report, FILE *file);

#endif
