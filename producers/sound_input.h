/* An input device, through PortAudio: samples go from its buffer where the caller wants them.
 *
 *   sound_input_init()
 *   sound_input_begin(OPEN), wait for its descriptor, sound_input_end()
 *   sound_input_begin(START), likewise
 *     sound_input_available(), sound_input_read()
 *   sound_input_begin(REOPEN), likewise, after an error
 *
 * Opening and closing talk to the sound server and last as long as that one likes, for ever if it
 * hangs. A thread does it, so that the caller may go on waiting for everything else, or leave.
 * Threads: all calls from one; between begin and end nothing but fields that init has set.
 */
#ifndef PRODUCERS_SOUND_INPUT_H
#define PRODUCERS_SOUND_INPUT_H

#include "sound_device.h"

#include <portaudio.h>
#include <pthread.h>
#include <shmframe/format.h>
#include <stdbool.h>
#include <stdint.h>

/* What is wanted; 0 and NULL: whatever suits the device. */
struct sound_wish {
    const char *device; /* as for sound_device_find() */
    uint32_t sample_rate, channels, block;
    const char *sample_format; /* needed: sound_input_is_format() */
    int64_t latency_ns;
};

enum sound_job {
    SOUND_OPEN = 0, /* finds the device; from then on `name`, `format` and `latency_ns` count */
    SOUND_START,    /* samples come */
    SOUND_REOPEN,   /* closes everything, looks for that device anew, opens and starts it */
};

struct sound_input {
    struct sound_wish wish;
    char name[SOUND_NAME_BYTES];
    struct shmframe_format format; /* blocks of wish.block samples */
    int64_t latency_ns;            /* of the device's buffer, as PortAudio tells */
    char trouble[1024];            /* why the last job failed, or what the last error was */

    PaStream *stream;
    PaHostApiTypeId system; /* that the device belongs to: it and `name` say which one it is */
    bool has_system;        /* PortAudio is initialized */
    bool is_planar;
    uint32_t sample_bytes; /* of one channel */
    pthread_t thread;
    enum sound_job job;
    int result;
    int done_fd;
};

/* "flt", "s16p" ...: what PortAudio can give by libavutil's name. */
bool sound_input_is_format(const char *sample_format);
/* All of them, for messages. */
extern const char sound_input_formats[];

/* `wish` is kept, what it points to too. Errors: -EMFILE ... no descriptor. */
int sound_input_init(struct sound_input *input, const struct sound_wish *wish);

/* Starts a job. Returns the descriptor that is readable when it is done. Errors: -EAGAIN no thread.
 */
int sound_input_begin(struct sound_input *input, enum sound_job job);
/* What came of it: 0 or -EIO, and `trouble` says why. */
int sound_input_end(struct sound_input *input);

/* Samples a channel that can be read at once. Errors: -EOVERFLOW samples were lost before those
 * that are read next; -EIO the device is gone: nothing but REOPEN. */
int64_t sound_input_available(struct sound_input *input);

/* Reads `count` available samples a channel, to `offset` samples behind the begin of a slot of
 * `format`. Errors: as above; at -EOVERFLOW they have been read. */
int sound_input_read(struct sound_input *input, uint8_t *slot, uint32_t offset, uint32_t count);

/* Moves `count` samples a channel from `offset` to the begin of the slot. */
void sound_input_shift(const struct sound_input *input, uint8_t *slot, uint32_t offset,
                       uint32_t count);

#endif
