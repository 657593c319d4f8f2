/* The gauges of a sound, drawn: a bar for each channel, from -60 dB to full scale. */
#ifndef CONSUMERS_STRIP_H
#define CONSUMERS_STRIP_H

#include "fit.h"
#include "gauge.h"
#include <SDL.h>

/* Draws them into the lower right corner of `room`, above the caption; nothing without channels. */
void strip_draw(SDL_Renderer *renderer, const struct gauge_reading *reading, struct fit_area room);

#endif
