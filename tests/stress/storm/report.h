/* Report: what the storm did, what came of it, and how long peers took to be back. */
#ifndef TESTS_STORM_REPORT_H
#define TESTS_STORM_REPORT_H

#include "strike.h"

/* Slots with memory that the readers of a stream may make necessary. */
uint32_t report_slots_allowed(unsigned stream);
void report_print(const struct cast *cast, const struct strikes *strikes,
                  const uint32_t *slots_most);
/* Returns how many there were. */
unsigned report_print_faults(void);

#endif
