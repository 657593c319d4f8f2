/* A supervisor under test, and peers that speak to it in raw messages.
 *
 * Every function fails the test when something does not happen within DEADLINE_MS.
 */
#ifndef TESTS_SERVER_PEER_H
#define TESTS_SERVER_PEER_H

#include "channel.h"
#include "region.h"

#include <check.h>
#include <sys/types.h>

enum { DEADLINE_MS = 10000, PEER_THINGS = 80 };

struct supervisor {
    pid_t pid;
    char folder[64];
    char socket[96];
    int fds;               /* its descriptors when it was ready */
    unsigned fds_limit;    /* how many it may have; 0: as many as we */
    char allow_uid[16];    /* of --allow-uid; empty: none */
    bool is_traceable;     /* for who is not root */
    const char *option[8]; /* further ones, NULL at the end */
};

/* As fork(); the child ends with this process, also when a test fails half-way. */
pid_t fork_bound(void);

/* Makes a folder for the socket. */
void supervisor_prepare(struct supervisor *supervisor);
/* Starts the program ($SHMFRAMED, else the one of the build) and waits until it is ready. */
void supervisor_start(struct supervisor *supervisor);
/* SIGTERM, SIGKILL; waits for its end. */
void supervisor_stop(struct supervisor *supervisor);
void supervisor_kill(struct supervisor *supervisor);
/* Waits for the end of one that was told to. */
void supervisor_expect_end(struct supervisor *supervisor);
/* Removes the folder. */
void supervisor_clean(struct supervisor *supervisor);
/* Waits until it has no more descriptors than when it was ready. */
void supervisor_expect_fds_back(const struct supervisor *supervisor);
/* Runs the program with these arguments until it ends; returns its exit status, and what it wrote
 * to stderr. */
int supervisor_run(const char *const arguments[], char *out_text, size_t text_bytes);

struct peer {
    int socket;
    struct region notice;
    const struct notice_page *page;
    uint32_t writer[PEER_THINGS], reader[PEER_THINGS];
    unsigned writers, readers;
};

int peer_connect(const struct supervisor *supervisor);
/* Connects and says HELLO. */
void peer_open(struct peer *peer, const struct supervisor *supervisor, const char *name);
/* The parts of it, on a connected socket. */
void peer_send_hello(struct peer *peer, const char *name);
void peer_expect_welcome(struct peer *peer);
/* As somebody else, which only root can: connects as this user and group, with these other groups.
 */
struct peer_user {
    uid_t uid;
    gid_t gid;
    gid_t group[2];
    size_t groups;
};
int peer_connect_as(const struct supervisor *supervisor, const struct peer_user *user);
void peer_open_as(struct peer *peer, const struct supervisor *supervisor,
                  const struct peer_user *user);
/* Closes what it has opened, in good order, then the socket. */
void peer_close(struct peer *peer);
/* Closes the socket only. */
void peer_vanish(struct peer *peer);

void peer_send(struct peer *peer, const union message *message, const int *fds);
/* Receives the next message, which must be of `type`. Its descriptors are the caller's. */
void peer_expect(struct peer *peer, enum message_type type, struct channel_mail *out_mail);
/* The next message is an ERROR with this code; returns its text, valid until the next call. */
const char *peer_expect_error(struct peer *peer, int code);
void peer_expect_end(struct peer *peer);
/* Nothing has come. A message that would have been sent by now has, since a question sent later was
 * answered. */
void peer_expect_silence(struct peer *peer);

/* An entry of the notice page, once it is what is wanted. */
uint64_t peer_entry(const struct peer *peer, uint32_t entry);
void peer_expect_state(const struct peer *peer, uint32_t entry, enum entry_state state);
/* Reads and forgets what comes. */
void peer_read_until(struct peer *peer, int64_t until_ns);
/* Waits until nobody has the writer's link any more. `back` reads what comes for it meanwhile: who
 * leaves that unread has not come back. */
void peer_expect_gone_link(const struct peer *writer, uint32_t entry, struct peer *back);
/* Waits until the reader's word says that this generation has lost its writer. */
void peer_expect_gone(const struct peer *peer, uint32_t entry, uint32_t generation);

/* A writer's ring. */
struct test_ring {
    struct region region;
    struct ring *memory;
    int fd;
};
void ring_make(struct test_ring *ring, const char *stream, uint32_t slots);
void ring_drop(struct test_ring *ring);
/* Descriptors of a link as OFFER_LINK has them: lease, bell, wake. */
void link_make(int out_fds[3]);
void link_drop(int fds[3]);

struct ring_options {
    uint32_t writer, loans, history, links, held, flags, generation, first_entry;
    uint64_t sequence;
};
/* Sends OPEN_RING and its OFFER_LINKs: entries first_entry..., serials 100 + entry. */
void peer_send_ring(struct peer *peer, const struct test_ring *ring, const char *stream,
                    const struct ring_options *options);
void peer_send_offer(struct peer *peer, uint32_t writer, uint32_t generation, uint32_t entry,
                     uint32_t serial);
/* Sends it all and expects OPENED, then WANT_LINKS if fewer than two links are left. Returns the
 * generation. */
uint32_t peer_open_ring(struct peer *peer, const struct test_ring *ring, const char *stream,
                        const struct ring_options *options);

struct reader_options {
    uint32_t reader, policy, depth, leases, flags, generation, entry, serial;
    uint64_t head;
    int record; /* its descriptor; 0: one without content is made */
};
/* Sends OPEN_READER. */
void peer_send_reader(struct peer *peer, const char *stream, const struct reader_options *options);
/* Sends it and expects READER_OK; returns the number. */
uint32_t peer_open_reader(struct peer *peer, const char *stream,
                          const struct reader_options *options);
/* Expects a LINK, checks its descriptors and closes them. */
struct message_link peer_expect_link(struct peer *peer);

int64_t start_time_of(pid_t pid);

#endif
