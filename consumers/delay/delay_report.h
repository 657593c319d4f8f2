/* What the filter says at its end. */
#ifndef CONSUMERS_DELAY_DELAY_REPORT_H
#define CONSUMERS_DELAY_DELAY_REPORT_H

#include "lane.h"
#include "report.h"

void delay_report_print(const struct lane *lanes, uint32_t count, double seconds,
                        const char *ended_by, enum report_format format);

#endif
