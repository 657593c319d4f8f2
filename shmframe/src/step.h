/* Steps: named places in the library and the supervisor, at which the crash tests' own build of
 * both can be stopped or killed. In every other build they are nothing at all; see tests/crash/. */
#ifndef SHMFRAME_STEP_H
#define SHMFRAME_STEP_H

#ifdef SHMFRAME_STEPS

/* X(name, what is done by then) */
#define STEP_LIST(X)                                                                               \
    /* loan, publish */                                                                            \
    X(LOAN_FOUND, "a free slot is found")                                                          \
    X(LOAN_MARKED, "the slot is marked WRITING")                                                   \
    X(PUBLISH_STAMPED, "the stamps are in the slot's header")                                      \
    X(PUBLISH_STATE, "the slot is PUBLISHED")                                                      \
    X(PUBLISH_INDEX, "the index tells its place")                                                  \
    X(PUBLISH_FIRST, "the ring tells its first frame")                                             \
    X(PUBLISH_HEAD, "head tells of the frame")                                                     \
    X(PUBLISH_TAIL, "tail has left the oldest frame")                                              \
    X(PUBLISH_RETIRED, "the oldest frame is RETIRED")                                              \
    X(PUBLISH_BELL, "the bells' words are changed, nobody is woken")                               \
    X(PUBLISH_WOKEN, "everybody is woken")                                                         \
    X(SPACE_ASKED, "the writer says that it waits for a lossless reader")                          \
    X(SPACE_SLEPT, "it has slept for that reader")                                                 \
    /* acquire, wait, release */                                                                   \
    X(ACQUIRE_CHOSEN, "the frame is chosen, the lease word not set")                               \
    X(ACQUIRE_LEASED, "the lease word is set")                                                     \
    X(ACQUIRE_CHECKED, "the slot is still PUBLISHED")                                              \
    X(ACQUIRE_TOLD, "the cursor is told")                                                          \
    X(SPACE_RUNG, "a lossless reader has woken its writer")                                        \
    X(WAIT_SET, "the reader says that it waits")                                                   \
    X(WAIT_CHECKED, "there is still nothing to read")                                              \
    X(WAIT_SLEPT, "it has slept")                                                                  \
    X(POLL_ARMED, "the reader waits for a byte")                                                   \
    X(RELEASE_CHECKED, "the slot still bears the frame")                                           \
    X(RELEASE_CLEARED, "the lease word is cleared")                                                \
    /* register */                                                                                 \
    X(HELLO_SENT, "HELLO is sent")                                                                 \
    X(WELCOME_TAKEN, "the notice page is mapped")                                                  \
    X(RING_MADE, "the ring is made, not sealed")                                                   \
    X(RING_SEALED, "the ring is sealed")                                                           \
    X(RING_SENT, "OPEN_RING is sent, without its links")                                           \
    X(LINK_ADDED, "a link is in the writer's list")                                                \
    X(LINK_OFFERED, "the first link is offered")                                                   \
    X(RING_OPENED, "OPENED has come")                                                              \
    X(RING_ADOPTED, "the writer goes on in the ring")                                              \
    X(RING_CLOSED, "the older ring is CLOSED")                                                     \
    /* join */                                                                                     \
    X(READER_SENT, "OPEN_READER is sent")                                                          \
    X(LINK_CAME, "LINK has come")                                                                  \
    X(LEASE_MAPPED, "the lease page is mapped, not sealed")                                        \
    X(LEASE_SEALED, "the lease page is sealed")                                                    \
    X(LINK_READY, "the link is ready, its slots have memory")                                      \
    X(RING_LEFT, "the reader has gone on to the next ring")                                        \
    /* leave */                                                                                    \
    X(RING_ENDED, "the ring is ENDED")                                                             \
    X(WRITER_CLOSED, "CLOSE_WRITER is sent")                                                       \
    X(READER_CLOSED, "CLOSE_READER is sent")                                                       \
    X(LINK_LEFT, "the lease words are cleared for good")                                           \
    /* reclaim */                                                                                  \
    X(LINK_OVER, "the writer no longer minds the dead reader's leases")                            \
    X(LINK_BACK, "the link is taken apart")                                                        \
    /* return to a new supervisor */                                                               \
    X(SESSION_LOST, "the connection is given up")                                                  \
    X(RESYNC_SENT, "OPEN_RING of one who comes back is sent")                                      \
    X(HELD_SENT, "the first HELD_LINK is sent")                                                    \
    X(RESYNC_FOLLOWED, "the writer goes by the new notice page")                                   \
    X(RETURN_SENT, "OPEN_READER of one who comes back is sent")                                    \
    X(RETURN_SHOWN, "its first HELD_RING is sent")                                                 \
    /* supervisor: register, join */                                                               \
    X(PEER_ACCEPTED, "the connection is accepted")                                                 \
    X(PEER_WELCOMED, "WELCOME is sent")                                                            \
    X(RING_TAKEN, "OPEN_RING is taken")                                                            \
    X(RING_NUMBERED, "the ring is the stream's, with a generation")                                \
    X(NAMES_WRITTEN, "the names' file is written, not in its place")                               \
    X(RING_NAMED, "the names' file knows the ring")                                                \
    X(RING_ANSWERED, "OPENED is sent")                                                             \
    X(READER_TAKEN, "OPEN_READER is taken")                                                        \
    X(READER_ANSWERED, "READER_OK is sent")                                                        \
    X(LINK_GRANTED, "the grant is in the writer's page")                                           \
    X(LINK_SENT, "LINK is sent")                                                                   \
    X(LINK_TOLD, "the writer is told of its reader")                                               \
    X(JOURNAL_WRITTEN, "a line is in the journal's file, and does not count yet")                  \
    /* supervisor: leave, reclaim */                                                               \
    X(DEATH_SEEN, "a process's death is seen")                                                     \
    X(READER_GONE, "the journal tells that a reader left")                                         \
    X(LINK_ENDED, "the writer's page tells that a link is over")                                   \
    X(WRITER_GONE, "the journal tells that a writer left")                                         \
    X(GONE_NAMED, "the names' file knows it")                                                      \
    X(GONE_TOLD, "its readers' pages tell it")                                                     \
    /* supervisor: restart */                                                                      \
    X(SERVER_LISTENS, "the socket is there")                                                       \
    X(NAMES_LOADED, "journal and names' file are read")                                            \
    X(SERVER_READY, "it says that it is ready")                                                    \
    X(HELD_TAKEN, "the first HELD_LINK is taken")                                                  \
    X(LINK_CLAIMED, "a reader has its link back")                                                  \
    X(RETURN_TAKEN, "OPEN_READER of one who came back is taken")

enum step {
    STEP_NONE = 0,
#define STEP_VALUE(name, text) STEP_##name,
    STEP_LIST(STEP_VALUE)
#undef STEP_VALUE
        STEPS
};

/* Tells that this process has come to the step. It may not return. */
void step_pass(enum step step);

#define STEP(name) step_pass(STEP_##name)
#else
#define STEP(name) ((void)0)
#endif

#endif
