/* A picture of one shape inside one of another: black bars around it. */
#ifndef CONSUMERS_BARS_H
#define CONSUMERS_BARS_H

#include "scaler.h"

#include <stdbool.h>

/* The size that the picture has inside. */
struct bars {
    int width, height;
};

/* The largest that keeps the shape of `from` in `to`, whole chroma samples. A shape that differs by
 * no more than that is the same. */
struct bars bars_find(const AVFrame *from, const AVFrame *to);
bool bars_are_needed(const struct bars *bars, const AVFrame *to);

/* Converts `from` into the middle of a new black picture like `to`; `scaler` has its size.
 * Errors: -ENOMEM; -ENOTSUP. */
int bars_convert(const struct bars *bars, const AVFrame *to, struct scaler *scaler,
                 const AVFrame *from, AVFrame **out_frame);

#endif
