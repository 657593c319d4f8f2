/* Payload: bytes of which any mixture of two frames is noticed. */
#ifndef TESTS_INTEGRATION_PAYLOAD_H
#define TESTS_INTEGRATION_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

struct payload {
    uint32_t stream, life; /* of the writer */
    uint64_t index;        /* frames of this life before it */
    uint64_t bytes;        /* of the whole payload */
    int64_t opened_ns;     /* when the writer's open had returned */
    int64_t filled_ns;     /* of the first frame of this life */
    int64_t delay_ns;      /* how long the writer had no processor between the two */
    uint64_t seed;
    uint64_t sum; /* of all that is above, and of what follows */
};

/* Completes `payload` (seed, sum), and writes it with `bytes` - sizeof of pattern behind. */
void payload_fill(uint8_t *data, struct payload *payload);
/* The sum over `bytes` bytes that are there; compare with what the payload says. */
uint64_t payload_sum(const uint8_t *data, size_t bytes);

#endif
