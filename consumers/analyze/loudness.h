/* Loudness after EBU R128 (ITU-R BS.1770-4, EBU Tech 3341 and 3342), by libebur128.
 *
 * Values in LUFS and dBTP are -HUGE_VAL where there is nothing above the gate, or nothing but
 * digital silence. Integrated loudness and range are exact to 0.05 LU: their memory does not grow
 * with time.
 */
#ifndef CONSUMERS_LOUDNESS_H
#define CONSUMERS_LOUDNESS_H

#include "sound_block.h"

struct loudness;

/* How often momentary and short-term loudness are taken: EBU Tech 3341 asks for 10 Hz at least. */
enum { LOUDNESS_STEPS_PER_S = 10 };

/* Errors: -ENOTSUP loudness cannot be measured at that sample rate; -ENOMEM. */
int loudness_create(const struct shmframe_audio_format *format, struct loudness **out_loudness);
void loudness_destroy(struct loudness *loudness);

/* The sound goes on in another format: so do integrated loudness, range and peaks. What had not
 * filled a step is lost. Errors: as loudness_create(); it can only be destroyed then. */
int loudness_set_format(struct loudness *loudness, const struct shmframe_audio_format *format);

/* Adds the whole of `block`. It is read in place where libebur128 can, and all samples are finite;
 * otherwise it is converted. Errors: -ENOMEM. */
int loudness_add(struct loudness *loudness, const struct sound_block *block, bool has_only_finite);

/* Whether it can: packed s16, s32, flt, dbl. */
bool loudness_reads_in_place(const struct sound_block *block);

/* Samples until the present step of a tenth of a second is full. */
uint32_t loudness_until_step(const struct loudness *loudness);

double loudness_momentary_lufs(const struct loudness *loudness);
double loudness_short_term_lufs(const struct loudness *loudness);
double loudness_integrated_lufs(const struct loudness *loudness);
double loudness_range_lu(const struct loudness *loudness);
/* Of one channel, since creation, or since loudness_begin_interval(). */
double loudness_true_peak_dbtp(const struct loudness *loudness, uint32_t channel);
double loudness_interval_true_peak_dbtp(const struct loudness *loudness, uint32_t channel);
void loudness_begin_interval(struct loudness *loudness);

#endif
