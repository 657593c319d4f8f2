/* Sound of any format into interleaved floats of another rate and number of channels. */
#ifndef CONSUMERS_CONVERTER_H
#define CONSUMERS_CONVERTER_H

#include <shmframe/reader.h>

struct converter;

/* Errors: -ENOTSUP libswresample cannot do it; -ENOMEM. */
int converter_create(const struct shmframe_format *from, uint32_t to_rate_hz, uint32_t to_channels,
                     struct converter **out_converter);
void converter_destroy(struct converter *converter);

/* Converts a block. Returns the number of frames at *out_samples, which are valid until the next
 * call, or a negative errno: -ENOMEM; -EINVAL. */
int converter_run(struct converter *converter, const struct shmframe_lease *lease,
                  const float **out_samples);

/* Sound that went in and has not come out yet. */
int64_t converter_delay_ns(const struct converter *converter);

/* From now on the sound is made longer (speed below 1) or shorter: for a second, or until the next
 * call. */
void converter_set_speed(struct converter *converter, double speed);

#endif
