/* Student's t distribution. Pure. */
#ifndef TOOLS_STUDENT_H
#define TOOLS_STUDENT_H

#include <stdint.h>

/* How likely it is to be as far from 0 as `t`, in either direction, with `freedom` degrees of
 * freedom, at least 1. */
double student_chance(double t, uint32_t freedom);
/* What `confidence` of it lie within, on either side of 0. */
double student_reach(double confidence, uint32_t freedom);

#endif
