/* Peer: a reader in a process of its own that does what it is told, one thing at a time, and stands
 * still in between. What it says of itself is read from its record, as a supervisor would. */
#ifndef TESTS_ATTRIBUTION_PEER_H
#define TESTS_ATTRIBUTION_PEER_H

#include "../api/world.h"

struct peer {
    struct shmframe_reader_params params;
    char name[16];
    pid_t pid;
    int talk;        /* a socket */
    uint32_t number; /* at the supervisor */
    struct shmframe_record *record;
};

enum peer_order {
    PEER_ACQUIRE = 'a', /* one frame, waiting for it */
    PEER_TAKE = 't',    /* one frame, and gives it back */
    PEER_GO_ON = 'g',   /* gives back all that it holds, and acquires */
    PEER_WAIT = 'w',    /* until there is a frame; does not take it */
    PEER_POLL = 'p',    /* likewise, with poll() */
    PEER_RELEASE = 'r', /* all that it holds */
    PEER_TRY = 'n',     /* one frame, if it is there */
    PEER_LEAVE = 'q',
};

struct peer_answer {
    int code;
    uint64_t sequence; /* of the frame it has taken */
};

/* Starts the process; it has opened its reader when this returns. */
void peer_start(struct peer *peer, const char *name, struct shmframe_reader_params params);
void peer_stop(struct peer *peer);

void peer_order(struct peer *peer, enum peer_order order);
struct peer_answer peer_answer(struct peer *peer);
/* Both, and the frame is this one. 0: any. */
void peer_do(struct peer *peer, enum peer_order order, uint64_t sequence);

/* Waits until the peer does this, and the kernel has put it to sleep. */
void peer_await(struct peer *peer, enum shmframe_doing doing);
/* SIGSTOP, as of when this returns; SIGCONT. */
void peer_freeze(struct peer *peer);
void peer_thaw(struct peer *peer);

/* Its newest overrun is number `number`, this one; it has no others. */
void peer_expect_overrun(struct peer *peer, uint64_t number, enum shmframe_cause cause,
                         uint64_t first, uint64_t count);
/* The supervisor has noted it so, too. */
void peer_expect_noted(struct peer *peer, uint64_t number, enum shmframe_cause cause,
                       uint64_t first, uint64_t count);
/* It has lost nothing. */
void peer_expect_none(struct peer *peer);

#endif
