/* Onlooker: what a supervisor reads in the pages of others, whatever is in them. */
#ifndef TESTS_FUZZ_ONLOOKER_H
#define TESTS_FUZZ_ONLOOKER_H

#include "input.h"
#include "layout.h"

/* The ledger of a writer's ring. */
void onlooker_see_ring(const struct ring *ring);

/* A reader's record, of bytes from the input. */
void onlooker_see_record(struct input *input);

#endif
