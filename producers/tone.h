/* Tone: the sound that goes with the test picture.
 *
 * A soft sine that never stops, and a loud beep of a tenth of a second each second. A beep begins
 * with the first sample at or after the instant of the frame that begins the flash. Channel c has
 * the (c % 8 + 1)-th harmonic of the tone, as far as the sample rate carries it, so that channels
 * can be told apart. Every sample is a pure function of its number: blocks of any length join
 * without a seam.
 *
 * With marks a burst (burst.h) takes the beep's place: that of beat s begins with the sample of
 * second s itself, whenever the picture's flash can be shown.
 */
#ifndef PRODUCERS_TONE_H
#define PRODUCERS_TONE_H

#include "scene.h"

#include <libavutil/samplefmt.h>

#define TONE_LEVEL      0.05 /* of full scale: -26 dB */
#define TONE_BEEP_LEVEL 0.5
#define TONE_BEEP_HZ    1000

struct tone {
    struct shmframe_format format;
    enum AVSampleFormat sample_format;
    struct shmframe_rational frame_rate;
    uint32_t tone_hz, beep_hz;
    uint32_t harmonics;
    bool has_marks; /* bursts instead of beeps */
};

/* For sound of `format`, complete, beside pictures at `frame_rate`.
 * Errors: -ENOTSUP an unknown sample format; -EINVAL tone_hz is 0 or above half the sample rate. */
int tone_init(struct tone *tone, const struct shmframe_format *format,
              struct shmframe_rational frame_rate, uint32_t tone_hz);

/* Changes the pitch, nothing else. Errors: -EINVAL as tone_init(). */
int tone_set_hz(struct tone *tone, uint32_t tone_hz);

/* Bursts instead of beeps from now on. Errors: -ENOTSUP the sample rate is below BURST_RATE_MIN. */
int tone_use_marks(struct tone *tone);

/* Writes samples number first to first + count - 1, from 0, of all channels into the slot. */
void tone_fill(const struct tone *tone, uint8_t *slot, int64_t first, uint32_t count);

/* The first sample of the beep that begins with frame `flash_frame`. */
int64_t tone_beep_start(const struct tone *tone, int64_t flash_frame);
/* How many samples a beep has. */
int64_t tone_beep_samples(const struct tone *tone);

#endif
