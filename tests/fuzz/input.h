/* Input: the bytes of one run, taken from the front; zeros once they are used up. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each target is this function: libFuzzer, AFL++ and main.c call it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* What does not hold whatever the input is. */
#define fuzz_must(is_so, what)                                                                     \
    do {                                                                                           \
        if (!(is_so)) {                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, (what));                            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct input {
    const uint8_t *byte;
    size_t left;
};

static inline void input_copy(struct input *input, void *out, size_t bytes) {
    const size_t taken = bytes < input->left ? bytes : input->left;
    memset(out, 0, bytes);
    if (taken)
        memcpy(out, input->byte, taken);
    input->byte += taken;
    input->left -= taken;
}

static inline uint8_t input_u8(struct input *input) {
    uint8_t byte;
    input_copy(input, &byte, 1);
    return byte;
}

static inline uint64_t input_u64(struct input *input) {
    uint64_t word;
    input_copy(input, &word, sizeof(word));
    return word;
}

/* Below `end`, which is at most 256. */
static inline uint32_t input_below(struct input *input, uint32_t end) {
    return input_u8(input) % end;
}

/* Mostly small; now and then at an edge of a type, or anything. */
static inline uint64_t input_number(struct input *input) {
    static const uint64_t edges[] = {UINT32_MAX,        UINT64_MAX,       INT32_MAX,
                                     INT64_MAX,         1 << 16,          UINT64_C(1) << 30,
                                     UINT64_C(1) << 44, UINT64_C(1) << 46};
    const uint8_t kind = input_u8(input);
    if (kind < 192)
        return kind % 64;
    if (kind < 208)
        return edges[kind % 8];
    if (kind < 224)
        return edges[kind % 8] + 1;
    if (kind < 240)
        return UINT64_C(1) << input_u8(input) % 64;
    return input_u64(input);
}

#endif
