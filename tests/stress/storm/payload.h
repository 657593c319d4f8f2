/* Payload: bytes of which any mixture of two frames is noticed. */
#ifndef TESTS_STORM_PAYLOAD_H
#define TESTS_STORM_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

struct payload {
    uint32_t stream, life; /* of the writer */
    uint64_t index;        /* frames of this life before it */
    uint64_t bytes;        /* of the whole payload */
    int64_t opened_ns;     /* when the writer's open had returned */
    int64_t filled_ns;     /* of the first frame of this life */
    int64_t awake_ns;      /* how long the writer ran, or was to run, between the two */
    /* Of the frame that a filter made this one of, at its first source; sequence 0: none. */
    uint64_t origin_sequence;
    int64_t origin_capture_ns;
    uint32_t origin_stream, reserved;
    uint64_t seed;
    uint64_t sum; /* of all that is above, and of what follows */
};

/* Completes `payload` (seed, sum), and writes its first half; `bytes` - sizeof of pattern stand
 * behind it in the end. */
void payload_begin(uint8_t *data, struct payload *payload);
/* Writes the other half, then the sum. */
void payload_end(uint8_t *data, struct payload *payload);
/* Both at once. */
void payload_fill(uint8_t *data, struct payload *payload);
/* The sum over `bytes` bytes that are there; compare with what the payload says. */
uint64_t payload_sum(const uint8_t *data, size_t bytes);

#endif
