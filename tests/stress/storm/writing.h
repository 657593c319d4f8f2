/* Writing: one writer object of a peer, and the log of what it publishes. */
#ifndef TESTS_STORM_WRITING_H
#define TESTS_STORM_WRITING_H

#include "payload.h"
#include "peer.h"

enum { LOANS_MAX = 3 };

struct writing {
    const struct writer_role *role;
    struct seat *seat;
    struct stream_board *stream;
    struct shmframe_session *session;
    struct shmframe_writer *writer;
    unsigned number; /* of the stream */
    uint32_t life;
    uint64_t random, index;
    uint64_t last; /* sequence of its newest frame; 0: none yet */
    int64_t opened_ns, filled_ns, opened_awake_ns, awake_ns;
    bool is_beyond_grace; /* it was opened when its supervisor waited for no reader's word any more
                           */
    struct holdings before; /* of this process, before it had a session */
};

void writing_init(struct writing *writing, unsigned stream, uint32_t life, uint64_t seed);
/* Opens its session and writer; tells of a fault and exits if that fails. */
void writing_open(struct writing *writing);
/* Errors: -ETIMEDOUT a lossless reader is behind. */
int writing_lend(struct writing *writing, struct shmframe_loan *out_loan);
/* A frame of random size. `origin`: what it is made of; NULL: nothing. */
void writing_fill(struct writing *writing, struct shmframe_loan *loan,
                  const struct payload *origin);
/* Writes the log too. */
void writing_publish(struct writing *writing, struct shmframe_loan *loans, uint32_t count);
/* A loan of the old ring may be published behind the change. */
void writing_change_format(struct writing *writing);
/* Tells how many slots it uses. */
void writing_note_slots(const struct writing *writing);
/* Sees that everything is back, then closes all. */
void writing_close(struct writing *writing);

#endif
