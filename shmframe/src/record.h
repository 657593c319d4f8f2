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
};

/* By the reader's own thread. */
void record_count(struct record *record, enum record_counter counter, uint64_t more);
void record_acquired(struct record *record, const struct shmframe_lease *lease);
/* By any thread. `is_alone`: no other lease of the reader is out, and this one is not over yet, so
 * that no other thread counts. */
void record_released(struct record *record, const struct shmframe_lease *lease, int64_t release_ns,
                     bool is_alone);
void record_stale(struct record *record);
void record_presented(struct record *record, const struct shmframe_lease *lease,
                      int64_t present_ns);

/* Checks a peer's page. Errors: -EPROTO. */
int record_check(const struct record_page *page);

/* Snapshots, bounded, of any page that has the size of one. */
void record_get_counters(const struct record_page *page, struct shmframe_reader_counters *out);
int record_get_histogram(const struct record_page *page, enum shmframe_hop hop,
                         struct shmframe_histogram *out);
int record_get_flights(const struct record_page *page, struct shmframe_flight *out, uint32_t count);

#endif
