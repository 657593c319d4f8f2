/* Board: memory that the test, its victims and its attackers share. Victims tell there what they
 * got and how fast, attackers what they were answered; the test reads it, also of those it has
 * killed. */
#ifndef TESTS_HOSTILE_BOARD_H
#define TESTS_HOSTILE_BOARD_H

#include <shmframe/shmframe.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
    ROWS_MAX = 120,
    FAULTS_MAX = 12,
    VICTIM_STREAMS = 2,
    VICTIM_READERS = 3,
    VICTIM_BYTES = 65536,
    FRAMES_PER_S = 100,
};

/* What happens beside the victims. */
enum slice {
    SLICE_NONE = 0, /* begin and end: not measured */
    SLICE_CALM,     /* nothing */
    SLICE_CONTROL, /* somebody takes as much processor time as the attacker did, and does no harm */
    SLICE_ATTACK,
    SLICES,
};

struct victim_writer {
    _Atomic uint64_t published;
    _Atomic uint64_t refused; /* loans */
};

struct victim_reader {
    _Atomic uint64_t delivered, lost, skipped;
    _Atomic uint64_t last; /* sequence */
    /* By row and slice. */
    struct shmframe_histogram wake[ROWS_MAX][SLICES], transit[ROWS_MAX][SLICES];
};

/* Of the attack that runs. */
struct answers {
    _Atomic uint64_t rounds; /* what it tried */
    _Atomic uint64_t refused, cut, harmless;
};

struct board {
    char socket[96]; /* the supervisor's */
    pid_t supervisor;
    pid_t victim; /* one of them */
    _Atomic uint32_t row;
    _Atomic uint32_t slice;
    _Atomic bool is_leaving;     /* who comes and goes, and who looks on, end */
    _Atomic bool is_draining;    /* writers end their streams */
    _Atomic bool is_attack_over; /* attackers stop; a moment later they are killed */
    _Atomic bool is_over;        /* all others leave */
    _Atomic uint64_t visits;     /* honest readers that came, had a frame and left */
    _Atomic int64_t visit_most_ns;
    _Atomic uint64_t looks; /* at other processes' records */
    _Atomic uint32_t faults;
    char fault[FAULTS_MAX][240];
    struct victim_writer writer[VICTIM_STREAMS];
    struct victim_reader reader[VICTIM_READERS];
    struct answers answers;
};
extern struct board *board;

/* Errors: -ENOMEM. */
int board_create(void);
/* Something that must not be. The test ends after it. */
void board_fault(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* As fork(); the child, which is in a process group of its own, ends with this process. */
pid_t board_fork(void);
void board_sleep(int64_t ns);
/* 0 to limit - 1. */
uint64_t board_roll(uint64_t *random, uint64_t limit);

#endif
