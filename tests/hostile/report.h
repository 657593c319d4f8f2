/* Report: what each attack did to the victims and to the supervisor. */
#ifndef TESTS_HOSTILE_REPORT_H
#define TESTS_HOSTILE_REPORT_H

#include "attack.h"
#include "scene.h"

struct report_row {
    const struct attack *attack;
    uint32_t number; /* the board's row */
    uint64_t rounds;
    double share; /* of a processor, that it took */
    struct holdings most;
};

struct report {
    struct report_row row[ROWS_MAX];
    uint32_t count;
};

void report_head(uint64_t seed);
/* NULL: there are too many. */
struct report_row *report_begin(struct report *report, const struct attack *attack);
/* Once its slices are over. */
void report_row(const struct report_row *row);
void report_skip(const struct attack *attack);
/* Whether the victims were clearly slower than in any calm slice, and beside any control. */
bool report_is_breach(const struct report *report, const struct report_row *row);
/* Returns the exit status: 0, 1 for faults, 77 if nothing was attacked. */
int report_end(const struct report *report, const struct holdings *base,
               const struct holdings *after);

#endif
