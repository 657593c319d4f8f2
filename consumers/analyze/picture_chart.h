/* A stream's pictures on paper: waveform monitor and vectorscope of all of them, luma and what
 * happened over time, likeness to the reference. */
#ifndef CONSUMERS_PICTURE_CHART_H
#define CONSUMERS_PICTURE_CHART_H

#include "chart.h"
#include "picture_history.h"

#include <jansson.h>

/* How high it becomes. */
double picture_chart_height(const struct picture_history *history);

/* Paints it into `area`, with numbers from `total`, which picture_measures_report_total() filled.
 */
void picture_chart_paint(cairo_t *page, struct chart_area area,
                         const struct picture_history *history, const json_t *total);

#endif
