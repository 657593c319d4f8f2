/* Silence: all channels below a level, for a while. As FFmpeg's silencedetect has it. Pure.
 *
 * Only samples that came count: what was lost is neither silence nor sound.
 */
#ifndef CONSUMERS_SILENCE_H
#define CONSUMERS_SILENCE_H

#include "sound_block.h"

struct silence {
    double level;        /* magnitude that a silent sample is below */
    int64_t duration_ns; /* that it has to last to count */
    uint32_t sample_rate;

    bool is_silent;       /* it has lasted that long */
    int64_t begin_ns;     /* where the run of quiet samples begins */
    uint64_t run_samples; /* how many of it came; 0: there is none */

    uint64_t count;   /* silences so far, with the one that lasts */
    int64_t total_ns; /* of those that are over */
};

enum silence_event {
    SILENCE_NONE = 0,
    SILENCE_BEGAN,
    SILENCE_ENDED,
};

struct silence_change {
    enum silence_event event;
    int64_t begin_ns, end_ns; /* of the silence; end_ns once it ended */
    int64_t length_ns;        /* how much of it came */
};

/* Before the first block, and when the rate changes. */
void silence_set_rate(struct silence *silence, uint32_t sample_rate);

/* Goes on through `block`, which begins at `start_ns`, from sample `*index` on until something
 * changes or the block is over; advances `*index`. */
struct silence_change silence_advance(struct silence *silence, const struct sound_block *block,
                                      int64_t start_ns, uint32_t *index);

/* What comes next does not go on from what came until `end_ns`: the silence that lasts ends. */
struct silence_change silence_end(struct silence *silence, int64_t end_ns);

/* All of it, with the one that lasts. */
int64_t silence_total_ns(const struct silence *silence);

#endif
