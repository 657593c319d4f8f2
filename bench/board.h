/* Board: what the processes of one scene share besides the library's own memory - the floor's
 * words, the barrier between slices, and the samples each of them leaves.
 *
 * A scene runs several lanes in turn, a slice of each, over and over: noise hits all of them alike.
 */
#ifndef BENCH_BOARD_H
#define BENCH_BOARD_H

#include <pthread.h>
#include <shmframe/format.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BOARD_READERS_MAX = 16, BOARD_LANES_MAX = 8, BOARD_REPEATS_MAX = 64 };

enum board_measure {
    BOARD_TRANSIT = 0, /* reader: acquire stamp - publish stamp; floor: as BOARD_WHOLE */
    BOARD_WHOLE,       /* reader: from before the call of publish to after the return of acquire */
    BOARD_READ,        /* reader: reading every byte */
    BOARD_PUBLISH,     /* writer: the call of publish; floor: all wakes, or the store */
    BOARD_FILL,        /* writer: writing every byte */
    BOARD_MEASURES,
};

struct board_lane {
    const char *name;              /* of the size */
    struct shmframe_format format; /* complete; its slot_bytes are what is written and read */
    bool is_floor, is_touched;
    int64_t pace_ns; /* from one frame to the next */
    uint32_t frames; /* in one repetition */
    uint32_t slices; /* that they come in; the same for all lanes of a board */
};

/* Samples of one measure, in one lane and repetition, by one process. */
struct board_series {
    uint32_t count, room;
    uint64_t first; /* index of the first in `sample` */
};

struct board_reader {
    /* What the floor's sleeper sleeps on: number of the newest wake. Written by the writer. */
    alignas(64) _Atomic uint32_t word;
    /* Frames or wakes this reader is done with, in this slice. */
    alignas(64) _Atomic uint32_t done;
    /* Frames that did not find it asleep (or, in a spinning scene, found it asleep). */
    uint32_t missed[BOARD_LANES_MAX];
    uint64_t skipped;
};

struct board {
    pthread_barrier_t barrier;
    alignas(64) _Atomic int64_t line; /* instant of the newest wake, carried to the readers */
    struct board_reader reader[BOARD_READERS_MAX];
    /* Fixed before the processes start. */
    alignas(64) struct board_lane lane[BOARD_LANES_MAX];
    uint32_t lanes, readers, repeats;
    bool is_spinning;
    struct board_series series[BOARD_LANES_MAX][BOARD_REPEATS_MAX][BOARD_MEASURES]
                              [BOARD_READERS_MAX];
    uint64_t bytes;   /* of the mapping */
    uint64_t payload; /* offset of the floor's buffers, BOARD_BUFFERS of payload_bytes */
    uint64_t payload_bytes;
    int64_t sample[];
};
enum { BOARD_BUFFERS = 3 }; /* as many as a ring has slots for one reader */

/* A mapping that children share. `plan` gives lanes, readers, repeats, is_spinning. */
struct board *board_create(const struct board *plan);
void board_destroy(struct board *board);

/* All processes of the scene are here. */
void board_meet(struct board *board);
void board_add(struct board *board, uint32_t lane, uint32_t repeat, enum board_measure measure,
               uint32_t peer, int64_t value_ns);
uint8_t *board_buffer(struct board *board, uint32_t number);

/* Writes, reads every byte. */
void payload_fill(uint8_t *data, size_t bytes, uint32_t number);
uint64_t payload_sum(const uint8_t *data, size_t bytes);

#endif
