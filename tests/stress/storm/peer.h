/* Peers: the processes that are struck. Each is a child of the storm, with a session of its own. */
#ifndef TESTS_STORM_PEER_H
#define TESTS_STORM_PEER_H

#include "board.h"

struct reading_role {
    unsigned stream;
    enum shmframe_policy policy;
    uint32_t depth, leases;
    int64_t spin_ns;
    bool is_polling; /* sleeps in poll(), not in acquire */
    bool is_batch;   /* takes and gives back several at once */
};

/* Who writes a stream: out of itself, or a filter out of what it reads. */
struct writer_role {
    const char *stream;
    uint32_t loans;
    bool has_formats; /* changes its format now and then */
    bool is_filter;
    struct reading_role reading;
};

struct reader_role {
    const char *name;
    int64_t hold_ns; /* longest */
    unsigned readings;
    struct reading_role reading[READINGS_MAX]; /* several: in one wait */
};

extern const struct writer_role writer_roles[STREAMS];
extern const struct reader_role reader_roles[READERS];

const char *seat_name(unsigned seat);
/* What the seat reads; returns how many streams. */
unsigned seat_readings(unsigned seat, const struct reading_role **out_readings);
/* Whether it is a reader of the stream. */
bool seat_reads(unsigned seat, unsigned stream);

/* The life of one writer or filter of `stream`. */
_Noreturn void writer_run(unsigned stream, uint32_t life, uint64_t seed);
/* ... of one reader, number `reader`. */
_Noreturn void reader_run(unsigned reader, uint64_t seed);
/* ... of the one who watches supervisors come back, and has readers evicted. */
_Noreturn void witness_run(void);

/* Opens a session, or tells of a fault and exits. */
struct shmframe_session *peer_open_session(const char *name);
/* Tells of a fault in the call named, with the library's own words, and exits. */
_Noreturn void peer_fail(const char *name, const char *call, int code);

uint64_t peer_random(uint64_t *state);
static inline uint64_t peer_roll(uint64_t *state, uint64_t below) {
    return peer_random(state) % below;
}
void peer_sleep(int64_t duration_ns);

/* What a process has: open descriptors, and mappings of the library's memfds. */
struct holdings {
    unsigned descriptors, mappings;
};
/* Errors: -ESRCH. */
int holdings_count(pid_t pid, struct holdings *out_holdings);

#endif
