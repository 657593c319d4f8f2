/* Board: memory that the test and all its processes share. Who sits where tells there what it has
 * seen; the test reads it, also of those that it has killed. */
#ifndef TESTS_CRASH_BOARD_H
#define TESTS_CRASH_BOARD_H

#include "point.h"

#include <shmframe/shmframe.h>
#include <stdbool.h>
#include <sys/types.h>

/* For all that must happen: no machine is that slow. */
#define PATIENCE_NS INT64_C(20000000000)

/* Two streams. The writers and readers of both are there all the time, those who died are replaced;
 * `guest` is one reader more. */
enum seat_number {
    SEAT_MAIN_WRITER = 0,
    SEAT_MAIN_ORDER,
    SEAT_MAIN_LOSSLESS,
    SEAT_MAIN_LATEST,
    SEAT_SIDE_WRITER,
    SEAT_SIDE_ORDER,
    SEAT_SIDE_LOSSLESS,
    SEAT_GUEST,
    SEATS,
};

enum wish {
    WISH_NONE = 0,
    WISH_FORMAT, /* writer: go on in another format */
    WISH_HOLD,   /* reader: hold the next frame */
    WISH_LEAVE,  /* close and end */
};

struct seat {
    _Atomic uint32_t wish; /* the test's; whoever has done it takes it back */
    _Atomic bool is_open, is_connected;
    _Atomic uint64_t life;     /* how many have sat here */
    _Atomic uint64_t frames;   /* published or delivered in this life */
    _Atomic uint64_t sequence; /* of the newest */
    /* Writer: of the frame that it is about to publish. Reader: of the newest that it was given. */
    _Atomic uint64_t of_life, index;
    /* Reader, all lives: what it was told. */
    _Atomic uint64_t lost, skipped;
    _Atomic uint32_t gone, ended, restarted, formats;
    _Atomic bool is_holding;
    /* Writer: of the guest. */
    _Atomic int32_t left; /* pid in the newest READER_LEFT */
    _Atomic uint32_t links, leases;
    _Atomic int64_t heard_ns; /* when one of the events came */
    struct point point;
};

struct board {
    struct point supervisor; /* first: another program maps it */
    char socket[96];
    _Atomic int32_t guest; /* its pid; 0: none */
    struct seat seat[SEATS];
    _Atomic uint64_t checked; /* frames whose sum was right before and after they were used */
    _Atomic uint32_t faults;
    char fault[16][320];
};
extern struct board *board;
extern int board_fd;

void board_create(void);
/* Tells that something is wrong; the first ones are kept. */
__attribute__((format(printf, 1, 2))) void board_fault(const char *text, ...);
const char *seat_name(unsigned seat);
void sleep_ns(int64_t duration_ns);

#endif
