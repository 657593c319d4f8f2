/* Colour bars of 75 % in any pixel format, matrix and range, by the formulas of BT.601, BT.709 and
 * BT.2020, and what they are in RGB. */
#ifndef TESTS_CONSUMERS_BARS_H
#define TESTS_CONSUMERS_BARS_H

#include <libavutil/frame.h>
#include <stdbool.h>

enum { BARS = 8 }; /* grey, yellow, cyan, green, magenta, red, blue, black; of equal width */

/* Paints `picture`, whose planes, format and size are there. RGB takes no matrix, and has limited
 * range where it is told; grey has the luma of the colours. Where there is alpha, the last bar
 * is transparent.
 */
void bars_paint(AVFrame *picture, enum AVColorSpace space, bool is_full);

/* What bar `bar` is in RGB of 8 bits. */
void bars_rgb(enum AVPixelFormat format, enum AVColorSpace space, int bar, int out_rgb[3]);

#endif
