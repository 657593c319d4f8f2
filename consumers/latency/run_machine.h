/* The machine on which something was measured, as far as it matters to a comparison. */
#ifndef CONSUMERS_LATENCY_RUN_MACHINE_H
#define CONSUMERS_LATENCY_RUN_MACHINE_H

#include <jansson.h>

struct run_machine {
    char host[80], kernel[160], architecture[80];
    char processor[160]; /* what it calls itself */
    int processors;      /* that this program may use */
    char governor[80];   /* of the first one's frequency; "": the machine does not tell */
    char clock_source[80];
    double load[2]; /* average of a minute: at the beginning, at the end */
};

/* At the beginning of a run, and at its end. */
void run_machine_read(struct run_machine *machine);
void run_machine_end(struct run_machine *machine);

json_t *run_machine_make_json(const struct run_machine *machine);

#endif
