/* Adapter: makes frames what a container carries, where they are not that already.
 *
 * Pictures by libswscale, sound by libswresample, both counted. What fits passes as it is.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_PIPE_ADAPTER_H
#define CONSUMERS_PIPE_ADAPTER_H

#include "scaler.h"

#include <libswresample/swresample.h>
#include <shmframe/format.h>

struct pipe_adapter {
    struct shmframe_format format; /* of what comes out */
    enum AVColorSpace color_space; /* of pictures that come out */
    enum AVColorRange color_range;
    struct scaler *scaler;
    struct SwrContext *resampler;
    AVFrame *last_sound; /* without samples: what the resampler was made for */
    uint64_t in_place;   /* frames that passed as they are */
    uint64_t converted;  /* whose values had to change */
    uint64_t packed;     /* of which channels, or lines, had to be moved together */
};

/* What comes out is like `from`, but for pixel or sample format, if one is named (NULL: it is not).
 * Errors: -ENOTSUP it cannot be made; as shmframe_format_complete(). */
int pipe_adapter_open(struct pipe_adapter *adapter, const struct shmframe_format *from,
                      const char *pixel_or_sample_format);
void pipe_adapter_close(struct pipe_adapter *adapter);

/* Takes `from` on success; `out_frame` may be the same. Sound that is resampled may come out later.
 * Errors: -ENOTSUP, -ENOMEM. */
int pipe_adapter_run(struct pipe_adapter *adapter, AVFrame *from, AVFrame **out_frame);

#endif
