/* How often chance alone differs as much as two runs do: their units are dealt out to both sides
 * again and again (a permutation test; Good, Permutation, Parametric and Bootstrap Tests of
 * Hypotheses, chapter 3). What is looked at is the difference of the sides' shares above the split
 * of all of them, divided by its own standard error in that deal: sides of which one is noisier are
 * no difference (Janssen, Studentized permutation tests for non-i.i.d. hypotheses, 1997; Chung and
 * Romano, Exact and asymptotically robust permutation tests, 2013).
 *
 * Pure but for memory: none ends the program. The same units give the same chance.
 */
#ifndef TOOLS_COMPARISON_CHANCE_H
#define TOOLS_COMPARISON_CHANCE_H

#include "comparison_units.h"

/* From 0 on, the next random number below `count`, of a state that is not 0. */
size_t comparison_draw(uint64_t *state, size_t count);

/* `level`: what it is compared with, which decides how many deals are needed. `out_least`: the
 * least chance that these units and deals can give. */
double comparison_chance_find(const struct comparison_units *units, struct comparison_split split,
                              double level, double *out_least);

#endif
