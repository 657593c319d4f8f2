/* The packets of the last so many seconds, in memory, from a key frame on. Pure; not locked. */
#ifndef CONSUMERS_REPLAY_H
#define CONSUMERS_REPLAY_H

#include <libavcodec/packet.h>
#include <stdbool.h>
#include <stdint.h>

struct replay;

/* What a packet takes beside its bytes: libavcodec's AVPacket, AVBufferRef and AVBuffer, malloc's
 * heads and padding, side data of some words. Sound has many small packets. */
enum { REPLAY_PACKET_BYTES = 600 };

/* At least `keep_ns` is kept, as long as it fits into `bytes_max`; NULL: no memory. */
struct replay *replay_create(int64_t keep_ns, uint64_t bytes_max);
void replay_destroy(struct replay *replay);

/* Takes the packet's reference. `is_start`: one can begin with it. What comes before the first such
 * packet is left out. -ENOMEM. */
int replay_add(struct replay *replay, AVPacket *packet, int64_t ns, bool is_start);
void replay_clear(struct replay *replay);

/* What is kept, from the oldest, by its index; borrowed. */
uint32_t replay_count(const struct replay *replay);
const AVPacket *replay_packet(const struct replay *replay, uint32_t index, int64_t *out_ns);

/* In memory. */
uint64_t replay_bytes(const struct replay *replay);
/* Whether all that there was has been given up, since it did not fit from one start to the next. */
bool replay_is_too_small(const struct replay *replay);
int64_t replay_span_ns(const struct replay *replay);

#endif
