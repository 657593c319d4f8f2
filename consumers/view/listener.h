/* Listens to a stream of sound, in a thread of its own: whatever the window is busy with, the
 * speaker is fed.
 *
 * Life: create; open, close, any number of times; destroy.
 * Threads: all calls from one thread, which is not the listener's.
 */
#ifndef CONSUMERS_LISTENER_H
#define CONSUMERS_LISTENER_H

#include "sound.h"
#include "source.h"

struct listener;

struct listener_state {
    char title[SHMFRAME_NAME_BYTES + 130]; /* stream and format; "": nothing was heard yet */
    struct sound_state sound;
    uint64_t heard;    /* blocks whose instant of being heard was known, of all streams so far */
    uint64_t passed;   /* blocks that were passed over while paused, likewise */
    bool is_over;      /* nothing is to come or to be heard any more */
    bool is_evicted;   /* the stream was taken away from this reader */
    char trouble[400]; /* "", or why nobody hears it */
};

/* Begins to look for sound devices, which may take a second, and to open `device`, as
 * speaker_open() says. Errors: -ENOMEM. */
int listener_create(const char *device, bool is_staying, struct listener **out_listener);
/* Waits until it is open, unless it does not answer for some seconds, or the program is to stop. */
void listener_wait_device(struct listener *listener);
/* NULL, or why nobody hears it. */
const char *listener_trouble(struct listener *listener);
void listener_destroy(struct listener *listener);

/* Waits until the device is under way, for a moment at most, so that sound that comes from now on
 * is heard from its first sample. */
void listener_wait_ready(struct listener *listener);

/* Begins to listen. Errors: as shmframe_reader_open(); -EAGAIN no thread. */
int listener_open(struct listener *listener, struct shmframe_session *session,
                  const struct shmframe_reader_params *params);
/* Ends listening; another stream can be opened, or the same again. */
void listener_close(struct listener *listener);
bool listener_is_open(const struct listener *listener);

/* How long after its capture sound is heard; *out_is_measured: that is not only expected. False:
 * there is no sound yet. */
bool listener_delay_ns(struct listener *listener, int64_t *out_delay_ns, bool *out_is_measured);
/* By how much pictures are typically later than their sound, and how much delay they can bear. */
void listener_set_lateness(struct listener *listener, int64_t late_ns, int64_t delay_limit_ns);

/* While paused, sound is passed over; a writer that waits for us is kept waiting. */
void listener_set_paused(struct listener *listener, bool is_paused);
/* 1: as it comes; 0: silence. */
void listener_set_gain(struct listener *listener, float gain);
/* Sound is to be heard so much later than it has to be, at most SOUND_LATER_MAX_NS. */
void listener_set_later(struct listener *listener, int64_t later_ns);

/* How loud it is now. */
void listener_read_gauges(struct listener *listener, struct gauge_reading *out_reading);
void listener_get_state(struct listener *listener, struct listener_state *out_state);
/* Tells in one line each what happened to stream and device; what cannot be played at all ends the
 * program. */
void listener_tell(struct listener *listener);
/* Its stream, counters and hops; nothing else, while it is open. */
const struct source *listener_source(const struct listener *listener);
/* Streams that were listened to and are not any more; NULL: there were not so many. */
const struct source *listener_source_before(const struct listener *listener, uint32_t index);

#endif
