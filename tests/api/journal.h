/* The journal of the world's supervisor, as its session reads it, and who it tells of: the reader
 * `eye` of the stream `s`. */
#ifndef TESTS_API_JOURNAL_H
#define TESTS_API_JOURNAL_H

#include "world.h"

enum { JOURNAL_EVENTS_MAX = 4096 };

extern struct journal {
    struct shmframe_event event[JOURNAL_EVENTS_MAX];
    unsigned events;
} journal; /* as it was last taken */

/* Takes all there is from the beginning. Numbers have no gaps. */
void journal_take_all(void);
/* The newest one of `type` with `cause`; NULL: there is none. */
const struct shmframe_event *journal_find(enum shmframe_event_type type, enum shmframe_cause cause);
/* Waits until there is one. */
const struct shmframe_event *journal_await(enum shmframe_event_type type,
                                           enum shmframe_cause cause);
unsigned journal_count(enum shmframe_event_type type);
/* Of all losses that are told. */
uint64_t journal_sum_lost(void);

struct shmframe_reader *journal_open_reader(struct shmframe_session *session,
                                            enum shmframe_policy policy, uint32_t depth);
/* It is told of this process's reader. */
void journal_expect_reader(const struct shmframe_event *told);
void journal_publish(struct shmframe_writer *writer, unsigned frames);

#endif
