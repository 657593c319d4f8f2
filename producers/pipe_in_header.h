/* Header: what the frames are that an input brings, by its own words or by options.
 *
 * Threads: one.
 */
#ifndef PRODUCERS_PIPE_IN_HEADER_H
#define PRODUCERS_PIPE_IN_HEADER_H

#include "pipe_in_input.h"

enum pipe_in_kind {
    PIPE_IN_NONE = 0, /* whatever it looks like */
    PIPE_IN_Y4M,
    PIPE_IN_WAV,
    PIPE_IN_RAW,
    PIPE_IN_MEDIA, /* what shmframe-media reads: NUT, and all else */
};

/* What options say. */
struct pipe_in_wanted {
    enum pipe_in_kind kind;
    const char *pixel_format; /* of raw pictures; NULL: they are none */
    uint32_t size[2];
    struct shmframe_rational rate; /* 0/0: what the header says, or 25 */
    const char *sample_format;     /* of raw sound; NULL: it is none */
    uint32_t channels, sample_rate;
    uint32_t block; /* samples; 0: 10 ms */
};

enum { PIPE_IN_WHY_BYTES = 256 };

struct pipe_in_header {
    enum pipe_in_kind kind;
    struct shmframe_format format;
    uint64_t data_bytes; /* of sound; UINT64_MAX: until the end */
    char why[PIPE_IN_WHY_BYTES];
};

/* NONE: `name` is not any's. */
enum pipe_in_kind pipe_in_kind_find(const char *name);

/* What an input is by its first bytes, which it keeps. Returns a kind, or -EINTR; -ENODATA: it is
 * empty; -ENOTSUP: it cannot be told. */
int pipe_in_header_look(struct pipe_in_input *input);

/* The format of raw frames; options that do not fit are a usage error, and end the program. */
void pipe_in_header_describe(const struct pipe_in_wanted *wanted,
                             struct shmframe_format *out_format);

/* Takes the line of a y4m, of `length` bytes without its newline. Errors: as pipe_in_header_read().
 */
int pipe_in_header_parse(struct pipe_in_header *header, const char *line, size_t length,
                         const struct pipe_in_wanted *wanted);

/* Reads the header of an input of that kind. Errors: -ENODATA nothing comes; -EINTR; -EINVAL,
 * -ENOTSUP and others: `why` says in one line what is wrong. */
int pipe_in_header_read(struct pipe_in_header *header, struct pipe_in_input *input,
                        const struct pipe_in_wanted *wanted);

#endif
