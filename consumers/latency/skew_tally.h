/* Picture against sound: the flash and the burst of a beat share one instant at the source, and
 * each picture's mark says how long after it the picture was captured.
 *
 *     latency of the picture = when it was seen - its capture
 *     latency of the sound   = when the burst was heard - the instant of its beat
 *     skew                   = latency of the picture - latency of the sound, of one beat
 *
 * A picture that is looked at now and then is seen later than it came to be there: some time
 * between this look and the one before. All pictures of a beat are put together: their mean latency
 * lies between the mean of the looks before and the mean of the looks that saw them, whatever the
 * single ones were. The middle of these is told, and half of their distance, with the error of the
 * sound, is the bound that is told with it. That the spans of single pictures overlap narrows
 * nothing: pictures on a screen that is refreshed in step with the looks do so, and are as old as
 * any part of a span.
 *
 * Marks of media time (clock 0) have a skew by the stamps of the streams where the pictures came at
 * the speed of their media: a player's. Where not, there is none but by media times.
 *
 * Threads: one.
 */
#ifndef CONSUMERS_LATENCY_SKEW_TALLY_H
#define CONSUMERS_LATENCY_SKEW_TALLY_H

#include "burst_finder.h"
#include "mark.h"
#include "spread.h"

#include <stdbool.h>

enum { SKEW_BEATS = 16 }; /* as many as a burst can tell apart */

/* A frame that was seen for the first time. */
struct skew_sight {
    struct mark mark;
    int64_t before_ns; /* the look before: it was not there yet */
    int64_t seen_ns;
    bool is_media; /* both are media time, as the mark's: so is the beat's burst */
};

/* A burst that was heard. */
struct skew_burst {
    int64_t start_ns, error_ns;
    int64_t media_ns; /* of its start; BURST_NO_MEDIA: not known */
    uint8_t beat;     /* modulo SKEW_BEATS */
};

/* A beat that was seen and heard. */
struct skew_sample {
    int64_t skew_ns;
    int64_t bound_ns; /* by which it may be wrong */
};

struct skew_figures {
    uint64_t beats;      /* that were seen */
    uint64_t unsteady;   /* of them, not compared: media time that passed at another speed */
    uint64_t bursts;     /* that were heard */
    struct spread skew;  /* of each beat that was seen and heard */
    struct spread bound; /* of each of them */
    struct spread heard; /* latency of the sound, where the marks are of this machine's clock */
};

/* What is known of a beat. */
struct skew_beat {
    bool is_seen, is_heard;
    bool is_media;      /* its times are media time */
    bool is_own;        /* ... of this machine's clock */
    int64_t due_ns;     /* by the marks' clock */
    int64_t latency_ns; /* of its pictures */
    int64_t bound_ns;
    struct skew_burst burst;
};

struct skew_tally {
    struct skew_figures figures;
    uint16_t own_clock;
    struct skew_beat beat[SKEW_BEATS];
    int64_t period_ns; /* between beats; 0: not known */

    /* The beat that is seen at the moment. */
    bool has_beat;
    bool is_over; /* it was put together: the sound is far ahead of its last picture */
    struct skew_sight first, last;
    uint64_t sights;
    int64_t sum_ns,
        sum_width_ns; /* of the earliest latencies, beyond the first one; of the spans */
};

void skew_tally_init(struct skew_tally *tally, uint16_t own_clock);

/* Return whether a beat is complete with it: compared, and told in `out_sample`.
 *
 * Pictures and bursts each in their order; the one may be ahead of the other by half a round of
 * beats. A beat's pictures are together when the next beat's are seen, or a burst is heard a period
 * after the last one. A picture whose beat is not known (`since_beat_us` at its limit) does not
 * count. */
bool skew_tally_see(struct skew_tally *tally, const struct skew_sight *sight,
                    struct skew_sample *out_sample);
bool skew_tally_hear(struct skew_tally *tally, const struct skew_burst *burst,
                     struct skew_sample *out_sample);
/* The source begins anew: what waits for its other half is dropped. */
void skew_tally_forget(struct skew_tally *tally);

/* `figures` -= `earlier`. */
void skew_figures_subtract(struct skew_figures *figures, const struct skew_figures *earlier);

#endif
