#include "skew_tally.h"

#include <stdlib.h>
#include <string.h>

/* Until two beats have been seen; and longer is none. */
#define PERIOD_NS     INT64_C(1000000000)
#define PERIOD_MAX_NS (60 * PERIOD_NS)
/* Nothing is heard before its instant, but for what stamps of sounds are wrong. */
#define EARLY_NS       INT64_C(100000000)
#define SINCE_BEAT_MAX ((UINT32_C(1) << 24) - 1)

void skew_tally_init(struct skew_tally *tally, uint16_t own_clock) {
    memset(tally, 0, sizeof(*tally));
    tally->own_clock = own_clock;
}

void skew_tally_forget(struct skew_tally *tally) {
    memset(tally->beat, 0, sizeof(tally->beat));
    tally->has_beat = false;
    tally->period_ns = 0;
}

static int64_t find_due_ns(const struct mark *mark) {
    return mark->capture_ns - (int64_t)mark->since_beat_us * 1000;
}

static int64_t find_period_ns(const struct skew_tally *tally) {
    return tally->period_ns ? tally->period_ns : PERIOD_NS;
}

static int64_t find_heard_ns(const struct skew_beat *beat) {
    return (beat->is_media ? beat->burst.media_ns : beat->burst.start_ns) - beat->due_ns;
}

static void note(struct skew_tally *tally, const struct skew_beat *beat,
                 struct skew_sample *out_sample) {
    const int64_t heard_ns = find_heard_ns(beat);
    out_sample->skew_ns = beat->latency_ns - heard_ns;
    out_sample->bound_ns = beat->bound_ns + beat->burst.error_ns;
    spread_add(&tally->figures.skew, out_sample->skew_ns);
    spread_add(&tally->figures.bound, out_sample->bound_ns);
    if (beat->is_own)
        spread_add(&tally->figures.heard, heard_ns);
}

/* A burst that cannot be this beat's: of a clock that is ours, heard before it was due. It is of a
 * round before, or of another run of the source. */
static bool is_early(const struct skew_beat *beat) {
    return beat->is_own && find_heard_ns(beat) < -EARLY_NS;
}

/* Once both halves of a beat are there. Further apart than half a round, they are of beats that
 * only share a number: the earlier one has waited in vain. */
static bool match(struct skew_tally *tally, struct skew_beat *beat,
                  struct skew_sample *out_sample) {
    if (!beat->is_seen || !beat->is_heard)
        return false;
    if (beat->is_media && beat->burst.media_ns == BURST_NO_MEDIA) {
        beat->is_heard = false;
        return false;
    }
    const int64_t skew_ns = beat->latency_ns - find_heard_ns(beat);
    const int64_t limit_ns = find_period_ns(tally) * SKEW_BEATS / 2;
    if (skew_ns >= limit_ns || is_early(beat)) {
        beat->is_heard = false;
    } else if (skew_ns < -limit_ns) {
        beat->is_seen = false;
    } else {
        note(tally, beat, out_sample);
        beat->is_seen = beat->is_heard = false;
        return true;
    }
    return false;
}

/* Whether the pictures came at the speed of their media, from the beat's first one to `newest`:
 * else, what lay between a picture and a burst by the stamps says nothing of the media. */
static bool is_steady(const struct skew_tally *tally, const struct skew_sight *newest) {
    const int64_t media_ns = newest->mark.capture_ns - tally->first.mark.capture_ns;
    const int64_t took_ns = newest->seen_ns - tally->first.seen_ns;
    return media_ns > 0 && llabs(took_ns - media_ns) <= media_ns / 8;
}

