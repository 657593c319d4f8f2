/* Board: memory that the storm and all its peers share. Peers tell there where they are, what they
 * have counted and what they found wrong; the storm reads it, also of those it has killed. */
#ifndef TESTS_STORM_BOARD_H
#define TESTS_STORM_BOARD_H

#include <shmframe/shmframe.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
    SOURCES = 4,
    FILTERS = 2,
    STREAMS = SOURCES + FILTERS,
    READERS = 17,
    SEATS = STREAMS + READERS, /* who writes each stream, then who only reads */
    READINGS_MAX = 3,          /* streams that one seat reads */
    PROBES_MAX = 64,
    STALLS_MAX = 1024,
    PAUSES_MAX = 16,
    SAMPLES_MAX = 1 << 17,
    FAULTS_MAX = 16,
    LOG_FRAMES = 1 << 13,
    BYTES_MAX = 200000,
};

/* Where a peer is. At each of these doors it can be held, to be struck some instructions later. */
enum door {
    DOOR_NONE = 0,
    DOOR_SESSION, /* about to open its session */
    DOOR_OPEN,    /* ... its writer or reader */
    DOOR_LOAN,
    DOOR_FILL, /* half of a frame is written */
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
    COMMAND_READERS_LEAVE, /* readers close; filters close what they read */
    COMMAND_WRITERS_LEAVE, /* writers see that they have everything back, and close */
};

enum total {
    TOTAL_PUBLISHED = 0,
    TOTAL_ABANDONED,
    TOTAL_FORMATS,
    TOTAL_FORMATS_REFUSED, /* no supervisor was there */
    TOTAL_UNSURE,          /* frames at whose publication the writer was killed */
    TOTAL_RENUMBERED,      /* times that nobody was left who knew how far a stream had come */
    TOTAL_DELIVERED,
    TOTAL_DELIVERED_AWAY, /* of these, while there was no supervisor */
    TOTAL_VERIFIED_BYTES,
    TOTAL_CHECKS,  /* of a frame's sum: when it comes, and before it is released */
    TOTAL_LOGGED,  /* frames found in their writer's log */
    TOTAL_CARRIED, /* frames whose origin was looked at */
    TOTAL_SLEPT,   /* frames whose reader waited for them */
    TOTAL_SKIPPED,
    TOTAL_LOST_LATE,
    TOTAL_LOST_RESTART,
    TOTAL_LOST_DISTURBED, /* of both, while a supervisor was being replaced */
    TOTAL_MISSED,         /* for want of a supervisor, in a ring that went on */
    TOTAL_SPACE_WAITS,    /* loans that waited for a lossless reader */
    TOTAL_EVICTED,
    TOTAL_EVICTED_RESTART, /* stopped for so long that a new supervisor gave up waiting */
    TOTAL_STALE,           /* leases that were overwritten, and said so */
    TOTAL_COLD,
    TOTAL_SLOW_MACHINE,      /* delays that were the machine's */
    TOTAL_NOT_ASLEEP,        /* delays of readers that did not sleep as the frame came */
    TOTAL_KILLED_IN_PUBLISH, /* delays since the writer died before it could wake */
    TOTALS,
};

/* What is timed. */
enum recovery {
    RECOVERY_WRITER_OPEN = 0,  /* from a writer's open to its first frame at a reader */
    RECOVERY_WRITER_PUBLISH,   /* from its first frame to that frame at a reader */
    RECOVERY_WRITER_DISTURBED, /* as the first, while a supervisor was being replaced */
    RECOVERY_READER,           /* from a reader's process to its first frame */
    RECOVERY_READER_DISTURBED,
    RECOVERY_SUPERVISOR, /* from a supervisor's word that it is ready to all sessions back */
    RECOVERIES,
};

struct samples {
    _Atomic uint32_t count; /* those beyond SAMPLES_MAX are not kept */
    _Atomic int64_t ns[SAMPLES_MAX];
};

/* A time in which somebody did not run: a processor, or a peer that was stopped. */
struct interval {
    _Atomic int64_t from_ns, until_ns; /* until 0: it lasts */
};

