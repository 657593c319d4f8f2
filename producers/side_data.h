/* Side data: what decoded frames bring along that a stream has no place for, counted by kind. */
#ifndef PRODUCERS_SIDE_DATA_H
#define PRODUCERS_SIDE_DATA_H

#include "producer.h"

#include <libavutil/frame.h>

enum { SIDE_DATA_KINDS = 63 };

/* One for each kind that was met; the rest is 0, and the last always. */
struct side_data {
    struct producer_count dropped[SIDE_DATA_KINDS + 1];
};

/* Counts what of a frame does not go with it. */
void side_data_count(struct side_data *side_data, const AVFrame *frame);

#endif
