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

void payload_fill(uint8_t *data, struct payload *payload) {
    payload->seed = mix(payload->index << 24 ^ (uint64_t)payload->life << 8 ^ payload->stream);
    memcpy(data, payload, sizeof(*payload));
    for (size_t i = sizeof(*payload); i + sizeof(uint64_t) <= payload->bytes;
         i += sizeof(uint64_t)) {
        const uint64_t word = mix(payload->seed + i);
        memcpy(data + i, &word, sizeof(word));
    }
    payload->sum = payload_sum(data, payload->bytes);
    memcpy(data + offsetof(struct payload, sum), &payload->sum, sizeof(payload->sum));
}
