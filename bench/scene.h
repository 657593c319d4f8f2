/* Scene: one writer and its readers, each in a process of its own, through all lanes of a board. */
#ifndef BENCH_SCENE_H
#define BENCH_SCENE_H

#include "board.h"

/* Runs it; samples are in the board then. Ends the program when anything goes wrong. */
void scene_run(struct board *board);

#endif
