/* The outputs of a recording, one after the other: names, heads, cuts, saves. For one thread. */
#ifndef CONSUMERS_OUTLET_H
#define CONSUMERS_OUTLET_H

#include "container.h"
#include "recording.h"
#include "replay.h"

struct outlet;

/* Keeps `params` and `container`, which are the caller's. */
struct outlet *outlet_create(const struct recording_params *params,
                             const struct container *container, AVIOInterruptCB interrupt);
/* Without an end being written: outlet_close() first. */
void outlet_destroy(struct outlet *outlet);

/* For what is opened from now on; copied. Whether the container takes them and the options:
 * -EINVAL with fault_set(). */
int outlet_set_streams(struct outlet *outlet, const struct recording_stream *streams,
                       uint32_t count);

/* Opens the next file, or the flow. `zero_ns` becomes its time 0. On failure fault_set(). */
int outlet_open(struct outlet *outlet, int64_t zero_ns);
/* Stamps are moved by the file's zero; what would be before it is not written, and counted. */
int outlet_write(struct outlet *outlet, AVPacket *packet);
/* See output_close(). Does nothing without an open output, but returns `error`. */
int outlet_close(struct outlet *outlet, int error);
/* In the call-back: it differs when bytes have gone out. */
uint64_t outlet_moved(const struct outlet *outlet);
bool outlet_is_open(const struct outlet *outlet);

/* Makes an empty file for a save of now, with a name that was free. From any one thread. */
int outlet_name_save(struct outlet *outlet, char out_path[RECORDING_PATH_BYTES]);
/* Whether a save will have a place: known before the first frame is kept. Leaves nothing behind. */
int outlet_try_save(struct outlet *outlet);
/* Writes all that is kept into a file of this name. */
int outlet_save(struct outlet *outlet, const struct replay *replay, const char *path);

/* How far it is: bytes, segment_bytes, segments, late, path; the rest is left alone. */
void outlet_state(const struct outlet *outlet, struct recording_state *state);

#endif
