/* Intake: a live input's packets, taken by a thread of its own as they come, each with its time.
 *
 * What decodes may be held up; what comes is read all the same, so that its time is known and the
 * network's buffers do not overflow.
 *
 * Threads: one, which is not the intake's own.
 */
#ifndef PRODUCERS_INTAKE_H
#define PRODUCERS_INTAKE_H

#include "input.h"

#include <libavutil/fifo.h>
#include <pthread.h>

struct intake {
    struct input *input;
    pthread_t thread;
    bool is_running;

    pthread_mutex_t mutex; /* guards the following */
    pthread_cond_t change;
    AVFifo *packets;
    size_t bytes;
    int result; /* why there are no more; 0: there may be */
};

/* Starts reading. Errors: -ENOMEM, or why there is no thread. */
int intake_start(struct intake *intake, struct input *input);
/* Needs input_stop() before it, if there may be more to come. */
void intake_stop(struct intake *intake);

/* Waits for the next packet. Returns what av_read_frame() did. */
int intake_read(struct intake *intake, AVPacket *packet, int64_t *out_arrival_ns);

#endif
