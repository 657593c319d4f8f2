/* The sound device, through PortAudio; where there is none, a null device that the clock paces.
 *
 * It takes from a queue of samples in a thread of its own (PortAudio's), which never waits for
 * ours. After each buffer it leaves a report on what it took and when that will be heard.
 *
 * Threads: all calls from one thread.
 */
#ifndef CONSUMERS_SPEAKER_H
#define CONSUMERS_SPEAKER_H

#include "samples.h"
#include <stdbool.h>
#include <stdint.h>

struct speaker;

struct speaker_report {
    uint64_t position; /* in the queue, of the first frame of the buffer */
    int64_t heard_ns;  /* when that frame is heard */
    uint32_t left;     /* frames in the queue afterwards */
    bool is_dry; /* the buffer could not be filled: silence from here until the queue is primed */
};

/* Without a device yet. `device`, as sound_device_find() takes it, is borrowed; NULL: the default.
 * Errors: -ENOMEM. */
int speaker_create(const char *device, struct speaker **out_speaker);
/* Plays what the device has, which lasts as long as the sound server likes: for ever if it hangs.
 */
void speaker_destroy(struct speaker *speaker);

/* Looks for devices, opens one, in stereo if it can, with a queue for it, and starts it; an earlier
 * one is closed. One that was chosen and is not there any more is replaced by the default. A null
 * device, if nothing can be opened: speaker_trouble() says why.
 * A thread does it, since it lasts as long as the sound server likes; on its own it stays silent on
 * stderr, although the libraries below are talkative. Until speaker_finish_opening() has returned
 * anything but -EAGAIN, nothing else is to be called but wishes (prime and gain),
 * speaker_underflows() and speaker_destroy(). Errors: -EAGAIN no thread. */
int speaker_open(struct speaker *speaker);
/* Errors: -EAGAIN not yet; -ENOMEM. */
int speaker_finish_opening(struct speaker *speaker);
/* Whether it takes samples as fast as they are heard. Sound servers fill their buffers first, and
 * then take nothing for up to a second. */
bool speaker_is_warm(const struct speaker *speaker);

/* What was obtained. */
uint32_t speaker_rate_hz(const struct speaker *speaker);
uint32_t speaker_channels(const struct speaker *speaker);
/* NULL, or why there is a null device. */
const char *speaker_trouble(const struct speaker *speaker);
/* Whether the default device plays, since the chosen one went away. */
bool speaker_is_replaced(const struct speaker *speaker);
/* From being taken out of the queue until it is heard, as the device tells at open. */
int64_t speaker_latency_ns(const struct speaker *speaker);

/* To append to. Valid until it is opened anew. */
struct samples *speaker_queue(struct speaker *speaker);
/* Silence until that many frames wait; again after each time that the queue ran dry. */
void speaker_set_prime(struct speaker *speaker, uint32_t frames);
/* Whether samples are being taken. */
bool speaker_is_playing(const struct speaker *speaker);
/* Times that the device ran out of sound although the queue had some. */
uint32_t speaker_underflows(const struct speaker *speaker);
/* 1: as it comes; 0: silence. Changes from one buffer to the next without a click. */
void speaker_set_gain(struct speaker *speaker, float gain);

/* To be called every few milliseconds: moves the null device on. */
void speaker_advance(struct speaker *speaker, int64_t now_ns);
/* Whether the device is still there; if not, open it again. Not so either when there is a null
 * device in its place. */
bool speaker_is_alive(struct speaker *speaker);
/* Takes the oldest report; false: none is left. */
bool speaker_next_report(struct speaker *speaker, struct speaker_report *out_report);

#endif
