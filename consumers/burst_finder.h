/* Finds the bursts in a stream of sound: when each began, and of which beat it is.
 *
 * Each channel is listened to by itself, and the one that carries a burst best is believed: mixes,
 * reversed wires and channels of other content do no harm. Of echoes the first arrival counts. A
 * burst is told about a quarter of a second after its end.
 *
 * Lost blocks are found by the frames' pts, where they have none by capture stamps and what the
 * lease says was lost; what is missing is silent.
 */
#ifndef CONSUMERS_BURST_FINDER_H
#define CONSUMERS_BURST_FINDER_H

#include <shmframe/shmframe.h>

struct burst_finder;

/* For the sound of one format; another one needs another finder. Errors: -ENOTSUP a sample format
 * or rate in which no burst can be heard; -ENOMEM. */
int burst_finder_create(const struct shmframe_format *format, struct burst_finder **out_finder);
void burst_finder_destroy(struct burst_finder *finder);

/* Listens to a block whose first sample is of lease->frame.capture_ns. */
void burst_finder_add(struct burst_finder *finder, const struct shmframe_lease *lease);

/* No more comes: what was heard up to now is told by burst_finder_next(), without the wait. */
void burst_finder_end(struct burst_finder *finder);

#define BURST_NO_MEDIA INT64_MIN

struct burst_sound {
    int64_t start_ns; /* by the capture stamps */
    int64_t media_ns; /* by the frames' pts; BURST_NO_MEDIA: they have none */
    int64_t error_ns; /* three standard deviations of start_ns */
    uint8_t beat;     /* modulo 16 */
    float level;      /* amplitude of its sine; full scale is 1 */
    float confidence; /* how like a burst it is: 0.5 to 1 */
};

/* Takes the next one that was found; the last 64 wait. False: none. */
bool burst_finder_next(struct burst_finder *finder, struct burst_sound *out_sound);

#endif
