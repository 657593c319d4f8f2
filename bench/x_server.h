/* An Xvfb of the benchmark's own. */
#ifndef BENCH_X_SERVER_H
#define BENCH_X_SERVER_H

#include <stdint.h>

/* Starts it with a screen of that size, and returns its display's name. It ends with the program,
 * which is ended if it does not start. */
const char *x_server_start(uint32_t width, uint32_t height);

#endif
