/* Record: what a reader measured, in a page that others map for reading. */
#ifndef SHMFRAME_SRC_RECORD_H
#define SHMFRAME_SRC_RECORD_H

#include "region.h"

#include <shmframe/stats.h>

struct record_page;

/* A reader's own. */
struct record {
    struct region region;
    int fd;
    struct record_page *page;
};

/* Errors: -ENOMEM, -EMFILE, -ENFILE, -ENOTSUP. */
int record_create(struct record *record);
void record_destroy(struct record *record);

/* In the order of struct shmframe_reader_counters. */
enum record_counter {
    RECORD_DELIVERED = 0,
    RECORD_LOST_LATE,
    RECORD_LOST_RESTART,
    RECORD_SKIPPED,
    RECORD_RETRIES,
    RECORD_SLEEPS,
    RECORD_SPURIOUS,
    RECORD_STALE,
    RECORD_RESTARTS,
    RECORD_FORMATS,
    RECORD_DEVICE_DROPPED,
    RECORD_LATE_WOKEN,
    RECORD_LATE_HELD,
    RECORD_LATE_AWAY,
};

/* How many flights wait at most to be folded, and with those of a batch that was just taken: who
 * looks at a record that has more waiting looks at a lie. */
enum { RECORD_FOLD_MOST = 128, RECORD_DUE_MAX = RECORD_FOLD_MOST + SHMFRAME_LEASES_MAX };

/* By the reader's own thread. */
void record_count(struct record *record, enum record_counter counter, uint64_t more);
/* Leases that began at one instant, at least one. Notes in each one's cell, in its second byte and
 * from its bit 20 on, where it stands among those held and in the flight recorder. */
void record_acquired(struct record *record, struct shmframe_lease *leases, uint32_t count);
/* It found no frame to take. */
void record_looked(struct record *record, int64_t now_ns);
/* By any thread. Before the first of `times` leases ends that were held for so long. */
void record_held(struct record *record, int64_t hold_ns, uint64_t times);
/* By any thread: the lease ends. `is_hold_due`: how long it was held is counted with the frame's
 * other times, not by record_held(); only where no other lease of the reader is out, so that the
 * next frame cannot be taken before this. */
void record_released(struct record *record, const struct shmframe_lease *lease, int64_t release_ns,
                     bool is_hold_due);
void record_stale(struct record *record);
void record_presented(struct record *record, const struct shmframe_lease *lease,
                      int64_t present_ns);

/* By the reader's own thread: what it does now, since when. */
void record_set_doing(struct record *record, enum shmframe_doing doing, int64_t now_ns);
/* Whether it holds a lease. */
bool record_is_holding(const struct record *record);
/* Counts a loss and adds it to the log, as number of the next line. */
void record_lost(struct record *record, struct shmframe_overrun *overrun);

/* ---- record_read.c ---- */

/* A peer's stamps are data: what cannot be subtracted counts as 0. */
static inline int64_t record_between_ns(int64_t from_ns, int64_t to_ns) {
    int64_t ns;
    return __builtin_sub_overflow(to_ns, from_ns, &ns) ? 0 : ns;
}

/* Checks a peer's page. Errors: -EPROTO. */
int record_check(const struct record_page *page);

/* Snapshots, bounded, of any page that has the size of one. */
void record_get_counters(const struct record_page *page, struct shmframe_reader_counters *out);
int record_get_histogram(const struct record_page *page, enum shmframe_hop hop,
                         struct shmframe_histogram *out);
int record_get_flights(const struct record_page *page, struct shmframe_flight *out, uint32_t count);
int record_get_overruns(const struct record_page *page, struct shmframe_overrun *out,
                        uint32_t count);
void record_get_state(const struct record_page *page, struct shmframe_reader_state *out);

#endif
