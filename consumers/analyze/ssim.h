/* Structural similarity of two components of the same size and depth. */
#ifndef CONSUMERS_SSIM_H
#define CONSUMERS_SSIM_H

#include "component.h"

enum { SSIM_SIDE_MIN = 8 }; /* of a component, in samples */

/* The mean over all windows of 8x8 samples that begin at multiples of 4, weighing all samples of a
 * window alike. Errors: -EINVAL smaller than a window; -ENOMEM. */
int ssim_measure(const struct component *a, const struct component *b, double *out_mean);

#endif
