/* Samples of 16 bits as libswscale (5.1 to 7.1) leaves them: it counts in steps of 1/256 of an 8
 * bit sample, so that the white of limited range becomes 255 * 256, and the largest sample of n
 * bits one of n bits with zeros behind, instead of 65535. */
#ifndef CONSUMERS_DEEP_H
#define CONSUMERS_DEEP_H

#include <libavutil/frame.h>

/* Stretches the samples of `to`, which was converted from `from`, until white is white, black
 * staying where it is; likewise alpha. Pictures of fewer bits, and RGB from RGB, are left alone. */
void deep_stretch(const AVFrame *from, AVFrame *to);

#endif
