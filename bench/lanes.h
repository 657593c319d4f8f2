/* Lanes: what is timed side by side in one process, in turns, a slice each: what disturbs the
 * machine meanwhile disturbs all alike. The first is the floor; each is told as processor time a
 * picture and as its ratio to the floor of the same round, the medians over rounds.
 */
#ifndef BENCH_LANES_H
#define BENCH_LANES_H

#include "program.h"

#include <stdint.h>

enum { LANES_PICTURES = 8, LANES_MAX = 16 };

/* What a program's options set. */
struct lanes_options {
    const char *format, *pixel_format;
    uint32_t size[2];
    uint32_t repeats;
};
extern struct lanes_options lanes_options;
extern const struct option_spec lanes_option_specs[];

/* After program_start(): values that cannot be end the program. */
void lanes_check_options(void);

struct lane {
    const char *name;
    uint32_t what; /* the program's own */
};

/* Has `run` deal with `count` lanes (1 to LANES_MAX), by their index, each with the same
 * LANES_PICTURES pictures a round, counted from 0 on; then prints the figures. */
void lanes_run(const struct lane *lanes, uint32_t count,
               void (*run)(uint32_t lane, uint32_t picture));

#endif
