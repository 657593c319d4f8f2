/* What a self-test reads itself: frames on both sides of the filter, told apart by their origin. */
#ifndef TOOLS_SELF_TEST_READING_H
#define TOOLS_SELF_TEST_READING_H

#include "self_test.h"

#include <shmframe/shmframe.h>

/* Reads `out_delay->wanted` frames of `source` and of `delayed`, which the filter makes of them,
 * and fills in what stamps tell; `period_ns` and `delay_ns` are there. Errors: as the library's.
 * `wanted` is SELF_TEST_FRAMES_MAX at most. */
int self_test_read_delay(struct shmframe_session *session, const char *source, const char *delayed,
                         struct self_test_delay *out_delay);

/* Compares the frames that were read last with what the filter says of each in its log, and fills
 * in the rest. Returns whether there is a log. */
bool self_test_read_log(const char *path, struct self_test_delay *delay);

/* Reads all of `stream`, and counts by the numbers of the origins. Errors: as the library's. */
int self_test_read_faults(struct shmframe_session *session, const char *stream,
                          struct self_test_counts *out_counts);

#endif
