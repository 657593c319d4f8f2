/* Sound from leases to the speaker: conversion, the queue in between, and when what is heard.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_SOUND_H
#define CONSUMERS_SOUND_H

#include "gauge.h"
#include <shmframe/reader.h>

struct sound;

struct sound_state {
    uint32_t rate_hz, channels;
    int64_t queued_ns; /* sound in the queue before the device */
    int64_t delay_ns;  /* heard - captured, when known or as expected; see sound_delay_ns() */
    double speed;
    uint64_t dropouts;   /* times that sound came too late */
    uint64_t dropped_ns; /* sound thrown away since too much had come at once */
};

#define SOUND_LATER_MAX_NS INT64_C(2000000000)

/* Begins to open a device, as speaker_open() says. Errors: -ENOMEM. */
int sound_create(const char *device, struct sound **out_sound);
void sound_destroy(struct sound *sound);

/* Whether the device is open; until then nothing is played. */
bool sound_has_device(struct sound *sound);
/* Whether it is under way, so that what is pushed is heard soon. */
bool sound_is_ready(struct sound *sound);

/* Whether the writer waits for us: whatever it has given is played, and as captured. */
void sound_set_waited_for(struct sound *sound, bool is_waited_for);

/* Begins to play blocks of `format`. Errors: -ENOTSUP libswresample cannot convert it; -ENOMEM. */
int sound_set_format(struct sound *sound, const struct shmframe_format *format);

/* Plays a block, whose lease can be released afterwards. Returns when its first sample is heard, or
 * 0 as long as that is not known. */
int64_t sound_push(struct sound *sound, const struct shmframe_lease *lease);

/* Whether a block can be pushed without being thrown away. Readers for which the writer waits take
 * the next block only then. */
bool sound_has_room(const struct sound *sound);

/* What comes next does not go on from what was pushed last. */
void sound_jump(struct sound *sound);

/* To be called every few milliseconds. `picture_late_ns`: see sync_cushion_step(). Errors, of a
 * device that has been opened meanwhile: as sound_set_format(). */
int sound_update(struct sound *sound, int64_t now_ns, int64_t picture_late_ns);

/* How long after its capture sound is heard: measured while it is, otherwise as expected. False: no
 * format yet. */
bool sound_delay_ns(const struct sound *sound, int64_t *out_delay_ns);

/* Whether that is measured. */
bool sound_is_heard(const struct sound *sound);

/* The longest delay that may be asked for because pictures come late. */
void sound_set_delay_limit(struct sound *sound, int64_t limit_ns);

/* Sound is to be heard so much later than it has to be, 0 to SOUND_LATER_MAX_NS. */
void sound_set_later(struct sound *sound, int64_t later_ns);

/* As heard now. */
void sound_read_gauges(const struct sound *sound, struct gauge_reading *out_reading);

/* 1: as it comes; 0: silence. */
void sound_set_gain(struct sound *sound, float gain);
/* Whether everything that was pushed has been taken by the device. */
bool sound_is_drained(struct sound *sound);
/* Whether the default device plays, since the chosen one went away. */
bool sound_is_replaced(const struct sound *sound);
/* NULL, or why nobody hears it. */
const char *sound_trouble(const struct sound *sound);
void sound_get_state(const struct sound *sound, struct sound_state *out_state);

#endif
