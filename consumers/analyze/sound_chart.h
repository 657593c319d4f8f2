/* A stream's sound as a picture: waveform and loudness over time, left against right. */
#ifndef CONSUMERS_SOUND_CHART_H
#define CONSUMERS_SOUND_CHART_H

#include "chart.h"
#include "sound_history.h"

#include <jansson.h>

/* How high it becomes. */
double sound_chart_height(const struct sound_history *history);

/* Paints it into `area`, with numbers from `total`, which sound_measures_report_total() filled. */
void sound_chart_paint(cairo_t *page, struct chart_area area, const struct sound_history *history,
                       const json_t *total);

#endif
