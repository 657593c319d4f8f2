#include "payload.h"

#include <string.h>

static uint64_t mix(uint64_t value) {
    value ^= value >> 31;
    value *= UINT64_C(0x9e3779b97f4a7c15);
    return value ^ value >> 29;
}

uint64_t payload_sum(const uint8_t *data, size_t bytes) {
    const size_t skipped = offsetof(struct payload, sum);
    uint64_t sum = bytes;
    for (size_t i = 0; i + sizeof(uint64_t) <= bytes; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, data + i, sizeof(word));
        if (i != skipped)
            sum = (sum ^ word) * UINT64_C(0x100000001b3) + (sum >> 47);
    }
    return sum;
}

static void write_pattern(uint8_t *data, const struct payload *payload, size_t from, size_t until) {
    for (size_t i = from; i + sizeof(uint64_t) <= until; i += sizeof(uint64_t)) {
        const uint64_t word = mix(payload->seed + i);
        memcpy(data + i, &word, sizeof(word));
    }
}

static size_t middle(const struct payload *payload) {
    const size_t pattern = (size_t)payload->bytes - sizeof(*payload);
    return sizeof(*payload) + pattern / 2 / sizeof(uint64_t) * sizeof(uint64_t);
}

void payload_begin(uint8_t *data, struct payload *payload) {
    payload->seed = mix(payload->index << 24 ^ (uint64_t)payload->life << 8 ^ payload->stream);
    payload->sum = 0;
    memcpy(data, payload, sizeof(*payload));
    write_pattern(data, payload, sizeof(*payload), middle(payload));
}

void payload_end(uint8_t *data, struct payload *payload) {
    write_pattern(data, payload, middle(payload), payload->bytes);
    payload->sum = payload_sum(data, payload->bytes);
    memcpy(data + offsetof(struct payload, sum), &payload->sum, sizeof(payload->sum));
}

void payload_fill(uint8_t *data, struct payload *payload) {
    payload_begin(data, payload);
    payload_end(data, payload);
}
