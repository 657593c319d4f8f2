/* What a reader measured of its frames, hop by hop, and how that is shown: as a table, as JSON. */
#ifndef CONSUMERS_HOPS_H
#define CONSUMERS_HOPS_H

#include "duration.h"

#include <jansson.h>
#include <shmframe/shmframe.h>
#include <stdio.h>

struct hops {
    struct shmframe_histogram hop[SHMFRAME_HOPS];
    struct shmframe_reader_counters counters;
};

/* Snapshots, of a reader of one's own and of another process's record. */
void hops_read(struct hops *out_hops, const struct shmframe_reader *reader);
void hops_read_record(struct hops *out_hops, const struct shmframe_record *record);

/* `hops` -= `earlier`, an earlier snapshot of the same reader. */
void hops_subtract(struct hops *hops, const struct hops *earlier);

/* duration_format(). */
enum { HOPS_TIME_BYTES = DURATION_BYTES };
void hops_format_time(int64_t value_ns, char text[HOPS_TIME_BYTES]);

/* Prints the table: a hop a line, then what was delivered, lost (by cause) and skipped. */
void hops_print(FILE *file, const struct hops *hops);

/* Adds "hops" and "counters" to `object`: times as integers in nanoseconds. */
void hops_add_json(json_t *object, const struct hops *hops);

#endif
