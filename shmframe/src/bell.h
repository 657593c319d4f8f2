/* Bell: how a reader sleeps and its writer wakes it; how a lossless writer sleeps. */
#ifndef SHMFRAME_SRC_BELL_H
#define SHMFRAME_SRC_BELL_H

#include "futex.h"
#include "ring.h"

enum { BELL_SLEEP_MAX_NS = 100000000, BELL_ALONE_NS = 20000000, BELL_PERIOD_MAX_NS = 18000000 };
enum { BELL_READERS_MAX = SHMFRAME_WAIT_MAX };

/* What else ends a sleep: the supervisor's word and the program's interrupt, as last read. */
struct bell_others {
    const struct notice_page *notice; /* NULL: none */
    uint32_t notice_seen;
    const _Atomic uint32_t *interrupt;
    /* The next frame is due within BELL_ALONE_NS: for that long a reader of one stream listens to
     * its writer alone, since the kernel wakes it quicker from one word than from several. */
    bool is_frame_due;
};

/* Wakes the readers that sleep and were not woken yet; after a fence that follows what they wait
 * for. */
void bell_ring(struct ring_writer *writer);

/* Sleeps until one of the readers may have something to look at, at most BELL_SLEEP_MAX_NS. Readers
 * are looked at once more after they said that they wait. A spurious return is 0.
 * Errors: -EINTR, -ETIMEDOUT: that long, or the deadline. */
int bell_wait(struct ring_reader *const *readers, uint32_t count, const struct bell_others *others,
              int64_t deadline_ns);

/* As bell_wait(), busy. True: there may be something; false: `until_ns` has come. */
bool bell_spin(struct ring_reader *const *readers, uint32_t count, const struct bell_others *others,
               int64_t until_ns);

/* Asks for a byte on the link's socket. False: there is something to look at by now. */
bool bell_arm(struct ring_reader *reader);
void bell_disarm(struct ring_reader *reader);

/* Tells `link`'s reader that its writer sleeps, and fills `out_words`, room for three. Returns how
 * many words to sleep on with bell_sleep(), or 0: the reader has taken a frame by now. */
uint32_t bell_arm_space(struct ring_writer *writer, struct ring_link *link,
                        const struct bell_others *others, struct futex_word *out_words);
void bell_disarm_space(struct ring_link *link);

/* As bell_sleep(), on nothing but `others`: for what calls nobody. */
int bell_rest(const struct bell_others *others, int64_t deadline_ns);

/* futex_wait(), at most BELL_SLEEP_MAX_NS. */
int bell_sleep(const struct futex_word *words, uint32_t count, int64_t deadline_ns);

#endif
