/* Densities on paper: an image of transparent pixels that is painted into an area. */
#ifndef CONSUMERS_CHART_IMAGE_H
#define CONSUMERS_CHART_IMAGE_H

#include "chart.h"

#include <stddef.h>
#include <stdint.h>

/* An empty image; it may have failed, which what follows bears. */
cairo_surface_t *chart_image_begin(int width, int height);
/* The highest row is 0. */
void chart_image_set(cairo_surface_t *image, int x, int y, struct chart_color color, double alpha);
/* Paints it, and frees it. */
void chart_image_end(cairo_surface_t *image, cairo_t *page, struct chart_area area);

/* How bright a count is where the largest one is `most`: rare is still seen, so it goes with the
 * logarithm. */
double chart_brightness(uint64_t count, uint64_t most);

#endif
