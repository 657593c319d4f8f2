/* Burst: the mark in the sound, what the flash and the mark of the same beat are in the picture.
 *
 * Two chirps of 40 ms between 600 and 3400 Hz, a band that all rates, codecs and loudspeakers
 * carry. The first falls and begins with the burst. The second rises and begins 40 ms later, and
 * 1.25 ms more for each unit of the beat, modulo 16: the distance is what tells the beat.
 *
 * A chirp's matched filter answers with one narrow peak, in noise and beside its own echo. Fallen
 * first and risen second, the pair stays apart by a time that a stretch of the sound changes, so
 * that the stretch is known, and the start right in spite of it.
 *
 * Pure.
 */
#ifndef COMMON_BURST_H
#define COMMON_BURST_H

#include <stdint.h>

#define BURST_LOW_HZ  600.0
#define BURST_HIGH_HZ 3400.0
#define BURST_CHIRP_S 0.04
#define BURST_STEP_S  0.00125 /* a unit of the beat */

enum { BURST_BEATS = 16, BURST_RATE_MIN = 8000 /* samples a second that carry it */ };

enum burst_chirp { BURST_FALLING, BURST_RISING };

/* One chirp at `time_s` after its beginning; its amplitude is 1; 0 before and after it. */
double burst_chirp(enum burst_chirp chirp, double time_s);

/* When the second chirp of the burst begins, after the first. */
double burst_second_s(uint32_t beat);

/* The burst of a beat, `time_s` after its beginning. */
double burst_at(uint32_t beat, double time_s);

#endif
