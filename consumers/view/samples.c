#include "samples.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int samples_init(struct samples *samples, uint32_t channels, uint32_t frames) {
    uint32_t capacity = 64;
    while (capacity < frames) {
        capacity *= 2;
    }
    *samples = (struct samples){
        .data = calloc((size_t)capacity * channels, sizeof(float)),
        .channels = channels,
        .capacity = capacity,
    };
    return samples->data ? 0 : -ENOMEM;
}

void samples_finish(struct samples *samples) {
    free(samples->data);
    samples->data = NULL;
}

/* Frames from `position` on that lie in one piece, at most `frames`. */
static uint32_t piece(const struct samples *samples, uint64_t position, uint32_t frames) {
    const uint32_t until_end = samples->capacity - (uint32_t)(position & (samples->capacity - 1));
    return frames < until_end ? frames : until_end;
}

static float *at(const struct samples *samples, uint64_t position) {
    return samples->data + (size_t)(position & (samples->capacity - 1)) * samples->channels;
}

uint32_t samples_append(struct samples *samples, const float *from, uint32_t frames) {
    const uint64_t head = atomic_load_explicit(&samples->head, memory_order_relaxed); /* only we */
    /* S2: what the taker has read may be overwritten. */
    const uint64_t tail = atomic_load_explicit(&samples->tail, memory_order_acquire);
    const uint32_t room = samples->capacity - (uint32_t)(head - tail);
    const uint32_t count = frames < room ? frames : room;
    for (uint32_t done = 0; done < count;) {
        const uint32_t part = piece(samples, head + done, count - done);
        const size_t bytes = (size_t)part * samples->channels * sizeof(float);
        if (from) {
            memcpy(at(samples, head + done), from + (size_t)done * samples->channels, bytes);
        } else {
            memset(at(samples, head + done), 0, bytes);
        }
        done += part;
    }
    /* S1 -> T1: the samples before the count. */
    atomic_store_explicit(&samples->head, head + count, memory_order_release);
    return count;
}

uint32_t samples_take(struct samples *samples, float *to, uint32_t frames) {
    const uint64_t tail = atomic_load_explicit(&samples->tail, memory_order_relaxed); /* only we */
    /* T1: everything below `head` is there. */
    const uint64_t head = atomic_load_explicit(&samples->head, memory_order_acquire);
    const uint32_t fill = (uint32_t)(head - tail);
    const uint32_t count = frames < fill ? frames : fill;
    for (uint32_t done = 0; to && done < count;) {
        const uint32_t part = piece(samples, tail + done, count - done);
        memcpy(to + (size_t)done * samples->channels, at(samples, tail + done),
               (size_t)part * samples->channels * sizeof(float));
        done += part;
    }
    /* T2 -> S2: read before given back. */
    atomic_store_explicit(&samples->tail, tail + count, memory_order_release);
    return count;
}

uint32_t samples_fill(const struct samples *samples) {
    const uint64_t tail = atomic_load_explicit(&samples->tail, memory_order_acquire);
    const uint64_t head = atomic_load_explicit(&samples->head, memory_order_acquire);
    return (uint32_t)(head - tail);
}

uint64_t samples_head(const struct samples *samples) {
    return atomic_load_explicit(&samples->head, memory_order_relaxed); /* only we write it */
}

uint64_t samples_tail(const struct samples *samples) {
    return atomic_load_explicit(&samples->tail, memory_order_relaxed); /* only we write it */
}
