/* Gather: one picture of all that runs - streams, their writers and readers, what these have
 * measured, their processes, the supervisor's nodes - and what changed since the picture before.
 *
 * Records are mapped once and read in place, the rest is asked of the supervisor and of /proc:
 * nobody who is looked at is woken. Threads: the one that opened it.
 */
#ifndef TOOLS_GATHER_H
#define TOOLS_GATHER_H

#include "hops.h"

#include <shmframe/shmframe.h>
#include <stdbool.h>

enum {
    /* Readers looked at in detail, all together; others are listed without. A record costs 200 KiB
     * of memory here. */
    GATHER_RECORDS_MAX = 512,
};

/* Readers and streams that are missing from a picture are known for so long: when the supervisor is
 * started again they come back one after the other, and what they count goes on. */
#define GATHER_ABSENT_NS INT64_C(60000000000)

/* How long a tool waits for one. */
#define GATHER_ANSWER_NS INT64_C(5000000000)

struct gather_process {
    int32_t pid;
    bool is_known; /* false: /proc does not tell of it, and nothing below counts */
    char state;    /* as ps(1) has it: R, S, D, T stopped, Z ... */
    uint32_t threads;
    int64_t age_ns;     /* since it was started */
    int64_t cpu_ns;     /* user and system time since then */
    double cpu_percent; /* of one processor, since the update before; below 0: not known yet */
    int64_t resident_bytes;
    int64_t private_bytes; /* of these, what it does not share: without rings and libraries */
};

/* Why a reader is listed without what it measures. */
enum gather_unmeasured {
    GATHER_MEASURED = 0,
    GATHER_UNREADABLE, /* it has no record that holds together, or is just leaving */
    GATHER_REFUSED,    /* it is another user's */
    GATHER_TOO_MANY,
};

struct gather_reader {
    struct shmframe_reader_info info;
    const struct gather_process *process;
    enum gather_unmeasured unmeasured;

    /* Of its record; `record` NULL: it is unmeasured. */
    struct shmframe_record *record; /* for its flights and overruns, until the next update */
    struct shmframe_reader_state state;
    const struct hops *all;  /* since it was opened */
    const struct hops *span; /* since the update before; of a reader that is new, as `all`; empty in
                                the first update */
    double rate_hz;          /* frames taken a second, lately; below 0: not known */
};

struct gather_stream {
    struct shmframe_stream_info info;
    struct shmframe_stream_info span; /* its counters and head since the update before, as `span`
                                         above; the rest as in `info` */
    const struct gather_process *process; /* the writer's; NULL: it has none */
    double rate_hz;                      /* frames published a second, lately; below 0: not known */
    double nominal_hz;                   /* as its format has it; 0: it has no such */
    const struct gather_reader *blocker; /* who keeps its writer waiting; NULL: nobody, or itself */
    struct gather_reader *reader;        /* sorted by number */
    uint32_t readers;
    /* Frames that these readers lost in all, and since the update before. */
    uint64_t lost, lost_span;
};

struct gather_node {
    struct shmframe_node_info info;
    const struct gather_process *process; /* NULL: it has none at this moment */
};

/* Everything in here belongs to the gather and stays until its next update. */
struct gather {
    struct shmframe_session *session;
    int64_t time_ns;              /* of the newest picture; 0: none yet */
    int64_t span_ns;              /* since the one before; 0: it is the first */
    struct gather_stream *stream; /* sorted by name */
    uint32_t streams;
    struct gather_node *node; /* in the order of their file */
    uint32_t nodes;
    uint32_t undetailed; /* readers that are GATHER_TOO_MANY */
};

/* Opens one on `session`, which must outlive it. Never NULL: no memory ends the program. */
struct gather *gather_open(struct shmframe_session *session);
void gather_close(struct gather *gather);

/* Looks anew: at all streams, or at `stream` alone, which need not exist. When it fails the picture
 * is the one before, and the next success goes on from there, also at another supervisor.
 * Errors: -ENOTCONN no supervisor; -ETIMEDOUT; -EINTR. */
int gather_update(struct gather *gather, const char *stream, int64_t deadline_ns);

/* Likewise at some streams alone, of which none needs to exist; at all if `streams` is 0. */
int gather_update_some(struct gather *gather, const char *const *stream, uint32_t streams,
                       int64_t deadline_ns);

/* The stream of that name; NULL: there is none. */
const struct gather_stream *gather_find_stream(const struct gather *gather, const char *name);

/* Frames that one lost, of whatever cause. */
uint64_t gather_count_lost(const struct shmframe_reader_counters *counters);

#endif
