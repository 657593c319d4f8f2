/* Reading every byte of a frame, as a consumer would that makes use of it. */
#ifndef CONSUMERS_LATENCY_TOUCH_H
#define CONSUMERS_LATENCY_TOUCH_H

#include <shmframe/shmframe.h>

void touch_frame(const struct shmframe_lease *lease);

#endif