/* All pictures of the beat have been seen. */
static bool end_beat(struct skew_tally *tally, const struct skew_sight *newest,
                     struct skew_sample *out_sample) {
    const struct skew_sight *first = &tally->first;
    struct skew_beat *beat = &tally->beat[first->mark.beat % SKEW_BEATS];
    const int64_t doubled = 2 * (int64_t)tally->sights;
    tally->figures.beats++;
    if (first->mark.clock == 0 && !first->is_media && !is_steady(tally, newest)) {
        tally->figures.unsteady++;
        return false;
    }
    beat->is_seen = true;
    beat->is_media = first->is_media;
    beat->is_own = first->mark.clock == tally->own_clock;
    beat->due_ns = find_due_ns(&first->mark);
    beat->latency_ns = first->before_ns - first->mark.capture_ns +
                       (2 * tally->sum_ns + tally->sum_width_ns) / doubled;
    beat->bound_ns = (tally->sum_width_ns + doubled - 1) / doubled;
    return match(tally, beat, out_sample);
}

static void begin_beat(struct skew_tally *tally, const struct skew_sight *sight) {
    const struct mark *last = &tally->first.mark;
    const int64_t step_ns = find_due_ns(&sight->mark) - find_due_ns(last);
    if (tally->has_beat && (uint8_t)(last->beat + 1) == sight->mark.beat && step_ns > 0 &&
        step_ns <= PERIOD_MAX_NS)
        tally->period_ns = step_ns;
    tally->has_beat = true;
    tally->is_over = false;
    tally->first = *sight;
    tally->sights = 0;
    tally->sum_ns = tally->sum_width_ns = 0;
}

/* Its number comes again after 256 beats. */
static bool is_same_beat(const struct mark *a, const struct mark *b) {
    return a->beat == b->beat && llabs(find_due_ns(a) - find_due_ns(b)) < PERIOD_NS / 2;
}

bool skew_tally_see(struct skew_tally *tally, const struct skew_sight *sight,
                    struct skew_sample *out_sample) {
    bool is_compared = false;
    const struct skew_sight *first = &tally->first;
    if (sight->mark.since_beat_us >= SINCE_BEAT_MAX || sight->before_ns > sight->seen_ns)
        return false;
    if (!tally->has_beat || !is_same_beat(&sight->mark, &first->mark)) {
        if (tally->has_beat && !tally->is_over)
            is_compared = end_beat(tally, sight, out_sample);
        begin_beat(tally, sight);
    }
    if (tally->is_over || sight->is_media != first->is_media)
        return is_compared;
    const int64_t earliest_ns = sight->before_ns - sight->mark.capture_ns;
    tally->sum_ns += earliest_ns - (first->before_ns - first->mark.capture_ns);
    tally->sum_width_ns += sight->seen_ns - sight->before_ns;
    tally->sights++;
    tally->last = *sight;
    return is_compared;
}

/* Of few pictures, the next beat's comes after the burst's place was taken by another. */
static bool end_late_beat(struct skew_tally *tally, const struct skew_burst *burst,
                          struct skew_sample *out_sample) {
    if (!tally->has_beat || tally->is_over)
        return false;
    const int64_t heard_ns = tally->first.is_media ? burst->media_ns : burst->start_ns;
    if (heard_ns == BURST_NO_MEDIA || heard_ns - tally->last.seen_ns <= find_period_ns(tally))
        return false;
    tally->is_over = true;
    return end_beat(tally, &tally->last, out_sample);
}

bool skew_tally_hear(struct skew_tally *tally, const struct skew_burst *burst,
                     struct skew_sample *out_sample) {
    const bool is_compared = end_late_beat(tally, burst, out_sample);
    struct skew_beat *beat = &tally->beat[burst->beat % SKEW_BEATS];
    tally->figures.bursts++;
    beat->is_heard = true;
    beat->burst = *burst;
    return is_compared || match(tally, beat, out_sample);
}

void skew_figures_subtract(struct skew_figures *figures, const struct skew_figures *earlier) {
    figures->beats -= earlier->beats;
    figures->unsteady -= earlier->unsteady;
    figures->bursts -= earlier->bursts;
    spread_subtract(&figures->skew, &earlier->skew);
    spread_subtract(&figures->bound, &earlier->bound);
    spread_subtract(&figures->heard, &earlier->heard);
}
