/* What one peer, and all of them together, may use. Whoever asks for more hears which limit it was.
 * What an administrator may want to change is not here, but in settings.h.
 */
#ifndef SERVER_LIMITS_H
#define SERVER_LIMITS_H

#include <stdint.h>

enum {
    /* All peers together. */
    LIMIT_STREAMS_KNOWN = 1024,  /* names remembered, with or without a writer */
    LIMIT_FDS_RESERVED = 64,     /* descriptors that new connections may not take */
    LIMIT_FDS_LAST = 16,         /* descriptors that messages may not take either */
    LIMIT_SESSIONS_RESERVED = 8, /* beyond the settings', for root and the supervisor's user */

    /* One user. */
    LIMIT_CLOSING_OF_USER = 64, /* descriptors still to be closed, while none is read of his */

    /* One session. */
    LIMIT_NAMES_WAITED_FOR = 64,      /* streams that nobody has written yet */
    LIMIT_MAIL_QUEUED = 256,          /* messages that wait for room in its socket */
    LIMIT_MESSAGES_PER_S = 4000,      /* on average; a faster one is read later, not refused */
    LIMIT_MESSAGES_BURST = 16384,     /* all it has to say after a restart of the supervisor */
    MESSAGES_AN_OPEN_RING_COSTS = 16, /* it is the most work of all, and writes a file */
    LIMIT_MESSAGES_A_TURN = 64,       /* before the others get theirs */
    LIMIT_LOG_LINES_PER_S = 20,
    LIMIT_LOG_LINES_BURST = 200,

    /* Lines of the journal: what is above is summed up, or left out and counted. */
    EVENTS_REFILL_S = 600, /* after which as many may be told once more */
    LIMIT_LOSSES = 64,     /* of a reader or writer */
    LIMIT_LOSSES_OF_PROCESS = 512,
    LIMIT_LOSSES_OF_USER = 2048,
    LIMIT_HOLDS = 16, /* and stalls, each with its end */
    LIMIT_HOLDS_OF_PROCESS = 128,
    LIMIT_HOLDS_OF_USER = 512,
    LIMIT_JOINS_OF_PROCESS = 2560, /* readers and streams that come and go */
    LIMIT_JOINS_OF_USER = 3072,

    /* One stream. */
    LIMIT_LINKS_UNUSED = 256,
    LIMIT_LOANS = 64,
    LIMIT_REQUESTS = 64, /* unanswered */
    LINKS_IN_STOCK = 2,  /* unused links of a ring below which more are asked for */
};

/* Address space of one session's rings. */
#define LIMIT_RING_BYTES (UINT64_C(1) << 42)

/* Numbers that peers tell of the past are believed up to here, so that nobody can use up the
 * numbers of a stream that is not his. */
#define LIMIT_GENERATION_TOLD (UINT32_C(1) << 30)
#define LIMIT_SEQUENCE_TOLD   (UINT64_C(1) << 44)
/* Likewise a ring's head and the names' file: more, so that a stream goes on from what was told. */
#define LIMIT_SEQUENCE_SEEN (UINT64_C(1) << 45)

#define HANDSHAKE_NS    INT64_C(2000000000)
#define CLOCKS_APART_NS INT64_C(10000000000) /* more: another time namespace */
/* How long names are kept for those who may come back to a new supervisor. */
#define GRACE_NS INT64_C(2000000000)
/* How long nobody comes back for what a process had, when a session of it is back: another one, of
 * a process that is starved, may not have had its turn before. Of held links time for which the
 * process is stopped does not count, here and in the next. */
#define BACK_NS INT64_C(5000000000)
/* How long for what a session that is here has not told of, while another one of its process has
 * told of all: who never reads would keep it for ever. */
#define BACK_IN_PART_NS INT64_C(60000000000)
/* How long a next writer waits for a reader that lives, and alone knows how far the stream came:
 * less than the library's open waits by itself. */
#define FOLLOWERS_NS    INT64_C(6000000000)
#define TICK_NS         INT64_C(250000000)
#define ENDED_LISTED_NS INT64_C(60000000000) /* a stream without writer and readers is listed */

#endif
