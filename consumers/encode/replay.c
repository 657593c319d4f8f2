#include "replay.h"

#include <errno.h>
#include <libavutil/fifo.h>
#include <stdlib.h>

struct item {
    AVPacket *packet;
    int64_t ns;
};

/* Where one can begin: the number of the packet, counted from the first that was ever kept. */
struct start {
    uint64_t number;
    int64_t ns;
};

struct replay {
    AVFifo *items, *starts;
    uint64_t number; /* of the oldest item */
    uint64_t bytes, bytes_max;
    int64_t newest_ns, keep_ns;
    bool is_too_small;
};

struct replay *replay_create(int64_t keep_ns, uint64_t bytes_max) {
    struct replay *replay = calloc(1, sizeof(*replay));
    if (!replay)
        return NULL;
    replay->keep_ns = keep_ns;
    replay->bytes_max = bytes_max;
    replay->items = av_fifo_alloc2(256, sizeof(struct item), AV_FIFO_FLAG_AUTO_GROW);
    replay->starts = av_fifo_alloc2(64, sizeof(struct start), AV_FIFO_FLAG_AUTO_GROW);
    if (!replay->items || !replay->starts) {
        replay_destroy(replay);
        return NULL;
    }
    av_fifo_auto_grow_limit(replay->items, SIZE_MAX / sizeof(struct item));
    av_fifo_auto_grow_limit(replay->starts, SIZE_MAX / sizeof(struct start));
    return replay;
}

void replay_destroy(struct replay *replay) {
    if (!replay)
        return;
    if (replay->items)
        replay_clear(replay);
    av_fifo_freep2(&replay->items);
    av_fifo_freep2(&replay->starts);
    free(replay);
}

static uint64_t count_bytes(const AVPacket *packet) {
    return (uint64_t)packet->size + REPLAY_PACKET_BYTES;
}

static void drop_oldest(struct replay *replay) {
    struct item item;
    if (av_fifo_read(replay->items, &item, 1) < 0)
        return;
    replay->bytes -= count_bytes(item.packet);
    replay->number++;
    av_packet_free(&item.packet);
}

/* Drops up to the second start; without one, everything. */
static void drop_first_part(struct replay *replay) {
    struct start second;
    av_fifo_drain2(replay->starts, 1);
    const bool has_second = av_fifo_peek(replay->starts, &second, 1, 0) >= 0;
    while (av_fifo_can_read(replay->items) > 0 && (!has_second || replay->number < second.number))
        drop_oldest(replay);
}

/* What is older than asked for goes, but whole parts only. */
static void trim(struct replay *replay) {
    struct start second;
    while (av_fifo_peek(replay->starts, &second, 1, 1) >= 0 &&
           second.ns <= replay->newest_ns - replay->keep_ns)
        drop_first_part(replay);
    while (replay->bytes > replay->bytes_max) {
        drop_first_part(replay);
        replay->is_too_small |= av_fifo_can_read(replay->items) == 0;
    }
}

int replay_add(struct replay *replay, AVPacket *packet, int64_t ns, bool is_start) {
    if (!is_start && av_fifo_can_read(replay->starts) == 0) {
        av_packet_unref(packet);
        return 0;
    }
    const struct start start = {.number = replay->number + av_fifo_can_read(replay->items),
                                .ns = ns};
    struct item item = {.packet = av_packet_alloc(), .ns = ns};
    if (!item.packet || (is_start && av_fifo_write(replay->starts, &start, 1) < 0) ||
        av_fifo_write(replay->items, &item, 1) < 0) {
        av_packet_free(&item.packet);
        av_packet_unref(packet);
        return -ENOMEM;
    }
    av_packet_move_ref(item.packet, packet);
    replay->bytes += count_bytes(item.packet);
    replay->newest_ns = ns; /* not the latest of all: one that is far ahead counts only itself */
    trim(replay);
    return 0;
}

void replay_clear(struct replay *replay) {
    while (av_fifo_can_read(replay->items) > 0)
        drop_oldest(replay);
    if (replay->starts)
        av_fifo_reset2(replay->starts);
}

uint32_t replay_count(const struct replay *replay) {
    return (uint32_t)av_fifo_can_read(replay->items);
}

const AVPacket *replay_packet(const struct replay *replay, uint32_t index, int64_t *out_ns) {
    struct item item;
    if (av_fifo_peek(replay->items, &item, 1, index) < 0)
        return NULL;
    *out_ns = item.ns;
    return item.packet;
}

uint64_t replay_bytes(const struct replay *replay) {
    return replay->bytes;
}

bool replay_is_too_small(const struct replay *replay) {
    return replay->is_too_small;
}

int64_t replay_span_ns(const struct replay *replay) {
    int64_t ns;
    return replay_packet(replay, 0, &ns) ? replay->newest_ns - ns : 0;
}
