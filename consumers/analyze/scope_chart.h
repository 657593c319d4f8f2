/* A scope on paper: waveform monitor and vectorscope, with their graticules. */
#ifndef CONSUMERS_SCOPE_CHART_H
#define CONSUMERS_SCOPE_CHART_H

#include "chart.h"
#include "scope.h"

/* Luma from left to right of the picture, in percent of its nominal range. Below the area nothing
 * is painted; left of it labels, above it titles. */
void scope_chart_paint_waveform(cairo_t *page, struct chart_area area, const struct scope *scope);

/* Chroma in its plane, Cb to the right and Cr up, with the places of 75 % bars in the picture's
 * matrix; the largest square that fits. */
void scope_chart_paint_vectors(cairo_t *page, struct chart_area area, const struct scope *scope);

#endif
