/* Timeline: the times of one input's packets, mended where they jump, and when each came in.
 *
 * A broadcast, files put one behind the other or a sender that was restarted go on at another time
 * in the middle. The times are moved so that they go on from where they were; a second track that
 * jumps after the first is moved by the same, so that sound stays with its picture.
 *
 * Threads: one at a time.
 */
#ifndef PRODUCERS_TIMELINE_H
#define PRODUCERS_TIMELINE_H

#include <libavcodec/packet.h>
#include <stdbool.h>
#include <stdint.h>

enum { TIMELINE_TRACKS = 16, TIMELINE_PACKETS = 128 };

/* What is remembered of a packet until its frame comes out. */
struct timeline_entry {
    int64_t pts, dts; /* mended */
    int64_t arrival_ns;
    bool is_jump; /* it was mended otherwise than the one before */
};

struct timeline {
    bool is_mending;
    int64_t offset_ns; /* the newest that any track has */
    struct timeline_track {
        int64_t offset_ns;
        int64_t next_ns; /* where the next packet belongs */
        bool is_known;   /* next_ns counts */
        struct timeline_entry entry[TIMELINE_PACKETS];
        uint64_t entries;
    } track[TIMELINE_TRACKS];
};

/* Forgets everything: before the first packet, and after going elsewhere. */
void timeline_reset(struct timeline *timeline, bool is_mending);

/* A track is left out: those behind it move up. */
void timeline_drop(struct timeline *timeline, int track);

/* Beyond, times are no times: sums of them would not fit. */
#define TIMELINE_MAX_NS (INT64_MAX / 2)

/* Mends the packet's times, in units of `unit` seconds, and remembers it. */
void timeline_add(struct timeline *timeline, int track, AVPacket *packet, AVRational unit,
                  int64_t arrival_ns);

/* Something is missing before the packet that was added last. */
void timeline_mark_jump(struct timeline *timeline, int track);

/* The packet that a frame at `pts` came from, as far as that can be told; is_jump is told once.
 * NULL: nothing is known. */
const struct timeline_entry *timeline_find(struct timeline *timeline, int track, int64_t pts,
                                           bool *out_is_jump);

#endif
