/* wav: the header of RIFF/WAVE sound, and of its big brother RF64.
 *
 * Written so that it can be sent on and on: sizes that are not known yet are the largest there are,
 * which readers take for "until the end". Read byte by byte, from what cannot be sought in.
 * After the Multimedia Programming Interface 1.0 (RIFF), WAVE_FORMAT_EXTENSIBLE, and EBU Tech 3306
 * (RF64).
 *
 * Threads: every function here is pure.
 */
#ifndef COMMON_WAV_H
#define COMMON_WAV_H

#include <shmframe/format.h>

enum {
    WAV_HEADER_MAX = 128,
    WAV_STEP_MAX = 64, /* bytes that wav_take() wants at once */
    WAV_WHY_BYTES = 160,
    WAV_RIFF_SIZE_AT = 4, /* where the two sizes are that only the end tells */
};

/* Whether it has these samples: packed u8, s16, s32, s64, flt, dbl. */
bool wav_can_carry(const char *sample_format);

/* Writes the header for sound of `format`. Returns its length; the last four bytes are the size of
 * what follows. -ENOTSUP: no such samples. */
int wav_print(const struct shmframe_format *format, uint8_t out_header[WAV_HEADER_MAX]);

/* Reading: give it what wav_wanted() asks for, until that is nothing. */
enum wav_state { WAV_RIFF = 0, WAV_CHUNK, WAV_FORMAT, WAV_SKIP, WAV_DATA };
struct wav_parser {
    enum wav_state state;
    uint64_t left; /* of the chunk, with its padding */
    bool is_rf64;
    uint32_t block_samples; /* given: samples a slot is to hold */
    bool has_format;
    struct shmframe_format format;
    uint32_t told_bytes; /* as the header says, */
    uint64_t data_bytes; /* and what that means; UINT64_MAX: until the end */
    char why[WAV_WHY_BYTES];
};

/* How many bytes come next, WAV_STEP_MAX at most; 0: it is complete, samples follow. */
uint32_t wav_wanted(const struct wav_parser *parser);
/* Takes them. Errors: -EINVAL, -ENOTSUP: `why` says what is wrong. */
int wav_take(struct wav_parser *parser, const uint8_t *bytes, uint32_t count);

#endif
