/* Peers: the processes that are killed. Each is a child of the test, with a session of its own. */
#ifndef TESTS_INTEGRATION_PEER_H
#define TESTS_INTEGRATION_PEER_H

#include "board.h"

struct writer_role {
    const char *stream;
    uint32_t loans;
    bool has_formats; /* changes its format now and then */
};
struct reader_role {
    const char *name;
    enum shmframe_policy policy;
    uint32_t depth, leases;
    int64_t spin_ns;
    bool is_polling; /* sleeps in poll(), not in acquire */
    int64_t hold_ns; /* longest */
};
extern const struct writer_role writer_roles[STREAMS];
extern const struct reader_role reader_roles[READERS]; /* of stream 0, of stream 1 ... */

/* The life of one writer of `stream`. */
_Noreturn void writer_run(unsigned stream, uint32_t life, uint64_t seed);
/* ... of one reader, number `reader`. */
_Noreturn void reader_run(unsigned reader, uint32_t life, uint64_t seed);

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
