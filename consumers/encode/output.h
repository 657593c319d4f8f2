/* One muxed output: a file, a flow or a connection, from its head to its end. */
#ifndef CONSUMERS_OUTPUT_H
#define CONSUMERS_OUTPUT_H

#include "container.h"
#include "recording.h"

struct output_params {
    const struct container *container;
    const char *path; /* for this output; NULL: standard output */
    const struct option_list *options;
    const struct recording_stream *streams;
    uint32_t stream_count;
    const char *sdp; /* see recording.h */
    bool is_overwriting;
    AVIOInterruptCB interrupt;
};

struct output;

/* Whether the container takes these streams and options, without touching the target. For roads
 * that need none: the others tell when they are opened. -EINVAL and fault_set() if not. */
int output_check(const struct output_params *params);

/* Opens the target and writes the head. On failure fault_set(); what was made is removed. */
int output_open(const struct output_params *params, struct output **out_output);

/* `packet` stays the caller's; its stamps are changed. Once a second what came so far is made whole
 * on disk. A failure leaves only output_close(). */
int output_write(struct output *output, AVPacket *packet);

struct output_end {
    uint64_t bytes;
    bool is_removed; /* the file, which got nothing */
};

/* Writes the end, unless `error` says that the target took no more: a file is then cut back to what
 * is whole. Frees in any case; 0, or what the last bytes met, with fault_set(). */
int output_close(struct output *output, int error, struct output_end *out_end);

uint64_t output_bytes(const struct output *output);
/* The same, in a call-back of the output's own: it differs when bytes have gone out. */
uint64_t output_moved(const struct output *output);
const char *output_path(const struct output *output);

#endif