/* One seat at the table; its peers come and go. */
struct seat {
    _Atomic uint32_t door;     /* where its peer is */
    _Atomic uint32_t held_at;  /* door to be held at; DOOR_NONE: go on */
    _Atomic bool wants_format; /* a writer: change it */
    _Atomic bool is_open;      /* its writer and readers are */
    _Atomic bool is_drained;   /* has done what COMMAND_DRAIN asks */
    _Atomic uint32_t moves;    /* odd: takes or gives back frames, or has and has not told so */
    _Atomic uint32_t evictions[READINGS_MAX]; /* asked for */
    _Atomic uint64_t newest[READINGS_MAX];    /* sequence of the newest frame; 0: none yet */
    _Atomic int64_t progress_ns;              /* last frame published or taken */
    _Atomic int64_t returned_ns;              /* a reader: last frame given back */
    _Atomic int64_t changed_ns;               /* when its peer was last killed, opened or evicted */
    /* When the storm held its peer: at a door, from instruction to instruction, or stopped. On a
     * busy machine that takes many times what the instructions do. */
    struct interval pause[PAUSES_MAX];
    _Atomic uint32_t pauses;
    _Atomic uint32_t slots_used;
    _Atomic int32_t pid;
    _Atomic uint32_t life; /* number of its peer */
};

/* A frame that was published: by which writer, as which of its frames. */
struct log_frame {
    _Atomic uint64_t sequence;   /* the last to be written */
    _Atomic int64_t returned_ns; /* from publish */
    _Atomic uint64_t index;
    _Atomic uint32_t life;
};

struct stream_board {
    _Atomic uint64_t last;       /* sequence of the last frame that will come; 0: not known */
    _Atomic uint64_t published;  /* newest sequence in the log */
    _Atomic uint32_t publishing; /* frames that the writer has on the way */
    uint32_t unsure; /* frames on the way when a writer was killed, since the log's newest */
    _Atomic uint32_t renumbered; /* life of the last writer that gave numbers again, rightly */
    bool is_unheard;             /* a writer was killed of which no supervisor need have known */
    struct log_frame log[LOG_FRAMES];
};

struct board {
    _Atomic uint32_t command;
    _Atomic uint32_t act; /* under way */
    /* The supervisor: when it last went away, and until when its peers may be looking for it. */
    _Atomic int64_t supervisor_left_ns, supervisor_settled_ns;
    _Atomic int64_t supervisor_ready_ns;
    _Atomic uint32_t supervisor_life;
    _Atomic int32_t supervisor; /* its process */
    /* For the witness. */
    _Atomic uint32_t evict_asked, evict_done; /* numbers of questions */
    _Atomic uint32_t evict_seat, evict_reading;
    _Atomic int32_t evict_code;
    struct seat seat[SEATS];
    struct stream_board stream[STREAMS];
    _Atomic uint64_t total[TOTALS];
    _Atomic uint64_t rounds[PROBES_MAX]; /* of each probe; what came before one is told with it */
    _Atomic uint32_t stalls;
    struct interval stall[STALLS_MAX];
    struct samples recovery[RECOVERIES];
    _Atomic uint32_t faults, faults_written;
    char fault[FAULTS_MAX][512];
    char socket[108];
};

/* One for the storm and all that it forks. */
extern struct board *board;

void board_create(void);
void board_count(enum total total, uint64_t more);
void board_sample(enum recovery recovery, int64_t duration_ns);
/* Something is wrong with the library: the test fails. */
void board_fault(const char *text, ...) __attribute__((format(printf, 1, 2)));
bool board_has_faults(void);
/* Comes to a door, and waits there if told so. */
void board_pass(struct seat *seat, enum door door);
/* Whether a supervisor was away, or was still new, between `from_ns` and now. */
bool board_is_disturbed(int64_t from_ns);
bool board_has_supervisor(void);

/* ... and those in which it ran: in all others it slept, or was held. */
int64_t board_awake_ns(void);
/* The same of the supervisor that is there. */
int64_t board_supervisor_awake_ns(void);
/* Nanoseconds between `from_ns` and now in which a processor was not there. Waits for the probes.
 */
int64_t board_stalled_ns(int64_t from_ns);

void board_pause_begin(struct seat *seat);
/* Ends that, if there is one. */
void board_pause_end(struct seat *seat);
/* Nanoseconds since `from_ns` in which the storm held the seat's peer. */
int64_t board_paused_ns(const struct seat *seat, int64_t from_ns);

/* Probe `number` watches processor `cpu` until it is killed. */
_Noreturn void board_probe(unsigned number, int cpu);

#endif
