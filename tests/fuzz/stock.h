/* Stock: descriptors as a peer may pass them on, right ones and wrong ones, made once. What is in
 * them is put right before each run; what a peer could still write, the fuzzer writes. */
#ifndef TESTS_FUZZ_STOCK_H
#define TESTS_FUZZ_STOCK_H

#include "layout.h"

enum stock_kind {
    STOCK_RING = 0, /* STOCK_RINGS of them, for the streams of stock_stream() in turn */
    STOCK_RECORD,
    STOCK_LEASE,
    STOCK_BELL,
    STOCK_WAKE,
    STOCK_WRONG, /* STOCK_WRONGS of them */
    STOCK_KINDS,
};
enum { STOCK_RINGS = 6, STOCK_RECORDS = 4, STOCK_WRONGS = 24, STOCK_STREAMS = 3 };

/* "a", "b" ... */
const char *stock_stream(unsigned which);

/* All pages as they were when they were made. Makes them the first time. */
void stock_reset(void);

/* Borrowed. Those of one kind are counted from 0, and begin again behind the last one. */
int stock_fd(enum stock_kind kind, unsigned which);

/* Its maker's own mapping, writable for good. */
struct ring *stock_ring(unsigned which);
struct record_page *stock_record(unsigned which);

#endif
