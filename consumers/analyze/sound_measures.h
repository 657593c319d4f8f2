/* What is measured of a stream's sound.
 *
 *   sound_measures_create()
 *     sound_measures_set_format()       before the first block, and when it changes
 *     sound_measures_add()              each block, in the order of its stream
 *     sound_measures_report_interval()  whenever an interval is over
 *     sound_measures_next_event()       until there is none
 *   sound_measures_end()                the stream is over
 *   sound_measures_report_total()
 *   sound_measures_destroy()
 *
 * A level in dB that is minus infinity, of digital silence, is null in the reports; so is what has
 * no value. Threads: one.
 */
#ifndef CONSUMERS_SOUND_MEASURES_H
#define CONSUMERS_SOUND_MEASURES_H

#include "sound_history.h"

#include <jansson.h>

struct sound_settings {
    double silence_dbfs; /* below that, samples are silent */
    int64_t silence_ns;  /* a shorter silence does not count */
    bool has_history;    /* keep what a chart is painted from */
};

/* FFmpeg's silencedetect has the same. */
extern const struct sound_settings sound_settings_default;

struct sound_measures;

/* Errors: -ENOMEM; -EINVAL a setting out of range. */
int sound_measures_create(const struct sound_settings *settings,
                          struct sound_measures **out_measures);
void sound_measures_destroy(struct sound_measures *measures);

/* Errors: -ENOTSUP this FFmpeg does not know the sample format, or loudness cannot be measured at
 * that rate; -ENOMEM. */
int sound_measures_set_format(struct sound_measures *measures,
                              const struct shmframe_audio_format *format);

/* Measures a block, which begins at `start_ns` of the stream. Errors: -ENOMEM; -ENOTSUP. */
int sound_measures_add(struct sound_measures *measures, const struct shmframe_lease *lease,
                       int64_t start_ns);
/* Something is missing before the next block. */
void sound_measures_break(struct sound_measures *measures);
/* The stream is over. */
void sound_measures_end(struct sound_measures *measures);

/* Adds what was measured since the last call, or since the beginning: flat values, and those of
 * each channel in "channels". */
void sound_measures_report_interval(struct sound_measures *measures, json_t *object);
void sound_measures_report_total(struct sound_measures *measures, json_t *object);

/* The oldest event that was not taken yet, a reference that is the caller's; NULL: none. "event" is
 * silence_began or silence_ended. */
json_t *sound_measures_next_event(struct sound_measures *measures);

/* Names of all numbers that the total can hold, sorted; NULL ends them. */
const char *const *sound_measures_names(void);

/* NULL without has_history, or before the first block. */
const struct sound_history *sound_measures_history(const struct sound_measures *measures);

#endif
