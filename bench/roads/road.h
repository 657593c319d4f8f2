/* Road: a way on which messages come from one writer to several readers, each of them a process of
 * its own. A file for each; `roads` is the table of all.
 *
 * Life: prepare() before the processes are started, in the process that starts them; then each
 * opens its own side, all at once and in any order; each closes it; finish() after the last has
 * ended. Threads: one for each side. A library may have more of its own. Failure: program_fail(),
 * which ends the process; whoever started it notices, and ends the others. So each call may wait
 * for as long as it takes.
 */
#ifndef BENCH_ROADS_ROAD_H
#define BENCH_ROADS_ROAD_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    ROAD_READERS_MAX = 16,
    ROAD_BATCH_MAX = 64,
    ROAD_DAEMONS_MAX = 4,
};

/* What travels with each payload, on every road. */
struct parcel {
    uint64_t number; /* of the message, without gaps */
    int64_t send_ns; /* the clock, read right before send() */
    uint32_t flags;  /* enum parcel_flag */
    uint32_t reserved;
};
static_assert(sizeof(struct parcel) == 24, "as small as it can be: others have to copy it");

enum parcel_flag {
    PARCEL_LAST = 1 << 0, /* of those that are sent without a pause */
};

/* A message as a reader has it. */
struct message {
    struct parcel parcel;
    const uint8_t *data; /* plan->bytes of them, where they may be read until release() */
    void *handle;        /* the road's own */
};

/* The same for all of one run. */
struct road_plan {
    const struct road *road;
    size_t bytes;     /* of each payload: 1 and more */
    uint32_t readers; /* 1 to ROAD_READERS_MAX */
    uint32_t batch;   /* most messages in one call; 1: each by itself */
    uint32_t held;    /* messages that a reader may hold at once, 1 and more, `batch` and more */
    int64_t spin_ns;  /* how long a reader waits busily before it sleeps; INT64_MAX: never sleeps */
    bool
        is_saturated; /* sent one after the other: nothing may be lost, a slow reader is waited for.
                       * Otherwise the pace is the sender's, and a road may lose what is late */
};

/* What one side has done; the harness's, the road adds to it. Roads that `is_counted`. */
struct road_count {
    uint64_t calls;  /* system calls made */
    uint64_t copied; /* bytes that they took or gave, as their return values tell */
};

struct road {
    const char *name;  /* "fifo", on the command line and in JSON */
    const char *title; /* "named pipe", in tables */
    const char *how;   /* a line: how it is used here, with its choices (buffer sizes ...) */
    /* Whole payloads copied by its nature, in the kernel or in a library: once for each message,
     * and once more for each reader. Pipe: 0 and 2. */
    uint32_t copies_once, copies_each;
    /* Its system calls and the bytes that these copy stand in struct road_count; otherwise, in a
     * library, calls are counted by strace and copies told by nature. */
    bool is_counted;
    uint32_t batch;  /* messages that are gathered in this mode of it; 0, 1: none are */
    int64_t spin_ns; /* of this mode of it */

    /* NULL: it can be used so here; else why not, in a line: not built in, limit of the system. The
     * text stays until it is asked again. No function: it always can. */
    const char *(*why_not)(const struct road_plan *plan);
    /* What the processes inherit; daemons. `plan` stays until finish(). */
    void *(*prepare)(const struct road_plan *plan);
    void (*finish)(
        void *prepared); /* also after a process failed; daemons and files are gone then */
    /* Daemons that run for it, at most ROAD_DAEMONS_MAX: their memory and processor time count.
     * Returns how many. NULL: none. */
    uint32_t (*daemons)(void *prepared, pid_t *out_pids);
    /* Memory that the kernel may use for it, which no process's figure shows: buffers of pipes and
     * sockets. NULL: none to speak of. */
    size_t (*kernel_bytes)(void *prepared);

    /* Returns when all readers are there: what is sent from now on reaches them. */
    void *(*writer_open)(void *prepared, struct road_count *count);
    /* Gives places for the next `count` payloads, to be written by the caller; waits where there is
     * none. */
    void (*lend)(void *writer, uint32_t count, uint8_t **out_data);
    /* Sends those that were lent, in order. */
    void (*send)(void *writer, const struct parcel *parcels, uint32_t count);
    /* Only after every reader has received what was sent. */
    void (*writer_close)(void *writer);

    void *(*reader_open)(void *prepared, uint32_t number, struct road_count *count); /* from 0 */
    /* Waits for messages; takes 1 to `count` of those that are there; returns how many. */
    uint32_t (*receive)(void *reader, uint32_t count, struct message *out_messages);
    /* In the order in which they were received. */
    void (*release)(void *reader, const struct message *messages, uint32_t count);
    void (*reader_close)(void *reader);
};

/* All of them, the project's own first; NULL ends the table. */
extern const struct road *const roads[];
/* The least that the same news could cost on this machine; no ways to use: nothing keeps a writer
 * from overtaking its readers. */
extern const struct road *const floors[];
/* Of both tables, by its name; NULL: none. */
const struct road *road_find(const char *name);

/* Messages that a road with a queue of its own making may keep on their way: few of those that are
 * large, so that they stay in the caches; `most`, 4 and more, of small ones that come unpaced. */
uint32_t road_depth(const struct road_plan *plan, uint32_t most);

/* Page-aligned memory for a payload, touched, SHMFRAME_TAIL_BYTES longer; free() gives it back. */
uint8_t *road_make_buffer(size_t bytes);

#endif
