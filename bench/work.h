/* Work: what each of the four consumers does with a frame once it has it. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <libavutil/frame.h>
#include <shmframe/shmframe.h>

enum work_kind {
    WORK_VIEW = 0, /* upload into a texture, and draw it, by SDL's software renderer */
    WORK_ENCODE,   /* libavcodec's rawvideo, whose packets nobody takes */
    WORK_ANALYZE,  /* shmframe-analyze's measures: levels, black, frozen, scenes */
    WORK_LATENCY,  /* the age of each frame */
    WORK_KINDS,
};

/* Frames that a work keeps at once, that which is worked on included: the measures keep the newest
 * one until they have the next. */
enum { WORK_FRAMES_MAX = 3 };

struct work;
struct work *work_create(enum work_kind kind, const struct shmframe_format *format);
void work_destroy(struct work *work);
void work_do(struct work *work, const AVFrame *frame, const struct shmframe_frame *stamps);

#endif
