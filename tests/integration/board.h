/* Board: memory that the test and all its peers share. Peers tell there where they are, what they
 * have counted and what they found wrong; the test reads it, also of those it has killed. */
#ifndef TESTS_INTEGRATION_BOARD_H
#define TESTS_INTEGRATION_BOARD_H

#include <shmframe/shmframe.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
    STREAMS = 4,
    READERS_OF_STREAM = 3,
    READERS = STREAMS * READERS_OF_STREAM,
    SEATS = STREAMS + READERS, /* a writer of each stream, then the readers */
    PROBES_MAX = 64,
    STALLS_MAX = 1024,
    SAMPLES_MAX = 1 << 14,
    FAULTS_MAX = 16,
    PUBLICATIONS = 1024,
    BYTES_MAX = 200000,
};

/* Where a peer is. At each of these doors it can be held, to be killed some instructions later. */
enum door {
    DOOR_NONE = 0,
    DOOR_SESSION, /* about to open its session */
    DOOR_OPEN,    /* ... its writer or reader */
    DOOR_LOAN,
    DOOR_FILL,
    DOOR_PUBLISH,
    DOOR_FORMAT,
    DOOR_ACQUIRE,
    DOOR_HOLD,
    DOOR_RELEASE,
    DOORS,
};

enum command {
    COMMAND_RUN = 0,
    COMMAND_DRAIN,         /* writers publish a last frame and stop; readers take all */
    COMMAND_READERS_LEAVE, /* readers close */
    COMMAND_WRITERS_LEAVE, /* writers see that they have everything back, and close */
};

enum total {
    TOTAL_PUBLISHED = 0,
    TOTAL_ABANDONED,
    TOTAL_FORMATS,
    TOTAL_FORMATS_REFUSED, /* no supervisor was there */
    TOTAL_DELIVERED,
    TOTAL_VERIFIED_BYTES,
    TOTAL_CHECKS, /* of a frame's sum: when it comes, and before it is released */
    TOTAL_SLEPT,  /* frames whose reader waited for them */
    TOTAL_SKIPPED,
    TOTAL_LOST_LATE,
    TOTAL_LOST_RESTART,
    TOTAL_LOST_DISTURBED, /* of these, while a supervisor was being replaced */
    TOTAL_SPACE_WAITS,    /* loans that waited for a lossless reader */
    TOTAL_COLD,
    TOTAL_SLOW_MACHINE,      /* delays that were the machine's */
    TOTAL_KILLED_IN_PUBLISH, /* delays since the writer died before it could wake */
    TOTALS,
};

/* One seat at the table; its peers come and go. */
struct seat {
    _Atomic uint32_t door;       /* where its peer is */
    _Atomic uint32_t held_at;    /* door to be held at; DOOR_NONE: go on */
    _Atomic bool is_open;        /* its writer or reader is */
    _Atomic bool is_drained;     /* has done what COMMAND_DRAIN asks */
    _Atomic uint32_t takes;      /* odd: takes a frame, or has one and has not told its progress */
    _Atomic int64_t progress_ns; /* last frame published or taken */
    _Atomic int64_t changed_ns;  /* when its peer was last killed or opened */
    /* When the test last held its peer, at a door and from instruction to instruction; `until`: its
     * death. On a busy machine that takes many times what the instructions do. */
    _Atomic int64_t held_from_ns, held_until_ns;
    _Atomic uint32_t slots_used;
    uint32_t life; /* number of its peer */
};

struct publication {
    _Atomic uint64_t sequence;
    _Atomic int64_t returned_ns; /* from publish; 0: it has not */
};

struct stream_board {
    _Atomic uint64_t last;      /* sequence of the last frame that will come; 0: not known */
    _Atomic uint64_t published; /* newest sequence */
    struct publication publication[PUBLICATIONS];
};

/* A time in which a processor ran nobody: its probe was not even late in the queue. */
struct stall {
    _Atomic int64_t from_ns, until_ns;
};

/* How long a stream was silent for one reader after its writer came back. */
struct sample {
    int64_t since_open_ns, since_publish_ns;
    _Atomic bool is_complete;
    bool is_disturbed;
};

struct board {
    _Atomic uint32_t command;
    _Atomic int64_t supervisor_killed_ns, supervisor_started_ns;
    struct seat seat[SEATS];
    struct stream_board stream[STREAMS];
    _Atomic uint64_t total[TOTALS];
    _Atomic uint64_t rounds[PROBES_MAX]; /* of each probe; what came before one is told with it */
    _Atomic uint32_t stalls;
    struct stall stall[STALLS_MAX];
    _Atomic uint32_t samples;
    struct sample sample[SAMPLES_MAX];
    _Atomic uint32_t faults, faults_written;
    char fault[FAULTS_MAX][512];
    char socket[108];
};

/* One for the test and all that it forks. */
extern struct board *board;

void board_create(void);
void board_count(enum total total, uint64_t more);
/* Something is wrong with the library: the test fails. */
void board_fault(const char *text, ...) __attribute__((format(printf, 1, 2)));
/* Comes to a door, and waits there if told so. */
void board_pass(struct seat *seat, enum door door);
/* Whether a supervisor died, or was still new, between `from_ns` and now. */
bool board_is_disturbed(int64_t from_ns);

/* Nanoseconds that this thread was ready to run and had no processor. */
int64_t board_run_delay_ns(void);
/* Nanoseconds between `from_ns` and now in which a processor was not there. Waits for the probes.
 */
int64_t board_stalled_ns(int64_t from_ns);
/* Nanoseconds since `from_ns` in which the test held the seat's peer. */
int64_t board_held_ns(const struct seat *seat, int64_t from_ns);
/* Probe `number` watches processor `cpu` until it is killed. */
_Noreturn void board_probe(unsigned number, int cpu);

#endif
