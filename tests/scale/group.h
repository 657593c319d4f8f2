/* Group: a writer and three readers, each a process, and what they say of themselves on a board
 * that all share. What goes wrong in one of them is told by its place on the board. */
#ifndef TESTS_SCALE_GROUP_H
#define TESTS_SCALE_GROUP_H

#include "../api/world.h"

#include <stdatomic.h>
#include <string.h>

enum { GROUP_READERS = 3, GROUP_FRAMES_A_SECOND = 50 };

struct group_reader {
    _Atomic bool is_open;
    _Atomic uint64_t taken;                    /* newest sequence */
    _Atomic uint64_t delivered, lost, unasked; /* events but for losses and the end */
    _Atomic uint64_t interrupted;              /* calls that answered -EINTR */
    _Atomic int wrong;
};

struct group_board {
    _Atomic bool is_over; /* the writer is to end */
    _Atomic uint64_t published, late, interrupted;
    _Atomic uint32_t generation;
    _Atomic int wrong;
    struct group_reader reader[GROUP_READERS];
};

extern struct group {
    struct group_board *board;
    pid_t writer, reader[GROUP_READERS];
    void (*begin)(void); /* called in each process first; NULL: nothing */
} group;

/* All are linked and frames flow. Readers: newest, in order, lossless. */
void group_start(void);
/* Each has come so much further. */
void group_await(uint64_t frames);
/* The writer ends, the others have what there was; all have gone with nothing wrong. */
void group_finish(void);

#endif
