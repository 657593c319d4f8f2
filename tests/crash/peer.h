/* Peers: the writers and readers, each a process with a session of its own. */
#ifndef TESTS_CRASH_PEER_H
#define TESTS_CRASH_PEER_H

#include "board.h"

struct reader_role {
    const char *stream;
    enum shmframe_policy policy;
    uint32_t depth;
    bool is_polling; /* sleeps in poll(), not in acquire */
};

/* What both do, in seat `seat`, until they are to leave. */
_Noreturn void writer_run(unsigned seat, const char *stream);
_Noreturn void reader_run(unsigned seat, const struct reader_role *role);

/* Tells of a fault in the call named, with the library's own words, and exits. */
_Noreturn void peer_fail(unsigned seat, const char *call, int code);
struct shmframe_session *peer_open_session(unsigned seat);

#endif
