/* Packets of several streams, put in one order of time. Pure; not locked.
 *
 * The order is that of what is shown: of a picture's stream the stamps of decoding count, moved by
 * how much its last key frame is decoded early. A cut in front of a key frame thus has all sound of
 * before it on one side, and all sound of after it on the other.
 */
#ifndef CONSUMERS_MERGE_H
#define CONSUMERS_MERGE_H

#include "recording.h"

/* One stream that is silent for so long, or behind which so much piles up, is not waited for; and
 * hardly, from then on until its next packet. */
#define MERGE_WAIT_NS    INT64_C(2000000000)
#define MERGE_SILENT_NS  INT64_C(100000000)
#define MERGE_WAIT_BYTES (UINT64_C(64) << 20)

struct merge;

/* NULL: no memory. */
struct merge *merge_create(const struct recording_stream *streams, uint32_t count);
void merge_destroy(struct merge *merge);

/* Takes the packet's reference; -ENOMEM. */
int merge_push(struct merge *merge, AVPacket *packet);

/* The next packet in order, if it is known; `is_ending`: no more are waited for. Its time of the
 * order in *out_ns. */
bool merge_pop(struct merge *merge, bool is_ending, AVPacket *out_packet, int64_t *out_ns);

uint64_t merge_bytes(const struct merge *merge);
/* How much of the longest stream waits here. A gap in its stamps counts as a second at most: it
 * says nothing of how far behind somebody is. */
int64_t merge_span_ns(const struct merge *merge);

/* Of what waits here; INT64_MIN: nothing does. */
int64_t merge_newest_ns(const struct merge *merge);

/* Drops everything; returns how many packets that were. */
uint64_t merge_clear(struct merge *merge);

#endif
