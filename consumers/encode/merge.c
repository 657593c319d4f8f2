#include "merge.h"

#include <errno.h>
#include <libavutil/fifo.h>
#include <stdlib.h>

#define STEP_NS_MAX INT64_C(1000000000)

struct item {
    AVPacket *packet;
    int64_t ns;
    int64_t step_ns; /* since the one before in its stream */
};

struct merge {
    struct {
        AVFifo *items;
        AVRational time_base;
        bool is_video;
        int64_t lead; /* from decoding to showing, at the last key frame; in time_base */
        int64_t last_ns, span_ns;
        bool is_silent; /* was waited for in vain, and nothing has come since */
    } stream[RECORDING_STREAMS_MAX];
    uint32_t streams;
    uint64_t bytes;
};

struct merge *merge_create(const struct recording_stream *streams, uint32_t count) {
    struct merge *merge = calloc(1, sizeof(*merge));
    if (!merge)
        return NULL;
    merge->streams = count;
    for (uint32_t i = 0; i < count; i++) {
        merge->stream[i].time_base = streams[i].time_base;
        merge->stream[i].last_ns = INT64_MIN;
        merge->stream[i].is_video = streams[i].parameters->codec_type == AVMEDIA_TYPE_VIDEO;
        merge->stream[i].items = av_fifo_alloc2(64, sizeof(struct item), AV_FIFO_FLAG_AUTO_GROW);
        if (!merge->stream[i].items) {
            merge_destroy(merge);
            return NULL;
        }
    }
    return merge;
}

void merge_destroy(struct merge *merge) {
    if (!merge)
        return;
    for (uint32_t i = 0; i < merge->streams && merge->stream[i].items; i++) {
        struct item item;
        while (av_fifo_read(merge->stream[i].items, &item, 1) >= 0)
            av_packet_free(&item.packet);
        av_fifo_freep2(&merge->stream[i].items);
    }
    free(merge);
}

static int64_t find_time(struct merge *merge, const AVPacket *packet) {
    const int i = packet->stream_index;
    if (merge->stream[i].is_video && packet->flags & AV_PKT_FLAG_KEY)
        merge->stream[i].lead = packet->pts - packet->dts;
    return av_rescale_q(packet->dts + merge->stream[i].lead, merge->stream[i].time_base,
                        (AVRational){1, 1000000000});
}

static int64_t find_step(int64_t last_ns, int64_t ns) {
    if (last_ns == INT64_MIN || ns <= last_ns)
        return 0;
    return ns - STEP_NS_MAX < last_ns ? ns - last_ns : STEP_NS_MAX;
}

int merge_push(struct merge *merge, AVPacket *packet) {
    const int i = packet->stream_index;
    struct item item = {.packet = av_packet_alloc(), .ns = find_time(merge, packet)};
    item.step_ns = find_step(merge->stream[i].last_ns, item.ns);
    if (!item.packet || av_fifo_write(merge->stream[i].items, &item, 1) < 0) {
        AVPacket *none = item.packet;
        av_packet_free(&none);
        av_packet_unref(packet);
        return -ENOMEM;
    }
    av_packet_move_ref(item.packet, packet);
    merge->bytes += (uint64_t)item.packet->size;
    merge->stream[i].is_silent = false;
    merge->stream[i].last_ns = item.ns;
    merge->stream[i].span_ns += item.step_ns;
    return 0;
}

/* The stream with the oldest packet, -1: all are empty; and how long to wait for those that are. */
static int find_oldest(const struct merge *merge, struct item *out_item, int64_t *out_wait_ns) {
    int oldest = -1;
    *out_wait_ns = 0;
    for (uint32_t i = 0; i < merge->streams; i++) {
        struct item item;
        if (av_fifo_peek(merge->stream[i].items, &item, 1, 0) < 0) {
            const int64_t wait_ns = merge->stream[i].is_silent ? MERGE_SILENT_NS : MERGE_WAIT_NS;
            *out_wait_ns = wait_ns > *out_wait_ns ? wait_ns : *out_wait_ns;
        } else if (oldest < 0 || item.ns < out_item->ns) {
            oldest = (int)i;
            *out_item = item;
        }
    }
    return oldest;
}

static void note_silent(struct merge *merge) {
    for (uint32_t i = 0; i < merge->streams; i++)
        if (av_fifo_can_read(merge->stream[i].items) == 0)
            merge->stream[i].is_silent = true;
}

bool merge_pop(struct merge *merge, bool is_ending, AVPacket *out_packet, int64_t *out_ns) {
    struct item item;
    int64_t wait_ns;
    const int oldest = find_oldest(merge, &item, &wait_ns);
    if (oldest < 0)
        return false;
    const int64_t waited_ns = merge_newest_ns(merge) - item.ns;
    if (!is_ending && wait_ns > 0 && waited_ns < wait_ns && merge->bytes < MERGE_WAIT_BYTES)
        return false;
    if (waited_ns >= MERGE_WAIT_NS)
        note_silent(merge);
    av_fifo_drain2(merge->stream[oldest].items, 1);
    merge->bytes -= (uint64_t)item.packet->size;
    merge->stream[oldest].span_ns -= item.step_ns;
    *out_ns = item.ns;
    av_packet_move_ref(out_packet, item.packet);
    av_packet_free(&item.packet);
    return true;
}

uint64_t merge_bytes(const struct merge *merge) {
    return merge->bytes;
}

int64_t merge_span_ns(const struct merge *merge) {
    int64_t span_ns = 0;
    for (uint32_t i = 0; i < merge->streams; i++)
        if (span_ns < merge->stream[i].span_ns)
            span_ns = merge->stream[i].span_ns;
    return span_ns;
}

int64_t merge_newest_ns(const struct merge *merge) {
    int64_t newest_ns = INT64_MIN;
    for (uint32_t i = 0; i < merge->streams; i++) {
        struct item item;
        const size_t count = av_fifo_can_read(merge->stream[i].items);
        if (count > 0 && av_fifo_peek(merge->stream[i].items, &item, 1, count - 1) >= 0 &&
            newest_ns < item.ns)
            newest_ns = item.ns;
    }
    return newest_ns;
}

uint64_t merge_clear(struct merge *merge) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < merge->streams; i++) {
        struct item item;
        for (; av_fifo_read(merge->stream[i].items, &item, 1) >= 0; count++)
            av_packet_free(&item.packet);
        merge->stream[i].span_ns = 0;
    }
    merge->bytes = 0;
    return count;
}
