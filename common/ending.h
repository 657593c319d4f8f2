/* Ending: how a process ended, in words. */
#ifndef COMMON_ENDING_H
#define COMMON_ENDING_H

#include <signal.h>

enum { ENDING_BYTES = 256 };

/* "was killed by signal 11 (Segmentation fault): ...", and what can be done. `end` as waitid()
 * tells it. */
void ending_describe(const siginfo_t *end, char text[ENDING_BYTES]);

#endif
